//! The indexes of a collection as rows of a form: a name, its columns, and how its values are compared and kept.

mod form;

pub(super) use self::form::indexes;

use serde_json::{Map, Value, json};

use super::{
    super::form::{Faults, Fields},
    rows,
};
use crate::admin::SECRET;

/// The fields of a form that make a row; each row has one value of each.
const NAME: &str = "index_name";
const COLUMNS: &str = "index_columns";
const EACH: &str = "index_each";
const NORMALIZE: &str = "index_normalize";
const SHARED: &str = "index_shared";
const NEWEST: &str = "index_newest";
const HASH: &str = "index_hash";
const HMAC: &str = "index_hmac";
const FIELDS: [&str; 8] = [NAME, COLUMNS, EACH, NORMALIZE, SHARED, NEWEST, HASH, HMAC];

/// The word of the choices that need another field: the column of `newest`, the secret of `hmac`.
const BY_COLUMN: &str = "newest";
const BY_SECRET: &str = "hmac";

/// What stands before the words of the buttons of the rows.
pub(super) const PREFIX: &str = "index-";

/// An index, as its fields are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Row([String; FIELDS.len()]);

/// The name under which the fault of a row is kept.
fn fault_name(at: usize) -> String {
    format!("{PREFIX}{at}")
}

/// The rows of a form.
fn rows(fields: &Fields) -> Vec<Row> {
    let mut values = FIELDS.map(|name| rows::values(fields, name));
    let mut rows = Vec::new();
    while let Some(name) = values[0].next() {
        let mut row = Row::default();
        name.trim().clone_into(&mut row.0[0]);
        for (written, values) in row.0.iter_mut().zip(&mut values).skip(1) {
            values.next().unwrap_or_default().trim().clone_into(written);
        }
        rows.push(row);
    }
    rows
}

/// Whether a form has a row that somebody has filled in.
pub(super) fn has_rows(fields: &Fields) -> bool {
    let mut filled_in = [NAME, COLUMNS].into_iter().flat_map(|name| rows::values(fields, name));
    filled_in.any(|value| !value.trim().is_empty())
}

/// The form with these rows in place of its own.
fn with_rows(fields: &Fields, rows: &[Row]) -> Fields {
    let fields = fields.clone().without(&FIELDS);
    let pairs = rows.iter().flat_map(|row| FIELDS.iter().zip(&row.0));
    pairs.fold(fields, |fields, (name, value)| fields.and(name, value))
}

/// The form with a row for each index of `setting`; `None` if one of them does not fit a row.
pub(super) fn show(setting: &Value, fields: &Fields) -> Option<Fields> {
    let indexes = setting.as_object()?;
    let rows: Option<Vec<Row>> = indexes.iter().map(|(name, index)| Row::of(name, index)).collect();
    rows.filter(|rows| !rows.is_empty()).map(|rows| with_rows(fields, &rows))
}

/// Items with commas between them.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// A list of strings, or one string, with commas between them.
fn listed(value: &Value) -> Option<String> {
    match value {
        Value::String(one) => Some(one.clone()),
        value => {
            let items: Option<Vec<&str>> = value.as_array()?.iter().map(Value::as_str).collect();
            items.map(|items| items.join(", "))
        }
    }
}

/// An index with every default left out, and its column in its own words.
fn plain(index: &Value) -> Value {
    let mut index = if index.is_string() { json!({ "column": index }) } else { index.clone() };
    if let Some(members) = index.as_object_mut() {
        if let Some(one) = members.get("normalize").filter(|value| value.is_string()).cloned() {
            members.insert("normalize".to_owned(), json!([one]));
        }
        let defaults = [("each", json!(false)), ("normalize", json!([])), ("shared", json!("lowest_key"))];
        members.retain(|key, value| !defaults.iter().any(|(name, default)| key == name && value == default));
    }
    index
}

impl Row {
    /// The value of one of the `FIELDS`.
    fn get(&self, field: &str) -> &str {
        FIELDS.iter().position(|name| *name == field).map_or("", |at| &self.0[at])
    }

