//! Reads `incremental` of `[syncs.NAME]`.

use std::time::Duration;

use crate::{
    domain::{cursor::Overlap, duration, row::CellKind},
    mapping::settings::ModelColumns,
    model::ModelConfig,
    settings::{Item, Section, Value},
    source::{Query, cursor_places},
};

/// How far before the cursor an increment of times begins, unless it is written: longer than most transactions take.
pub(super) const OVERLAP_TIME: Overlap = Overlap::Time(Duration::from_mins(10));
/// The same of integers: more rows than transactions have open at a time.
pub(super) const OVERLAP_NUMBER: Overlap = Overlap::Number(1000);
/// Longest overlap.
const OVERLAP_MAX: Duration = Duration::from_hours(31 * 24);
/// How often the whole model is read, unless it is written.
const FULL: Duration = Duration::from_hours(24);
/// Bounds of that time.
const FULL_MIN: Duration = Duration::from_mins(1);
const FULL_MAX: Duration = Duration::from_hours(366 * 24);
/// Most values that mark a deleted row.
const VALUES_MAX: usize = 16;

const FULL_HINT: &str =
    "write full = \"every 24h\", or \"manual\" to read the whole model only on `larder sync --full`";
const COLUMN_HINT: &str = "name the column that grows whenever a row changes, as in column = \"updated_at\"";

/// How a sync reads increments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncrementSettings {
    /// The column that grows whenever a row changes: times or integers.
    pub column: String,
    /// How far before the cursor an increment begins; `None` for the default of the column's kind.
    pub overlap: Option<Overlap>,
    /// After which time the whole model is read again; `None` only when an operator requests it.
    pub full: Option<Duration>,
    /// Which rows are those of deleted records.
    pub deleted: Option<DeletedRows>,
    /// A query of changes with places for the cursor, read in place of the model.
    pub changes: Option<Query>,
}

/// Which rows are those of deleted records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedRows {
    /// The column that says so.
    pub column: String,
    /// Its values that say so; `None` for every value but null, false, 0 and the words of `KEPT`.
    pub values: Option<Vec<String>>,
}

/// Texts that say that a row is not deleted: words for no, and operations that write one.
const KEPT: [&str; 15] =
    ["", "0", "f", "false", "n", "no", "i", "insert", "u", "update", "c", "create", "r", "read", "upsert"];

impl DeletedRows {
    /// Whether a row with this cell is deleted.
    pub(super) fn is_deleted(&self, kind: CellKind, text: &[u8]) -> bool {
        let text = std::str::from_utf8(text).unwrap_or_default();
        match (&self.values, kind) {
            (_, CellKind::Null | CellKind::Invalid) => false,
            (Some(values), _) => values.iter().any(|value| value == text),
            (None, CellKind::Integer | CellKind::Number) => text.parse() != Ok(0.0),
            (None, _) => !KEPT.contains(&text.to_ascii_lowercase().as_str()),
        }
    }
}

/// Reads the value of `incremental`.
pub(in crate::engine) fn read(item: &Item<'_>, model: &ModelConfig) -> Option<IncrementSettings> {
    if !model.has_increments {
        return item.fail("cannot be read from this source, which has no SQL", None);
    }
    let section = item.section()?;
    let changes = section.read("changes_sql", changes);
    let has_changes = section.has("changes_sql");
    let column = section.need("column", COLUMN_HINT).and_then(|item| model.columns.read(&item));
    let overlap = section.read("overlap", overlap);
    let full = section.read("full", full);
    let deleted = section.read("deleted", |item| deleted(item, &model.columns, has_changes));
    section.finish();
    Some(IncrementSettings {
        column: column?,
        overlap: overlap?,
        full: full?.unwrap_or(Some(FULL)),
        deleted: deleted?,
        changes: changes?,
    })
}

fn changes(item: &Item<'_>) -> Option<Query> {
    let text = item.printable().word()?;
    match cursor_places(text) {
        Ok(places) if places.is_empty() => item.fail(
            "has no place for the cursor",
            "write {{ cursor }} where the query begins, as in \"select ... where seq >= {{ cursor }}\""
                .to_owned(),
        ),
        Ok(_) => Some(Query::Sql(text.to_owned())),
        Err(_) => item.fail("has braces for something else than {{ cursor }}", None),
    }
}

fn overlap(item: &Item<'_>) -> Option<Overlap> {
    match item.node.value {
        Value::Integer(_) => item.count(0..=u64::MAX).map(Overlap::Number),
        _ => item.duration(Duration::ZERO..=OVERLAP_MAX).map(Overlap::Time),
    }
}

#[expect(clippy::option_option, reason = "the outer one is a reported fault, the inner one stands for never")]
fn full(item: &Item<'_>) -> Option<Option<Duration>> {
    let full = item.parsed("a time between runs", |text| match text.strip_prefix("every ") {
        None if text == "manual" => Ok(None),
        None => Err(FULL_HINT.to_owned()),
        Some(interval) => duration::parse(interval.trim()).map(Some).map_err(|_| FULL_HINT.to_owned()),
    })?;
    match full {
        Some(full) if !(FULL_MIN..=FULL_MAX).contains(&full) => {
            item.fail("must be every 1m to every 366d", None)
        }
        full => Some(full),
    }
}

/// A column of changes may be none of the model.
fn deleted(item: &Item<'_>, model: &ModelColumns, has_changes: bool) -> Option<DeletedRows> {
    let column = |item: &Item<'_>| {
        if has_changes { item.printable_word() } else { model.read(item) }
    };
    if !matches!(item.node.value, Value::Table(_)) {
        return column(item).map(|column| DeletedRows { column, values: None });
    }
    let section: Section<'_> = item.section()?;
    let column =
        section.need("column", "name the column, as in column = \"op\"").and_then(|item| column(&item));
    let values = section.need("values", "list its values that mark a deleted row, as in values = [\"D\"]");
    let values = values.and_then(|item| match item.list(|item| item.printable().scalar())? {
        values if values.is_empty() || values.len() > VALUES_MAX => {
            item.fail(format!("must have 1 to {VALUES_MAX} values"), None)
        }
        values => Some(values),
    });
    section.finish();
    Some(DeletedRows { column: column?, values: Some(values?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_rows_are_known_by_their_values() {
        let any = DeletedRows { column: "deleted_at".to_owned(), values: None };
        let of = DeletedRows { values: Some(vec!["D".to_owned(), "0".to_owned()]), ..any.clone() };
        for (kind, text, by_any, by_values) in [
            (CellKind::Null, "", false, false),
            (CellKind::Boolean, "true", true, false),
            (CellKind::Boolean, "false", false, false),
            (CellKind::Integer, "0", false, true),
            (CellKind::Integer, "1", true, false),
            (CellKind::Number, "0.00", false, false),
            (CellKind::Text, "2026-01-01T00:00:00Z", true, false),
            (CellKind::Text, "D", true, true),
            (CellKind::Text, "d", true, false),
            (CellKind::Text, "U", false, false),
            (CellKind::Text, "Insert", false, false),
            (CellKind::Text, "No", false, false),
            (CellKind::Text, "", false, false),
        ] {
            assert_eq!(any.is_deleted(kind, text.as_bytes()), by_any, "{kind:?} {text}");
            assert_eq!(of.is_deleted(kind, text.as_bytes()), by_values, "{kind:?} {text}");
        }
    }
}
