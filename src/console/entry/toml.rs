//! Settings as TOML, and back, in their order.

use serde_json::{Map, Value as Json};
use toml::{Table, Value};

/// Settings as TOML; `None` of a null, which TOML has no word for.
pub(super) fn write(settings: &Map<String, Json>) -> Option<String> {
    toml::to_string(&table(settings)?).ok()
}

fn table(settings: &Map<String, Json>) -> Option<Table> {
    settings.iter().map(|(key, value)| Some((key.clone(), to_toml(value)?))).collect()
}

fn to_toml(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(boolean) => Value::Boolean(*boolean),
        Json::Number(number) => {
            number.as_i64().map(Value::Integer).or_else(|| number.as_f64().map(Value::Float))?
        }
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(to_toml).collect::<Option<_>>()?),
        Json::Object(members) => Value::Table(table(members)?),
    })
}

/// The settings in a text of TOML. Dates become strings, as they do in a configuration file.
///
/// # Errors
/// What is wrong, and in which line.
pub(super) fn read(text: &str) -> Result<Map<String, Json>, String> {
    let table: Table = toml::from_str(text).map_err(|error| {
        let line = text[..error.span().map_or(0, |span| span.start)].matches('\n').count() + 1;
        format!("line {line}: {}", error.message())
    })?;
    Ok(table.into_iter().map(|(key, value)| (key, to_json(value))).collect())
}

fn to_json(value: Value) -> Json {
    match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Boolean(boolean) => boolean.into(),
        Value::Datetime(date) => date.to_string().into(),
        Value::Array(items) => items.into_iter().map(to_json).collect(),
        Value::Table(table) => table.into_iter().map(|(key, value)| (key, to_json(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_written_and_read_back_in_their_order() {
        let settings = json!({
            "z": "a \"b\"\n<c>", "a": 1, "ratio": 0.5, "list": [true, "x"],
            "secret": { "$secret": true }, "nested": { "y": { "b": 1, "a": [] } },
        });
        let settings = settings.as_object().unwrap();
        let back = read(&write(settings).unwrap()).unwrap();
        assert_eq!(&back, settings);
        let keys = |map: &Map<String, Json>| {
            map["nested"]["y"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(&back), ["b", "a"]);
        assert_eq!(write(json!({ "a": null }).as_object().unwrap()), None);
        assert_eq!(read("a = 2026-01-02").unwrap(), *json!({ "a": "2026-01-02" }).as_object().unwrap());
        let fault = read("a = 1\nb = \"x").unwrap_err();
        assert!(fault.starts_with("line 2: "), "{fault}");
    }
}
