//! Bytes that are not what they should be: an error or a segment that is safe to read, never a panic.

use proptest::prelude::*;

use super::*;

fn valid() -> Vec<u8> {
    let rows: Vec<Row> = (0..50)
        .map(|n| {
            let (key, email) = (format!("key-{n:04}"), format!("user{n}@example.com"));
            if n % 7 == 3 {
                return delete(&key);
            }
            let tags = ["a", "bb", "ccc", "é"];
            put(&key, &format!("{{\"id\":{n}}}"), (n % 5 != 0).then_some(&email), &tags[..n % 5])
        })
        .collect();
    write(header(SegmentKind::Changes, Codec::Plain), &rows)
}

fn compressed() -> Vec<u8> {
    let (bytes, sizes) = samples(20);
    let mut start = 0;
    let rows: Vec<Row> = sizes
        .iter()
        .enumerate()
        .map(|(n, size)| {
            let body = std::str::from_utf8(&bytes[start..start + size]).unwrap();
            start += size;
            put(&n.to_string(), body, None, &[])
        })
        .collect();
    write(header(SegmentKind::Base, Codec::Zstd(dictionary())), &rows)
}

/// Reads all of it when it parses: every accessor must hold what the parser promised.
fn survive(file: &[u8]) -> bool {
    match parse(file) {
        Ok(segment) => {
            assert_eq!(read(&segment).len(), segment.rows() as usize);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let file = valid();
    for length in 0..file.len() {
        assert!(!survive(&file[..length]), "cut at {length} of {}", file.len());
    }
    let mut longer = file;
    longer.push(0);
    assert!(!survive(&longer));
}

#[test]
fn a_file_with_one_wrong_byte_is_refused_or_safe() {
    let mut file = valid();
    let mut refused = 0;
    for at in 0..file.len() {
        let right = file[at];
        for wrong in [right ^ 1, right ^ 0x80, 0xff, 0x00] {
            file[at] = wrong;
            refused += usize::from(wrong != right && !survive(&file));
        }
        file[at] = right;
    }
    assert!(survive(&file), "the file as it was");
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_compressed_file_with_one_wrong_byte_is_refused_or_safe() {
    let mut file = compressed();
    // Most of it is the dictionary, twice, which its digest guards: every byte of the rest.
    let batch = file.windows(8).position(|window| window == b"ARROW1\0\0").unwrap();
    let step = (file.len() / 2000).max(1);
    for at in (batch..file.len()).step_by(step) {
        let right = file[at];
        file[at] ^= 0x55;
        survive(&file);
        file[at] = right;
    }
    assert!(survive(&file), "the file as it was");
}

#[test]
fn damaged_frames_are_errors() {
    let codec = Codec::Zstd(dictionary());
    let (bytes, sizes) = samples(3);
    let (mut stored, mut body) = (Vec::new(), Vec::new());
    Encoder::new(&codec).unwrap().encode(&bytes[..sizes[0]], &mut stored).unwrap();
    let mut decoder = Decoder::new();
    for at in 0..stored.len() {
        assert!(decoder.decode_stored(&codec, &stored[..at], &mut body).is_err(), "cut at {at}");
        for bit in 0..8 {
            stored[at] ^= 1 << bit;
            let _ = decoder.decode_stored(&codec, &stored, &mut body);
            assert!(body.len() <= crate::domain::limits::RECORD_BYTES_MAX);
            stored[at] ^= 1 << bit;
        }
    }
    // A frame that says it holds 2^40 bytes, and a second frame behind the first.
    let bomb = [0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0];
    assert!(decoder.decode_stored(&codec, &bomb, &mut body).is_err());
    let twice = [stored.clone(), stored.clone()].concat();
    assert!(decoder.decode_stored(&codec, &twice, &mut body).is_err());
    decoder.decode_stored(&codec, &stored, &mut body).unwrap();
    assert_eq!(body, &bytes[..sizes[0]], "a decoder that met damage still works");
}

/// Where 8-byte words of a file may be offsets, lengths or counts: its header and footer.
pub(super) fn metadata_words(file: &[u8]) -> Vec<usize> {
    let footer = file.len() - 10;
    let length = u32::from_le_bytes(file[footer..footer + 4].try_into().unwrap()) as usize;
    let batch = 64..file.len().min(4096);
    batch.chain(footer - length..footer).step_by(4).filter(|at| at + 8 <= file.len()).collect()
}

#[test]
fn wild_numbers_in_the_metadata_are_refused_or_safe() {
    let file = valid();
    for at in metadata_words(&file) {
        for number in [u64::MAX, i64::MAX as u64, 1 << 31, u64::from(u32::MAX), 1 << 40, 7] {
            let mut mutated = file.clone();
            mutated[at..at + 8].copy_from_slice(&number.to_le_bytes());
            survive(&mutated);
            mutated[at..at + 4].copy_from_slice(&(number as u32).to_le_bytes());
            mutated[at + 4..at + 8].copy_from_slice(&file[at + 4..at + 8]);
            survive(&mutated);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(!survive(&bytes));
    }

    #[test]
    fn random_bytes_in_the_right_frame_are_refused(
        middle in proptest::collection::vec(any::<u8>(), 0..2000),
        length in 0_u32..2100,
    ) {
        let file = [&b"ARROW1\0\0"[..], &middle, &length.to_le_bytes(), b"ARROW1"].concat();
        prop_assert!(!survive(&file));
    }

    #[test]
    fn many_wrong_bytes_are_refused_or_safe(
        places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut file = valid();
        for (place, byte) in places {
            let at = place.index(file.len());
            file[at] = byte;
        }
        survive(&file);
    }
}
