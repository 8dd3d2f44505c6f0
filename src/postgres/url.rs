//! Splits a Postgres URL as libpq does
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>).
//!
//! No fault contains a part of the URL: a password with an unencoded character may end up in any part of it.

use percent_encoding::percent_decode_str;

use crate::settings::url::ENCODE_HINT;

/// Why a URL cannot be used. Holds no part of the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The fault, as the end of a sentence that begins with the key.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    fn encoding(message: &str) -> Self {
        Self::new(message, ENCODE_HINT)
    }
}

/// The parts of a URL, decoded.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// Host or directory of a socket; an IPv6 address without brackets. `None` when it is empty.
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) database: Option<String>,
    /// Names and values, in the order of the URL.
    pub(super) parameters: Vec<(String, String)>,
}

/// Splits `url`.
pub(super) fn split(url: &str) -> Result<Parts, Fault> {
    let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
        return Err(Fault::new(
            "is not a Postgres URL",
            "write \"postgres://user:password@host:5432/database\"",
        ));
    };
    if rest.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(Fault::encoding("has white space or a control character in it"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (login, server) = match authority.rsplit_once('@') {
        Some((login, server)) => (Some(login), server),
        None => (None, authority),
    };
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    // An `@` behind the host may be the end of a password that has a `/` or `?` in it, also where a parameter may have it:
    // `12?application_name=x@host` would be the host `user` with the port 12.
    if tail.contains(['#', '@']) || login.is_some_and(|login| login.contains('@')) {
        return Err(Fault::encoding("has a character that must be percent-encoded"));
    }
    let (host, port) = host_and_port(server)?;
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        Some((user, password)) => (text(user)?, text(password)?),
        None => (None, None),
    };
    let parameters = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    Ok(Parts {
        user,
        password,
        host,
        port,
        database: text(path.strip_prefix('/').unwrap_or_default())?,
        parameters: parameters.map(parameter).collect::<Result<_, _>>()?,
    })
}

fn parameter(pair: &str) -> Result<(String, String), Fault> {
    let (name, value) = pair
        .split_once('=')
        .ok_or_else(|| Fault::new("has a parameter without `=`", "write ?name=value&name=value"))?;
    Ok((decode(name)?, decode(value)?))
}

fn host_and_port(server: &str) -> Result<(Option<String>, Option<String>), Fault> {
    if server.contains(',') {
        return Err(several_hosts());
    }
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest
                .split_once(']')
                .ok_or_else(|| Fault::new("has a `[` without `]`", "write an IPv6 address as [::1]"))?;
            if !after.is_empty() && !after.starts_with(':') {
                return Err(Fault::new("has text after the `]` of its host", ENCODE_HINT));
            }
            (address, after.strip_prefix(':').unwrap_or_default())
        }
        None => server.split_once(':').unwrap_or((server, "")),
    };
    Ok((text(host)?, text(port)?))
}

/// The fault of a URL with several hosts.
pub(super) fn several_hosts() -> Fault {
    Fault::new(
        "names several hosts",
        "write one: the name that always leads to the server to use, of a pooler, proxy or DNS; percent-encode \
         a comma in a password as %2C",
    )
}

/// The decoded text; `None` when it is empty.
fn text(part: &str) -> Result<Option<String>, Fault> {
    Ok(Some(decode(part)?).filter(|text| !text.is_empty()))
}

fn decode(part: &str) -> Result<String, Fault> {
    let mut rest = part;
    while let Some((_, after)) = rest.split_once('%') {
        if !after.as_bytes().get(..2).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit)) {
            return Err(Fault::encoding("has a `%` without two hexadecimal digits"));
        }
        rest = &after[2..];
    }
    let decoded = percent_decode_str(part).decode_utf8();
    decoded.ok().filter(|text| !text.contains('\0')).map(Into::into).ok_or_else(|| {
        Fault::new(
            "has percent-encoded bytes that are no text",
            "percent-encode the bytes of UTF-8; %00 is not allowed",
        )
    })
}
