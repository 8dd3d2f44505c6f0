//! Certificates that OpenSSL accepts, and libpq with it, but webpki does not: of version 1, of the server and the
//! authority at once, with the host's name in the subject only. The manual of Postgres tells how to make them
//! (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-CERTIFICATE-CREATION>).
//!
//! Only certificates of the file that the URL names are trusted here. Whatever these few rules do not cover, such as
//! name constraints and unknown critical extensions, is refused.

use std::net::IpAddr;

use tokio_rustls::rustls::{
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    time::ASN1Time,
    x509::X509Version,
};

/// Longest chain from a server's certificate to a trusted one; OpenSSL's own limit is 100, real chains have 4.
const CHAIN_MAX: usize = 8;

/// Whether the chain of `server` ends at one of `roots`, all of it valid `now`.
pub(super) fn is_trusted(
    server: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let (Some(server), Some(now)) = (parse(server), time(now)) else { return false };
    let may_serve = match server.extended_key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.server_auth || usage.value.any),
        Err(_) => false,
    };
    let chain = Chain {
        others: others.iter().take(CHAIN_MAX).filter_map(parse).collect(),
        roots: roots.iter().filter_map(parse).collect(),
        now,
        algorithms,
    };
    may_serve && chain.reaches_root(&server, 0)
}

struct Chain<'a> {
    /// What the server sent beside its own certificate.
    others: Vec<X509Certificate<'a>>,
    roots: Vec<X509Certificate<'a>>,
    now: ASN1Time,
    algorithms: &'a WebPkiSupportedAlgorithms,
}

impl Chain<'_> {
    /// Whether `certificate` is a root or from one; `below` authorities are between it and the server.
    fn reaches_root(&self, certificate: &X509Certificate<'_>, below: usize) -> bool {
        if below > CHAIN_MAX || !certificate.validity().is_valid_at(self.now) || !is_understood(certificate) {
            return false;
        }
        if self.roots.iter().any(|root| root.as_raw() == certificate.as_raw()) {
            return true;
        }
        let is_issuer = |issuer: &&X509Certificate<'_>| {
            issuer.subject().as_raw() == certificate.issuer().as_raw() && self.is_signed(certificate, issuer)
        };
        // A root of version 1 cannot say that it is an authority; the file says it.
        let is_root =
            |root: &X509Certificate<'_>| root.version() != X509Version::V3 || may_issue(root, below);
        self.roots.iter().filter(is_issuer).any(|root| is_root(root) && self.reaches_root(root, below + 1))
            || (self.others.iter().filter(is_issuer))
                .any(|other| may_issue(other, below) && self.reaches_root(other, below + 1))
    }

    /// Whether the key of `issuer` signed `certificate`. The algorithm follows from the key and the signature: no two
    /// accept the same.
    fn is_signed(&self, certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
        let key = &issuer.public_key().subject_public_key.data;
        let (content, signature) = (certificate.tbs_certificate.as_ref(), &certificate.signature_value.data);
        self.algorithms.all.iter().any(|it| it.verify_signature(key, content, signature).is_ok())
    }
}

/// Whether a certificate says that it is an authority, with `below` authorities between it and the server.
fn may_issue(certificate: &X509Certificate<'_>, below: usize) -> bool {
    let is_authority = certificate.basic_constraints().ok().flatten().is_some_and(|constraints| {
        let limit = constraints.value.path_len_constraint;
        constraints.value.ca && limit.is_none_or(|limit| below <= limit as usize)
    });
    let may_sign = match certificate.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
        Err(_) => false,
    };
    is_authority && may_sign
}

/// Whether all that restricts the use of a certificate is checked here.
fn is_understood(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().all(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(_) | ParsedExtension::ParseError { .. } => false,
        ParsedExtension::BasicConstraints(_)
        | ParsedExtension::KeyUsage(_)
        | ParsedExtension::ExtendedKeyUsage(_)
        | ParsedExtension::SubjectAlternativeName(_) => true,
        _ => !extension.critical,
    })
}

/// Whether a certificate is for `host`, by libpq's rules: the subject's common name counts only if no alternative
/// name is of the host's kind.
pub(super) fn is_for(certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> bool {
    let Some(certificate) = parse(certificate) else { return false };
    let Ok(alternatives) = certificate.subject_alternative_name() else { return false };
    let names = alternatives.iter().flat_map(|names| &names.value.general_names);
    let mut has_kind = false;
    for name in names {
        match (name, host) {
            (GeneralName::DNSName(pattern), ServerName::DnsName(host)) => {
                has_kind = true;
                if matches(pattern, host.as_ref()) {
                    return true;
                }
            }
            (GeneralName::IPAddress(bytes), ServerName::IpAddress(address)) => {
                has_kind = true;
                let is_same = match IpAddr::from(*address) {
                    IpAddr::V4(address) => **bytes == address.octets(),
                    IpAddr::V6(address) => **bytes == address.octets(),
                };
                if is_same {
                    return true;
                }
            }
            _ => {}
        }
    }
    let mut common_names = certificate.subject().iter_common_name();
    let common_name = common_names.next().and_then(|name| name.as_str().ok());
    !has_kind
        && common_names.next().is_none()
        && common_name.is_some_and(|name| matches(name, &host.to_str()))
}

/// Whether a name, or a pattern such as `*.example.com`, is that of `host`. A `*` stands for one label.
fn matches(pattern: &str, host: &str) -> bool {
    let same = |one: &str, other: &str| !one.is_empty() && one.eq_ignore_ascii_case(other);
    match pattern.strip_prefix("*.") {
        Some(domain) => {
            let is_name = host.parse::<IpAddr>().is_err() && domain.contains('.');
            is_name
                && host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && same(domain, rest))
        }
        None => same(pattern, host),
    }
}

/// The public key of a certificate of any version: as DER, and its bits.
pub(super) fn public_key(certificate: &CertificateDer<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let certificate = parse(certificate)?;
    let key = certificate.public_key();
    Some((key.raw.to_vec(), key.subject_public_key.data.to_vec()))
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    rest.is_empty().then_some(parsed)
}

fn time(now: UnixTime) -> Option<ASN1Time> {
    ASN1Time::from_timestamp(i64::try_from(now.as_secs()).ok()?).ok()
}
