//! What templates make of a row.

mod filters;
mod language;
mod limits;

use chrono::{TimeZone, Utc};

use super::*;
use crate::domain::row::{CellKind, ColumnKind};

/// The columns of the row that the tests render.
const ROW: &[(&str, CellKind, &str)] = &[
    ("id", CellKind::Integer, "12345"),
    ("ltv", CellKind::Number, "12.50"),
    ("big", CellKind::Integer, "123456789012345678901234567890"),
    ("name", CellKind::Text, "jane DOE"),
    ("note", CellKind::Text, ""),
    ("active", CellKind::Boolean, "true"),
    ("gone", CellKind::Boolean, "false"),
    ("nothing", CellKind::Null, ""),
    ("nullable", CellKind::Integer, "7"),
    ("signed_up", CellKind::Text, "2024-03-05T07:08:09.25Z"),
    ("born", CellKind::Text, "1990-12-31"),
    ("local", CellKind::Text, "2024-03-05T23:30:00+02:00"),
    ("tags", CellKind::Json, r#"["b","a","c"]"#),
    ("none", CellKind::Json, "[]"),
    (
        "profile",
        CellKind::Json,
        r#"{"z":1,"a":{"city":"Oslo","90_day":{"k":3}},"price":10.10,"items":[{"t":"x","n":2,"ok":true},{"t":"y","n":1},{"t":"z","n":null}]}"#,
    ),
];

fn columns() -> Vec<Column> {
    ROW.iter()
        .map(|(name, ..)| Column {
            name: (*name).to_owned(),
            kind: ColumnKind::Any,
            type_name: String::new(),
        })
        .collect()
}

fn batch() -> RowBatch {
    let mut batch = RowBatch::new(ROW.len());
    for (_, kind, text) in ROW {
        batch.push(*kind, text.as_bytes());
    }
    batch
}

fn template(text: &str) -> Template {
    let mut template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    template.bind(&columns());
    template
}

fn try_render(text: &str) -> Result<String, Failure> {
    let now = Utc.with_ymd_and_hms(2026, 11, 5, 1, 2, 3).unwrap();
    let mut out = Vec::new();
    template(text).render(&batch(), 0, now, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(try_render(text).as_deref(), Ok(*expected), "{text}");
    }
}
