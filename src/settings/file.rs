//! Reads the files of a configuration.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use chrono::{DateTime, Utc};

use super::units;

/// When a file was last changed; long ago when that is not known.
pub(crate) fn modified_at(path: &Path) -> DateTime<Utc> {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.map_or(DateTime::UNIX_EPOCH, DateTime::from)
}

/// The text of a regular file of at most `max` bytes.
pub(crate) fn read_bounded(path: &Path, max: u64) -> io::Result<String> {
    String::from_utf8(read_bytes_bounded(path, max)?).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

/// The content of a regular file of at most `max` bytes.
pub(crate) fn read_bytes_bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    // Checked before opening: opening a named pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("it is larger than {}", units::show_size(max))));
    }
    Ok(bytes)
}
