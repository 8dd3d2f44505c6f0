//! Which protocol a server speaks, by the first bytes that it sends: to name a port that is another service's.

/// Bytes that tell protocols apart.
pub(crate) const FIRST_BYTES: usize = 8;

/// The name of the protocol of a server whose first bytes are `first`; `None` when they are of no known one.
pub(crate) fn spoken(first: &[u8]) -> Option<&'static str> {
    match first {
        [b'H', b'T', b'T', b'P', b'/', ..] => Some("HTTP"),
        // An alert or a handshake (RFC 8446, 5.1).
        [0x15 | 0x16, 0x03, ..] => Some("TLS"),
        [b'S', b'S', b'H', b'-', ..] => Some("SSH"),
        // A greeting: its length, number 0, version 10 of the protocol, the version of the server.
        [_, _, 0, 0, 10, b'0'..=b'9', ..] => Some("the protocol of MySQL"),
        // A Postgres server that reads no start of its protocol: an error without severity that is not localized.
        [b'E', 0, 0, _, _, b'S', ..] => Some("the protocol of Postgres"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_their_first_bytes() {
        for (first, expected) in [
            (&b"HTTP/1.1 400"[..], Some("HTTP")),
            (b"\x15\x03\x03\x00\x02\x02\x46", Some("TLS")),
            (b"SSH-2.0-OpenSSH", Some("SSH")),
            (b"\x5a\x00\x00\x00\x0a5.5.5-10.11", Some("the protocol of MySQL")),
            (b"E\x00\x00\x00\x85SFATAL", Some("the protocol of Postgres")),
            (b"R\x00\x00\x00\x08\x00\x00\x00\x00", None),
            (b"S\x00\x00\x00\x0aab\x00c\x00", None),
            (b"H", None),
            (b"", None),
        ] {
            assert_eq!(spoken(first), expected, "{first:?}");
        }
    }
}
