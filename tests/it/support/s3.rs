//! A private server for the protocols of S3 and Google Cloud Storage: moto, one per test process, one bucket
//! per call.
//!
//! `scripts/test.sh` installs it in `target/moto`. It keeps everything in memory, honours conditional writes and
//! checks no signatures.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use larder::store::{Bucket, Location, Service as Kind};
use tokio::sync::OnceCell;

use super::{
    http::Client,
    service::{Service, installed},
};

/// The server of this test process.
pub(crate) struct S3 {
    service: Service,
    buckets: AtomicU32,
}

static SERVER: OnceCell<S3> = OnceCell::const_new();

impl S3 {
    /// The server, started at the first call.
    pub(crate) async fn server() -> &'static Self {
        SERVER.get_or_init(Self::start).await
    }

    /// A bucket for one test.
    pub(crate) async fn bucket() -> String {
        let server = Self::server().await;
        let name = format!("bucket-{}", server.buckets.fetch_add(1, Ordering::Relaxed));
        let mut client = Client::connect(server.address()).await;
        let answer = client.ask("PUT", format!("/{name}"), "Content-Length: 0\r\n").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        name
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.service.address
    }

    async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/s3_server.py");
        let script = script.to_str().unwrap().to_owned();
        let arguments = |address: SocketAddr| vec![script, address.port().to_string()];
        let service = Service::start(&installed("moto/bin/python"), arguments).await;
        Self { service, buckets: AtomicU32::new(0) }
    }
}

/// The store in `bucket` of the server, or of a proxy, at `address`.
pub(crate) fn location(address: SocketAddr, bucket: &str, prefix: &str) -> Location {
    let options = [
        ("aws_endpoint_url_s3", format!("http://{address}")),
        ("aws_region", "us-east-1".to_owned()),
        ("aws_access_key_id", "test".to_owned()),
        ("aws_secret_access_key", "test".to_owned()),
    ];
    Location::Bucket(Bucket {
        service: Kind::S3,
        name: bucket.to_owned(),
        prefix: prefix.to_owned(),
        options: options.map(|(name, value)| (name.to_owned(), value.into())).into(),
        ca_file: None,
    })
}

/// The section `[storage.s3]` for the server at `address`.
pub(crate) fn section(address: SocketAddr) -> String {
    format!(
        "[storage.s3]\nendpoint = \"http://{address}\"\nregion = \"us-east-1\"\npath_style = true\n\
         access_key_id = \"test\"\nsecret_access_key = \"test\"\n"
    )
}

/// The section `[storage.gcs]` for the same server. The key file in `directory` has no key, so that no token
/// is requested.
pub(crate) fn gcs_section(address: SocketAddr, directory: &Path) -> String {
    let file = directory.join("service-account.json");
    let account = r#"{"disable_oauth":true,"client_email":"","private_key_id":"","private_key":""}"#;
    std::fs::write(&file, account).unwrap();
    let file = file.display();
    format!("[storage.gcs]\nendpoint = \"http://{address}\"\nservice_account_file = \"{file}\"\n")
}
