//! Segment files on the local disk, named by their content, and their budget in bytes.

mod budget;
mod content;
mod download;
mod error;
mod segments;

pub use crate::segment::SegmentBuffer;
pub use budget::SegmentUser;
pub use content::ContentDirectory;
pub use error::Error;
pub use segments::SegmentDirectory;