    /// The row of an index; `None` if it has what a row does not have, or a text that a field would change.
    fn of(name: &str, index: &Value) -> Option<Self> {
        let index = plain(index);
        let members = index.as_object()?;
        let mut row = Self::default();
        name.clone_into(&mut row.0[0]);
        for (key, value) in members {
            let word = value.as_str().map(str::to_owned);
            let within = |name: &str| value.as_object()?.get(name);
            let texts = match (&**key, word) {
                ("column" | "columns", _) => vec![(COLUMNS, listed(value)?)],
                ("each", _) => vec![(EACH, value.as_bool()?.to_string())],
                ("normalize", _) => vec![(NORMALIZE, listed(value)?)],
                ("shared", Some(word)) => vec![(SHARED, word)],
                ("shared", None) => {
                    let column = within(BY_COLUMN)?.as_str()?.to_owned();
                    vec![(SHARED, BY_COLUMN.to_owned()), (NEWEST, column)]
                }
                ("hash", Some(word)) => vec![(HASH, word)],
                ("hash", None) => {
                    crate::admin::secret(within(BY_SECRET)?)?;
                    vec![(HASH, BY_SECRET.to_owned())]
                }
                _ => return None,
            };
            for (field, text) in texts {
                row.0[FIELDS.iter().position(|name| *name == field)?] = text;
            }
        }
        let is_known = |field, words: &[(&str, &str)]| words.iter().any(|(word, _)| *word == row.get(field));
        let is_kept = row.0.iter().all(|text| !text.contains(char::is_control))
            && is_known(SHARED, form::SHARED_WORDS)
            && is_known(HASH, form::HASH_WORDS)
            && name.trim() == name
            && row.setting().is_ok_and(|setting| plain(&setting) == index);
        is_kept.then_some(row)
    }

    fn is_blank(&self) -> bool {
        self.get(NAME).is_empty() && self.get(COLUMNS).is_empty()
    }

    /// The index as a setting.
    fn setting(&self) -> Result<Value, (&'static str, &'static str)> {
        let columns: Vec<&str> = items(self.get(COLUMNS)).collect();
        let mut index = match columns[..] {
            [] => return Err((COLUMNS, "Name a column of the model.")),
            [column] => Map::from_iter([("column".to_owned(), json!(column))]),
            _ => Map::from_iter([("columns".to_owned(), json!(columns))]),
        };
        let mut add = |key: &str, value: Value| drop(index.insert(key.to_owned(), value));
        if !self.get(EACH).is_empty() {
            add("each", self.get(EACH).parse().map_or_else(|_| self.get(EACH).into(), Value::Bool));
        }
        let forms: Vec<&str> = items(self.get(NORMALIZE)).collect();
        if !forms.is_empty() {
            add("normalize", json!(forms));
        }
        match (self.get(SHARED), self.get(NEWEST)) {
            (BY_COLUMN, "") => return Err((NEWEST, "Name the column whose highest value wins.")),
            (BY_COLUMN, column) => add("shared", json!({ BY_COLUMN: column })),
            (_, column) if !column.is_empty() => {
                return Err((SHARED, "A column is named, but not that its highest value wins."));
            }
            ("", _) => {}
            (word, _) => add("shared", word.into()),
        }
        match (self.get(HASH), self.get(HMAC)) {
            (BY_SECRET, "") => add("hash", json!({ BY_SECRET: { SECRET: true } })),
            (BY_SECRET, secret) => add("hash", json!({ BY_SECRET: secret })),
            (_, secret) if !secret.is_empty() => {
                return Err((HASH, "A secret is written, but not that values are hashed with it."));
            }
            ("", _) => {}
            (word, _) => add("hash", word.into()),
        }
        let column = index.get("column").filter(|_| index.len() == 1).cloned();
        Ok(column.unwrap_or_else(|| index.into()))
    }
}

/// The setting of a form's rows; `None` without a row. A row that nobody has filled in is none.
pub(super) fn read(fields: &Fields, faults: &mut Faults) -> Option<Value> {
    let mut settings = Map::new();
    rows::check_bound(fields, NAME, "indexes", faults);
    for (at, row) in rows(fields).iter().enumerate().filter(|(_, row)| !row.is_blank()) {
        let name = row.get(NAME);
        let setting = match row.setting() {
            _ if name.is_empty() => Err((NAME, "Name the index: its name is part of the URL of a record.")),
            _ if settings.contains_key(name) => Err((NAME, "Another index has this name.")),
            setting => setting,
        };
        match setting {
            Ok(setting) => drop(settings.insert(name.to_owned(), setting)),
            Err((field, fault)) => rows::add_fault(faults, &fault_name(at), field, fault),
        }
    }
    (!settings.is_empty()).then(|| settings.into())
}

