//! A private Postgres for tests: one server per test process, one database per call.
//!
//! It needs Postgres's server programs in `$PG_BIN`, in Debian's `/usr/lib/postgresql/*/bin` or on the path.
//! Every role logs in without a password but `locked`, whose password is `secret`. TLS is optional, with a
//! self-signed certificate for localhost.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use larder::{metadata, postgres::Parameters};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, postgres::PgRow, raw_sql};
use tokio::sync::OnceCell;

/// Public, and for tests only.
const CERTIFICATE: &str = include_str!("tls/certificate.pem");
const KEY: &str = include_str!("tls/key.pem");
const READY_WITHIN: Duration = Duration::from_secs(30);
const HBA: &str = "host all locked 127.0.0.1/32 scram-sha-256\nlocal all,replication all trust\n\
    host all all 127.0.0.1/32 trust\n";
/// Waits for the end of its input, which closes when the test process ends in any way. Then it stops the
/// server and removes its files.
const SUPERVISOR: &str = r#""$0" -D "$1/data" >"$1/log" 2>&1 & server=$!; cat >/dev/null; kill -INT $server; wait $server; rm -rf "$1""#;

/// The server of this test process.
pub(crate) struct Postgres {
    directory: PathBuf,
    port: u16,
    databases: AtomicU32,
    /// Keeps the supervisor's input open.
    _supervisor: Child,
}

/// A database for one test.
pub(crate) struct Database {
    name: String,
    server: &'static Postgres,
}

static SERVER: OnceCell<Postgres> = OnceCell::const_new();

impl Postgres {
    /// A fresh, empty database.
    pub(crate) async fn database() -> Database {
        Self::database_with("").await
    }

    /// A fresh database, created with `options`, such as `encoding 'SQL_ASCII'`.
    pub(crate) async fn database_with(options: &str) -> Database {
        let server = SERVER.get_or_init(Self::start).await;
        server.new_database(options).await
    }

    /// A fresh database on a server of its own, whose certificate and access rules may be changed. The server runs
    /// until the test process ends.
    pub(crate) async fn own_server() -> Database {
        let server: &'static Self = Box::leak(Box::new(Self::start().await));
        server.new_database("").await
    }

    async fn new_database(&'static self, options: &str) -> Database {
        let server = self;
        let name = format!("test_{}", server.databases.fetch_add(1, Ordering::Relaxed));
        let database = Database { name, server };
        let create = format!("create database {} template template0 {options}", database.name);
        let mut connection = server.connect("postgres").await.expect("the server answers");
        raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.expect("a database can be created");
        database
    }

    async fn start() -> Self {
        let directory = new_directory();
        let mut initdb = Command::new(programs().join("initdb"));
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
        run(initdb.arg(directory.join("data")), &directory);
        let settings = "fsync = off\nsynchronous_commit = off\nssl = on\nfull_page_writes = off\nshared_buffers = 32MB\n";
        let files = [
            ("pg_hba.conf", HBA),
            ("server.crt", CERTIFICATE),
            ("server.key", KEY),
            ("postgresql.conf", settings),
        ];
        for (name, text) in files {
            write_private(&directory.join("data").join(name), text);
        }
        let server = Self::serve(directory).await;
        let mut connection = server.connect("postgres").await.expect("the server answers");
        let role = "create role locked login password 'secret'";
        raw_sql(role).execute(&mut connection).await.expect("a role can be created");
        server
    }

    /// A hot standby of `primary`. What it replays cancels a query in its way at once.
    async fn standby(primary: &Self) -> Self {
        let directory = new_directory();
        let mut copy = Command::new(programs().join("pg_basebackup"));
        copy.args(["-U", "postgres", "--write-recovery-conf", "--no-sync", "--checkpoint=fast", "-h"]);
        copy.arg(&primary.directory).args(["-p", &primary.port.to_string(), "-D"]);
        run(copy.arg(directory.join("data")), &directory);
        let settings = directory.join("data/postgresql.conf");
        let text = fs::read_to_string(&settings).unwrap();
        write_private(
            &settings,
            &format!("{text}max_standby_streaming_delay = 0\nhot_standby_feedback = off\n"),
        );
        Self::serve(directory).await
    }

