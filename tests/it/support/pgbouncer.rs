//! A real `PgBouncer` with its default configuration, before the tests' Postgres.

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{
    postgres::{Database, other_user},
    process::until,
};

/// A running pooler. It ends when dropped.
pub(crate) struct PgBouncer {
    child: Child,
    port: u16,
    database: String,
    _directory: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts a pooler with `pool_mode` before the server of `database`, with `more` lines of configuration.
    pub(crate) async fn start(database: &Database, pool_mode: &str, more: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("larder-pgbouncer-").tempdir().unwrap();
        let path = directory.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {pool_mode}\n{more}",
            database.port(),
            path.join("users").display(),
        );
        fs::write(path.join("pgbouncer.ini"), settings).unwrap();
        fs::write(path.join("users"), "\"postgres\" \"\"\n").unwrap();
        let mut command = Command::new(program());
        command.arg("-q").arg(path.join("pgbouncer.ini")).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = other_user() {
            chown(path, Some(user), Some(group)).unwrap();
            command.uid(user).gid(group);
        }
        let child = command.spawn().expect("pgbouncer runs");
        let pooler = Self { child, port, database: database.name().to_owned(), _directory: directory };
        let address = format!("127.0.0.1:{port}");
        until("a pooler", async || tokio::net::TcpStream::connect(&address).await.ok()).await;
        pooler
    }

    /// The URL of a superuser through the pooler.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.database)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let debian = Path::new("/usr/sbin/pgbouncer");
    if debian.exists() { debian.to_owned() } else { PathBuf::from("pgbouncer") }
}
