//! The fields of a record as rows of a form: a name, what the value is, and the value.

mod form;

pub(super) use self::form::mapper;

use serde_json::{Map, Value, json};

use super::super::form::{Faults, Fields};
use crate::{admin::FIELD_KEYS, domain::Column};

/// The fields of a form that make a row; each row has one value of each.
const NAME: &str = "field_name";
const KIND: &str = "field_kind";
const VALUE: &str = "field_value";
const OUTPUT: &str = "field_as";

/// What the value of a field is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumString, strum::IntoStaticStr, strum::EnumIter,
)]
#[strum(serialize_all = "lowercase")]
enum Kind {
    /// A column of the model.
    #[default]
    Column,
    /// A template.
    Liquid,
    /// The same text in every record.
    Text,
    /// The same JSON in every record.
    Json,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Row {
    name: String,
    kind: Kind,
    value: String,
    /// The value of `as`; empty if the value has its own type.
    output: String,
}

/// The name under which the fault of a row is kept.
fn fault_name(at: usize) -> String {
    format!("field-{at}")
}

/// The rows of a form.
fn rows(fields: &Fields) -> Vec<Row> {
    let [mut kinds, mut values, mut outputs] =
        [KIND, VALUE, OUTPUT].map(|name| fields.all(name).collect::<Vec<_>>().into_iter());
    let row = |name: &str| Row {
        name: name.trim().to_owned(),
        kind: kinds.next().and_then(|kind| kind.parse().ok()).unwrap_or_default(),
        value: values.next().unwrap_or_default().to_owned(),
        output: outputs.next().unwrap_or_default().to_owned(),
    };
    super::rows::values(fields, NAME).map(row).collect()
}

/// Whether a form has rows.
pub(super) fn has_rows(fields: &Fields) -> bool {
    fields.all(NAME).next().is_some()
}

/// The form with these rows in place of its own.
fn with_rows(fields: &Fields, rows: &[Row]) -> Fields {
    let fields = fields.clone().without(&[NAME, KIND, VALUE, OUTPUT]);
    rows.iter().fold(fields, |fields, row| {
        let fields = fields.and(NAME, &row.name).and(KIND, row.kind.into());
        fields.and(VALUE, &row.value).and(OUTPUT, &row.output)
    })
}

/// The form with a row for each field of `setting`; `None` if one of them does not fit a row.
pub(super) fn show(setting: &Value, fields: &Fields) -> Option<Fields> {
    let mut rows = Vec::new();
    flatten("", setting.as_object()?, &mut rows)?;
    Some(with_rows(fields, &rows))
}

/// Adds the rows of a table of fields. A table in it is an object, unless it has one of the keys of a field.
fn flatten(prefix: &str, table: &Map<String, Value>, rows: &mut Vec<Row>) -> Option<()> {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(inner)
                if !inner.is_empty() && !FIELD_KEYS.iter().any(|key| inner.contains_key(*key)) =>
            {
                flatten(&format!("{name}."), inner, rows)?;
            }
            value => rows.push(Row::of(name, value)?),
        }
    }
    Some(())
}

impl Row {
    /// The row of a field; `None` if it has what a row does not have, or a text that browsers change.
    fn of(name: String, setting: &Value) -> Option<Self> {
        let column = json!({ "column": setting });
        let members = if setting.is_string() { column.as_object()? } else { setting.as_object()? };
        let output = members.get("as").map_or(Some(""), Value::as_str)?.to_owned();
        let (key, value) = members.iter().find(|(key, _)| *key != "as")?;
        let (kind, value) = match (key.as_str(), value) {
            ("column", Value::String(column)) => (Kind::Column, column.clone()),
            ("liquid", Value::String(template)) => (Kind::Liquid, template.clone()),
            ("value", Value::String(text)) => (Kind::Text, text.clone()),
            ("value", value) => (Kind::Json, value.to_string()),
            _ => return None,
        };
        let output = if kind == Kind::Liquid && output == "string" { String::new() } else { output };
        let row = Self { name, kind, value, output };
        let is_line = |text: &str| !text.contains(char::is_control);
        let is_kept = row.name.trim() == row.name
            && is_line(&row.name)
            && !row.value.contains('\r')
            && (kind != Kind::Column || is_line(&row.value))
            && members.len() == 1 + usize::from(members.contains_key("as"))
            && row.setting().is_ok();
        is_kept.then_some(row)
    }

    fn is_blank(&self) -> bool {
        self.name.is_empty() && self.value.trim().is_empty()
    }

