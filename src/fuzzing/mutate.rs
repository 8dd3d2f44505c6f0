//! Seeded mutations of an input: those that a fuzzer tries first, the same in every run.

use fastrand::Rng;

/// Longest mutant, in bytes: longer than the longest path of a request.
pub(super) const MUTANT_BYTES_MAX: usize = 16 * 1024;

/// Most operations on one mutant. Few are better: of two that fail one check, one is never seen.
const OPERATIONS_MAX: usize = 4;

/// Delimiters and escapes of the languages that the targets parse, and bytes that are not UTF-8.
const TOKENS: [&[u8]; 8] = [b"%zz", b"%C3", b"%00", b"%2F", b"..", b"null", b"\\u0000", b"\xff\xfe"];
const DELIMITERS: &[u8] = b"%/+:\"{[}], ";
/// Numbers at the limits of integer and float types.
const DECIMALS: &str = "0 -1 1.5 1e400 4294967295 4294967296 9223372036854775807 9223372036854775808 \
                        18446744073709551615 18446744073709551616";
const WORDS: [u64; 10] =
    [0, 1, 0x7f, 0xff, i32::MAX as u64, u32::MAX as u64, 1 << 32, 1 << 40, i64::MAX as u64, u64::MAX];

/// The pseudo-random numbers of the target `name`.
pub(super) fn random(name: &str) -> Rng {
    Rng::with_seed(xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
}

/// A mutant of `input`; parts may come from `other`.
pub(super) fn mutant(random: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.usize(1..=OPERATIONS_MAX).min(random.usize(1..=OPERATIONS_MAX)) {
        operate(random, &mut bytes, other);
    }
    bytes.truncate(MUTANT_BYTES_MAX);
    bytes
}

fn operate(random: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.usize(..=bytes.len());
    let end = at + random.usize(..=(bytes.len() - at).min(64));
    match random.u8(..11) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
        1 if at < bytes.len() => bytes[at] = random.u8(..),
        2 => write_word(random, bytes, at),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let piece = bytes[at..end].repeat(random.usize(1..=8));
            bytes.splice(at..at, piece);
        }
        6 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.usize(..=other.len())..]);
        }
        7 => write_decimal(random, bytes, at),
        // Copies a part of the input elsewhere: an offset or length that is valid in another place.
        8 => {
            let to = random.usize(..=bytes.len() - (end - at));
            bytes.copy_within(at..end, to);
        }
        9 => bytes.insert(at, DELIMITERS[random.usize(..DELIMITERS.len())]),
        _ => drop(bytes.splice(at..at, TOKENS[random.usize(..TOKENS.len())].iter().copied())),
    }
}

/// Overwrites 1, 2, 4 or 8 bytes, at a place that is a multiple of as many, with an extreme number.
fn write_word(random: &mut Rng, bytes: &mut [u8], at: usize) {
    let width = 1 << random.u8(..4);
    let at = at / width * width;
    if let Some(place) = bytes.get_mut(at..at + width) {
        place.copy_from_slice(&WORDS[random.usize(..WORDS.len())].to_le_bytes()[..width]);
    }
}

/// Replaces the decimal number at or after `at` by an extreme one.
fn write_decimal(random: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit) else { return };
    let start = at + start;
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = DECIMALS.split(' ').nth(random.usize(..10)).unwrap_or_default();
    bytes.splice(start..start + length, number.bytes());
}

#[test]
fn mutants_are_varied_bounded_and_deterministic() {
    let (input, other) = (b"{\"n\":42,\"name\":\"abc\"}".repeat(8), b"other".repeat(9000));
    let make = || {
        let mut rng = random("mutants");
        (0..2000).map(|_| mutant(&mut rng, &input, &other)).collect::<Vec<_>>()
    };
    let made = make();
    assert_eq!(made, make());
    assert!(made.iter().all(|mutant| mutant.len() <= MUTANT_BYTES_MAX));
    let different: std::collections::HashSet<_> = made.iter().collect();
    assert!(different.len() > 1800, "{}", different.len());
    assert!(mutant(&mut random("nothing"), b"", b"").len() <= MUTANT_BYTES_MAX);
}
