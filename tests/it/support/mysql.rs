//! A private MariaDB for tests: one server per test process, one database per call.
//!
//! It needs `mariadbd` in `/usr/sbin` or on the path, and `mariadb-install-db`. User `root` logs in without a password;
//! `locked`, whose password is `secret`, may log in and read nothing.

use std::{
    fs,
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

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, Row as _, raw_sql};
use tokio::sync::OnceCell;

use super::postgres::other_user;

const READY_WITHIN: Duration = Duration::from_mins(1);
/// Waits for the end of its input, which closes when the test process ends in any way. Then it stops the
/// server and removes its files.
const SUPERVISOR: &str = r#"directory="$1"; shift; "$0" "$@" >"$directory/log" 2>&1 & server=$!; cat >/dev/null; kill -KILL $server; wait $server 2>/dev/null; rm -rf "$directory""#;

/// The server of this test process.
pub(crate) struct MySql {
    directory: PathBuf,
    port: u16,
    databases: AtomicU32,
    /// Keeps the supervisor's input open.
    _supervisor: Child,
}

/// A database for one test.
pub(crate) struct MySqlDatabase {
    name: String,
    server: &'static MySql,
}

static SERVER: OnceCell<MySql> = OnceCell::const_new();

impl MySql {
    /// A fresh, empty database.
    pub(crate) async fn database() -> MySqlDatabase {
        let server = SERVER.get_or_init(Self::start).await;
        let name = format!("test_{}", server.databases.fetch_add(1, Ordering::Relaxed));
        let database = MySqlDatabase { name, server };
        let mut connection = server.connect("").await.expect("the server answers");
        let create = format!("create database {} character set utf8mb4", database.name);
        raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.expect("a database can be created");
        database
    }

    async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("larder-mysql-").tempdir().unwrap().keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let user = other_user();
        if let Some((user, group)) = user {
            chown(&directory, Some(user), Some(group)).unwrap();
        }
        let as_user = |command: &mut Command| {
            command.current_dir(&directory);
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
        };
        let data = format!("--datadir={}", directory.join("data").display());
        let mut install = Command::new("mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &data]);
        as_user(&mut install);
        let done = install.output().expect("mariadb-install-db runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let installed = Path::new("/usr/sbin/mariadbd");
        let program = if installed.is_file() { installed } else { Path::new("mariadbd") };
        let mut supervisor = Command::new("sh");
        supervisor.arg("-c").arg(SUPERVISOR).arg(program).arg(&directory).arg("--no-defaults").arg(&data);
        supervisor.arg(format!("--socket={}", directory.join("socket").display()));
        supervisor.arg(format!("--port={port}"));
        supervisor.args([
            "--bind-address=127.0.0.1",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=64M",
            "--skip-log-bin",
            // What a session must not take from the server.
            "--default-time-zone=+05:30",
            "--sql-mode=ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES",
            "--group-concat-max-len=8",
            "--character-set-server=latin1",
        ]);
        // Its own process group: an interrupt from the terminal must not end it before it has cleaned up.
        supervisor.stdin(Stdio::piped()).process_group(0);
        as_user(&mut supervisor);
        let supervisor = supervisor.spawn().expect("a shell runs");
        let server = Self { directory, port, databases: AtomicU32::new(0), _supervisor: supervisor };
        server.wait_until_ready().await;
        server
    }

    async fn wait_until_ready(&self) {
        let mut interval = tokio::time::interval(Duration::from_millis(50));
        let ready = async {
            loop {
                interval.tick().await;
                if let Ok(mut connection) = self.connect("").await {
                    // What a session must not take from the server, either.
                    let users = "create user locked@localhost identified by 'secret'; \
                                 create user locked@'127.0.0.1' identified by 'secret'; \
                                 set global sql_select_limit = 1, default_week_format = 3, max_sort_length = 64, \
                                 max_recursive_iterations = 3, default_regex_flags = 'EXTENDED', \
                                 old_mode = 'ZERO_DATE_TIME_CAST', div_precision_increment = 1, \
                                 lc_time_names = 'de_DE', sql_auto_is_null = 1";
                    raw_sql(users).execute(&mut connection).await.expect("users can be created");
                    return;
                }
            }
        };
        if tokio::time::timeout(READY_WITHIN, ready).await.is_err() {
            let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            panic!("MariaDB is not ready within {READY_WITHIN:?}: {log}");
        }
    }

    async fn connect(&self, database: &str) -> sqlx::Result<MySqlConnection> {
        let socket = self.directory.join("socket");
        MySqlConnection::connect(&format!("mysql://root@localhost/{database}?socket={}", socket.display()))
            .await
    }
}

impl MySqlDatabase {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The server's port on this machine.
    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    /// The URL of `root` over the Unix socket.
    pub(crate) fn url(&self) -> String {
        format!(
            "mysql://root@localhost/{}?socket={}",
            self.name,
            self.server.directory.join("socket").display()
        )
    }

    /// The URL of `login` (`user` or `user:password`) over TCP.
    pub(crate) fn url_of(&self, login: &str) -> String {
        format!("mysql://{login}@127.0.0.1:{}/{}", self.server.port, self.name)
    }

    /// The keys of a source that reads it.
    pub(crate) fn section(&self) -> String {
        format!("type = \"mysql\"\nurl = \"{}\"\n", self.url())
    }

    /// Runs any number of statements.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.server.connect(&self.name).await.expect("the database answers");
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("the statements run");
        connection.close().await.expect("the connection ends well");
    }

    /// The number in the first row of `sql`; `None` when there is no row.
    pub(crate) async fn number(&self, sql: &str) -> Option<u64> {
        let mut connection = self.server.connect(&self.name).await.expect("the database answers");
        let row = raw_sql(AssertSqlSafe(sql.to_owned())).fetch_optional(&mut connection).await;
        connection.close().await.expect("the connection ends well");
        row.expect("the query runs").map(|row| row.get(0))
    }

    /// What the server's own client prints for `sql`: a line a row, fields between tabs.
    pub(crate) fn client(&self, sql: &str) -> String {
        let mut client = Command::new("mariadb");
        client.args([
            "--no-defaults",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            "--init-command=set sql_select_limit = 18446744073709551615",
            "-uroot",
        ]);
        client.arg(format!("--socket={}", self.server.directory.join("socket").display()));
        let done = client.args([&self.name, "-e", sql]).output().expect("mariadb runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}
