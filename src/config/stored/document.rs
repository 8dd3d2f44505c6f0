//! The document of a stored entry: as a tree, and which of its strings are secrets.

use serde_json::{Map, Value as Json};

use crate::{
    domain::StoredName,
    settings::{Entry, Fault, Node, Place, Table, Text, Value, printable::Printable, section::join},
};

/// JSON as a tree in which strings are literal.
pub(super) fn tree(json: &Json, place: &Place) -> Value {
    match json {
        Json::String(text) => Value::String(Text::plain(text)),
        Json::Bool(boolean) => Value::Boolean(*boolean),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(float)) if number.is_f64() && float.is_finite() => Value::Float(float),
            _ => Value::TooLarge,
        },
        Json::Null => Value::Null,
        Json::Array(items) => Value::Array(items.iter().map(|item| node(item, place)).collect()),
        Json::Object(members) => Value::Table(table(members, place)),
    }
}

fn node(json: &Json, place: &Place) -> Node {
    Node { place: place.clone(), value: tree(json, place) }
}

fn table(members: &Map<String, Json>, place: &Place) -> Table {
    let entry = |(key, json): (&String, &Json)| Entry {
        key: key.clone(),
        key_place: place.clone(),
        node: node(json, place),
    };
    Table(members.iter().map(entry).collect())
}

/// JSON pointers of the strings that hold a secret.
pub(super) fn secrets(document: &Json, entry: &str, printable: &Printable) -> Vec<String> {
    let mut found = Vec::new();
    visit(document, entry, "", &mut |key, pointer, text| {
        if printable.is_secret(key, text) {
            found.push(pointer.to_owned());
        }
    });
    found
}

/// A fault for each secret that is only what is shown in its place.
pub(super) fn masks(entry: &StoredName, document: &Json, printable: &Printable) -> Vec<Fault> {
    let mut found = Vec::new();
    let place = Place::Stored(entry.to_string().into());
    visit(document, &entry.to_string(), "", &mut |key, _, text| {
        if printable.has_mask(key, text) {
            found.push(Fault {
                place: place.clone(),
                key: key.to_owned(),
                message: "has a mask or a variable in place of a secret".to_owned(),
                hint: Some(
                    "write the secret itself, or {\"$secret\": true} to keep the stored one".to_owned(),
                ),
                missing_variable: None,
            });
        }
    });
    found
}

/// Calls `each` with the key, the JSON pointer and the text of every string.
fn visit(json: &Json, key: &str, pointer: &str, each: &mut impl FnMut(&str, &str, &str)) {
    match json {
        Json::String(text) => each(key, pointer, text),
        Json::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                visit(item, key, &format!("{pointer}/{at}"), each);
            }
        }
        Json::Object(members) => {
            for (name, member) in members {
                let step = name.replace('~', "~0").replace('/', "~1");
                visit(member, &join(key, name), &format!("{pointer}/{step}"), each);
            }
        }
        _ => {}
    }
}
