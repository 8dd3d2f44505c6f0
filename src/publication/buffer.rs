//! The memory that a segment is read into.

use super::{decode::corrupt, error::Error};
use crate::domain::limits::SEGMENT_BYTES_MAX;

/// Bytes of one whole segment.
pub type Buffer = Vec<u8>;

/// A buffer of exactly `bytes` bytes for the object at `path`.
pub(super) fn allocate(path: &str, bytes: u64) -> Result<Buffer, Error> {
    match usize::try_from(bytes) {
        Ok(length) if bytes <= SEGMENT_BYTES_MAX => Ok(vec![0; length]),
        _ => Err(corrupt(path, "it is too long")),
    }
}
