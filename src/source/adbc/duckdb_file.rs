//! Whether a file is a database of DuckDB. DuckDB's own words about another one do not say what is wrong.

use std::{fs::File, io::Read as _, path::PathBuf};

use crate::source::{
    error::{Error, file_error, file_unreadable},
    file::regular,
    files,
};

/// Where a file says that it is one of DuckDB.
const MAGIC: std::ops::Range<usize> = 8..12;
const OTHER_HINT: &str = "read files of data by type = \"files\"; or leave `path` out, and name them in SQL, as in \
    select * from 'customers.csv'";

/// Fails when there is no file at `path`, or one of another kind.
pub(super) async fn check(path: &str) -> Result<(), Error> {
    let path = PathBuf::from(path);
    files::blocking(move || {
        let opened = regular(&path).and_then(|_| File::open(&path));
        let mut file = opened.map_err(|error| file_error(&path, &error))?;
        let mut start = [0; MAGIC.end];
        match file.read_exact(&mut start) {
            Ok(()) if &start[MAGIC] == b"DUCK" => Ok(()),
            _ => Err(file_unreadable(&path, "it is not a database of DuckDB").with_hint(OTHER_HINT)),
        }
    })
    .await
}
