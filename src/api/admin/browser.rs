//! What a browser sends and gets beside a request: the cookie of its session, and whose page the request comes from.

use std::{net::IpAddr, time::Duration};

use axum::http::request::Parts;
use hyper::{
    HeaderMap,
    header::{COOKIE, HOST, HeaderName, HeaderValue, ORIGIN},
    http::uri::Authority,
};

use crate::admin::SignIn;

/// A cookie of this listener.
struct Cookie {
    /// Its name. With this prefix a browser keeps it only from this host, over TLS, for all paths.
    name: &'static str,
    /// Its name on a loopback address, where there is no TLS.
    loopback_name: &'static str,
    /// `Strict` unless it must come with a redirect of another site.
    same_site: &'static str,
}

/// The cookie of a session.
const SESSION: Cookie = Cookie { name: "__Host-larder", loopback_name: "larder", same_site: "Strict" };
/// The cookie of a sign-in that waits for the identity provider, which sends the browser back.
const PENDING: Cookie =
    Cookie { name: "__Host-larder-sign-in", loopback_name: "larder-sign-in", same_site: "Lax" };

/// Whose page a request comes from, as the browser says; no page can set it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The cookie of the session that a request belongs to.
pub(in crate::api) fn session_cookie(head: &Parts) -> Option<&str> {
    SESSION.of(head)
}

/// The cookie of a sign-in that waits for the identity provider.
pub(in crate::api) fn pending_cookie(head: &Parts) -> Option<&str> {
    PENDING.of(head)
}

/// The header that gives a browser the cookie of a session; `is_plain` leaves out `Secure`.
pub(in crate::api) fn set_cookie(is_plain: bool, session: &SignIn) -> HeaderValue {
    SESSION.set(is_plain, session.ticket.expose(), session.lifetime)
}

/// The header that gives a browser the cookie of a sign-in that waits for the identity provider.
pub(in crate::api) fn set_pending_cookie(is_plain: bool, value: &str, lifetime: Duration) -> HeaderValue {
    PENDING.set(is_plain, value, lifetime)
}

/// The headers that take the cookie of a session from a browser.
pub(in crate::api) fn clear_cookies() -> [HeaderValue; 2] {
    SESSION.clear()
}

/// The headers that take the cookie of a sign-in from a browser.
pub(in crate::api) fn clear_pending_cookies() -> [HeaderValue; 2] {
    PENDING.clear()
}

impl Cookie {
    /// Its value in a request.
    fn of<'a>(&self, head: &'a Parts) -> Option<&'a str> {
        let named = |name: &str| {
            let headers = head.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
            let mut cookies =
                headers.flat_map(|value| value.split(';')).filter_map(|one| one.trim().split_once('='));
            cookies.find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        // Elsewhere, another host of the same domain could have set it.
        named(self.name).or_else(|| named(self.loopback_name).filter(|_| is_loopback(head)))
    }

    fn set(&self, is_plain: bool, value: &str, lifetime: Duration) -> HeaderValue {
        let (name, secure) = if is_plain { (self.loopback_name, "") } else { (self.name, "; Secure") };
        let (seconds, same_site) = (lifetime.as_secs(), self.same_site);
        let text =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}");
        let mut value = HeaderValue::try_from(text).expect("ASCII letters, digits and signs");
        value.set_sensitive(true);
        value
    }

    fn clear(&self) -> [HeaderValue; 2] {
        [true, false].map(|is_plain| self.set(is_plain, "", Duration::ZERO))
    }
}

/// Whether a page of this listener sent the request. Browsers say so themselves, and for plain HTTP by `Origin`; a
/// request with neither is of no browser that is known.
pub(in crate::api) fn is_same_origin(head: &Parts) -> bool {
    if let Some(site) = head.headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    let origin = text(&head.headers, &ORIGIN).and_then(|origin| origin.split_once("://"));
    let (Some((scheme, origin)), Some(host)) = (origin, host(head)) else { return false };
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let without_port =
        |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    without_port(origin) == without_port(host.as_str())
}

