//! Queries of DuckDB that need more memory than they may use, and write to disk what does not fit.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{configure, directory, drivers::children, duckdb};
use crate::support::process::{Process, command, larder, wait_until};

/// The rows of a sum that are not those of this query; it keeps 160 MB for a while.
fn sql(salt: u32) -> String {
    format!(
        "with c as materialized (select i::bigint as i, hash(i + {salt}) as h from range(10000000) t(i)) \
         select count(*) as id, sum(case when h = hash(i + {salt}) then 0 else 1 end) as wrong, sum(i) as total from c"
    )
}

/// Directories that workers have written to.
fn used(base: &Path) -> Vec<PathBuf> {
    let directories = fs::read_dir(base).unwrap().map(|entry| entry.unwrap().path());
    directories.filter(|path| fs::read_dir(path).is_ok_and(|mut files| files.next().is_some())).collect()
}

fn is_empty(base: &Path) -> bool {
    fs::read_dir(base).unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_write_to_disk_at_once_keep_their_own_rows_and_leave_nothing() {
    let directory = directory("");
    let base = directory.path().join("large");
    fs::create_dir(&base).unwrap();
    configure(
        directory.path(),
        &format!(
            "[sources.duck]\ntype = \"duckdb\"\ndriver = {:?}\nmemory_limit = \"100MB\"\ntemp_dir = \"large\"\n",
            duckdb()
        ),
    );
    let query =
        |salt| Process::spawn(command(directory.path(), &[], &["source", "query", "duck", &sql(salt)]));
    let first = query(0);
    wait_until("rows on disk", async || !used(&base).is_empty()).await;
    let second = query(7);
    for run in [first, second] {
        let row = run.wait().await.expect(0).json();
        assert_eq!(row, json!({"id": 10_000_000, "wrong": 0, "total": 49_999_995_000_000_u64}));
    }
    wait_until("an empty directory", async || is_empty(&base)).await;
    // Of a worker that was killed the next one removes it.
    let killed = query(0);
    wait_until("rows on disk", async || !used(&base).is_empty()).await;
    for worker in children(killed.id()) {
        kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), Signal::KILL).unwrap();
    }
    killed.wait().await.expect(1);
    assert!(!is_empty(&base));
    larder(directory.path(), &["source", "check", "duck"]).expect(0);
    wait_until("an empty directory", async || is_empty(&base)).await;
}

#[test]
fn place_that_cannot_be_written_fails_queries_that_need_it_only() {
    let directory = directory(&format!(
        "[sources.duck]\ntype = \"duckdb\"\ndriver = {:?}\nmemory_limit = \"100MB\"\ntemp_dir = \"/proc\"\n",
        duckdb()
    ));
    larder(directory.path(), &["source", "query", "duck", "select 1 as one"]).expect(0);
    let failed = larder(directory.path(), &["source", "query", "duck", &sql(0)]).expect(1).stderr;
    assert!(failed.contains("temp_dir"), "{failed}");
}
