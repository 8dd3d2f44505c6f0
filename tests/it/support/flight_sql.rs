//! DuckDB behind Arrow Flight SQL, as `flight_sql_server.py` serves it.

use std::path::{Path, PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::service::{Service, installed};
use crate::source_adbc::python_driver;

/// A server of Flight SQL with a database in memory.
pub(crate) struct FlightSql {
    server: Service,
    /// Its certificate, which is its own authority.
    certificate: Option<PathBuf>,
}

impl FlightSql {
    /// Starts a server without TLS.
    pub(crate) async fn start() -> Self {
        Self { server: serve(&[]).await, certificate: None }
    }

    /// Starts a server with TLS, whose certificate is written to `directory`.
    pub(crate) async fn with_tls(directory: &Path) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (directory.join("flight.crt"), directory.join("flight.key"));
        std::fs::write(&certificate, cert.pem()).unwrap();
        std::fs::write(&key, signing_key.serialize_pem()).unwrap();
        Self { server: serve(&[&certificate, &key]).await, certificate: Some(certificate) }
    }

    /// The keys of a source.
    pub(crate) fn section(&self) -> String {
        let driver = python_driver("flightsql");
        let ca_file = self.certificate.as_ref().map(|path| format!("ca_file = {path:?}\n"));
        format!(
            "type = \"flightsql\"\ndriver = {driver:?}\nurl = \"{}\"\nuser = \"reader\"\npassword = \"hunter2\"\n{}",
            self.url(),
            ca_file.unwrap_or_default()
        )
    }

    fn url(&self) -> String {
        let port = self.server.address.port();
        if self.certificate.is_some() {
            format!("grpc+tls://localhost:{port}")
        } else {
            format!("grpc://127.0.0.1:{port}")
        }
    }

    /// The keys of a driver that may write.
    pub(crate) fn writer(&self) -> String {
        let options = [("uri", &*self.url()), ("username", "reader"), ("password", "hunter2")]
            .map(|(name, value)| format!("{name} = {value:?}"));
        let driver = python_driver("flightsql");
        format!("type = \"adbc\"\ndriver = {driver:?}\noptions = {{ {} }}\n", options.join(", "))
    }
}

async fn serve(tls: &[&Path]) -> Service {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/flight_sql_server.py");
    Service::start(&installed("adbc/bin/python"), |address| {
        let files = tls.iter().map(|path| path.display().to_string());
        [script.display().to_string(), address.port().to_string()].into_iter().chain(files).collect()
    })
    .await
}
