//! When a connection to Postgres must verify the server's certificate: one rule for every configured URL.

use std::net::IpAddr;

/// Whether `sslmode` must be `verify-full` for `url` with host `host`: yes, unless the URL sets a mode or the
/// host is this machine. `host` is a name, an address (IPv6 with or without brackets) or a socket directory.
///
/// A mode that is not recognised here counts as not set, which is the stricter reading.
pub fn needs_verify_full(url: &str, host: &str) -> bool {
    !names_sslmode(url) && !is_local(host)
}

/// Whether the query part of `url` has the parameter `sslmode` (or `ssl-mode`).
fn names_sslmode(url: &str) -> bool {
    let url = url.split('#').next().unwrap_or_default();
    url.split_once('?').is_some_and(|(_, query)| {
        query.split('&').any(|pair| matches!(pair.split_once('='), Some(("sslmode" | "ssl-mode", _))))
    })
}

/// Whether `host` can only be this machine: a socket, `localhost`, or a loopback address.
fn is_local(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_must_prove_itself_unless_less_is_written() {
        for (url, host, needed) in [
            ("postgres://u:p@db.example.com/d", "db.example.com", true),
            ("postgres://u:p@10.0.0.7/d", "10.0.0.7", true),
            ("postgres://u:p@db/d?application_name=sslmode", "db", true),
            ("postgres://u:sslmode=disable@db/d", "db", true),
            ("postgres://u:p@db/d#?sslmode=disable", "db", true),
            ("postgres://u:p@localhost.example.com/d", "localhost.example.com", true),
            ("postgres://u:p@db/d?sslmode=disable", "db", false),
            ("postgres://u:p@db/d?a=b&ssl-mode=require", "db", false),
            ("postgres://u:p@localhost/d", "localhost", false),
            ("postgres://u:p@LOCALHOST/d", "LOCALHOST", false),
            ("postgres://u:p@127.0.0.2:5433/d", "127.0.0.2", false),
            ("postgres://u:p@[::1]/d", "[::1]", false),
            ("postgres://u:p@[::1]/d", "::1", false),
            ("postgres://u:p@[::ffff:127.0.0.1]/d", "::ffff:127.0.0.1", false),
            ("postgres:///d?host=/run/postgresql", "/run/postgresql", false),
        ] {
            assert_eq!(needs_verify_full(url, host), needed, "{url}");
        }
    }
}
