//! Mappings from end to end: a configured mapping, columns, rows, records.

mod faults;
mod indexes;
mod properties;
mod records;

use chrono::{TimeZone, Utc};

use super::*;
use crate::domain::{
    name::IndexName,
    record::Record,
    reject::Rejection,
    row::{CellKind, Column, ColumnKind, RowBatch},
};

/// A cell: its kind and its plain text.
type Cell<'a> = (CellKind, &'a str);

fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.to_owned(), kind, type_name: format!("{kind:?}").to_lowercase() }
}

/// The columns of most tests.
fn columns() -> Vec<Column> {
    vec![
        column("user_id", ColumnKind::Integer),
        column("email", ColumnKind::Text),
        column("ltv", ColumnKind::Number),
        column("active", ColumnKind::Boolean),
        column("profile", ColumnKind::Json),
        column("tags", ColumnKind::Json),
    ]
}

/// A row of these columns.
const ROW: [Cell<'static>; 6] = [
    (CellKind::Integer, "7"),
    (CellKind::Text, " Jane@Example.com "),
    (CellKind::Number, "12.50"),
    (CellKind::Boolean, "true"),
    (CellKind::Json, r#"{"city":"Oslo"}"#),
    (CellKind::Json, r#"["a","b","a"]"#),
];

fn index(name: &str, column: &str) -> IndexSpec {
    IndexSpec::plain(IndexName::new(name).unwrap(), column)
}

fn field(target: &str, value: FieldValue) -> FieldSpec {
    FieldSpec { target: target.to_owned(), value }
}

fn from(column: &str) -> FieldValue {
    FieldValue::Column { column: column.to_owned(), as_string: false }
}

fn string_of(column: &str) -> FieldValue {
    FieldValue::Column { column: column.to_owned(), as_string: true }
}

fn constant(json: &str) -> FieldValue {
    FieldValue::Constant(serde_json::from_str(json).unwrap())
}

fn liquid(text: &str, output: TemplateOutput) -> FieldValue {
    FieldValue::Template { text: text.to_owned(), output }
}

fn spec(fields: FieldsSpec) -> MappingSpec {
    MappingSpec {
        primary_key: "user_id".to_owned(),
        indexes: vec![index("id", "user_id")],
        fields,
        numbers_as_strings: false,
        omit_nulls: false,
    }
}

fn chosen(fields: Vec<FieldSpec>) -> MappingSpec {
    spec(FieldsSpec::Chosen(fields))
}

fn compiled(spec: &MappingSpec) -> Mapping {
    Mapping::compile(spec, &columns()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn batch(cells: &[Cell<'_>]) -> RowBatch {
    let mut batch = RowBatch::new(cells.len());
    for (kind, text) in cells {
        batch.push(*kind, text.as_bytes());
    }
    batch
}

/// The record of one row, also when it is rejected.
fn map(mapping: &Mapping, cells: &[Cell<'_>]) -> (Record, Result<(), Rejection>) {
    let mut record = Record::default();
    let mut mapper = mapping.mapper(Utc.with_ymd_and_hms(2026, 11, 5, 0, 0, 0).unwrap());
    let result = mapper.map(&batch(cells), 0, &mut record);
    (record, result)
}

fn body(mapping: &Mapping, cells: &[Cell<'_>]) -> String {
    let (record, result) = map(mapping, cells);
    result.unwrap_or_else(|rejection| panic!("{rejection:?}"));
    String::from_utf8(record.body).unwrap()
}

/// `ROW` with another cell in one place.
fn with(at: usize, cell: Cell<'static>) -> [Cell<'static>; 6] {
    let mut row = ROW;
    row[at] = cell;
    row
}
