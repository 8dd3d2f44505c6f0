//! Between the settings of an entry and the fields of its form.

use std::borrow::Cow;

use serde_json::{Map, Number, Value, json};

use super::{
    super::form::{Faults, Fields, WHOLE},
    indexes,
    inputs::{Input, KEPT, Kind, MISS_RECORD, NAME, ON_MISS, OTHER, RECORD, TYPE, inputs},
    mapper, rows, toml,
};
use crate::{
    admin::{Fault, SECRET, secret},
    domain::{StoredName, StoredSection},
};

/// The type in the settings of a source.
fn type_of(settings: &Map<String, Value>) -> &str {
    settings.get(TYPE).and_then(Value::as_str).unwrap_or_default()
}

/// The fields of a form with these settings. A secret is none of them: its field is empty, and named in `KEPT`. Settings
/// that the other fields cannot hold are in `OTHER`.
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
        } else if let Some(shown) = show(&input, value, &fields) {
            fields = shown;
        } else {
            continue;
        }
        rest.shift_remove(input.key);
    }
    let other = if rest.is_empty() { Some(String::new()) } else { toml::write(&rest) };
    fields.with(OTHER, other.as_deref().unwrap_or_default())
}

/// The form with a setting in its field; `None` if the field would give another one back.
fn show(input: &Input, value: &Value, fields: &Fields) -> Option<Fields> {
    let shown = match input.kind {
        Kind::Indexes => return indexes::show(value, fields),
        Kind::Fields => return mapper::show(value, fields),
        Kind::Miss if value.is_object() => {
            let record = value.as_object()?.get(RECORD)?;
            fields.clone().with(input.key, RECORD).with(MISS_RECORD, &format!("{record:#}"))
        }
        kind => fields.clone().with(input.key, &text(kind, value)?),
    };
    let mut faults = Faults::default();
    let back = read(input, &shown, &mut faults);
    // White space around a query is no part of it.
    let is_same = match input.kind {
        Kind::Text => back.as_ref().and_then(Value::as_str) == value.as_str().map(str::trim),
        _ => back.as_ref() == Some(value),
    };
    (faults.is_empty() && is_same).then_some(shown)
}

/// A setting as it is written in its field; `None` if it cannot be.
fn text(kind: Kind, value: &Value) -> Option<String> {
    let is_one_of = |options: &[(&str, &str)], text: &str| options.iter().any(|(value, _)| *value == text);
    let text = match kind {
        Kind::List => {
            let items: Option<Vec<&str>> = value.as_array()?.iter().map(Value::as_str).collect();
            items?.join(", ")
        }
        Kind::Flag(_) => value.as_bool()?.to_string(),
        Kind::Share if value.is_number() => value.to_string(),
        Kind::Choice(options) => value.as_str().filter(|text| is_one_of(options, text))?.to_owned(),
        Kind::Miss => value.as_str().filter(|text| is_one_of(ON_MISS, text))?.to_owned(),
        _ => value.as_str()?.to_owned(),
    };
    // Browsers send other line breaks than they get, and one line without any.
    let is_line = kind != Kind::Text;
    (!(text.contains('\r') || is_line && text.contains('\n'))).then_some(text)
}

/// The setting of a field that is not empty; without one, its fault is noted.
fn read(input: &Input, fields: &Fields, faults: &mut Faults) -> Option<Value> {
    let text = fields.text(input.key);
    match input.kind {
        Kind::Indexes => indexes::read(fields, faults),
        Kind::Fields => mapper::read(fields, faults),
        Kind::Miss if text != RECORD && !fields.text(MISS_RECORD).is_empty() => {
            faults.add(MISS_RECORD, "Choose this record as the answer, or remove it.");
            None
        }
        _ if text.is_empty() => None,
        Kind::List => Some(text.split(',').map(str::trim).collect()),
        Kind::Share => Some(serde_json::from_str::<Number>(text).map_or_else(|_| text.into(), Value::Number)),
        Kind::Flag(_) => Some(text.parse().map_or_else(|_| text.into(), Value::Bool)),
        Kind::Miss if text == RECORD => {
            let record = serde_json::from_str::<Value>(fields.text(MISS_RECORD));
            let record = record.map_err(|error| format!("This is not JSON: {error}"));
            faults.take(MISS_RECORD, record).map(|record| json!({ RECORD: record }))
        }
        _ => Some(text.into()),
    }
}

