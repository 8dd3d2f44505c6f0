//! Fingerprints: a run compares them to find changed records, and an `ETag` is made of one.

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::domain::{
    limits::FORMAT,
    record::{IndexValues, RecordFlags},
};

/// The 128-bit fingerprint of a record: over the format, the body before compression, the key, every
/// index value with the number of its index, and the flags. Seeded per collection
/// (`Manifest::fingerprint_seed`), so that nobody can prepare two records with one fingerprint.
///
/// Each part is hashed alone, then chained with its place and length: no two lists of parts
/// give the same input, and nothing is copied or allocated.
pub fn fingerprint(seed: u64, body: &[u8], key: &str, values: &IndexValues, flags: RecordFlags) -> u128 {
    let start = xxh3_128_with_seed(body, seed);
    let mut chain = link(seed, start, 0, body.len() as u64, key.as_bytes());
    for (index, value) in values.iter() {
        chain = link(seed, chain, index, value.len() as u64, value.as_bytes());
    }
    // A length that no value has marks the end.
    link(seed, chain, u16::from(flags.0), u64::MAX, &FORMAT.to_le_bytes())
}

fn link(seed: u64, chain: u128, place: u16, length: u64, part: &[u8]) -> u128 {
    let mut input = [0; 42];
    input[..16].copy_from_slice(&chain.to_le_bytes());
    input[16..18].copy_from_slice(&place.to_le_bytes());
    input[18..26].copy_from_slice(&length.to_le_bytes());
    input[26..].copy_from_slice(&xxh3_128_with_seed(part, seed).to_le_bytes());
    xxh3_128(&input)
}

/// The tag of an answer that is made of records, such as a part of one: a hash of its bytes, seeded per collection.
pub fn content_tag(seed: u64, body: &[u8]) -> u128 {
    xxh3_128_with_seed(body, seed)
}

/// The hash by which a run distinguishes keys: 128 bits, so that a billion keys do not collide.
pub fn key_hash(key: &str) -> u128 {
    xxh3_128(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(u16, &str)]) -> IndexValues {
        let mut values = IndexValues::default();
        for (index, value) in pairs {
            values.push(*index, value);
        }
        values
    }

    #[test]
    fn every_part_counts() {
        let none = RecordFlags::default();
        let base = fingerprint(1, b"{}", "7", &values(&[(1, "a"), (2, "b")]), none);
        let others = [
            fingerprint(2, b"{}", "7", &values(&[(1, "a"), (2, "b")]), none),
            fingerprint(1, b"{ }", "7", &values(&[(1, "a"), (2, "b")]), none),
            fingerprint(1, b"{}", "8", &values(&[(1, "a"), (2, "b")]), none),
            fingerprint(1, b"{}", "7", &values(&[(1, "a"), (2, "c")]), none),
            fingerprint(1, b"{}", "7", &values(&[(1, "a"), (1, "b")]), none),
            fingerprint(1, b"{}", "7", &values(&[(1, "ab")]), none),
            fingerprint(1, b"{}", "7", &values(&[(1, "a")]), none),
            fingerprint(1, b"{}", "7", &values(&[(1, "a"), (2, "b")]), RecordFlags::LEFT),
        ];
        let distinct: std::collections::HashSet<_> = others.iter().chain([&base]).collect();
        assert_eq!(distinct.len(), others.len() + 1);
        assert_eq!(base, fingerprint(1, b"{}", "7", &values(&[(1, "a"), (2, "b")]), none));
    }

    #[test]
    fn the_formula_stays_as_it_is() {
        // Published segments carry these numbers: a change makes every record of every
        // collection look changed.
        let value = fingerprint(42, b"{\"id\":1}", "1", &values(&[(1, "a@b")]), RecordFlags::LEFT);
        let key = key_hash("1");
        assert_eq!(
            format!("{value:032x} {key:032x}"),
            "18f4734c9f422b097752bdf5495f9527 df3ce784d856334d65cd25028f98f158"
        );
    }
}
