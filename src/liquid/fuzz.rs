//! Hostile templates: any text parses or has faults, and whatever parses renders a row or fails.

use chrono::DateTime;

use super::Template;
use crate::domain::row::{CellKind, Column, ColumnKind, RowBatch};

/// Names, kinds and texts of the row that templates of the corpus read.
const ROW: [(&str, CellKind, &str); 5] = [
    ("id", CellKind::Integer, "7"),
    ("name", CellKind::Text, "J\u{e4}ne <b>Doe</b>"),
    ("price", CellKind::Number, "1234567890123456789.50"),
    ("doc", CellKind::Json, r#"{"a":[3,1,null,{"b":"x"}],"90_day":{"k":[[1],"2"]}}"#),
    ("none", CellKind::Null, ""),
];

/// Bytes as a template.
pub(crate) fn template(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(mut template) = Template::parse(text) else { return false };
    let column =
        |name: &str| Column { name: name.to_owned(), kind: ColumnKind::Any, type_name: String::new() };
    template.bind(&ROW.map(|(name, ..)| column(name)));
    let mut batch = RowBatch::new(ROW.len());
    for (_, kind, cell) in ROW {
        batch.push(kind, cell.as_bytes());
    }
    let render = || {
        let mut out = String::new();
        template.render(&batch, 0, DateTime::UNIX_EPOCH, &mut out).map(|()| out)
    };
    assert_eq!(render(), render(), "two renders of one row differ");
    true
}
