//! Between the settings of an entry and the fields of its form.

use serde_json::{Map, Value, json};

use super::{
    super::form::{Faults, Fields},
    inputs::{Input, KEPT, Kind, NAME, OTHER, TYPE, inputs},
    toml,
};
use crate::{
    admin::{Fault, SECRET, secret},
    domain::{StoredName, StoredSection},
};

/// The type in the settings of a source.
fn type_of(settings: &Map<String, Value>) -> &str {
    settings.get(TYPE).and_then(Value::as_str).unwrap_or_default()
}

/// The fields of a form with these settings. A secret is none of them: its field is empty, and named in `KEPT`.
pub fn fields(section: StoredSection, name: &str, settings: &Value) -> Fields {
    let mut rest = settings.as_object().cloned().unwrap_or_default();
    let mut fields = Fields::preset(&[(NAME, name)]);
    let inputs = inputs(section, type_of(&rest));
    if section == StoredSection::Sources {
        fields = fields.with(TYPE, type_of(&rest));
        rest.shift_remove(TYPE);
    }
    for input in inputs {
        let Some(value) = rest.get(input.key) else { continue };
        if secret(value).is_some() {
            fields = fields.and(KEPT, input.key);
        } else if let Some(text) = text(input.kind, value) {
            fields = fields.with(input.key, &text);
        } else {
            continue;
        }
        rest.shift_remove(input.key);
    }
    let other = if rest.is_empty() { Some(String::new()) } else { toml::write(&rest) };
    fields.with(OTHER, other.as_deref().unwrap_or_default())
}

/// A setting as it is written in its field; `None` if it cannot be.
fn text(kind: Kind, value: &Value) -> Option<String> {
    match kind {
        // The empty text stands for no setting.
        Kind::List | Kind::Table if value == &json!([]) || value == &json!({}) => None,
        Kind::List => {
            let items: Option<Vec<&str>> = value.as_array()?.iter().map(Value::as_str).collect();
            items.filter(|items| items.iter().all(|item| !item.contains(','))).map(|items| items.join(", "))
        }
        Kind::Table => {
            let lines = value.as_object()?.iter().map(|(key, value)| toml::line(key, value));
            Some(lines.collect::<Option<Vec<String>>>()?.join("\n"))
        }
        Kind::Choice(options) => {
            value.as_str().filter(|text| options.iter().any(|(value, _)| value == text)).map(str::to_owned)
        }
        Kind::Line | Kind::Password | Kind::Text | Kind::Source | Kind::Model => {
            value.as_str().map(str::to_owned)
        }
    }
}

