//! The document of a stored entry: its secrets encrypted, decrypted, masked and kept.

use serde_json::{Value, json};

use super::OpenEntry;
use crate::{
    domain::{StoredName, StoredSection},
    secrets::SecretKeys,
    settings::{Fault, Place},
};

/// The only key of an object that stands for a secret: `true` in answers and requests, the encrypted text in metadata.
pub const SECRET: &str = "$secret";

/// A fault of the value at `pointer` of an entry.
pub(super) fn fault(entry: &StoredName, pointer: &str, message: impl Into<String>) -> Fault {
    Fault {
        place: Place::Stored(entry.to_string().into()),
        key: format!("{entry}{}", pointer.replace('/', ".")),
        message: message.into(),
        hint: None,
        missing_variable: None,
    }
}

/// The value of [`SECRET`], if `value` stands for a secret.
pub fn secret(value: &Value) -> Option<&Value> {
    value.as_object().filter(|object| object.len() == 1)?.get(SECRET)
}

/// Where a secret is stored: a ciphertext is of no use in another place.
fn place(entry: &StoredName, pointer: &str) -> String {
    format!("{entry}{pointer}")
}

/// Replaces every object that stands for a secret by what `replace` makes of its pointer and value.
fn replace_secrets(
    value: &mut Value,
    pointer: &str,
    replace: &mut impl FnMut(&str, &Value) -> Result<Value, Fault>,
) -> Result<(), Fault> {
    if let Some(encrypted) = secret(value) {
        *value = replace(pointer, encrypted)?;
        return Ok(());
    }
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                replace_secrets(member, &format!("{pointer}/{key}"), replace)?;
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                replace_secrets(item, &format!("{pointer}/{at}"), replace)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Decrypts the secrets.
pub(super) fn open_document(
    keys: &SecretKeys,
    entry: &StoredName,
    mut document: Value,
) -> Result<Value, Fault> {
    replace_secrets(&mut document, "", &mut |pointer, encrypted| {
        let opened = keys.decrypt(&place(entry, pointer), encrypted.as_str().unwrap_or_default());
        opened.map(Value::String).map_err(|error| fault(entry, pointer, error.to_string()))
    })?;
    Ok(document)
}

/// Encrypts the strings at `pointers`.
pub(super) fn encrypt_document(
    keys: &SecretKeys,
    entry: &StoredName,
    mut document: Value,
    pointers: &[String],
) -> Result<Value, Vec<Fault>> {
    let mut faults = Vec::new();
    for pointer in pointers {
        let Some(Value::String(text)) = document.pointer(pointer) else { continue };
        match keys.encrypt(&place(entry, pointer), text) {
            Ok(encrypted) => {
                *document.pointer_mut(pointer).expect("it was found") = json!({ SECRET: encrypted });
            }
            Err(error) => faults.push(fault(entry, pointer, error.to_string())),
        }
    }
    if faults.is_empty() { Ok(document) } else { Err(faults) }
}

/// The document with its secrets under the newest key, and how many were not.
pub(super) fn reencrypt_document(
    keys: &SecretKeys,
    entry: &StoredName,
    mut document: Value,
) -> Result<(Value, u64), Fault> {
    let mut reencrypted = 0;
    replace_secrets(&mut document, "", &mut |pointer, value| {
        let (encrypted, place) = (value.as_str().unwrap_or_default(), place(entry, pointer));
        if keys.is_under_newest(encrypted) {
            return Ok(json!({ SECRET: encrypted }));
        }
        reencrypted += 1;
        let again = keys.decrypt(&place, encrypted).and_then(|secret| keys.encrypt(&place, &secret));
        again
            .map(|encrypted| json!({ SECRET: encrypted }))
            .map_err(|error| fault(entry, pointer, error.to_string()))
    })?;
    Ok((document, reencrypted))
}

/// The document without its secrets.
pub(super) fn masked(mut document: Value) -> Value {
    // Nothing in the replacement fails.
    let _ = replace_secrets(&mut document, "", &mut |_, _| Ok(json!({ SECRET: true })));
    document
}

/// Keys of a source that may change while a secret is kept: they do not say to whom it is sent.
const FREE: [&str; 14] = [
    "catalog",
    "connect_timeout",
    "csv",
    "database",
    "dataset",
    "format",
    "isolation",
    "location",
    "memory_limit",
    "memory_max",
    "role",
    "schema",
    "statement_timeout",
    "warehouse",
];

/// A key of a source that differs from the stored one, and may say to whom a secret is sent.
fn moved(entry: &StoredName, document: &Value, present: &OpenEntry) -> Option<String> {
    let (given, stored) = (document.as_object()?, masked(present.stored.document.clone()?));
    let stored = stored.as_object()?;
    let is_moved = |key: &&String| {
        let is_secret = |value: Option<&Value>| value.is_some_and(|value| secret(value).is_some());
        !FREE.contains(&key.as_str()) && given.get(*key) != stored.get(*key) && !is_secret(stored.get(*key))
    };
    let keys = given.keys().chain(stored.keys());
    keys.filter(|_| entry.section == StoredSection::Sources).find(is_moved).cloned()
}

/// A client's document with `{"$secret": true}` replaced by the secrets of the present one. A secret of a source is kept only
/// for the server that it was written for: who may edit the source need not know it. Adds the faults of secrets that are not
/// kept for that reason to `refused`: with them, the document can be checked, and must not be used.
pub(super) fn keep_secrets(
    entry: &StoredName,
    mut document: Value,
    present: Option<&OpenEntry>,
    refused: &mut Vec<Fault>,
) -> Result<Value, Fault> {
    let moved = present.and_then(|present| moved(entry, &document, present));
    let stored_type = present.and_then(|present| present.stored.document.as_ref()?.get("type"));
    // A key that is a secret of one type may be a word of another, which faults show.
    let is_of_type = stored_type == document.get("type");
    replace_secrets(&mut document, "", &mut |pointer, given| {
        if *given != Value::Bool(true) {
            let message =
                format!("must be the secret as a string, or {{\"{SECRET}\": true}} to keep the stored one");
            return Err(fault(entry, pointer, message));
        }
        let is_secret = |present: &&OpenEntry| {
            let stored = present.stored.document.as_ref();
            stored.and_then(|stored| stored.pointer(pointer)).is_some_and(|value| secret(value).is_some())
        };
        let kept = present.filter(is_secret);
        if let (Some(_), Some(key)) = (kept, &moved) {
            let message = format!(
                "is not kept when `{key}` changes, which may say to whom it is sent; write the secret"
            );
            let refusal = fault(entry, pointer, message);
            if !is_of_type {
                return Err(refusal);
            }
            refused.push(refusal);
        }
        match kept.map(|present| &present.document) {
            Some(Ok(document)) => Ok(document.pointer(pointer).cloned().unwrap_or_default()),
            Some(Err(fault)) => Err(fault.clone()),
            None => Err(fault(entry, pointer, "has no stored secret to keep; write the secret")),
        }
    })?;
    Ok(document)
}
