//! TLS of a connection, with the meaning that libpq gives to `sslmode` and `sslrootcert`
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
        verify_tls13_signature_with_raw_key,
    },
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime, pem::PemObject,
    },
    sign::{CertifiedKey, SingleCertAndKey},
    version,
};

use super::{
    certificate,
    error::Error,
    parameters::{Mode, Root, Tls, Version},
};
use crate::settings::read_bytes_bounded;

/// The name that TLS has for the protocol of Postgres (ALPN), needed without a request for TLS.
const PROTOCOL: &[u8] = b"postgresql";
/// Largest certificate or key file; a bundle of all public authorities has 300 kB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads the certificate files of a connection and builds the configuration of its handshake.
pub(super) fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let all: &[(Version, &'static SupportedProtocolVersion)] =
        &[(Version::Tls13, &version::TLS13), (Version::Tls12, &version::TLS12)];
    let within = |version: Version| {
        version >= tls.version_min && (tls.version_max == Version::Unset || version <= tls.version_max)
    };
    let versions: Vec<_> =
        all.iter().filter(|(version, _)| within(*version)).map(|(_, version)| *version).collect();
    let verifier = Verifier::new(tls, &provider)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| Error::tls_setup(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let own = client_certificate(chain, key, &provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)))
        }
    };
    config.enable_sni = !tls.hides_name;
    if tls.is_direct {
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
    }
    Ok(Arc::new(config))
}

/// The certificate and key of the client. rustls would refuse a certificate of version 1.
fn client_certificate(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let certificates = certificates("sslcert", chain)?;
    let private = provider.key_provider.load_private_key(private_key(key)?);
    let private = private.map_err(|error| Error::file("sslkey", key, error.to_string()))?;
    let of_certificate = certificates.first().and_then(certificate::public_key);
    let is_pair = private.public_key().zip(of_certificate).is_none_or(|(own, (der, _))| *own == *der);
    if !is_pair {
        return Err(Error::file("sslkey", key, "it is not the key of the certificate in sslcert".to_owned()));
    }
    Ok(CertifiedKey::new(certificates, private))
}

fn read(parameter: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    read_bytes_bounded(path, FILE_BYTES_MAX).map_err(|error| Error::file(parameter, path, error.to_string()))
}

/// Whether a file is one sequence of DER, by its first bytes: a tag and a length.
fn is_der(content: &[u8]) -> bool {
    match content {
        [0x30, 0x81..=0x84, ..] => true,
        [0x30, length, rest @ ..] => usize::from(*length) == rest.len(),
        _ => false,
    }
}

/// All certificates of a file, at least one.
fn certificates(parameter: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(parameter, path)?;
    if is_der(&pem) {
        let reason = "it is DER, and libpq, too, reads PEM alone; convert it: openssl x509 -inform der -in FILE -out FILE.pem";
        return Err(Error::file(parameter, path, reason.to_owned()));
    }
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => {
            Err(Error::file(parameter, path, "it holds no certificate in PEM (BEGIN CERTIFICATE)".to_owned()))
        }
        Err(error) => Err(Error::file(parameter, path, format!("it is not PEM: {error}"))),
    }
}

/// The key of a file, in PEM or DER as libpq takes it, that nobody else can read, as libpq demands.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let fault = |reason: &str| Error::file("sslkey", path, reason.to_owned());
    let content = read("sslkey", path)?;
    let found = fs::metadata(path).map_err(|error| fault(&error.to_string()))?;
    // The group may read a file of root: that is how the files of Kubernetes and of packages are.
    let others = if found.uid() == 0 { 0o037 } else { 0o077 };
    if found.mode() & others != 0 {
        return Err(fault(
            "others can read it; allow its user alone to (chmod 0600), or for a file of root its group (0640)",
        ));
    }
    if is_der(&content) {
        return PrivateKeyDer::try_from(content).map_err(|_| {
            fault("it is DER and no private key, or encrypted; convert it: openssl pkey -inform der -in client.key -out plain.key")
        });
    }
    PrivateKeyDer::from_pem_slice(&content).map_err(|_| {
        let is_encrypted = content.windows(9).any(|word| word == b"ENCRYPTED");
        fault(if is_encrypted {
            "it is encrypted; decrypt it: openssl pkey -in client.key -out plain.key"
        } else {
            "it holds no private key in PEM"
        })
    })
}

/// Decides whether a server's certificate is accepted.
#[derive(Debug)]
struct Verifier {
    /// `None` accepts any certificate: encryption without proof.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates of the file of `sslrootcert`.
    roots: Vec<CertificateDer<'static>>,
    checks_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let algorithms = provider.signature_verification_algorithms;
        let is_verified = matches!(tls.mode, Mode::VerifyCa | Mode::VerifyFull);
        let roots = match &tls.root {
            Some(Root::File(path)) => certificates("sslrootcert", path)?,
            _ => Vec::new(),
        };
        let mut store = RootCertStore::empty();
        match &tls.root {
            Some(Root::File(path)) => {
                for root in &roots {
                    store.add(root.clone()).map_err(|error| {
                        Error::file(
                            "sslrootcert",
                            path,
                            format!("a certificate in it cannot be used: {error}"),
                        )
                    })?;
                }
            }
            // With a file, also weaker modes verify the authority, as in libpq.
            None if !is_verified => return Ok(Self { chain: None, roots, checks_name: false, algorithms }),
            None | Some(Root::System) => {
                let _ = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if store.is_empty() {
                    return Err(Error::NoAuthorities);
                }
            }
        }
        let chain =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build();
        let chain = chain.map_err(|error| Error::tls_setup(&error))?;
        let checks_name = tls.mode == Mode::VerifyFull;
        Ok(Self { chain: Some(chain), roots, checks_name, algorithms })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let error = match chain.verify_server_cert(server, others, host, ocsp_response, now) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        // The name is checked after the chain.
        let is_trusted = match &error {
            TlsError::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
                if !self.checks_name {
                    return Ok(ServerCertVerified::assertion());
                }
                !self.roots.is_empty()
            }
            _ => certificate::is_trusted(server, others, &self.roots, now, &self.algorithms),
        };
        if !is_trusted {
            return Err(error);
        }
        if self.checks_name && !certificate::is_for(server, host) {
            return Err(TlsError::InvalidCertificate(NotValidForName));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let error = match verify_tls12_signature(message, certificate, signed, &self.algorithms) {
            Ok(valid) => return Ok(valid),
            Err(error) => error,
        };
        // webpki reads no certificate of version 1.
        let key = certificate::public_key(certificate);
        let mut of_scheme = self
            .algorithms
            .mapping
            .iter()
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, list)| *list);
        let is_valid = key.is_some_and(|(_, bits)| {
            of_scheme.any(|it| it.verify_signature(&bits, message, signed.signature()).is_ok())
        });
        if is_valid { Ok(HandshakeSignatureValid::assertion()) } else { Err(error) }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let key = certificate::public_key(certificate);
        let (der, _) = key.ok_or(TlsError::InvalidCertificate(CertificateError::BadEncoding))?;
        let key = SubjectPublicKeyInfoDer::from(der);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