    /// Starts the server whose files are in `directory`, on a free port.
    async fn serve(directory: PathBuf) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = directory.join("data/postgresql.conf");
        let text = fs::read_to_string(&settings).unwrap();
        let place = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\n",
            directory.display()
        );
        write_private(&settings, &format!("{text}{place}"));
        let mut supervisor = Command::new("sh");
        supervisor.arg("-c").arg(SUPERVISOR).arg(programs().join("postgres")).arg(&directory);
        // Its own process group: an interrupt from the terminal must not end it before it has cleaned up.
        supervisor.stdin(Stdio::piped()).process_group(0);
        as_user(&mut supervisor, &directory);
        let supervisor = supervisor.spawn().expect("a shell runs");
        let server = Self { directory, port, databases: AtomicU32::new(0), _supervisor: supervisor };
        let mut interval = tokio::time::interval(Duration::from_millis(20));
        let ready = async {
            while server.connect("postgres").await.is_err() {
                interval.tick().await;
            }
        };
        if tokio::time::timeout(READY_WITHIN, ready).await.is_err() {
            let log = fs::read_to_string(server.directory.join("log")).unwrap_or_default();
            panic!("Postgres is not ready within {READY_WITHIN:?}: {log}");
        }
        server
    }

    async fn connect(&self, database: &str) -> sqlx::Result<PgConnection> {
        PgConnection::connect(&format!(
            "postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        ))
        .await
    }
}

impl Database {
    /// The same database on a new hot standby, which runs until the test process ends.
    pub(crate) async fn standby(&self) -> Self {
        let server: &'static Postgres = Box::leak(Box::new(Postgres::standby(self.server).await));
        Self { name: self.name.clone(), server }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The URL of a superuser over TCP, without a password.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of `login` (`user` or `user:password`) over TCP.
    pub(crate) fn url_of(&self, login: &str) -> String {
        format!("postgres://{login}@127.0.0.1:{}/{}", self.server.port, self.name)
    }

    /// The URL of a superuser over the Unix socket.
    pub(crate) fn socket_url(&self) -> String {
        let directory = self.server.directory.display();
        format!("postgres://postgres@/{}?host={directory}&port={}", self.name, self.server.port)
    }

    /// The file with the server's certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.server.directory.join("data/server.crt")
    }

    /// Replaces files in the server's data directory, readable for the server alone, and waits until the server has
    /// read its configuration again.
    pub(crate) async fn reload(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            write_private(&self.server.directory.join("data").join(name), text);
        }
        let loaded = "select pg_conf_load_time()";
        let before = self.value(loaded).await;
        self.execute("select pg_reload_conf()").await;
        let ready = async || (self.value(loaded).await != before).then_some(());
        super::process::until("the configuration is loaded", ready).await;
    }

    /// The server's port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    /// Runs any number of statements.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.server.connect(&self.name).await.expect("the database answers");
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("the statements run");
        connection.close().await.expect("the connection ends well");
    }

    /// Blocks every query of a table until the connection is dropped.
    pub(crate) async fn lock(&self, table: &str) -> PgConnection {
        let mut connection = self.server.connect(&self.name).await.expect("the database answers");
        let lock = format!("begin; lock table {table} in access exclusive mode");
        raw_sql(AssertSqlSafe(lock)).execute(&mut connection).await.expect("the table can be locked");
        connection
    }

    /// The first column of the first row, as text; `None` when there is no row.
    pub(crate) async fn value(&self, sql: &str) -> Option<String> {
        let mut connection = self.server.connect(&self.name).await.expect("the database answers");
        let row = raw_sql(AssertSqlSafe(format!("select value::text from ({sql}) as q(value)")));
        let row = row.fetch_optional(&mut connection).await.expect("the query runs");
        connection.close().await.expect("the connection ends well");
        row.and_then(|row| row.try_get(0).expect("a text"))
    }

    /// Every row of the last statement of `sql`, whose columns are all text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut connection = self.server.connect(&self.name).await.expect("the database answers");
        let rows = raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await;
        connection.close().await.expect("the connection ends well");
        let cells = |row: &PgRow| (0..row.len()).map(|at| row.try_get(at).expect("a text")).collect();
        rows.expect("the query runs").iter().map(cells).collect()
    }
}

/// A new directory for the files of a server, which is its user's.
fn new_directory() -> PathBuf {
    let directory = tempfile::Builder::new().prefix("larder-pg-").tempdir().unwrap().keep();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some((user, group)) = other_user() {
        chown(&directory, Some(user), Some(group)).unwrap();
    }
    directory
}

/// Replaces a file of a server, readable for the server alone.
fn write_private(path: &Path, text: &str) {
    let _ = fs::remove_file(path);
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    if let Some((user, group)) = other_user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// Runs a program of Postgres in `directory` to its end.
fn run(command: &mut Command, directory: &Path) {
    as_user(command, directory);
    let done = command.output().expect("it runs");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn as_user(command: &mut Command, directory: &Path) {
    command.current_dir(directory).env("LC_ALL", "C");
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
}

fn programs() -> PathBuf {
    let has_server =
        |directory: &PathBuf| directory.join("initdb").is_file() && directory.join("postgres").is_file();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = debian.map(|version| version.path().join("bin")).collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("PG_BIN").map(PathBuf::from);
    let found = named
        .into_iter()
        .chain(versions.into_iter().rev())
        .chain(std::env::split_paths(&path))
        .find(has_server);
    found.expect("Postgres's server programs; name their directory in PG_BIN")
}

/// The user and group of the server if the tests run as root, which Postgres refuses.
pub(super) fn other_user() -> Option<(u32, u32)> {
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|myself| std::os::unix::fs::MetadataExt::uid(&myself) == 0);
    if !is_root {
        return None;
    }
    let users = read_lines(Path::new("/etc/passwd")).expect("/etc/passwd");
    let of = |name: &str| {
        let fields: Vec<_> =
            users.iter().find(|line| line.starts_with(&format!("{name}:")))?.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    Some(of("postgres").or_else(|| of("nobody")).expect("a user postgres or nobody"))
}

fn read_lines(path: &Path) -> io::Result<Vec<String>> {
    Ok(fs::read_to_string(path)?.lines().map(str::to_owned).collect())
}

/// The settings of a metadata database at `url`.
pub(crate) fn metadata_settings(url: &str) -> metadata::Settings {
    let parameters = Parameters::parse(url, &|path| path.into()).unwrap();
    metadata::Settings::Postgres(Box::new(parameters))
}
