//! Files of other users, in every journal mode: reading leaves nothing that keeps the owner from writing.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use larder::{
    domain::row::RowBatch,
    source::{Error, Query},
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, raw_sql, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{run, section, sql};
use crate::support::{
    source::{open, read},
    user::{OWNER, READER, can_act_for_others},
};

const TABLE: &str = "create table t (id integer primary key); insert into t values (1), (2), (3)";

/// A directory of [`OWNER`] with a database.
struct Owned {
    directory: TempDir,
}

impl Owned {
    fn with(journal_mode: &str) -> Self {
        let directory = TempDir::new().unwrap();
        OWNER.takes(directory.path());
        let owned = Self { directory };
        owned.set_modes(0o644, 0o755);
        let path = owned.path();
        OWNER.run(async || {
            let mut writer = writer(&path).await;
            run(&mut writer, &format!("pragma journal_mode = {journal_mode}; {TABLE}")).await;
            writer.close().await.unwrap();
        });
        owned
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("w.db")
    }

    fn set_modes(&self, file: u32, directory: u32) {
        if self.path().exists() {
            fs::set_permissions(self.path(), Permissions::from_mode(file)).unwrap();
        }
        fs::set_permissions(self.directory.path(), Permissions::from_mode(directory)).unwrap();
    }

    /// Names, owners, sizes and times of all files.
    fn traces(&self) -> BTreeMap<PathBuf, (u32, u32, u32, u64, SystemTime)> {
        let files = fs::read_dir(self.directory.path()).unwrap().map(|file| file.unwrap().path());
        let traces = files.map(|path| {
            let file = fs::metadata(&path).unwrap();
            (path, (file.uid(), file.gid(), file.mode(), file.len(), file.modified().unwrap()))
        });
        traces.collect()
    }

    /// Fails unless the owner can write.
    fn assert_owner_writes(&self) {
        let path = self.path();
        OWNER.run(async || {
            let mut writer = writer(&path).await;
            run(&mut writer, "insert into t default values").await;
            writer.close().await.unwrap();
        });
    }
}

async fn writer(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

/// The rows that the reading user finds.
fn rows_for_reader(path: &Path) -> Result<usize, Error> {
    READER.run(async || rows(path).await)
}

async fn rows(path: &Path) -> Result<usize, Error> {
    Ok(read(&open(&section(path)), "select id from t").await?.rows().len())
}

#[test]
fn file_that_nobody_can_write_is_read_without_a_trace() {
    if !can_act_for_others() {
        return;
    }
    for (journal_mode, directory) in [("wal", 0o555), ("wal", 0o777), ("delete", 0o555), ("truncate", 0o777)]
    {
        let owned = Owned::with(journal_mode);
        owned.set_modes(0o444, directory);
        let before = owned.traces();
        assert_eq!(rows_for_reader(&owned.path()).unwrap(), 3, "{journal_mode} {directory:o}");
        assert_eq!(owned.traces(), before, "{journal_mode} {directory:o}");
    }
}

#[test]
fn file_in_wal_mode_is_refused_where_the_owner_would_be_kept_from_writing() {
    if !can_act_for_others() {
        return;
    }
    for directory in [0o755, 0o777, 0o1777] {
        let owned = Owned::with("wal");
        owned.set_modes(0o644, directory);
        let before = owned.traces();
        let error = rows_for_reader(&owned.path()).unwrap_err();
        assert_eq!(error.code(), "source_file_unreadable", "{directory:o}: {error}");
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(owned.traces(), before, "{directory:o}");
        owned.assert_owner_writes();
    }
}

#[test]
fn file_with_a_rollback_journal_is_read_in_any_directory() {
    if !can_act_for_others() {
        return;
    }
    for (journal_mode, directory) in [("delete", 0o755), ("delete", 0o777), ("persist", 0o777)] {
        let owned = Owned::with(journal_mode);
        owned.set_modes(0o644, directory);
        let before = owned.traces();
        assert_eq!(rows_for_reader(&owned.path()).unwrap(), 3, "{journal_mode}");
        assert_eq!(owned.traces(), before, "{journal_mode}");
        owned.assert_owner_writes();
    }
}

#[tokio::test]
async fn file_in_wal_mode_is_read_beside_its_writer() {
    if !can_act_for_others() {
        return;
    }
    let owned = Owned::with("wal");
    let path = owned.path();
    // Its thread keeps the owner's rights.
    let mut writer = OWNER.run(async || writer(&path).await);
    for (id, expected) in [(4, 4), (5, 5)] {
        run(&mut writer, &format!("insert into t values ({id})")).await;
        let before = owned.traces();
        assert_eq!(rows_for_reader(&path).unwrap(), expected, "the log is read, too");
        assert_eq!(owned.traces(), before);
    }
    writer.close().await.unwrap();
    owned.assert_owner_writes();
}

#[test]
fn log_and_index_of_a_writer_that_is_gone_are_read() {
    if !can_act_for_others() {
        return;
    }
    let (live, left) = (Owned::with("wal"), Owned::with("delete"));
    let (path, copy) = (live.path(), left.path());
    OWNER.run(async || {
        let mut writer = writer(&path).await;
        run(&mut writer, "insert into t values (4)").await;
        for suffix in ["", "-wal", "-shm"] {
            let name = |path: &Path| format!("{}{suffix}", path.display());
            fs::copy(name(&path), name(&copy)).unwrap();
        }
    });
    let before = left.traces();
    assert_eq!(rows_for_reader(&copy).unwrap(), 4);
    assert_eq!(left.traces(), before);
    fs::remove_file(format!("{}-shm", copy.display())).unwrap();
    let error = rows_for_reader(&copy).unwrap_err();
    assert_eq!(error.code(), "source_file_unreadable", "{error}");
    assert!(error.to_string().contains("-shm"), "{error}");
    left.assert_owner_writes();
}

#[test]
fn files_that_root_makes_are_the_owners() {
    if !can_act_for_others() {
        return;
    }
    for mode in [0o600, 0o644] {
        let owned = Owned::with("wal");
        owned.set_modes(mode, 0o700);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(rows(&owned.path())).unwrap(), 3);
        assert!(OWNER.owns_all_in(owned.directory.path()), "{:?}", owned.traces());
        assert!(owned.traces().values().all(|file| file.2 & 0o777 == mode), "{:?}", owned.traces());
        owned.assert_owner_writes();
    }
}

