//! Third-party servers as child processes: one per test process, which ends with it.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::net::TcpStream;

/// Waits for the end of its input, which closes when the test process ends in any way. Then it stops the
/// server.
const SUPERVISOR: &str = r#""$@" >"$0" 2>&1 & server=$!; cat >/dev/null; kill $server; wait $server"#;

/// A listening server.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    /// Its working directory.
    _directory: TempDir,
    /// Keeps the supervisor's input open.
    _supervisor: Child,
}

impl Service {
    /// Starts `program` in an empty directory, with the arguments for a free address.
    pub(crate) async fn start(program: &Path, arguments: impl FnOnce(SocketAddr) -> Vec<String>) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let directory = TempDir::new().unwrap();
        let log = directory.path().join("log");
        let mut supervisor = Command::new("sh");
        supervisor.arg("-c").arg(SUPERVISOR).arg(&log).arg(program);
        supervisor.args(arguments(address)).current_dir(&directory);
        // Its own process group: an interrupt from the terminal must not end it before it has cleaned up.
        let supervisor = supervisor.stdin(Stdio::piped()).process_group(0).spawn().expect("a shell runs");
        let mut polls = tokio::time::interval(Duration::from_millis(20));
        let ready = async {
            while TcpStream::connect(address).await.is_err() {
                polls.tick().await;
            }
        };
        let listens = tokio::time::timeout(Duration::from_mins(1), ready).await.is_ok();
        let log = || fs::read_to_string(&log).unwrap_or_default();
        assert!(listens, "{} does not listen: {}", program.display(), log());
        Self { address, _directory: directory, _supervisor: supervisor }
    }
}

/// A file or program that `scripts/test.sh` installs below `target`.
pub(crate) fn installed(path: &str) -> std::path::PathBuf {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(path);
    assert!(found.exists(), "{} is missing; scripts/test.sh installs it", found.display());
    found
}
