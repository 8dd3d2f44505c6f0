//! TOML values as JSON: constants of a mapping, and the record that answers a miss.

use serde_json::{Map, Number, Value as Json};

use crate::{
    domain::{
        json::double,
        limits::{DEPTH_MAX, RECORD_BYTES_MAX},
    },
    settings::{Item, Value},
};

/// The JSON of a value, `levels` deep at most; dates and times become strings.
fn json(item: &Item<'_>, levels: usize) -> Option<Json> {
    if levels == 0 {
        return item.fail(format!("is deeper than {DEPTH_MAX} levels"), None);
    }
    Some(match &item.node.value {
        Value::String(_) => {
            let text = item.printable().string()?;
            if text.contains('\0') {
                return item.fail("has a NUL character, which clients' parsers refuse", None);
            }
            Json::from(text)
        }
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::Number(float(*number)?),
        Value::Boolean(boolean) => Json::from(*boolean),
        Value::Datetime(text) => Json::from(text.as_str()),
        Value::Array(_) => {
            let items = item.items()?;
            let read: Vec<_> = items.iter().map(|item| json(item, levels - 1)).collect();
            Json::Array(read.into_iter().collect::<Option<_>>()?)
        }
        Value::Table(_) => {
            let section = item.section()?;
            let members = section.entries().map(|(entry, item)| {
                if entry.key.contains('\0') {
                    return item.fail("has a name with a NUL character, which clients' parsers refuse", None);
                }
                Some((entry.key.clone(), json(&item, levels - 1)?))
            });
            let read: Vec<_> = members.collect();
            Json::Object(read.into_iter().collect::<Option<Map<_, _>>>()?)
        }
        Value::Null => {
            return item.fail("is null, which the configuration file cannot hold", "leave it out".to_owned());
        }
        Value::TooLarge => return item.fail("is a number that JSON cannot hold", None),
    })
}

/// A float as a float of a column is written: `1e100` is `1e+100`, `-0.0` is `0`.
fn float(value: f64) -> Option<Number> {
    let mut text = Vec::new();
    double(value, &mut text);
    std::str::from_utf8(&text).ok()?.parse().ok()
}

/// A constant field.
pub(super) fn constant(item: &Item<'_>) -> Option<Json> {
    // The record itself is the first level.
    json(item, DEPTH_MAX - 1).filter(|json| is_small(item, json).is_some())
}

/// An object as compact JSON in the order of the file.
pub(crate) fn record(item: &Item<'_>) -> Option<String> {
    if !matches!(item.node.value, Value::Table(_)) {
        let hint = "write on_miss = { record = { found = false } }".to_owned();
        return item.fail(format!("must be a table, not {}", item.node.value.type_name()), hint);
    }
    is_small(item, &json(item, DEPTH_MAX)?)
}

fn is_small(item: &Item<'_>, json: &Json) -> Option<String> {
    let text = json.to_string();
    if text.len() > RECORD_BYTES_MAX {
        return item.fail("is larger than 1 MB of JSON", None);
    }
    Some(text)
}
