//! A private S3-compatible server: moto, one per test process, one bucket per call.
//!
//! `scripts/test.sh` installs it in `target/moto`. It keeps everything in memory, honours
//! conditional writes, and checks no signature.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use larder::publication::{Bucket, Location, Service};
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::OnceCell};

use super::http::Client;

/// Waits for its input to end, which it does when the test process is gone however it went; then
/// stops the server.
const SUPERVISOR: &str =
    r#""$0" "$1" "$2" >"$3" 2>&1 & server=$!; cat >/dev/null; kill $server; wait $server"#;

/// The server of this test process.
pub(crate) struct S3 {
    address: SocketAddr,
    buckets: AtomicU32,
    _directory: TempDir,
    /// Holds the supervisor's input open.
    _supervisor: Child,
}

static SERVER: OnceCell<S3> = OnceCell::const_new();

impl S3 {
    /// The server, started when nobody asked for it before.
    pub(crate) async fn server() -> &'static Self {
        SERVER.get_or_init(Self::start).await
    }

    /// A bucket that nobody else uses.
    pub(crate) async fn bucket() -> String {
        let server = Self::server().await;
        let name = format!("bucket-{}", server.buckets.fetch_add(1, Ordering::Relaxed));
        let mut client = Client::connect(server.address).await;
        let answer = client.ask("PUT", format!("/{name}"), "Content-Length: 0\r\n").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        name
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = root.join("target/moto/bin/python");
        assert!(program.exists(), "moto is not there; scripts/test.sh installs it");
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let directory = TempDir::new().unwrap();
        let log: PathBuf = directory.path().join("log");
        let mut supervisor = Command::new("sh");
        supervisor.arg("-c").arg(SUPERVISOR).arg(program).arg(root.join("tests/it/support/s3_server.py"));
        supervisor.arg(address.port().to_string()).arg(&log);
        // A group of its own: an interrupt from the terminal must not end it before its work is done.
        let supervisor = supervisor.stdin(Stdio::piped()).process_group(0).spawn().expect("a shell runs");
        let mut look = tokio::time::interval(Duration::from_millis(20));
        let ready = async {
            while TcpStream::connect(address).await.is_err() {
                look.tick().await;
            }
        };
        let listens = tokio::time::timeout(Duration::from_mins(1), ready).await.is_ok();
        assert!(listens, "moto does not listen: {}", fs::read_to_string(&log).unwrap_or_default());
        Self { address, buckets: AtomicU32::new(0), _directory: directory, _supervisor: supervisor }
    }
}

/// The store in `bucket` of the server at `address`, which may be a proxy's.
pub(crate) fn location(address: SocketAddr, bucket: &str, prefix: &str) -> Location {
    let options = [
        ("aws_endpoint_url_s3", format!("http://{address}")),
        ("aws_region", "us-east-1".to_owned()),
        ("aws_access_key_id", "test".to_owned()),
        ("aws_secret_access_key", "test".to_owned()),
    ];
    Location::Bucket(Bucket {
        service: Service::S3,
        name: bucket.to_owned(),
        prefix: prefix.to_owned(),
        options: options.map(|(name, value)| (name.to_owned(), value.into())).into(),
    })
}

/// The section `[storage.s3]` for the server at `address`.
pub(crate) fn section(address: SocketAddr) -> String {
    format!(
        "[storage.s3]\nendpoint = \"http://{address}\"\nregion = \"us-east-1\"\npath_style = true\n\
         access_key_id = \"test\"\nsecret_access_key = \"test\"\n"
    )
}