/// The settings of a form without those whose fields are not written as they must be, and the faults of those.
pub fn document(section: StoredSection, fields: &Fields) -> (Map<String, Value>, Faults) {
    let (mut settings, mut faults) = (Map::new(), Faults::default());
    let source_type = fields.text(TYPE);
    if section == StoredSection::Sources {
        settings.insert(TYPE.to_owned(), source_type.into());
    }
    for input in &inputs(section, source_type) {
        let is_kept = fields.text(input.key).is_empty() && fields.has(KEPT, input.key);
        let value = if is_kept { Some(json!({ SECRET: true })) } else { read(input, fields, &mut faults) };
        if let Some(value) = value {
            settings.insert(input.key.to_owned(), value);
        }
    }
    let mut twice = Vec::new();
    for (key, value) in faults.take(OTHER, toml::read(fields.text(OTHER))).unwrap_or_default() {
        if settings.contains_key(&key) || key == TYPE {
            twice.push(format!("{key} has a field of its own"));
        }
        settings.insert(key, value);
    }
    if !twice.is_empty() {
        faults.add(OTHER, twice.join("\n"));
    }
    (settings, faults)
}

/// Adds the faults of a configuration that was made of a form with the faults `of_form`. Settings that the form could not
/// give are missing in it, and said already.
pub fn add_placed(of_form: &mut Faults, mut placed: Faults) {
    for (key, rows) in [("indexes", "index-"), ("fields", "field-")] {
        if of_form.has(rows) {
            placed = placed.without(key);
        }
    }
    of_form.extend(placed);
}

/// The faults of a configuration beside the fields that they are about, and those of other entries.
pub fn place(entry: &StoredName, fields: &Fields, found: &[Fault]) -> (Faults, Vec<Fault>) {
    let inputs = inputs(entry.section, fields.text(TYPE));
    let (mut messages, mut elsewhere) = (Vec::<(Cow<'static, str>, String)>::new(), Vec::new());
    let mut faults = Faults::default();
    for fault in found {
        if !entry.owns(&fault.key) {
            elsewhere.push(fault.clone());
            continue;
        }
        let within = fault.key[entry.to_string().len()..].trim_start_matches('.');
        let Place { field, at, in_row } = match within {
            "" => Place::of(whole_or_named(&inputs, fault), ""),
            within => Place::find(&inputs, fields, within),
        };
        if let Some(in_row) = in_row {
            faults.add(rows::mark(&field, in_row), "");
        }
        let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let at = if at.is_empty() { String::new() } else { format!("{at}: ") };
        let message = format!("{at}{}{hint}", fault.message);
        match messages.iter_mut().find(|(known, _)| *known == field) {
            Some((_, text)) => *text = format!("{text}\n{message}"),
            None => messages.push((field, message)),
        }
    }
    for (field, message) in messages {
        faults.add(field, message);
    }
    (faults, elsewhere)
}

/// The field of a fault of the whole entry: the first one that its words name, such as one of the credentials that are
/// missing.
fn whole_or_named(inputs: &[Input], fault: &Fault) -> &'static str {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let hint = fault.hint.as_deref().unwrap_or_default();
    let mut words = fault.message.split(|c| !is_word(c)).chain(hint.split(|c| !is_word(c)));
    words.find_map(|word| inputs.iter().find(|input| input.key == word)).map_or(WHOLE, |input| input.key)
}

/// Where a fault is shown.
struct Place<'a> {
    /// The name of its field, or of the row.
    field: Cow<'static, str>,
    /// What of its key the message still has to name.
    at: &'a str,
    /// The field of the row.
    in_row: Option<&'static str>,
}

impl<'a> Place<'a> {
    fn of(field: impl Into<Cow<'static, str>>, at: &'a str) -> Self {
        Self { field: field.into(), at, in_row: None }
    }