/// The settings of a form, or its faults.
///
/// # Errors
/// The faults of fields that are not written as they must be.
pub fn document(section: StoredSection, fields: &Fields) -> Result<Map<String, Value>, Faults> {
    let (mut settings, mut faults) = (Map::new(), Faults::default());
    let source_type = fields.text(TYPE);
    if section == StoredSection::Sources {
        settings.insert(TYPE.to_owned(), source_type.into());
    }
    let inputs = inputs(section, source_type);
    for Input { key, kind, .. } in &inputs {
        let text = fields.text(key);
        let value = match kind {
            _ if text.is_empty() && fields.has(KEPT, key) => Ok(json!({ SECRET: true })),
            _ if text.is_empty() => continue,
            Kind::List => Ok(text.split(',').map(str::trim).collect()),
            Kind::Table => toml::read(text).map(Value::Object),
            _ => Ok(text.into()),
        };
        if let Some(value) = faults.take(key, value) {
            settings.insert((*key).to_owned(), value);
        }
    }
    for (key, value) in faults.take(OTHER, toml::read(fields.text(OTHER))).unwrap_or_default() {
        if settings.contains_key(&key) || key == TYPE {
            faults.add(OTHER, format!("{key} has a field of its own"));
        }
        settings.insert(key, value);
    }
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

/// The faults of a configuration beside the fields that they are about, and those of other entries.
pub fn place(entry: &StoredName, fields: &Fields, found: &[Fault]) -> (Faults, Vec<Fault>) {
    let inputs = inputs(entry.section, fields.text(TYPE));
    let (mut messages, mut elsewhere) = (Vec::<(&'static str, String)>::new(), Vec::new());
    for fault in found {
        if !entry.owns(&fault.key) {
            elsewhere.push(fault.clone());
            continue;
        }
        let within = fault.key[entry.to_string().len()..].trim_start_matches('.');
        let is_within =
            |key: &str| within.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let field = inputs.iter().find(|input| is_within(input.key)).map_or(OTHER, |input| input.key);
        let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let at = if within.is_empty() || within == field { String::new() } else { format!("{within}: ") };
        let message = format!("{at}{}{hint}", fault.message);
        match messages.iter_mut().find(|(known, _)| *known == field) {
            Some((_, text)) => *text = format!("{text}\n{message}"),
            None => messages.push((field, message)),
        }
    }
    let mut faults = Faults::default();
    for (field, message) in messages {
        faults.add(field, message);
    }
    (faults, elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(section: StoredSection, settings: &Value) -> Fields {
        let fields = fields(section, "x", settings);
        assert_eq!(&Value::Object(document(section, &fields).unwrap()), settings);
        fields
    }

    #[test]
    fn settings_come_back_from_their_form() {
        let url = check(
            StoredSection::Sources,
            &json!({ "type": "postgres", "url": { "$secret": true }, "statement_timeout": "5m" }),
        );
        assert_eq!((url.text("url"), url.text(OTHER)), ("", "statement_timeout = \"5m\""));
        check(StoredSection::Sources, &json!({ "type": "files", "path": "/data", "csv": { "null": "\\N" } }));
        check(
            StoredSection::Models,
            &json!({ "source": "s", "sql": "select 1\n  as a", "primary_key": "a" }),
        );
        check(
            StoredSection::Models,
            &json!({ "source": "s", "table": "t", "columns": ["a", "b"], "primary_key": "a" }),
        );
        let sync = check(
            StoredSection::Syncs,
            &json!({
                "model": "m", "schedule": "every 5m", "on_delete": "keep",
                "indexes": { "z": "id", "a": { "column": "email", "normalize": ["trim", "lowercase"] } },
                "fields": { "b.c": { "liquid": "{% if a > 1 %}\n\"x\"{% endif %}" }, "a": { "value": { "x": [1] } } },
                "on_miss": { "record": { "found": false } },
            }),
        );
        assert_eq!(
            sync.text("indexes").lines().collect::<Vec<_>>(),
            ["z = \"id\"", "a = { column = \"email\", normalize = [\"trim\", \"lowercase\"] }"]
        );
        assert!(sync.text(OTHER).contains("[on_miss.record]"), "{}", sync.text(OTHER));
    }

    #[test]
    fn settings_that_do_not_fit_their_field_are_among_the_others() {
        let list = check(
            StoredSection::Models,
            &json!({ "source": "s", "table": "t", "columns": ["a,b"], "primary_key": 1 }),
        );
        assert_eq!((list.text("columns"), list.text("primary_key")), ("", ""));
        check(
            StoredSection::Syncs,
            &json!({ "model": "m", "schedule": { "cron": "0 1 * * *" }, "indexes": {}, "on_delete": "what" }),
        );
    }

    #[test]
    fn faults_stand_beside_their_fields() {
        let entry = StoredName { section: StoredSection::Syncs, name: "a".to_owned() };
        let fault = |key: &str| Fault { key: key.to_owned(), message: key.to_owned(), ..Fault::default() };
        let found = ["syncs.a", "syncs.a.indexes.id", "syncs.a.indexes", "syncs.ab.model", "syncs.a.regions"]
            .map(fault);
        let (faults, elsewhere) = place(&entry, &Fields::default(), &found);
        let shown = format!("{faults:?}");
        assert!(
            shown.contains("\"indexes\": \"indexes.id: syncs.a.indexes.id\\nsyncs.a.indexes\""),
            "{shown}"
        );
        assert!(shown.contains("\"other\": \"syncs.a\\nregions: syncs.a.regions\""), "{shown}");
        assert_eq!(elsewhere.len(), 1);
    }

    #[test]
    fn what_is_written_twice_or_is_no_toml_is_refused() {
        let refused = |fields: &Fields| document(StoredSection::Syncs, fields).unwrap_err();
        let twice = Fields::preset(&[("model", "m"), (OTHER, "model = \"n\"")]);
        assert!(format!("{:?}", refused(&twice)).contains("model has a field of its own"));
        let broken = Fields::preset(&[("indexes", "id = \"a\"\nemail"), (OTHER, "x")]);
        let shown = format!("{:?}", refused(&broken));
        assert!(
            shown.contains("\"indexes\": \"line 2: ") && shown.contains("\"other\": \"line 1: "),
            "{shown}"
        );
    }
}
