//! The memory that a segment is read into.

/// Bytes of one whole local file, aligned so that a segment is parsed without a copy.
pub use crate::segment::SegmentBuffer as Buffer;

/// A buffer of exactly `bytes` bytes, which the caller has checked against the bound of its kind.
pub(super) fn allocate(bytes: usize) -> Buffer {
    Buffer::with_len(bytes as u64).expect("callers refuse what is over the bound of a segment")
}
