//! Parameters and values of a Postgres URL that are refused, and what to write instead.

use super::url::Fault;

/// Refuses a value of the parameter `name` that is not one of `words`.
pub(super) fn is_one_of(name: &str, value: &str, words: &[&str]) -> Result<(), Fault> {
    if words.contains(&value) {
        return Ok(());
    }
    let hint = match instead(name) {
        Some(instead) => instead.to_owned(),
        None => format!("write one of {}, or leave it out", words.join(", ")),
    };
    Err(wrong_value(name, &hint))
}

/// The fault of a value that is not supported. The value is not shown.
pub(super) fn wrong_value(name: &str, hint: &str) -> Fault {
    Fault::new(format!("has a value of {name} that is not supported"), hint)
}

/// What to write instead of a value that is not supported.
fn instead(name: &str) -> Option<&'static str> {
    Some(match name {
        "channel_binding" => "leave it out; sslmode=verify-full proves the server's identity instead",
        "client_encoding" => "leave it out: text is always requested in UTF-8",
        "gssencmode" => "leave it out, and encrypt with sslmode=verify-full",
        "target_session_attrs" => {
            "leave it out, and name the host that has this role: Larder connects to one host and does not choose"
        }
        "replication" => "leave it out: rows are read by queries",
        "sslcertmode" => "write allow or disable, or leave it out",
        "min_protocol_version" => "leave it out: version 3.0 of the protocol is used",
        _ => return None,
    })
}

/// Parameters of libpq and of other programs that are refused, and what to write instead.
const REFUSED: [(&[&str], &str); 21] = [
    (&["passfile"], "set the variable PGPASSFILE, or write the password as ${NAME}"),
    (&["require_auth"], "leave it out; sslmode=verify-full keeps the password from other servers"),
    (&["requiressl", "ssl-mode", "sslaccept"], "write sslmode"),
    (&["requirepeer"], "leave it out, and let only the server's user write to the directory of the socket"),
    (&["sslpassword"], "leave it out, and decrypt the key: openssl pkey -in client.key -out plain.key"),
    (
        &["sslcrl", "sslcrldir"],
        "leave it out: revocation lists are not read; trust an authority of your own in sslrootcert",
    ),
    (&["sslkeylogfile"], "leave it out: it gives the session's keys away"),
    (&["scram_client_key"], "write the password"),
    (&["scram_server_key", "pool_timeout"], "leave it out"),
    (&["service", "servicefile"], "write host, port, user and database into the URL"),
    (
        &["oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"],
        "write a password: there is no login by OAuth",
    ),
    (&["ssl"], "write sslmode=verify-full, or sslmode=disable"),
    (&["ssl-root-cert", "ssl-ca"], "write sslrootcert"),
    (&["ssl-cert"], "write sslcert"),
    (&["ssl-key"], "write sslkey"),
    (&["schema", "currentSchema", "search_path"], "write options=-csearch_path%3DNAME"),
    (&["statement_timeout"], "leave it out; sources have a key statement_timeout"),
    (&["connection_limit"], "leave it out: the number of connections is fixed"),
    (
        &["prepareThreshold", "statement_cache_size", "statement-cache-capacity"],
        "leave it out: no prepared statement outlives its transaction",
    ),
    (&["uselibpqcompat"], "leave it out: sslmode means what it means in libpq"),
    (&["encoding"], "leave it out: text is always requested in UTF-8"),
];

/// The fault of a parameter that is not supported. One that is not in the table is not named: it may be a part of a
/// password.
pub(super) fn refusal(name: &str) -> Fault {
    let found = |(names, hint): &(&[&'static str], &'static str)| {
        let refused = names.iter().find(|refused| **refused == name)?;
        Some((*refused, *hint))
    };
    match REFUSED.iter().find_map(found) {
        Some((refused, hint)) => {
            Fault::new(format!("has the parameter {refused}, which is not supported"), hint)
        }
        None => Fault::new(
            "has a parameter that neither libpq nor Larder knows",
            "leave it out; docs/sources.md lists the parameters",
        ),
    }
}
