//! The effective configuration as TOML, without what must not be shown.

use std::fmt::Write as _;

use super::effective::Effective;
use crate::settings::tree::{Entry, Table, Value};

/// Keys that hold a URL, in which a password may stand.
const URLS: [&str; 6] = ["url", "read_url", "status_url", "public_url", "endpoint", "read_endpoint"];
/// Keys that hold a secret as a whole.
const SECRETS: [&str; 2] = ["secret_access_key", "access_key"];

/// Tables that have a header of their own, by depth: `[sources]` has none, `[sources.x]` has.
fn has_header(path: &[&str]) -> bool {
    match path {
        [_] | ["sources" | "models" | "syncs" | "storage", _] => true,
        ["syncs", _, last] => matches!(*last, "indexes" | "fields"),
        _ => false,
    }
}

/// The tree as a file.
pub(super) fn print(effective: &Effective) -> String {
    let mut out = format!(
        "# Effective configuration of {}; relative paths are from its directory.\n",
        effective.path.display()
    );
    for entry in effective.root.0.iter().filter(|entry| entry.key != "defaults") {
        if let Value::Table(table) = &entry.node.value {
            section(&mut out, &[&entry.key], table);
        }
    }
    out
}

fn section(out: &mut String, path: &[&str], table: &Table) {
    let inner = |entry: &Entry| -> bool {
        matches!(&entry.node.value, Value::Table(_)) && has_header(&[path, &[entry.key.as_str()]].concat())
    };
    let is_list_of_tables = !table.0.is_empty() && table.0.iter().all(inner);
    if !is_list_of_tables {
        let name: Vec<_> = path.iter().map(|part| key(part)).collect();
        let _ = writeln!(out, "\n[{}]", name.join("."));
    }
    for entry in table.0.iter().filter(|entry| !inner(entry)) {
        let _ = writeln!(out, "{} = {}", key(&entry.key), value(&entry.key, &entry.node.value));
    }
    for entry in table.0.iter().filter(|entry| inner(entry)) {
        if let Value::Table(table) = &entry.node.value {
            section(out, &[path, &[entry.key.as_str()]].concat(), table);
        }
    }
}

fn key(key: &str) -> String {
    let is_bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_bare { key.to_owned() } else { string(key) }
}

fn value(name: &str, node: &Value) -> String {
    match node {
        Value::String(text) if URLS.contains(&name) => string(&mask(&text.raw)),
        Value::String(text) if SECRETS.contains(&name) => string(masked(&text.raw)),
        Value::String(text) => string(&text.raw),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => toml::Value::Float(*number).to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Datetime(text) => text.clone(),
        Value::Array(array) => {
            let items: Vec<_> = array.iter().map(|node| value("", &node.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let member =
                |entry: &Entry| format!("{} = {}", key(&entry.key), value(&entry.key, &entry.node.value));
            let members: Vec<_> = table.0.iter().map(member).collect();
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
        // A tree that was resolved has none.
        Value::TooLarge => "0".to_owned(),
    }
}

fn string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Masks the password of a URL, and every parameter whose name speaks of one. What stands as
/// `${NAME}` stays: it tells nothing.
fn mask(url: &str) -> String {
    let (before, parameters) = url.split_once('?').map_or((url, None), |(url, rest)| (url, Some(rest)));
    let is_in_parameters = parameters.is_some_and(|parameters| parameters.contains('@'));
    // A password may hold `?` and `@` unescaped: better to mask too much.
    let (before, parameters) = if is_in_parameters { (url, None) } else { (before, parameters) };
    let mut out = mask_user(before);
    for (number, parameter) in parameters.iter().flat_map(|list| list.split('&')).enumerate() {
        out.push(if number == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, value)) if name.to_ascii_lowercase().contains("password") => {
                let _ = write!(out, "{name}={}", masked(value));
            }
            _ => out.push_str(parameter),
        }
    }
    out
}

fn mask_user(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (user, host) = rest.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        Some((scheme, name, password, host))
    });
    match parts {
        None => url.to_owned(),
        Some((scheme, name, password, host)) => format!("{scheme}://{name}:{}@{host}", masked(password)),
    }
}

fn masked(secret: &str) -> &str {
    let is_variable = secret
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    if is_variable { secret } else { "***" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_masked() {
        for (url, shown) in [
            ("postgres://u:secret@h:5432/d", "postgres://u:***@h:5432/d"),
            ("postgres://u:${PASSWORD}@h/d", "postgres://u:${PASSWORD}@h/d"),
            ("postgres://u:a${PASSWORD}@h/d", "postgres://u:***@h/d"),
            ("postgres://u:se/cr@et@h/d", "postgres://u:***@h/d"),
            ("postgres://u:se?cret@h/d", "postgres://u:***@h/d"),
            ("postgres://u@h/d?sslmode=require", "postgres://u@h/d?sslmode=require"),
            ("postgres:///d?user=u&password=secret&x=1", "postgres:///d?user=u&password=***&x=1"),
            ("postgres:///d?sslpassword=secret", "postgres:///d?sslpassword=***"),
            ("${WAREHOUSE_URL}", "${WAREHOUSE_URL}"),
            ("file:./data/store", "file:./data/store"),
            ("sqlite:./a@b:c.db", "sqlite:./a@b:c.db"),
        ] {
            assert_eq!(mask(url), shown);
        }
    }
}
