//! The segment file: an immutable Arrow IPC file of records, compressed one by one.
//!
//! One file holds one record batch. Columns: `key` (`Utf8`), `fingerprint` (`FixedSizeBinary(16)`),
//! `flags` (`UInt8`), `body` (`Binary`; null is a delete), then one per secondary index, named
//! `index:NAME` (`Utf8`, null is absent; `List<Utf8>` when one record has many values). What the file
//! is stands in the schema metadata under `larder.*`. A reader keeps the file in one buffer; every
//! column is a slice of it.

mod buffer;
mod builder;
mod cat;
mod codec;
mod columns;
mod dictionary;
mod error;
mod file;
mod fingerprint;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod header;
mod reader;
#[cfg(test)]
mod tests;

pub use buffer::SegmentBuffer;
pub use builder::{Entry, SegmentBuilder, Written};
pub use cat::cat_line;
pub use codec::{Codec, Decoder, Encoder};
pub use dictionary::{Dictionaries, Dictionary, SAMPLE_BYTES_MAX, SAMPLES_MAX, pays};
pub use error::Error;
pub use fingerprint::{content_tag, fingerprint, key_hash};
pub use header::{IndexColumn, SegmentHeader};
pub use reader::{Segment, Values};
