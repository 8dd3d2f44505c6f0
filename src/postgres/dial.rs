//! Makes the network connection to a server: DNS, TCP or socket, keepalives, TLS.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream, lookup_host},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{AlertDescription, CertificateError, Error as TlsError, pki_types::ServerName},
};

use super::{
    error::Error,
    parameters::{Host, Parameters, Tls},
    tls,
};
use crate::support::{blocking, relay::Stream};

/// Asks whether the server speaks TLS
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, `SSLRequest`).
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    Never,
    IfOffered,
    Always,
}

/// The step that is under way, for the message of a timeout.
pub(super) type Step = std::sync::Mutex<&'static str>;

pub(super) fn enter(step: &Step, name: &'static str) {
    *step.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = name;
}

/// Connects to the server of `parameters`. The caller bounds the time; `timeout` is divided among the host's
/// addresses, so that one without an answer leaves time for the next.
pub(super) async fn dial(
    parameters: &Parameters,
    encryption: Encryption,
    timeout: Duration,
    step: &Step,
) -> Result<Box<dyn Stream>, Error> {
    let address = parameters.address();
    let host = match &parameters.host {
        Host::Socket(directory) => {
            enter(step, "connecting to the socket");
            let path = directory.join(format!(".s.PGSQL.{}", parameters.port));
            let stream = UnixStream::connect(&path).await;
            let unreachable = |error: io::Error| Error::Unreachable { address, reason: error.to_string() };
            return Ok(Box::new(stream.map_err(unreachable)?));
        }
        Host::Name(name) => name,
    };
    let mut stream = connect(parameters, host, timeout, step).await?;
    if encryption == Encryption::Never {
        return Ok(Box::new(stream));
    }
    if !parameters.tls.is_direct {
        enter(step, "asking for TLS");
        if !offers_tls(&mut stream, &address).await? {
            return match encryption {
                Encryption::Always => Err(Error::NoTls(address)),
                _ => Ok(Box::new(stream)),
            };
        }
    }
    enter(step, "TLS handshake");
    let settings = parameters.tls.clone();
    let config = blocking::run(move || tls::client_config(&settings)).await;
    let config = config.unwrap_or_else(|| Err(Error::tls_setup(&"the process is ending")))?;
    let name = ServerName::try_from(host.clone()).map_err(|error| Error::tls_setup(&error))?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| handshake_error(&error, address, &parameters.tls))?))
}

/// Connects to the first address of `host` that answers.
async fn connect(
    parameters: &Parameters,
    host: &str,
    timeout: Duration,
    step: &Step,
) -> Result<TcpStream, Error> {
    let addresses: Vec<SocketAddr> = if let Some(address) = parameters.host_address {
        vec![(address, parameters.port).into()]
    } else {
        enter(step, "asking DNS for the host");
        let unknown = |source| Error::HostUnknown { host: host.to_owned(), source };
        lookup_host((host, parameters.port)).await.map_err(unknown)?.collect()
    };
    enter(step, "connecting by TCP");
    let share = timeout / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut reason = "the name has no address".to_owned();
    for (number, address) in addresses.iter().enumerate() {
        let is_last = number + 1 == addresses.len();
        // The last one may use all that is left: the caller ends it.
        let attempt =
            tokio::time::timeout(if is_last { timeout } else { share }, TcpStream::connect(address));
        match attempt.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                let set = parameters.keepalive.apply(&stream);
                set.map_err(|error| Error::Unreachable {
                    address: parameters.address(),
                    reason: error.to_string(),
                })?;
                return Ok(stream);
            }
            Err(error) if parameters.host_address.is_some() => reason = format!("{error}, at {address}"),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(Error::Unreachable { address: parameters.address(), reason })
}

async fn offers_tls(stream: &mut TcpStream, address: &str) -> Result<bool, Error> {
    let address = || address.to_owned();
    let answer = async {
        stream.write_all(&TLS_REQUEST).await?;
        // One byte and no more: what follows belongs to the handshake.
        stream.read_u8().await
    };
    match answer.await {
        Ok(b'S') => Ok(true),
        Ok(b'N') => Ok(false),
        // Requests of TLS have no answer that begins so.
        Ok(b'H') => Err(Error::OtherProtocol { address: address(), spoken: Some("HTTP") }),
        Ok(0x15) => Err(Error::OtherProtocol { address: address(), spoken: Some("TLS") }),
        Ok(_) => Err(Error::OtherProtocol { address: address(), spoken: None }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Error::Closed { address: address(), step: "asked for TLS" })
        }
        Err(error) => Err(Error::Unreachable { address: address(), reason: error.to_string() }),
    }
}

/// What to do when a server refuses the client's certificate, or the lack of one. With TLS 1.3 it does so after the
/// handshake.
pub(super) const CLIENT_CERTIFICATE_HINT: &str = "the server wants another client certificate: name one that is valid, and of an \
    authority that it trusts, with sslcert and sslkey";

fn handshake_error(error: &io::Error, address: String, tls: &Tls) -> Error {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let hint = match cause {
        Some(TlsError::InvalidMessage(_)) => return Error::OtherProtocol { address, spoken: None },
        Some(TlsError::InvalidCertificate(certificate)) => certificate_hint(certificate, tls),
        Some(TlsError::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        )) => CLIENT_CERTIFICATE_HINT,
        Some(TlsError::AlertReceived(AlertDescription::HandshakeFailure)) => {
            "client and server have no cipher in common, or the server wants a client certificate (sslcert and sslkey): \
             its log says which; ciphers of TLS 1.2 without forward secrecy are not supported"
        }
        Some(TlsError::PeerIncompatible(_) | TlsError::AlertReceived(AlertDescription::ProtocolVersion)) => {
            "client and server have no version of TLS in common: check ssl_min_protocol_version here and there"
        }
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Error::Closed { address, step: "TLS handshake" };
        }
        _ => "check the server's log",
    };
    Error::Tls { address, reason: error.to_string(), hint }
}

fn certificate_hint(error: &CertificateError, tls: &Tls) -> &'static str {
    use CertificateError as Fault;
    match error {
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => {
            "the certificate is for another name: connect to the host by a name of the certificate (with hostaddr for \
             the address), or write sslmode=verify-ca to verify the authority only"
        }
        Fault::Expired | Fault::ExpiredContext { .. } => {
            "renew the server's certificate, and check this machine's clock"
        }
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => "check this machine's clock",
        _ if tls.root.is_some() => {
            "the certificate is of no authority in sslrootcert: name the file with the authority of this server"
        }
        _ => {
            "name a private authority's certificate with ?sslrootcert=FILE, or write a weaker sslmode (require, prefer, \
             disable) into the URL"
        }
    }
}
