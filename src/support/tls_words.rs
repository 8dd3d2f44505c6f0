//! What the words of rustls about a server's certificate mean for the configuration of the client.

/// What to do about a certificate that was refused with `reason`; `trust` says where to name its authority. `None` for
/// words about something else.
pub(crate) fn certificate_hint(reason: &str, trust: &str) -> Option<String> {
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
    fn words_of_certificates_have_a_hint_and_others_have_none() {
        for (reason, part) in [
            ("invalid peer certificate: UnknownIssuer", "trust its authority with ca_file"),
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "CA:FALSE"),
            ("invalid peer certificate: Other(OtherError(UnsupportedCertVersion))", "version 3"),
            ("invalid peer certificate: certificate not valid for name \"a\"", "another name"),
            ("invalid peer certificate: Expired", "clock"),
        ] {
            assert!(certificate_hint(reason, "ca_file").unwrap().contains(part), "{reason}");
        }
        assert_eq!(certificate_hint("connection refused", "ca_file"), None);
    }
}