    /// The field as a setting.
    fn setting(&self) -> Result<Value, (&'static str, String)> {
        let Self { kind, value, output, .. } = self;
        match (kind, output.as_str()) {
            (Kind::Column, _) if value.is_empty() => Err((VALUE, "Name a column of the model.".to_owned())),
            (Kind::Column, "") => Ok(json!(value)),
            (Kind::Column, "string") => Ok(json!({ "column": value, "as": output })),
            (Kind::Column, _) => Err((OUTPUT, "A column has its own type, or is a string.".to_owned())),
            (Kind::Liquid, "" | "string") => Ok(json!({ "liquid": value })),
            (Kind::Liquid, _) => Ok(json!({ "liquid": value, "as": output })),
            (Kind::Text, "" | "string") => Ok(json!({ "value": value })),
            (Kind::Json, "") => match serde_json::from_str::<Value>(value) {
                Ok(value) => Ok(json!({ "value": value })),
                Err(error) => Err((VALUE, format!("This is not JSON: {error}"))),
            },
            (Kind::Text | Kind::Json, _) => Err((OUTPUT, "A constant has its own type.".to_owned())),
        }
    }
}

/// The setting of a form's rows; `None` without a row. A row that nobody has filled in is none.
pub(super) fn read(fields: &Fields, faults: &mut Faults) -> Option<Value> {
    let mut settings = Map::new();
    super::rows::check_bound(fields, NAME, "fields", faults);
    for (at, row) in rows(fields).iter().enumerate().filter(|(_, row)| !row.is_blank()) {
        let setting = match row.setting() {
            _ if row.name.is_empty() => Err((NAME, "Write the name of the field.".to_owned())),
            _ if settings.contains_key(&row.name) => Err((NAME, format!("{} is there twice.", row.name))),
            setting => setting,
        };
        match setting {
            Ok(setting) => drop(settings.insert(row.name.clone(), setting)),
            Err((field, fault)) => super::rows::add_fault(faults, &fault_name(at), field, fault),
        }
    }
    (!settings.is_empty()).then(|| settings.into())
}

/// The name of the row's fault to which the key `within` of the fields belongs, and the field of the row.
pub(super) fn faulty_row(fields: &Fields, within: &str) -> Option<(String, Option<&'static str>)> {
    let names = super::rows::values(fields, NAME).map(str::trim);
    let (at, rest) = super::rows::at_fault(names, within)?;
    let field = match rest {
        "as" => Some(OUTPUT),
        "" | "column" | "liquid" | "value" => Some(VALUE),
        _ => None,
    };
    Some((fault_name(at), field))
}

