//! Sources that are read by a driver of ADBC, through the real binary: DuckDB's, Postgres', Snowflake's and Flight SQL's drivers, and drivers that
//! crash, hang, lie and grow. `scripts/test.sh` installs the drivers in `target/duckdb` and `target/adbc`.

mod drivers;
mod duckdb_faults;
mod duckdb_spill;
mod flight_sql;
mod lakes;
mod liar;
mod snowflake;
mod snowflake_logins;
mod values;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::support::service::installed;

/// DuckDB's library.
pub(crate) fn duckdb() -> PathBuf {
    installed("duckdb/node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so")
}

/// The library of a driver from PyPI.
pub(crate) fn python_driver(name: &str) -> PathBuf {
    let lib = installed("adbc/lib");
    let python = fs::read_dir(&lib).unwrap().next().unwrap().unwrap().path();
    python.join(format!("site-packages/adbc_driver_{name}/libadbc_driver_{name}.so"))
}

/// A directory whose `larder.toml` has `sections`, with a store and metadata of its own.
fn directory(sections: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), sections);
    directory
}

fn configure(directory: &Path, sections: &str) {
    fs::write(directory.join("larder.toml"), format!("[storage]\nurl = \"file:./store\"\n{sections}"))
        .unwrap();
}