    /// The place of the key `within` an entry.
    fn find(inputs: &[Input], fields: &Fields, within: &'a str) -> Self {
        let below = |input: &Input| {
            let rest = within.strip_prefix(input.key)?;
            if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
        };
        let Some((input, rest)) = inputs.iter().find_map(|input| Some((input, below(input)?))) else {
            return Self::of(OTHER, within);
        };
        let of_input = Self::of(input.key, if rest.is_empty() { "" } else { within });
        match input.kind {
            Kind::Indexes if !rest.is_empty() && !indexes::has_rows(fields) => Self::of(OTHER, within),
            Kind::Indexes => match indexes::faulty_row(fields, rest) {
                Some((row, at, in_row)) => Self { field: row.into(), at, in_row },
                None => of_input,
            },
            Kind::Fields if !mapper::has_rows(fields) => Self::of(OTHER, within),
            Kind::Fields => match mapper::faulty_row(fields, rest) {
                Some((row, in_row)) => Self { field: row.into(), at: "", in_row },
                None => of_input,
            },
            Kind::Miss if !rest.is_empty() => Self::of(MISS_RECORD, rest),
            _ => of_input,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(section: StoredSection, settings: &Value) -> Fields {
        let fields = fields(section, "x", settings);
        let (back, faults) = document(section, &fields);
        assert!(faults.is_empty() && Value::Object(back) == *settings, "{faults:?}");
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
        assert_eq!(sync.all("index_name").collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!((sync.text("on_miss"), sync.text(OTHER)), ("record", ""));
        check(
            StoredSection::Syncs,
            &json!({ "model": "m", "on_miss": "empty", "allow_empty": true, "regions": ["a", "b"] }),
        );
        let shares =
            check(StoredSection::Syncs, &json!({ "model": "m", "max_removed": 0.5, "max_rejected": "5%" }));
        assert_eq!((shares.text("max_removed"), shares.text(OTHER)), ("0.5", ""));
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
        let found =
            ["syncs.a", "syncs.a.indexes.id.hash", "syncs.a.indexes", "syncs.ab.model", "syncs.a.cors"]
                .map(fault);
        let form = Fields::preset(&[("index_name", "id"), ("index_columns", "a")]);
        let (faults, elsewhere) = place(&entry, &form, &found);
        let shown = format!("{faults:?}");
        assert!(shown.contains("\"index-0\": \"hash: syncs.a.indexes.id.hash\""), "{shown}");
        assert!(shown.contains("\"indexes\": \"syncs.a.indexes\""), "{shown}");
        assert!(shown.contains("\"index-0.index_hash\": \"\""), "the field of the row: {shown}");
        assert!(
            shown.contains("\"form\": \"syncs.a\"") && shown.contains("\"other\": \"cors: syncs.a.cors\""),
            "{shown}"
        );
        assert_eq!(elsewhere.len(), 1);
    }

    #[test]
    fn a_fault_of_the_whole_entry_stands_beside_the_field_that_it_names() {
        let entry = StoredName { section: StoredSection::Sources, name: "a".to_owned() };
        for (source_type, message, hint, expected) in [
            ("snowflake", "has no credentials", "write one of password, private_key_file, token", "password"),
            (
                "databricks",
                "needs one kind of credentials",
                "write token, or client_id and client_secret",
                "token",
            ),
            ("sqlserver", "needs one kind of credentials", "write user and password, or token", "user"),
            ("sqlite", "is odd", "ask somebody", "form"),
        ] {
            let fields = Fields::preset(&[(TYPE, source_type)]);
            let fault = Fault {
                key: "sources.a".to_owned(),
                message: message.to_owned(),
                hint: Some(hint.to_owned()),
                ..Fault::default()
            };
            let (faults, _) = place(&entry, &fields, &[fault]);
            let shown = format!("{faults:?}");
            assert!(shown.contains(&format!("\"{expected}\": ")), "{source_type}: {shown}");
        }
    }

    #[test]
    fn what_is_written_twice_or_is_no_toml_is_refused() {
        let refused = |fields: &Fields| document(StoredSection::Syncs, fields).1;
        let twice = Fields::preset(&[("model", "m"), (OTHER, "model = \"n\"")]);
        assert!(format!("{:?}", refused(&twice)).contains("model has a field of its own"));
        let both = Fields::preset(&[
            ("model", "m"),
            ("on_delete", "keep"),
            (OTHER, "model = \"n\"\non_delete = \"keep\""),
        ]);
        let shown = format!("{:?}", refused(&both));
        assert!(shown.contains("model has a field of its own\\non_delete has a field of its own"), "{shown}");
        let broken = Fields::preset(&[("index_name", "id"), (OTHER, "x")]);
        let shown = format!("{:?}", refused(&broken));
        assert!(shown.contains("\"index-0\": ") && shown.contains("\"other\": \"line 1: "), "{shown}");
    }
}
