//! The SQLite file: created, migrated and opened by the first process that needs it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    migrate::AppliedMigration,
    query_as, query_scalar,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    Error, Metadata,
    database::{ACQUIRE_TIMEOUT, CONNECTIONS_MAX, Connections, Database},
    schema,
};
use crate::support::{clock::Clock, file_lock::FileLock, private_file};

/// Longest wait for another writer of the SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for another process that creates or migrates the SQLite file.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often that is polled.
const PREPARE_POLL: Duration = Duration::from_millis(20);
/// The lock file held while the SQLite file is created and migrated. No lease name has a dot, so no lease has
/// this file.
const PREPARE_LOCK_NAME: &str = ".prepare.lock";

/// Creates, migrates and opens the file.
pub(super) async fn open(path: &Path, clock: Clock) -> Result<Metadata, Error> {
    let (path, locks) = prepare(path).await?;
    Ok(Metadata { database: database(&path), clock, locks: Some(Arc::new(locks)) })
}

/// Opens a file that exists, whose schema must be this build's, to read it. It has no leases.
pub(super) async fn open_existing(path: &Path, clock: Clock) -> Result<Metadata, Error> {
    let mut connection = connect(path).await?;
    let is_new = "select count(*) = 0 from sqlite_schema where name = '_sqlx_migrations'";
    let applied: Vec<(i64, Vec<u8>)> = if query_scalar::<_, bool>(is_new).fetch_one(&mut connection).await? {
        Vec::new()
    } else {
        query_as("select version, checksum from _sqlx_migrations").fetch_all(&mut connection).await?
    };
    connection.close().await?;
    let migration =
        |(version, checksum): (i64, Vec<u8>)| AppliedMigration { version, checksum: checksum.into() };
    schema::compare(&schema::SQLITE, &applied.into_iter().map(migration).collect::<Vec<_>>())?;
    Ok(Metadata { database: database(path), clock, locks: None })
}

fn database(path: &Path) -> Database {
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options(path));
    Database::new(Connections::Sqlite(pool))
}

async fn connect(path: &Path) -> Result<SqliteConnection, Error> {
    options(path)
        .connect()
        .await
        .map_err(|error| Error::Connect { place: path.display().to_string(), source: Box::new(error.into()) })
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Creates and migrates the SQLite file; returns its real path and the directory of its lock files.
pub(super) async fn prepare(path: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let (path, locks) = in_background(path, create_directories).await?;
    let prepare_lock = locks.join(PREPARE_LOCK_NAME);
    let began = Instant::now();
    let lock = loop {
        if let Some(lock) = in_background(&prepare_lock, FileLock::try_acquire).await? {
            break lock;
        }
        if began.elapsed() >= PREPARE_TIMEOUT {
            return Err(Error::Busy { path, waited: PREPARE_TIMEOUT });
        }
        tokio::time::sleep(PREPARE_POLL).await;
    };
    in_background(&path, create_file).await?;
    let mut connection = connect(&path).await?;
    schema::migrate(&schema::SQLITE, &mut connection).await?;
    connection.close().await?;
    drop(lock);
    Ok((path, locks))
}

/// Runs blocking work on `path` outside the runtime's threads. Its error names the path.
async fn in_background<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let path = path.to_owned();
    let task =
        tokio::task::spawn_blocking(move || work(&path).map_err(|source| Error::File { path, source }));
    task.await.unwrap_or(Err(Error::Closed))
}

/// Resolves links first: two names of one file must lead to one set of lock files.
fn create_directories(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let parent = path.parent().unwrap_or(Path::new(""));
    private_file::create_directory(parent)?;
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let path = path.canonicalize().or_else(|_| parent.canonicalize().map(|parent| parent.join(name)))?;
    let mut locks = path.clone().into_os_string();
    locks.push("-locks");
    let locks = PathBuf::from(locks);
    private_file::create_directory(&locks)?;
    Ok((path, locks))
}

