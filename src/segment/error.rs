//! Errors of segments.

use arrow_schema::ArrowError;

use crate::domain::{digest::Digest, error::codes};

/// Why a segment cannot be written or read. Names places in the file, never a record's content.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Larger than any segment may be.
    #[error("a segment of {bytes} bytes is larger than the limit of {limit} bytes")]
    TooLarge { bytes: u64, limit: u64 },
    /// Written by a newer build.
    #[error("the segment has format {found}, this build reads up to {known}: upgrade this node")]
    NewerFormat { found: u32, known: u32 },
    /// Bytes that are not a segment, with the first fault found.
    #[error("the segment is corrupt: {0}")]
    Corrupt(&'static str),
    /// A change segment whose base has not been read, with the SHA-256 of its dictionary.
    #[error("the segment needs dictionary {0}, which comes with its base: read the base first")]
    DictionaryUnknown(Digest),
    /// A record that cannot be decoded.
    #[error("row {row} of the segment cannot be decoded: {what}")]
    Undecodable {
        /// The row, from 0.
        row: u32,
        what: &'static str,
    },
    /// zstd refuses to compress or to take a dictionary.
    #[error("zstd failed while {during}: {reason}")]
    Compression { during: &'static str, reason: &'static str },
    /// An entry that does not fit the header: a value under an index that is not there, a second
    /// value under an index that takes one, a delete in a base.
    #[error("an entry does not fit the segment's header: {0}")]
    Misfit(&'static str),
    /// The target refuses the bytes.
    #[error("writing the segment failed")]
    Write(#[source] ArrowError),
}

codes! {
    Error {
        "segment_too_large" Invalid: TooLarge,
        "segment_newer_format" Invalid: NewerFormat,
        "segment_corrupt" Corrupt: Corrupt,
        "segment_dictionary_unknown" NotFound: DictionaryUnknown,
        "record_undecodable" Corrupt: Undecodable,
        "compression_failed" Internal: Compression,
        "segment_misfit" Internal: Misfit,
        "segment_write_failed" Internal: Write,
    }
}

/// Shorthand for the checks of a reader.
pub(super) fn corrupt(what: &'static str) -> Error {
    Error::Corrupt(what)
}
