//! Reading a segment file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::error::Error;
use crate::{
    domain::codes,
    segment::{self, Decoder, Dictionaries, Segment, SegmentBuffer},
};

/// A segment file cannot be read.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum SegmentFileError {
    /// The operating system does not give its bytes.
    #[error("cannot read segment {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Its bytes are no segment, or one that needs its base.
    #[error("cannot read segment {}: {source}{}", path.display(), hint(source))]
    Content { path: PathBuf, source: segment::Error },
}

fn hint(error: &segment::Error) -> &'static str {
    match error {
        segment::Error::DictionaryUnknown(_) => "; name a segment of the base with --base FILE",
        _ => "",
    }
}

codes! {
    SegmentFileError {
        "local_file" Internal: File,
        source: Content,
    }
}

/// Hands each row of the segment file `path` to `show`, as one line of JSON. Changes are compressed with the
/// dictionary of their base: `base` is a segment file of it.
///
/// # Errors
/// [`Error::SegmentFile`]; the error of `show`.
pub fn read_segment<E: From<Error>>(
    path: &Path,
    base: Option<&Path>,
    mut show: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut dictionaries = Dictionaries::new();
    // The dictionary lives as long as the segment that it came with.
    let _base = base.map(|path| open(path, &mut dictionaries)).transpose()?;
    let segment = open(path, &mut dictionaries)?;
    let mut decoder = Decoder::new();
    let mut line = Vec::new();
    for row in 0..segment.rows() {
        line.clear();
        segment::cat_line(&segment, row, &mut decoder, &mut line)
            .map_err(|source| Error::from(content(path, source)))?;
        show(&line)?;
    }
    Ok(())
}

fn open(path: &Path, dictionaries: &mut Dictionaries) -> Result<Segment, Error> {
    let of_file = |source| SegmentFileError::File { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(of_file)?;
    let length = file.metadata().map_err(of_file)?.len();
    let mut buffer = SegmentBuffer::with_len(length).map_err(|source| content(path, source))?;
    file.read_exact(buffer.as_mut_slice()).map_err(of_file)?;
    Ok(Segment::parse(buffer, dictionaries).map_err(|source| content(path, source))?)
}

fn content(path: &Path, source: segment::Error) -> SegmentFileError {
    SegmentFileError::Content { path: path.to_owned(), source }
}
