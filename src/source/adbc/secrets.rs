//! What of an option's value no message may show. A driver may quote a part of it.

use percent_encoding::percent_decode_str;

/// Shorter texts are in any message by chance.
const BYTES_MIN: usize = 3;
/// What stands around a secret in a text of many parts: a key file, a JSON object, `name=value;name=value`.
const SEPARATORS: [char; 9] = ['"', '\'', '=', ';', ',', '{', '}', '(', ')'];

/// Whether `text` begins with the scheme of a URL.
pub(super) fn is_url(text: &str) -> bool {
    let is_of_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    text.split_once("://").is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(is_of_scheme))
}

/// The secrets in `value`, the longest first: of a URL its password and the values of its parameters, as written and
/// decoded; else all of it, and each of its parts.
pub(super) fn secrets_of(value: &str) -> Vec<String> {
    let mut secrets = if is_url(value) { of_url(value) } else { of_text(value) };
    secrets.retain(|secret| secret.len() >= BYTES_MIN && !matches!(&**secret, "true" | "false"));
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

fn of_url(url: &str) -> Vec<String> {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = address.split('/').next().unwrap_or_default();
    let password = authority.rsplit_once('@').and_then(|(user, _)| Some(user.split_once(':')?.1));
    let values = query.split('&').filter_map(|parameter| Some(parameter.split_once('=')?.1));
    let written = password.into_iter().chain(values);
    written
        .flat_map(|text| [text.to_owned(), percent_decode_str(text).decode_utf8_lossy().into_owned()])
        .collect()
}

fn of_text(text: &str) -> Vec<String> {
    // The lines around a key in PEM are the same in every key.
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let parts = lines
        .flat_map(|line| line.split(|letter: char| letter.is_whitespace() || SEPARATORS.contains(&letter)));
    std::iter::once(text).chain(parts).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_options_are_found() {
        for (value, expected) in [
            ("hunter2", &["hunter2"][..]),
            ("Bearer hunter2", &["Bearer hunter2", "hunter2", "Bearer"]),
            ("true", &[]),
            ("16", &[]),
            ("grpc+tls://h:1", &[]),
            ("postgres://u:p%40ss@h/d", &["p%40ss", "p@ss"]),
            ("sqlserver://u@h:1?database=shop&password=hunter2", &["hunter2", "shop"]),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
                &["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"],
            ),
            ("host=h1 password=hunter2", &["host=h1 password=hunter2", "password", "hunter2", "host"]),
            (
                "{\"key\": \"a/b\\nc\", \"at\": \"https://x\"}",
                &["{\"key\": \"a/b\\nc\", \"at\": \"https://x\"}", "https://x", "a/b\\nc", "key"],
            ),
        ] {
            assert_eq!(secrets_of(value), expected, "{value}");
        }
    }
}
