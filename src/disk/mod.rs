//! Local files of a node: segments by content, and their budget in bytes.

mod budget;
mod buffer;
mod content;
mod download;
mod segments;

pub use budget::Need;
pub use buffer::Buffer;
pub use content::ContentDirectory;
pub(crate) use content::{PIECE_BYTES, local};
pub use segments::SegmentDirectory;