/// Whether a link of another site leads here. Such a request has no cookie.
pub(in crate::api) fn is_from_elsewhere(head: &Parts) -> bool {
    head.headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site")
}

/// Whether the browser reaches the listener over plain HTTP and by no loopback address, and so would not keep the
/// cookie. Browsers say whose page a request comes from unless the connection is such a one.
pub(in crate::api) fn is_insecure(head: &Parts) -> bool {
    !is_loopback(head) && !head.headers.contains_key(SEC_FETCH_SITE)
}

/// Whether the cookie goes without `Secure`: on loopback, unless a proxy with TLS is what asks from there.
pub(in crate::api) fn is_plain(head: &Parts) -> bool {
    is_loopback(head) && !text(&head.headers, &ORIGIN).is_some_and(|origin| origin.starts_with("https:"))
}

fn is_loopback(head: &Parts) -> bool {
    host(head).is_some_and(|authority| {
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// The host that the request names.
fn host(head: &Parts) -> Option<Authority> {
    let named = || text(&head.headers, &HOST).and_then(|host| host.parse().ok());
    head.uri.authority().cloned().or_else(named)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = axum::http::Request::builder().uri("/console");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_pages_of_this_listener_are_of_the_same_origin() {
        for (headers, expected) in [
            (&[("host", "larder.example"), ("origin", "https://larder.example")][..], true),
            (&[("host", "larder.example"), ("origin", "http://LARDER.example:80")], true),
            (&[("host", "127.0.0.1:8081"), ("origin", "http://127.0.0.1:8081")], true),
            (&[("host", "[::1]:8081"), ("origin", "http://[::1]:8081")], true),
            (&[("host", "larder.example"), ("origin", "https://larder.example:8443")], false),
            (&[("host", "larder.example"), ("origin", "https://evil.example")], false),
            (&[("host", "larder.example"), ("origin", "https://larder.example.evil")], false),
            (&[("host", "larder.example"), ("origin", "null")], false),
            (&[("host", "larder.example")], false),
            (&[("host", "x"), ("sec-fetch-site", "same-origin"), ("origin", "https://proxied")], true),
            (&[("host", "x"), ("sec-fetch-site", "same-site"), ("origin", "http://x")], false),
            (&[("host", "x"), ("sec-fetch-site", "cross-site"), ("origin", "http://x")], false),
            (&[("host", "x"), ("sec-fetch-site", "none"), ("origin", "http://x")], false),
        ] {
            assert_eq!(is_same_origin(&head(headers)), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_cookie_is_secure_unless_on_loopback_and_read_under_its_name() {
        for (headers, is_secure) in [
            (&[("host", "127.0.0.1:8081")][..], false),
            (&[("host", "localhost:8081")], false),
            (&[("host", "[::1]:8081")], false),
            (&[("host", "localhost.evil.example")], true),
            (&[("host", "10.0.0.7:8081")], true),
            (&[("host", "127.0.0.1:8081"), ("origin", "https://larder.example")], true),
            (&[], true),
        ] {
            let text = SESSION.set(is_plain(&head(headers)), "x", Duration::from_secs(9));
            let name = if is_secure { SESSION.name } else { SESSION.loopback_name };
            let secure = if is_secure { "; Secure" } else { "" };
            let expected = format!("{name}=x; Path=/; Max-Age=9; HttpOnly; SameSite=Strict{secure}");
            assert_eq!(text, expected, "{headers:?}");
        }
        let read =
            |host, cookies| session_cookie(&head(&[("host", host), ("cookie", cookies)])).map(str::to_owned);
        assert_eq!(read("larder.example", "a=b; __Host-larder=x; larder=y").as_deref(), Some("x"));
        assert_eq!(read("127.0.0.1", "a=b;larder=y").as_deref(), Some("y"));
        assert_eq!(read("larder.example", "larder=y"), None, "set by another host");
    }
}
