//! TLS: the certificate, which is reloaded when its files change, and the handshake.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{net::TcpStream, time::MissedTickBehavior};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};

use crate::{domain::codes, settings::read_bounded, support::shutdown::Shutdown};

/// Largest certificate or key file: a chain of some certificates is a few kilobytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The configuration keys of the two files, for messages.
const CERTIFICATE: &str = "tls_certificate_file";
const KEY: &str = "tls_key_file";

/// The `tls_` keys of `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The certificate and its intermediates, leaf first, in PEM.
    pub certificate_file: PathBuf,
    /// The private key in PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase.
    pub key_file: PathBuf,
    /// How often the files are checked for changes.
    pub reload_interval: Duration,
}

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or holds nothing of its kind, or certificate and key do not belong together: in words.
    #[error("{0}")]
    Unusable(String),
}

codes! {
    Error {
        "tls_certificate_unusable" Invalid: Unusable,
    }
}

/// The certificate in force. Clones share it.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    settings: Settings,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads certificate and key. Blocks.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let config = Pem::read(settings)?.config(settings)?;
        Ok(Self(Arc::new(Inner { settings: settings.clone(), config: ArcSwap::from_pointee(config) })))
    }

    /// Reloads changed files until `shutdown`. Files that cannot be used, such as a new certificate beside the
    /// old key, are logged once and change nothing. Open connections keep their certificate.
    pub async fn watch(self, shutdown: Shutdown) {
        let settings = &self.0.settings;
        let mut ticks = tokio::time::interval(settings.reload_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen: Option<Result<Pem, String>> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            let files = settings.clone();
            let read = tokio::task::spawn_blocking(move || Pem::read(&files)).await;
            let Ok(read) = read else { continue };
            let now = read.map_err(|error| error.to_string());
            if seen.as_ref() == Some(&now) {
                continue;
            }
            let loaded = match &now {
                Ok(pem) => pem.config(settings).map_err(|error| error.to_string()),
                Err(error) => Err(error.clone()),
            };
            match loaded {
                Ok(config) => {
                    self.0.config.store(Arc::new(config));
                    if seen.is_some() {
                        tracing::info!("the TLS certificate was read again");
                    }
                }
                Err(error) => tracing::warn!(
                    error,
                    "cannot read the TLS certificate again; the present one stays in force"
                ),
            }
            seen = Some(now);
        }
    }

    /// Performs the handshake with a client.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.0.config.load_full()).accept(stream).await
    }
}

/// The contents of the two files.
#[derive(PartialEq, Eq)]
struct Pem {
    certificates: String,
    key: String,
}

impl Pem {
    fn read(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            certificates: read(CERTIFICATE, &settings.certificate_file)?,
            key: read(KEY, &settings.key_file)?,
        })
    }

    /// TLS 1.2 and 1.3; ALPN offers HTTP/2 and HTTP/1.1.
    fn config(&self, settings: &Settings) -> Result<ServerConfig, Error> {
        let empty = |key: &str, path: &Path, what: &str| {
            Error::Unusable(format!("[server] {key} {} holds no {what} in PEM form", path.display()))
        };
        let no_certificate = || empty(CERTIFICATE, &settings.certificate_file, "certificate");
        let chain =
            CertificateDer::pem_slice_iter(self.certificates.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(no_certificate)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|_| empty(KEY, &settings.key_file, "private key"))?;
        let refused = |error: rustls::Error| {
            Error::Unusable(format!(
                "the certificate and the key of [server] cannot be used: {error}; do they belong together?"
            ))
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(refused)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(refused)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(refused)?;
        Ok(config)
    }
}

fn read(key: &'static str, path: &Path) -> Result<String, Error> {
    read_bounded(path, FILE_BYTES_MAX)
        .map_err(|error| Error::Unusable(format!("cannot read [server] {key} {}: {error}", path.display())))
}
