//! Randomness from the operating system.

use uuid::Uuid;

/// `N` random bytes, suitable for keys.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out).expect("the operating system gives randomness");
    out
}

/// 64 random bits, for seeds of hash functions.
pub fn seed() -> u64 {
    u64::from_le_bytes(bytes())
}

/// A random UUID (version 4).
pub fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(bytes()).into_uuid()
}

/// A time-ordered UUID (version 7) for `unix_ms` milliseconds since 1970.
pub fn uuid_at(unix_ms: u64) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &bytes()).into_uuid()
}
