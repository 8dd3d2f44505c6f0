//! Aligned memory that holds a segment file.

use arrow_buffer::{Buffer, MutableBuffer};

use super::Error;
use crate::domain::limits::SEGMENT_BYTES_MAX;

/// Columns start at multiples of this in a segment file, and a buffer starts at one in memory, so
/// that offsets can be read in place. It is Arrow's own recommendation.
pub(super) const ALIGNMENT: usize = 64;

/// The bytes of one segment file, aligned so that nothing is copied when it is parsed.
#[derive(Debug)]
pub struct SegmentBuffer(MutableBuffer);

impl SegmentBuffer {
    /// A zeroed buffer of `len` bytes. More than [`SEGMENT_BYTES_MAX`] is an error before anything is
    /// allocated, so `len` may come from an untrusted source.
    pub fn with_len(len: u64) -> Result<Self, Error> {
        let too_large = || Error::TooLarge { bytes: len, limit: SEGMENT_BYTES_MAX };
        let size = usize::try_from(len).map_err(|_| too_large())?;
        if len > SEGMENT_BYTES_MAX {
            return Err(too_large());
        }
        Ok(Self(MutableBuffer::from_len_zeroed(size)))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The bytes, to read a file into.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.0.as_slice_mut()
    }

    pub(super) fn into_buffer(self) -> Buffer {
        self.0.into()
    }
}

impl From<&[u8]> for SegmentBuffer {
    /// Copies `bytes`.
    fn from(bytes: &[u8]) -> Self {
        let mut buffer = MutableBuffer::with_capacity(bytes.len());
        buffer.extend_from_slice(bytes);
        Self(buffer)
    }
}

impl From<Vec<u8>> for SegmentBuffer {
    /// Copies: a vector of bytes is aligned to one byte only.
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(bytes.as_slice())
    }
}
