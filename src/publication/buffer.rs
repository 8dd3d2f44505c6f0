//! The memory that a segment is read into.

/// Bytes of one whole segment.
pub type Buffer = Vec<u8>;

/// A buffer of exactly `bytes` bytes.
pub(super) fn allocate(bytes: usize) -> Buffer {
    vec![0; bytes]
}