/// Creates the file unless it exists. Never opens an existing file: closing any descriptor of a SQLite file
/// frees the locks that this process has on it.
fn create_file(path: &Path) -> io::Result<()> {
    match private_file::options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::{super::Settings, *};
    use crate::domain::DeploymentId;

    #[tokio::test]
    async fn a_sqlite_file_and_all_beside_it_are_for_their_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data/metadata.db");
        let metadata =
            Metadata::open(&Settings::Sqlite { path: path.clone() }, Clock::default()).await.unwrap();
        metadata.fix_deployment(DeploymentId::from_uuid(uuid::Uuid::nil())).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut seen = Vec::new();
        for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            seen.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        seen.sort();
        assert_eq!(seen, ["metadata.db", "metadata.db-locks", "metadata.db-shm", "metadata.db-wal"]);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[tokio::test]
    async fn every_connection_has_the_settings_that_keep_what_was_committed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("metadata.db");
        let metadata = Metadata::open(&Settings::Sqlite { path }, Clock::default()).await.unwrap();
        let Connections::Sqlite(pool) = &metadata.database.connections else { panic!("SQLite") };
        assert_eq!(pool.options().get_max_connections(), CONNECTIONS_MAX);
        let mut connection = pool.acquire().await.unwrap();
        let journal: String =
            sqlx::query_scalar("pragma journal_mode").fetch_one(&mut *connection).await.unwrap();
        let synchronous: i64 =
            sqlx::query_scalar("pragma synchronous").fetch_one(&mut *connection).await.unwrap();
        let foreign_keys: i64 =
            sqlx::query_scalar("pragma foreign_keys").fetch_one(&mut *connection).await.unwrap();
        let busy: i64 = sqlx::query_scalar("pragma busy_timeout").fetch_one(&mut *connection).await.unwrap();
        // 2 is FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
        assert_eq!((journal.as_str(), synchronous, foreign_keys, busy), ("wal", 2, 1, 5000));
    }

    #[tokio::test]
    async fn a_newer_schema_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings::Sqlite { path: root.path().join("metadata.db") };
        let metadata = Metadata::open(&settings, Clock::default()).await.unwrap();
        let Connections::Sqlite(pool) = &metadata.database.connections else { panic!("SQLite") };
        sqlx::query("insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', true, x'00', 0)")
            .execute(pool)
            .await
            .unwrap();
        let error = Metadata::open(&settings, Clock::default()).await.unwrap_err();
        assert!(matches!(error, Error::NewerSchema { found: 9999, .. }), "{error}");
        metadata.deployment().await.unwrap();
    }

    #[tokio::test]
    async fn reading_an_older_file_does_not_migrate_it() {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings::Sqlite { path: root.path().join("metadata.db") };
        let metadata = Metadata::open(&settings, Clock::default()).await.unwrap();
        Metadata::open_existing(&settings, Clock::default()).await.unwrap();
        let Connections::Sqlite(pool) = &metadata.database.connections else { panic!("SQLite") };
        for (change, found) in
            [("delete from _sqlx_migrations where version > 9", 9), ("drop table _sqlx_migrations", 0)]
        {
            sqlx::query(change).execute(pool).await.unwrap();
            for _ in 0..2 {
                let error = Metadata::open_existing(&settings, Clock::default()).await.unwrap_err();
                assert!(matches!(error, Error::NotMigrated { found: f, .. } if f == found), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_and_a_path_that_is_no_file_are_distinguished() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("metadata.db");
        fs::write(&path, "this is not a database, and long enough to be looked at as one".repeat(20))
            .unwrap();
        let error =
            Metadata::open(&Settings::Sqlite { path: path.clone() }, Clock::default()).await.unwrap_err();
        assert_eq!(error.code(), "metadata_corrupt", "{error}");
        let error = Metadata::open(&Settings::Sqlite { path: path.join("below") }, Clock::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), "metadata_file_unusable", "{error}");
        assert!(error.to_string().contains("metadata.db"), "{error}");
    }

    #[tokio::test]
    async fn many_handles_open_a_new_file_at_once() {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings::Sqlite { path: root.path().join("metadata.db") };
        let opened =
            futures::future::join_all((0..8).map(|_| Metadata::open(&settings, Clock::default()))).await;
        for metadata in opened {
            metadata.unwrap().deployment().await.unwrap();
        }
    }
}
