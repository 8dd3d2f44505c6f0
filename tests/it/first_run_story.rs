//! The first run of a sync: what it says, and that it is held when it finds nothing.

use std::fs;

use sqlx::{ConnectOptions as _, Connection as _, raw_sql, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::support::process::larder;

/// A directory with a configuration whose sync `c` has `options`, and an empty table.
async fn directory(options: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    let writer = SqliteConnectOptions::new().filename(directory.path().join("w.db")).create_if_missing(true);
    let mut writer = writer.connect().await.unwrap();
    raw_sql("create table t (id integer primary key, \"a b\" text)").execute(&mut writer).await.unwrap();
    writer.close().await.unwrap();
    let text = format!(
        "[node]\ndata_dir = \"./data\"\n[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
         [sources.w]\ntype = \"sqlite\"\npath = \"w.db\"\n[models.m]\nsource = \"w\"\ntable = \"t\"\n\
         primary_key = \"id\"\n[syncs.c]\nmodel = \"m\"\n{options}[syncs.c.indexes]\nid = \"id\"\n"
    );
    fs::write(directory.path().join("larder.toml"), text).unwrap();
    directory
}

#[tokio::test]
async fn empty_first_run_is_held_and_says_so() {
    let directory = directory("").await;
    let dry = larder(directory.path(), &["sync", "c", "--dry-run"]);
    let held = larder(directory.path(), &["sync", "c"]);
    for run in [&dry, &held] {
        assert_ne!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.contains("0 rows"), "{run:?}");
        assert!(run.stderr.contains("no_rows"), "{run:?}");
    }
    let preview = larder(directory.path(), &["preview", "c"]).expect(0);
    assert!(preview.stdout.is_empty() && preview.stderr.contains("no rows"), "{preview:?}");
    let accepted = larder(directory.path(), &["sync", "c", "--accept"]).expect(0);
    assert!(accepted.stdout.contains("0 rows"), "{accepted:?}");
    // A collection that is empty already may stay so.
    let again = larder(directory.path(), &["sync", "c"]).expect(0);
    assert!(again.stdout.contains("0 rows"), "{again:?}");
}

#[tokio::test]
async fn sync_and_preview_show_the_warnings_of_the_mapping() {
    let directory = directory("allow_empty = true\n").await;
    let check = larder(directory.path(), &["check", "--connect"]);
    assert!(check.stderr.contains("`a b`"), "{check:?}");
    for command in [&["preview", "c"][..], &["sync", "c", "--dry-run"], &["sync", "c"]] {
        let run = larder(directory.path(), command).expect(0);
        assert!(run.stderr.contains("warning: ") && run.stderr.contains("`a b`"), "{command:?}: {run:?}");
    }
}
