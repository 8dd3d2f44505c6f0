//! A private server of Azure Blob Storage: Azurite, one per test process, one container per call.
//!
//! `scripts/test.sh` installs it in `target/azurite`. It checks signatures, honours conditional writes
//! and keeps everything in memory.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use larder::support::clock::Clock;
use tokio::sync::OnceCell;

use super::{
    http::Client,
    service::{Service, installed},
};

/// The account and key of every Azurite, from its documentation.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// Version of the protocol.
const VERSION: &str = "2023-11-03";

/// The server of this test process.
pub(crate) struct Azure {
    service: Service,
    containers: AtomicU32,
}

static SERVER: OnceCell<Azure> = OnceCell::const_new();

impl Azure {
    /// The server, started at the first call.
    pub(crate) async fn server() -> &'static Self {
        SERVER.get_or_init(Self::start).await
    }

    /// A container for one test.
    pub(crate) async fn container() -> String {
        let server = Self::server().await;
        let name = format!("container-{}", server.containers.fetch_add(1, Ordering::Relaxed));
        let mut client = Client::connect(server.address()).await;
        let date = Clock::default().now().format("%a, %d %b %Y %H:%M:%S GMT");
        let headers = format!("x-ms-date:{date}\nx-ms-version:{VERSION}");
        let path = format!("/{ACCOUNT}/{name}");
        // Method, eleven headers that are not sent, headers of the service, and the resource.
        let signed = format!("PUT{}{headers}\n/{ACCOUNT}{path}\nrestype:container", "\n".repeat(12));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(KEY).unwrap());
        let signature = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        let headers = headers.replace('\n', "\r\n");
        let headers =
            format!("Content-Length: 0\r\n{headers}\r\nAuthorization: SharedKey {ACCOUNT}:{signature}\r\n");
        let answer = client.ask("PUT", format!("{path}?restype=container"), &headers).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        name
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.service.address
    }

    async fn start() -> Self {
        let program = installed("azurite/node_modules/azurite/dist/src/blob/main.js");
        let arguments = |address: SocketAddr| {
            let program = program.to_str().unwrap();
            let port = address.port().to_string();
            let arguments = [
                program,
                "--blobPort",
                &port,
                "--inMemoryPersistence",
                "--skipApiVersionCheck",
                "--disableTelemetry",
                "--silent",
            ];
            arguments.map(str::to_owned).to_vec()
        };
        let service = Service::start(Path::new("node"), arguments).await;
        Self { service, containers: AtomicU32::new(0) }
    }
}

/// The section `[storage.azure]` for the server at `address`.
pub(crate) fn section(address: SocketAddr) -> String {
    format!(
        "[storage.azure]\nendpoint = \"http://{address}/{ACCOUNT}\"\naccount = \"{ACCOUNT}\"\n\
         access_key = \"{KEY}\"\n"
    )
}
