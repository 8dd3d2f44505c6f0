//! The memory that a segment is read into.

/// Bytes of one whole segment, aligned so that it is parsed without a copy.
pub use crate::segment::SegmentBuffer as Buffer;

use crate::store::error::Error;
use crate::store::error::corrupt;

/// A buffer of exactly `bytes` bytes for the object at `path`.
pub(crate) fn allocate(path: &str, bytes: u64) -> Result<Buffer, Error> {
    Buffer::with_len(bytes).map_err(|_| corrupt(path, "it is too long"))
}