/// The name of the row's fault to which the key `within` of the indexes belongs, the key in the row, and its field.
pub(super) fn faulty_row<'k>(
    fields: &Fields,
    within: &'k str,
) -> Option<(String, &'k str, Option<&'static str>)> {
    let (at, rest) = rows::at_fault(rows::values(fields, NAME).map(str::trim), within)?;
    let field = match rest {
        "column" | "columns" => Some(COLUMNS),
        "each" => Some(EACH),
        "normalize" => Some(NORMALIZE),
        "shared" => Some(SHARED),
        "shared.newest" => Some(NEWEST),
        "hash" => Some(HASH),
        "hash.hmac" => Some(HMAC),
        _ => None,
    };
    Some((fault_name(at), rest, field))
}

/// The form after one of the buttons of its rows, without their `PREFIX`.
pub(super) fn change(fields: &Fields, change: &str) -> Fields {
    let mut rows = rows(fields);
    rows::change(&mut rows, change);
    with_rows(fields, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The indexes of the form that shows `setting`, as a browser sends it back.
    fn back(setting: &Value) -> Option<Value> {
        let shown = show(setting, &Fields::default())?;
        let mut faults = Faults::default();
        let back = read(&Fields::parse(shown.to_body().as_bytes()), &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        back
    }

    #[test]
    fn whatever_an_index_may_have_comes_back_from_its_row() {
        let setting = json!({
            "id": "id",
            "email": { "column": "email", "normalize": ["trim", "lowercase"], "hash": "sha256" },
            "device": { "column": "devices", "each": true, "shared": { "newest": "updated_at" } },
            "place": { "columns": ["country", "city"], "shared": "reject" },
            "phone": { "column": "phone", "hash": { "hmac": { "$secret": true } } },
        });
        assert_eq!(back(&setting), Some(setting));
        let written =
            json!({ "a": { "column": "a", "each": false, "normalize": "trim", "shared": "lowest_key" } });
        assert_eq!(
            back(&written),
            Some(json!({ "a": { "column": "a", "normalize": ["trim"] } })),
            "the same"
        );
    }

    #[test]
    fn an_index_that_a_row_would_change_is_left_to_another_field() {
        for index in [
            json!("a,b"),
            json!(" a"),
            json!(""),
            json!(1),
            json!({ "column": 1 }),
            json!({}),
            json!({ "column": "a", "unknown": 1 }),
            json!({ "column": "a", "columns": ["a", "b"] }),
            json!({ "columns": ["a"] }),
            json!({ "column": "a", "hash": "md5" }),
            json!({ "column": "a", "shared": "x" }),
            json!({ "column": "a", "hash": { "hmac": "in clear" } }),
            json!({ "column": "a\nb" }),
        ] {
            assert_eq!(
                show(&json!({ "id": "id", "x": index }), &Fields::default()).map(|_| ()),
                None,
                "{index}"
            );
        }
    }

    #[test]
    fn rows_that_do_not_fit_are_refused_beside_themselves() {
        let rows: [&[(&str, &str)]; 7] = [
            &[(NAME, ""), (COLUMNS, "a")],
            &[(NAME, "a"), (COLUMNS, "")],
            &[(NAME, ""), (COLUMNS, " ")],
            &[(NAME, "b"), (COLUMNS, "b"), (SHARED, "newest")],
            &[(NAME, "c"), (COLUMNS, "c"), (NEWEST, "at")],
            &[(NAME, "d"), (COLUMNS, "d"), (HMAC, "secret")],
            &[(NAME, "e"), (COLUMNS, "e , f"), (HASH, "hmac"), (HMAC, "secret")],
        ];
        let form = rows.iter().fold(Fields::default(), |fields, row| {
            let value =
                |field: &&str| row.iter().find(|(name, _)| name == field).map_or("", |(_, value)| value);
            FIELDS.iter().fold(fields, |fields, field| fields.and(field, value(field)))
        });
        let mut faults = Faults::default();
        let read = read(&form, &mut faults);
        assert_eq!(read, Some(json!({ "e": { "columns": ["e", "f"], "hash": { "hmac": "secret" } } })));
        let shown = format!("{faults:?}");
        for at in 0..rows.len() {
            assert_eq!(shown.contains(&format!("\"index-{at}\": ")), ![2, 6].contains(&at), "{at}: {shown}");
        }
        assert_eq!(
            faulty_row(&form, "e.normalize"),
            Some(("index-6".to_owned(), "normalize", Some(NORMALIZE)))
        );
        assert_eq!(faulty_row(&form, "f"), None);
        let removed = change(&form, "remove-6");
        assert_eq!(removed.all(NAME).collect::<Vec<_>>(), ["", "a", "", "b", "c", "d"]);
        assert_eq!(change(&removed, "up-5").all(HMAC).collect::<Vec<_>>(), ["", "", "", "", "secret", ""]);
    }
}
