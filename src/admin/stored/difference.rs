//! What a change makes of a document, for the audit log and for people who confirm it, without secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::Value;

use super::document::secret;

/// Longest text of a difference, in bytes: with the versions it is within what the audit log keeps of a detail.
const BYTES_MAX: usize = 3584;
/// Longest value that is shown, in characters.
const VALUE_CHARACTERS_MAX: usize = 80;

/// A document with its secrets encrypted, and with its secrets in the clear, if they can be read.
#[derive(Clone, Copy)]
pub(super) struct Documents<'a> {
    pub(super) encrypted: &'a Value,
    pub(super) open: Option<&'a Value>,
}

/// A value without members.
#[derive(PartialEq)]
enum Leaf<'a> {
    /// A secret in the clear; `None` if it cannot be read.
    Secret(Option<&'a Value>),
    Plain(&'a Value),
}

impl Leaf<'_> {
    fn is_same(&self, other: &Self) -> bool {
        // What cannot be read may be anything.
        *self != Leaf::Secret(None) && self == other
    }

    fn show(&self) -> String {
        let Self::Plain(value) = self else { return "a secret".to_owned() };
        let text = value.to_string();
        match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
            None => text,
            Some((at, _)) => format!("{}...", &text[..at]),
        }
    }
}

/// The keys that differ, each with its value before and after.
pub(super) fn differences(before: Option<Documents<'_>>, after: Option<Documents<'_>>) -> Vec<String> {
    let (old, new) = (leaves(before), leaves(after));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = keys.into_iter().filter_map(|key| {
        let key_shown = key.trim_start_matches('.');
        match (old.get(key), new.get(key)) {
            (Some(before), Some(after)) if before.is_same(after) => None,
            (Some(before), Some(after)) => {
                Some(format!("{key_shown}: {} -> {}", before.show(), after.show()))
            }
            (Some(before), None) => Some(format!("{key_shown}: {} -> nothing", before.show())),
            (None, Some(after)) => Some(format!("{key_shown}: {}", after.show())),
            (None, None) => None,
        }
    });
    let changes: Vec<String> = changes.collect();
    match (before, after) {
        (Some(Documents { open: Some(before), .. }), Some(Documents { open: Some(after), .. }))
            if changes.is_empty() && !is_same_order(before, after) =>
        {
            vec!["the order of keys".to_owned()]
        }
        _ => changes,
    }
}

/// Whether the members within each key are in the same order, as that of indexes and fields counts.
fn is_same_order(before: &Value, after: &Value) -> bool {
    let members = |value: &Value| -> BTreeMap<String, String> {
        let members = value.as_object().into_iter().flatten();
        members.map(|(key, member)| (key.clone(), member.to_string())).collect()
    };
    members(before) == members(after)
}

/// Differences as one text, for the audit log.
pub(super) fn brief(differences: &[String]) -> String {
    let mut out = String::new();
    for (number, change) in differences.iter().enumerate() {
        if out.len() + change.len() > BYTES_MAX {
            let _ = write!(out, "; and {} more", differences.len() - number);
            break;
        }
        let separator = if out.is_empty() { "" } else { "; " };
        let _ = write!(out, "{separator}{change}");
    }
    out
}

fn leaves(documents: Option<Documents<'_>>) -> BTreeMap<String, Leaf<'_>> {
    let mut found = BTreeMap::new();
    if let Some(Documents { encrypted, open }) = documents {
        collect(encrypted, open, String::new(), &mut found);
    }
    found
}

fn collect<'a>(
    encrypted: &'a Value,
    open: Option<&'a Value>,
    key: String,
    found: &mut BTreeMap<String, Leaf<'a>>,
) {
    if secret(encrypted).is_some() {
        found.insert(key, Leaf::Secret(open));
        return;
    }
    match encrypted {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let open = open.and_then(|open| open.get(name));
                collect(member, open, format!("{key}.{name}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                let open = open.and_then(|open| open.get(at));
                collect(item, open, format!("{key}.{at}"), found);
            }
        }
        value => {
            found.insert(key, Leaf::Plain(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn difference(before: Option<Documents<'_>>, after: Option<Documents<'_>>) -> String {
        brief(&differences(before, after))
    }

    fn encrypted(text: &str) -> Value {
        json!({ "$secret": text })
    }

    #[test]
    fn changed_keys_are_named_and_secrets_are_not_shown() {
        let stored = json!({ "host": "a", "port": 1, "password": encrypted("1"), "token": encrypted("2"), "tags": ["x"] });
        let open = json!({ "host": "a", "port": 1, "password": "hunter2", "token": "t", "tags": ["x"] });
        let next =
            json!({ "host": "b", "password": encrypted("3"), "token": encrypted("4"), "tags": ["x", "y"] });
        let next_open = json!({ "host": "b", "password": "hunter3", "token": "t", "tags": ["x", "y"] });
        let before = Documents { encrypted: &stored, open: Some(&open) };
        let after = Documents { encrypted: &next, open: Some(&next_open) };
        assert_eq!(
            difference(Some(before), Some(after)),
            "host: \"a\" -> \"b\"; password: a secret -> a secret; port: 1 -> nothing; tags.1: \"y\""
        );
        let unreadable = Documents { encrypted: &stored, open: None };
        assert!(difference(Some(unreadable), Some(before)).contains("token: a secret -> a secret"));
        assert_eq!(difference(Some(before), Some(before)), "");
        assert!(difference(Some(before), None).contains("host: \"a\" -> nothing"));
    }

    #[test]
    fn another_order_within_a_key_is_a_difference_and_that_of_the_keys_is_none() {
        let documents = [
            json!({ "model": "m", "indexes": { "a": "x", "b": "y" } }),
            json!({ "indexes": { "a": "x", "b": "y" }, "model": "m" }),
            json!({ "model": "m", "indexes": { "b": "y", "a": "x" } }),
        ];
        let of = |at: usize| Some(Documents { encrypted: &documents[at], open: Some(&documents[at]) });
        assert_eq!(difference(of(0), of(1)), "");
        assert_eq!(difference(of(0), of(2)), "the order of keys");
    }

    #[test]
    fn a_large_difference_is_bounded() {
        let many: Value = (0..1000)
            .map(|at| (format!("key_{at}"), json!("é".repeat(200))))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let text = difference(None, Some(Documents { encrypted: &many, open: Some(&many) }));
        assert!(text.len() < 4000 && text.ends_with(" more"), "{text}");
    }
}
