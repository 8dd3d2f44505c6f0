//! What the words of hyper and rustls about a failed request mean for the configuration of the client.

/// Words about a port that speaks another protocol, and what to do.
const OF_PORT: [(&str, &str); 7] = [
    ("invalid HTTP", "the port does not speak HTTP, perhaps TLS: write https:// if that is meant"),
    (
        "unexpected message",
        "the port does not speak HTTP, another service listens there: check host and port",
    ),
    ("closed before message", "check host and port; if the port speaks TLS, write https://"),
    ("ProtocolVersion", "the server speaks an older TLS than 1.2: enable TLS 1.2 or 1.3 on it"),
    (
        "CertificateRequired",
        "the server wants a client certificate, which Larder does not send: let it do without",
    ),
    ("handshake eof", "the port may not speak TLS: write http:// if that is meant"),
    ("InvalidContentType", "the port does not speak TLS: write http:// if that is meant"),
];

/// `reason`, and what to do about it if that is known.
pub(crate) fn with_hint(reason: &str, trust: &str) -> String {
    connection_hint(reason, trust).map_or_else(|| reason.to_owned(), |hint| format!("{reason}; {hint}"))
}

/// What to do about a request that got no answer for `reason`; `trust` says where to name the authority of a
/// certificate. `None` when the reason is not one of configuration.
pub(crate) fn connection_hint(reason: &str, trust: &str) -> Option<String> {
    let of_port =
        || OF_PORT.iter().find(|(words, _)| reason.contains(words)).map(|(_, hint)| (*hint).to_owned());
    certificate_hint(reason, trust).or_else(of_port)
}

fn certificate_hint(reason: &str, trust: &str) -> Option<String> {
    let says = |word| reason.contains(word);
    if says("UnknownIssuer") || says("BadSignature") {
        Some(format!("trust its authority with {trust}"))
    } else if says("CaUsedAsEndEntity") {
        Some(
            "the server shows the certificate of an authority as its own: make one for the server, with \
              basicConstraints CA:FALSE, and trust the one that signs it"
                .to_owned(),
        )
    } else if says("UnsupportedCertVersion") {
        Some("the certificate has version 1: make one of version 3".to_owned())
    } else if says("NotValidForName") || says("not valid for name") {
        Some("the certificate is for another name than the host of the URL".to_owned())
    } else if says("Expired") || says("NotValidYet") {
        Some("renew the certificate, and check this machine's clock".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_certificates_and_ports_have_a_hint_and_others_have_none() {
        for (reason, part) in [
            ("invalid peer certificate: UnknownIssuer", "trust its authority with ca_file"),
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "CA:FALSE"),
            ("invalid peer certificate: Other(OtherError(UnsupportedCertVersion))", "version 3"),
            ("invalid peer certificate: certificate not valid for name \"a\"", "another name"),
            ("invalid peer certificate: Expired", "clock"),
            ("invalid HTTP version parsed", "https://"),
            ("received unexpected message from connection", "another service"),
            ("connection closed before message completed", "https://"),
            ("tls handshake eof", "http://"),
            ("received fatal alert: ProtocolVersion", "1.2"),
            ("received fatal alert: CertificateRequired", "client certificate"),
        ] {
            assert!(connection_hint(reason, "ca_file").unwrap().contains(part), "{reason}");
        }
        assert_eq!(connection_hint("connection refused", "ca_file"), None);
    }
}