/// The form after one of the buttons of its rows: that of `columns`, or of any rows.
pub(super) fn change(fields: &Fields, change: &str, columns: &[Column]) -> Fields {
    let mut rows = rows(fields);
    if change == "columns" {
        let is_absent = |column: &&Column| rows.iter().all(|row| row.name != column.name);
        let row = |name: &String| Row { name: name.clone(), value: name.clone(), ..Row::default() };
        let absent: Vec<Row> = columns.iter().filter(is_absent).map(|column| row(&column.name)).collect();
        rows.extend(absent);
    } else {
        super::rows::change(&mut rows, change);
    }
    with_rows(fields, &rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(rows: &[[&str; 4]]) -> Fields {
        rows.iter().fold(Fields::default(), |fields, row| {
            [NAME, KIND, VALUE, OUTPUT]
                .iter()
                .zip(row)
                .fold(fields, |fields, (name, value)| fields.and(name, value))
        })
    }

    fn names(fields: &Fields) -> Vec<&str> {
        fields.all(NAME).collect()
    }

    #[test]
    fn rows_that_do_not_fit_are_refused_beside_themselves() {
        let wrong = form(&[
            ["", "column", "", ""],
            ["", "column", "id", ""],
            ["a", "column", "", ""],
            ["b", "json", "{", ""],
            ["c", "column", "c", "number"],
            ["d", "text", "1", "number"],
            ["e", "liquid", "{{ e }}", "json"],
            [" e ", "text", "twice", ""],
        ]);
        let mut faults = Faults::default();
        assert_eq!(read(&wrong, &mut faults), Some(json!({ "e": { "liquid": "{{ e }}", "as": "json" } })));
        let shown = format!("{faults:?}");
        for at in [1, 2, 3, 4, 5, 7] {
            assert!(shown.contains(&format!("\"field-{at}\": ")), "{at}: {shown}");
        }
        assert!(!shown.contains("field-0") && !shown.contains("field-6"), "{shown}");
        assert_eq!(read(&form(&[["", "column", " ", ""]]), &mut Faults::default()), None);
    }

    #[test]
    fn rows_beyond_the_bound_are_a_fault_of_the_form() {
        use super::super::rows::ROWS_MAX;
        let form = |count| Fields::parse("field_name=a&".repeat(count).as_bytes());
        let mut faults = Faults::default();
        read(&form(ROWS_MAX), &mut faults);
        assert!(!faults.has("fields") && faults.has("field-1599."), "every row has its own message");
        let sent = form(ROWS_MAX + 1);
        assert_eq!((rows(&sent).len(), sent.all(NAME).count()), (ROWS_MAX, ROWS_MAX + 1));
        let mut faults = Faults::default();
        read(&sent, &mut faults);
        let shown = format!("{faults:?}");
        assert!(shown.contains("There are 1601 rows; a form has 1600 at most."), "{shown}");
        assert!(!faults.has("field-1600"));
    }

    #[test]
    fn rows_are_added_moved_and_removed() {
        let fields = form(&[["a", "text", " x\n", ""], ["b", "column", "b", "string"]]).and("other", "kept");
        let column = |name: &str| Column {
            name: name.to_owned(),
            kind: crate::domain::ColumnKind::Text,
            type_name: "text".to_owned(),
        };
        assert_eq!(names(&change(&fields, "add", &[])), ["a", "b", ""]);
        assert_eq!(names(&change(&fields, "columns", &[column("b"), column("c")])), ["a", "b", "c"]);
        let moved = change(&fields, "down-0", &[]);
        assert_eq!((names(&moved), moved.text("other")), (vec!["b", "a"], "kept"));
        assert_eq!(moved.all(VALUE).collect::<Vec<_>>(), ["b", " x\n"]);
        assert_eq!(names(&change(&moved, "up-1", &[])), ["a", "b"]);
        assert_eq!(names(&change(&fields, "remove-0", &[])), ["b"]);
        for nothing in ["up-0", "down-1", "remove-2", "remove-", "up", "", "down-99999999999999999999"] {
            assert_eq!(names(&change(&fields, nothing, &[])), ["a", "b"], "{nothing}");
        }
    }

    #[test]
    fn faults_find_the_row_with_the_longest_name_that_fits() {
        let fields = form(&[["a", "column", "a", ""], ["a.b", "column", "b", ""], ["\"", "column", "c", ""]]);
        let row = |within| faulty_row(&fields, within);
        assert_eq!(row("a.column"), Some(("field-0".to_owned(), Some(VALUE))));
        assert_eq!(row("a.b"), Some(("field-1".to_owned(), Some(VALUE))));
        assert_eq!(row("\"a.b\".liquid"), Some(("field-1".to_owned(), Some(VALUE))));
        assert_eq!(row("\"\\\"\""), Some(("field-2".to_owned(), Some(VALUE))));
        assert_eq!(row("ab"), None);
    }

    /// A field as the configuration may have it, of any texts.
    fn field() -> impl Strategy<Value = Value> {
        let text = "[ -~\n\té☃]{1,12}";
        let json = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from)
        ];
        prop_oneof![
            text.prop_map(Value::from),
            text.prop_map(|column| json!({ "column": column, "as": "string" })),
            text.prop_map(|template| json!({ "liquid": template })),
            text.prop_map(|template| json!({ "liquid": template, "as": "json" })),
            text.prop_map(|text| json!({ "value": text })),
            json.prop_map(|inner| json!({ "value": { "inner": [inner, 1.50, {}] } })),
        ]
    }

    proptest! {
        #[test]
        fn fields_come_back_from_their_rows_or_are_left_to_another_field(
            fields in proptest::collection::vec(("[a-c. \n\r]{1,4}", field()), 1..6),
        ) {
            let setting: Map<String, Value> = fields.into_iter().collect();
            let Some(shown) = show(&Value::Object(setting.clone()), &Fields::default()) else { return Ok(()) };
            // Browsers send one line break as two characters, and no other one.
            let body = shown.to_body().replace("%0A", "%0D%0A");
            let mut faults = Faults::default();
            let back = read(&Fields::parse(body.as_bytes()), &mut faults);
            prop_assert!(faults.is_empty(), "{:?}", faults);
            prop_assert_eq!(back, Some(Value::Object(setting)));
        }
    }
}
