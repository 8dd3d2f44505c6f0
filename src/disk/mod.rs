//! Segment files on the local disk, named by their content, and their budget in bytes. Beside them, tables that were
//! computed from segments.

mod budget;
mod content;
mod download;
mod error;
mod segments;
mod tables;

pub use crate::segment::SegmentBuffer;
pub use budget::SegmentUser;
pub use content::ContentDirectory;
pub use error::Error;
pub use segments::SegmentDirectory;
pub use tables::{TableDirectory, TableReader, TableWriter};
