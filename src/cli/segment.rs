//! `larder segment cat`: a segment's records as JSON lines.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use anyhow::Context as _;

use super::{args::SegmentCat, exit::Exit, output::Failure};
use crate::segment::{self, Decoder, Dictionaries, Segment, SegmentBuffer};

pub(super) fn cat(arguments: &SegmentCat) -> Result<Exit, Failure> {
    let mut dictionaries = Dictionaries::new();
    // Kept while its dictionary is in use.
    let _base = match &arguments.base {
        Some(path) => Some(open(path, &mut dictionaries)?),
        None => None,
    };
    let segment = open(&arguments.file, &mut dictionaries)?;
    let mut decoder = Decoder::new();
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    for row in 0..segment.rows() {
        line.clear();
        segment::cat_line(&segment, row, &mut decoder, &mut line)
            .with_context(|| format!("row {row} of {}", arguments.file.display()))?;
        stdout.write_all(&line).map_err(Failure::of_output)?;
    }
    stdout.flush().map_err(Failure::of_output)?;
    Ok(Exit::Success)
}

fn with_hint(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(segment::Error::DictionaryUnknown { .. }) => error.context(
            "it holds changes to a base and is compressed with that base's dictionary; \
             name a segment of the base with --base FILE",
        ),
        _ => error,
    }
}

fn open(path: &Path, dictionaries: &mut Dictionaries) -> Result<Segment, Failure> {
    let read = || -> anyhow::Result<Segment> {
        let mut file = File::open(path)?;
        let mut buffer = SegmentBuffer::with_len(file.metadata()?.len())?;
        file.read_exact(buffer.as_mut_slice())?;
        Ok(Segment::parse(buffer, dictionaries)?)
    };
    let mut read = read;
    Ok(read().map_err(with_hint).with_context(|| format!("cannot read segment {}", path.display()))?)
}
