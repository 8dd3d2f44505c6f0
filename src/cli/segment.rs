//! `larder segment cat`: a segment's records as JSON lines.

use std::io::{self, Write};

use super::{args::SegmentCat, exit::Exit, output::Failure};
use crate::admin;

pub(super) fn cat(arguments: &SegmentCat) -> Result<Exit, Failure> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    admin::read_segment(&arguments.file, arguments.base.as_deref(), |line| {
        stdout.write_all(line).map_err(Failure::of_output)
    })?;
    stdout.flush().map_err(Failure::of_output)?;
    Ok(Exit::Success)
}
