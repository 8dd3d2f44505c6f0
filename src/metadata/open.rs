//! Opening and migrating the metadata database.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tracing::subscriber::NoSubscriber;

use super::{Error, Metadata, Settings, database::Database, schema};
use crate::support::{
    clock::Clock,
    file_lock::FileLock,
    postgres_url, private_file,
    secret::{ExposeSecret, SecretString},
};

/// Most connections of one handle: a node's use is a few statements per run and five seconds.
const CONNECTIONS_MAX: u32 = 4;
/// Longest wait for a connection of the pool, and for one to be made.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for another writer of the SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for another process that creates or migrates the SQLite file.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often that is looked at.
const PREPARE_POLL: Duration = Duration::from_millis(20);
/// What a Postgres session is told first: no statement, lock wait or forgotten transaction of
/// ours may hold anything for long.
const SESSION_LIMITS: &str = "set statement_timeout = '10s'; set lock_timeout = '5s'; \
    set idle_in_transaction_session_timeout = '30s'";
/// The lock file under which the SQLite file is created and migrated. No lease name has a dot, so
/// no lease has this file.
const PREPARE_LOCK_NAME: &str = ".prepare.lock";

impl Metadata {
    /// Opens the metadata database. A SQLite file is created (0600, its directory 0700) and
    /// migrated; a Postgres database must stand at this build's migrations exactly
    /// ([`Error::NotMigrated`], [`Error::NewerSchema`]).
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        match settings {
            Settings::Sqlite { path } => open_sqlite(path, clock).await,
            Settings::Postgres { url } => open_postgres(url, clock).await,
        }
    }

    /// Runs the migrations that lack; two processes may do so at once.
    pub async fn migrate(settings: &Settings) -> Result<(), Error> {
        match settings {
            Settings::Sqlite { path } => prepare_sqlite(path).await.map(drop),
            Settings::Postgres { url } => {
                let options = postgres_options(url)?;
                let mut connection = connect(&options).await?;
                schema::migrate(&schema::POSTGRES, &mut connection).await?;
                connection.close().await.map_err(Error::from)
            }
        }
    }
}

async fn open_sqlite(path: &Path, clock: Clock) -> Result<Metadata, Error> {
    let (path, locks) = prepare_sqlite(path).await?;
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(sqlite_options(&path));
    Ok(Metadata { database: Database::Sqlite(pool), clock, locks: Some(Arc::new(locks)) })
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Creates and migrates the SQLite file; gives its real path and the directory of its lock files.
async fn prepare_sqlite(path: &Path) -> Result<(PathBuf, PathBuf), Error> {
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
    let mut connection = sqlite_options(&path).connect().await.map_err(|error| Error::Connect {
        place: path.display().to_string(),
        source: Box::new(error.into()),
    })?;
    schema::migrate(&schema::SQLITE, &mut connection).await?;
    connection.close().await?;
    drop(lock);
    Ok((path, locks))
}

/// Runs blocking work on `path` off the runtime's threads; its error names the path.
async fn in_background<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let path = path.to_owned();
    let task =
        tokio::task::spawn_blocking(move || work(&path).map_err(|source| Error::File { path, source }));
    task.await.unwrap_or(Err(Error::Closed))
}

/// Two names of one file must lead to one set of lock files, so links are resolved first.
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

/// Creates the file unless it stands. An existing one is never opened here: closing any
/// descriptor of a SQLite file frees the locks that this process has on it.
fn create_file(path: &Path) -> io::Result<()> {
    match private_file::options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

async fn open_postgres(url: &SecretString, clock: Clock) -> Result<Metadata, Error> {
    let options = postgres_options(url)?;
    // A connection of its own first: the pool would keep the reason of a failure to itself.
    let mut connection = connect(&options).await?;
    schema::check(&schema::POSTGRES, &mut connection).await?;
    connection.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SESSION_LIMITS).await.map(drop) })
        })
        // The pool looks at a connection that comes back, without a limit of time: on a cut
        // network all four would be lost for many minutes.
        .after_release(|connection, _| {
            Box::pin(async move {
                let answer = tokio::time::timeout(ACQUIRE_TIMEOUT, connection.ping()).await;
                answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
            })
        })
        .connect_lazy_with(options);
    Ok(Metadata { database: Database::Postgres(pool), clock, locks: None })
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let connected = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await;
    connected
        .map_or(Err(Error::TimedOut { doing: "connecting", limit: ACQUIRE_TIMEOUT }), |it| {
            it.map_err(Error::from)
        })
        .map_err(|error| Error::Connect { place: place(options), source: Box::new(error) })
}

fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{database} at {}, port {}", socket.display(), options.get_port()),
        None => format!("{database} at {}, port {}", options.get_host(), options.get_port()),
    }
}

fn postgres_options(url: &SecretString) -> Result<PgConnectOptions, Error> {
    let url = url.expose_secret();
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(Error::InvalidUrl { reason: "it does not begin with postgres://".to_owned() });
    }
    // The parser logs parameters that it does not know, with their values; a misspelt password
    // must not reach a log.
    let parsed =
        tracing::subscriber::with_default(NoSubscriber::default(), || url.parse::<PgConnectOptions>());
    let mut options = parsed.map_err(Error::from)?.disable_statement_logging();
    let host = options.get_socket().map_or(options.get_host().into(), |socket| socket.to_string_lossy());
    if postgres_url::needs_verify_full(url, &host) {
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    if options.get_application_name().is_none() {
        options = options.application_name("larder");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn less_than_verify_full_must_be_written_for_a_host_elsewhere() {
        let mode = |url: &str| postgres_options(&SecretString::from(url.to_owned())).unwrap().get_ssl_mode();
        let is = |url, expected: PgSslMode| {
            assert_eq!(format!("{:?}", mode(url)), format!("{expected:?}"), "{url}");
        };
        is("postgres://u:p@db.example.com/d", PgSslMode::VerifyFull);
        is("postgres://u:p@localhost/d?hostaddr=10.0.0.7", PgSslMode::VerifyFull);
        is("postgres://u:p@db.example.com/d?sslmode=require", PgSslMode::Require);
        is("postgres://u:p@127.0.0.1/d", PgSslMode::Prefer);
        is("postgres:///d?host=/run/postgresql", PgSslMode::Prefer);
        is("postgres://%2Frun%2Fpostgresql/d", PgSslMode::Prefer);
    }

    #[test]
    fn a_bad_url_is_named_without_its_text() {
        for url in ["postgres://u:secret@h:port/d", "postgres://u:secret@h/d?sslmode=perhaps", "u:secret@h"] {
            let error = postgres_options(&SecretString::from(url.to_owned())).unwrap_err();
            assert_eq!(error.code(), "metadata_url_invalid", "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_sqlite_file_and_all_beside_it_are_for_their_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data/metadata.db");
        let metadata =
            Metadata::open(&Settings::Sqlite { path: path.clone() }, Clock::default()).await.unwrap();
        metadata.raise_key_revision(1).await.unwrap();
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
        let Database::Sqlite(pool) = &metadata.database else { panic!("SQLite") };
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
        let Database::Sqlite(pool) = &metadata.database else { panic!("SQLite") };
        sqlx::query("insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', true, x'00', 0)")
            .execute(pool)
            .await
            .unwrap();
        let error = Metadata::open(&settings, Clock::default()).await.unwrap_err();
        assert!(matches!(error, Error::NewerSchema { found: 9999, .. }), "{error}");
        metadata.health().await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_and_a_path_that_is_no_file_are_told_apart() {
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
            metadata.unwrap().health().await.unwrap();
        }
    }
}
