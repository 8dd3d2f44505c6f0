//! The host of a request: exactly one, and valid (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
//!
//! No answer depends on it. A proxy in front that takes another host out of an ambiguous request would pass on
//! what it meant to refuse.

use std::net::Ipv6Addr;

use hyper::{Request, Version, header::HOST};

/// Whether a request names its host as its version has to. HTTP/1.0 need not name it.
pub(super) fn is_valid<B>(request: &Request<B>) -> bool {
    let mut fields = request.headers().get_all(HOST).iter();
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return false;
    }
    // Over HTTP/2 the URI has `:authority`; over HTTP/1 that of a target in absolute form, which is no host.
    let is_http2 = request.version() == Version::HTTP_2;
    let authority = request.uri().authority().filter(|_| is_http2);
    match (authority, field) {
        (None, None) => request.version() == Version::HTTP_10,
        (None, Some(field)) => is_host(field.as_bytes()),
        (Some(authority), None) => is_host(authority.as_str().as_bytes()),
        (Some(authority), Some(field)) => {
            is_host(field.as_bytes()) && authority.as_str().as_bytes().eq_ignore_ascii_case(field.as_bytes())
        }
    }
}

/// `uri-host [ ":" port ]` of RFC 9110, section 7.2. It is not empty, since the target of a request to a
/// listener always has an authority, and has no comma: that is how two fields look when a proxy has joined them.
fn is_host(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let (is_name, port) = if let Some(rest) = value.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        (address.parse::<Ipv6Addr>().is_ok(), rest)
    } else {
        let (name, port) = value.split_at(value.find(':').unwrap_or(value.len()));
        (is_reg_name(name.as_bytes()), port)
    };
    let is_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(digits) => {
            digits.bytes().all(|digit| digit.is_ascii_digit())
                && (digits.is_empty() || digits.parse::<u16>().is_ok())
        }
    };
    is_name && is_port
}

/// A name or an IPv4 address (RFC 3986, section 3.2.2).
fn is_reg_name(name: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = name.get(at) {
        at += match byte {
            b'%' if name.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => 3,
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';'
            | b'=' => 1,
            _ if byte.is_ascii_alphanumeric() => 1,
            _ => return false,
        };
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_follow_the_grammar() {
        for host in
            ["a", "larder.example.com:8080", "127.0.0.1", "[::1]:80", "[2001:db8::1]", "a_b", "x%2Dy", "a:"]
        {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            " ",
            "a b",
            "x/y",
            "a,b",
            "a:b",
            "a:1:2",
            "a:70000",
            ":80",
            "[::1",
            "[::1]x",
            "[a]",
            "::1",
            "user@host",
            "a?b",
            "a#b",
            "x%2",
            "http://a",
            "é",
            "a\\b",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn one_host_is_named_as_the_version_has_to() {
        use Version as V;
        for (version, target, hosts, expected) in [
            (V::HTTP_10, "/a", &[][..], true),
            (V::HTTP_10, "/a", &["h"], true),
            (V::HTTP_10, "/a", &["h", "h"], false),
            (V::HTTP_10, "/a", &["a b"], false),
            (V::HTTP_11, "/a", &[], false),
            (V::HTTP_11, "/a", &["h"], true),
            (V::HTTP_11, "/a", &["h", "h"], false),
            (V::HTTP_11, "/a", &["h", "i"], false),
            (V::HTTP_11, "http://h/a", &[], false),
            (V::HTTP_11, "http://h/a", &["other"], true),
            (V::HTTP_2, "http://h/a", &[], true),
            (V::HTTP_2, "http://h/a", &["H"], true),
            (V::HTTP_2, "http://h/a", &["other"], false),
            (V::HTTP_2, "http://h,i/a", &[], false),
            (V::HTTP_2, "/a", &["h"], true),
            (V::HTTP_2, "/a", &[], false),
        ] {
            let mut request = Request::builder().version(version).uri(target);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            assert_eq!(is_valid(&request.body(()).unwrap()), expected, "{version:?} {target} {hosts:?}");
        }
    }
}
