//! Seeded mutations of an input: those that a fuzzer tries first, the same in every run.

/// Longest mutant, in bytes: longer than the longest path of a request.
pub(super) const MUTANT_BYTES_MAX: usize = 16 * 1024;

/// Most operations on one mutant. Single operations matter most: two that hit one check hide each other.
const OPERATIONS_MAX: usize = 4;

/// Delimiters and escapes of the languages that the targets parse.
const TOKENS: [&[u8]; 20] = [
    b"%",
    b"%zz",
    b"%C3",
    b"%00",
    b"%25",
    b"%2F",
    b"/",
    b"..",
    b"+",
    b":",
    b"\"",
    b"{",
    b"[",
    b"}",
    b"]",
    b",",
    b"null",
    b"\\u0000",
    b" ",
    b"\xff\xfe",
];
/// Numbers at the limits of integer and float types.
const DECIMALS: [&[u8]; 10] = [
    b"0",
    b"-1",
    b"4294967295",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"1e400",
    b"1.5",
];
const WORDS: [u64; 10] =
    [0, 1, 0x7f, 0xff, i32::MAX as u64, u32::MAX as u64, 1 << 32, 1 << 40, i64::MAX as u64, u64::MAX];

/// Pseudo-random numbers from a seed: `SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence seeded with `name`.
    pub(super) fn of(name: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`, which is at least 1.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// A mutant of `input`; parts may come from `other`.
pub(super) fn mutant(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let operations = 1 + random.below(OPERATIONS_MAX).min(random.below(OPERATIONS_MAX));
    for _ in 0..operations {
        operate(random, &mut bytes, other);
    }
    bytes.truncate(MUTANT_BYTES_MAX);
    bytes
}

fn operate(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(bytes.len() + 1);
    let end = at + random.below((bytes.len() - at).min(64) + 1);
    match random.below(10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.next() as u8,
        2 => write_word(random, bytes, at),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let times = 1 + random.below(8);
            let piece = bytes[at..end].repeat(times);
            bytes.splice(at..at, piece);
        }
        6 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        7 => write_decimal(random, bytes, at),
        8 => {
            // Copies a part of the input elsewhere: an offset or length that is valid in another place.
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len() - piece.len() + 1);
            bytes[to..to + piece.len()].copy_from_slice(&piece);
        }
        _ => drop(bytes.splice(at..at, random.one_of(&TOKENS).iter().copied())),
    }
}

/// Overwrites 1, 2, 4 or 8 bytes, at a place that is a multiple of as many, with an extreme number.
fn write_word(random: &mut Random, bytes: &mut [u8], at: usize) {
    let width = random.one_of(&[1, 2, 4, 8]);
    let at = at / width * width;
    if let Some(place) = bytes.get_mut(at..at + width) {
        place.copy_from_slice(&random.one_of(&WORDS).to_le_bytes()[..width]);
    }
}

/// Replaces the decimal number at or after `at` by an extreme one.
fn write_decimal(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit) else { return };
    let start = at + start;
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.splice(start..start + length, random.one_of(&DECIMALS).iter().copied());
}

#[test]
fn mutants_are_varied_bounded_and_deterministic() {
    let (input, other) = (b"{\"n\":42,\"name\":\"abc\"}".repeat(8), b"other".repeat(9000));
    let make = || {
        let mut random = Random::of("mutants");
        (0..2000).map(|_| mutant(&mut random, &input, &other)).collect::<Vec<_>>()
    };
    let made = make();
    assert_eq!(made, make());
    assert!(made.iter().all(|mutant| mutant.len() <= MUTANT_BYTES_MAX));
    let different: std::collections::HashSet<_> = made.iter().collect();
    assert!(different.len() > 1800, "{}", different.len());
    assert!(mutant(&mut Random::of("nothing"), b"", b"").len() <= MUTANT_BYTES_MAX);
}