#[test]
fn root_does_not_take_a_log_from_its_owner() {
    if !can_act_for_others() {
        return;
    }
    let owned = Owned::with("wal");
    let path = owned.path();
    OWNER.run(async || {
        let mut writer = writer(&path).await;
        run(&mut writer, "insert into t values (4)").await;
        // Left open, so that log and index stay.
        std::mem::forget(writer);
    });
    READER.takes(&PathBuf::from(format!("{}-shm", path.display())));
    let before = owned.traces();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(rows(&path)).unwrap_err().code(), "source_file_unreadable");
    assert_eq!(owned.traces(), before);
}

#[tokio::test]
async fn hot_journal_is_named_until_the_file_was_opened_for_writing() {
    let directory = TempDir::new().unwrap();
    let (live, left) = (directory.path().join("live.db"), directory.path().join("left.db"));
    let mut writer = writer(&live).await;
    // A cache of one page: the transaction writes into the file before it commits.
    run(
        &mut writer,
        "pragma journal_mode = delete; create table t (id integer, text text); pragma cache_size = 1",
    )
    .await;
    let fill = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 2000)
                insert into t select x, printf('%0200d', x) from n";
    run(&mut writer, fill).await;
    run(&mut writer, "begin; update t set text = 'half'").await;
    for suffix in ["", "-journal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(name(&live), name(&left)).unwrap();
    }
    drop(writer);
    let error = rows(&left).await.unwrap_err();
    assert_eq!(error.code(), "source_hot_journal", "{error}");
    let mut owner = self::writer(&left).await;
    run(&mut owner, "select 1 from sqlite_schema").await;
    assert_eq!(rows(&left).await.unwrap(), 2000);
}

#[test]
fn directory_that_cannot_be_entered_is_a_right_that_is_missing() {
    if !can_act_for_others() {
        return;
    }
    let owned = Owned::with("delete");
    fs::write(owned.directory.path().join("c.csv"), "id\n1\n").unwrap();
    owned.set_modes(0o644, 0o700);
    let csv = format!("type = \"files\"\npath = {:?}\n", owned.directory.path());
    let below = format!("type = \"files\"\npath = {:?}\n", owned.directory.path().join("below"));
    READER.run(async || {
        for (section, code) in [
            (section(&owned.path()), "source_file_unreadable"),
            (section(&owned.directory.path().join("missing.db")), "source_file_unreadable"),
            (csv, "source_file_unreadable"),
            (below, "source_file_unreadable"),
            (section(&owned.directory.path().with_extension("missing")), "source_file_missing"),
        ] {
            let of_csv = Query::Table { name: "t.csv".to_owned(), columns: None };
            let query = if section.contains("\"files\"") { of_csv } else { sql("select id from t") };
            let error = open(&section).describe(&query).await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
        }
    });
}

#[test]
fn file_that_is_written_while_it_is_read_without_locks_fails_the_run() {
    if !can_act_for_others() {
        return;
    }
    let owned = Owned::with("wal");
    let path = owned.path();
    let fill = "with recursive n(x) as (select 10 union all select x + 1 from n where x < 50000)
                insert into t select x from n";
    OWNER.run(async || {
        let mut writer = writer(&path).await;
        run(&mut writer, fill).await;
        writer.close().await.unwrap();
    });
    owned.set_modes(0o444, 0o555);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let source = open(&section(&path));
        let query = sql("select id from t");
        let columns = source.describe(&query).await.unwrap();
        let (sender, mut receiver) = mpsc::channel::<RowBatch>(1);
        let write = async {
            receiver.recv().await.unwrap();
            // Root writes whatever the modes say.
            let mut root = writer(&path).await;
            raw_sql("insert into t values (4)").execute(&mut root).await.unwrap();
            root.close().await.unwrap();
            while receiver.recv().await.is_some() {}
        };
        let (result, ()) = tokio::join!(source.stream(&query, sender, &columns, None), write);
        assert_eq!(result.unwrap_err().code(), "source_file_changed");
    });
}
