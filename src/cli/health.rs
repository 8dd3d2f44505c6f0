//! `larder health`: asks a node, so that an image needs no other HTTP client.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use http_body_util::Empty;
use hyper::{Request, StatusCode, Uri, body::Bytes, header, http::uri::Authority};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{
    args::Health,
    exit::Exit,
    output::{Failure, print},
};

/// Longest time for an answer: shorter than the three seconds that health checks usually wait.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn run(arguments: Health) -> Result<Exit, Failure> {
    let uri: Uri = arguments
        .url
        .parse()
        .map_err(|error| Failure::Usage(format!("--url {:?} is not a URL: {error}", arguments.url)))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        let message = format!("--url {:?}: give http://host:port/path or https://...", arguments.url);
        return Err(Failure::Usage(message));
    }
    let asked = tokio::time::timeout(TIMEOUT, ask(&uri)).await;
    let status = asked.map_err(|_| anyhow!("{uri} did not answer within {} s", TIMEOUT.as_secs()))??;
    print(&format!("{uri}: {status}"))?;
    Ok(if status.is_success() { Exit::Success } else { Exit::Failed })
}

async fn ask(uri: &Uri) -> anyhow::Result<StatusCode> {
    let Some(authority) = uri.authority() else { bail!("{uri} names no host") };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_tls = uri.scheme_str() == Some("https");
    let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream =
        TcpStream::connect((host, port)).await.with_context(|| format!("cannot connect to {authority}"))?;
    if !is_tls {
        return request(uri, authority, stream).await;
    }
    let name = ServerName::try_from(host.to_owned()).with_context(|| format!("{host:?} is no host name"))?;
    let stream = TlsConnector::from(Arc::new(unchecked::client()?))
        .connect(name, stream)
        .await
        .with_context(|| format!("no TLS with {authority}"))?;
    request(uri, authority, stream).await
}

async fn request<S>(uri: &Uri, authority: &Authority, stream: S) -> anyhow::Result<StatusCode>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(header::HOST, authority.as_str()).body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await.with_context(|| format!("{uri} gave no answer"))?;
    Ok(answer.status())
}

/// TLS that takes any certificate: the question is whether the node answers, the certificate names
/// its public host and not the loopback address, and nothing secret is sent.
mod unchecked {
    use std::sync::Arc;

    use tokio_rustls::rustls::{
        ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug)]
    struct Anyone;

    impl ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }

    pub(super) fn client() -> Result<ClientConfig, Error> {
        Ok(ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_no_client_auth())
    }
}
