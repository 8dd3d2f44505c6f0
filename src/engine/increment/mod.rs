//! Increments: runs that read only the rows from a cursor on, between runs that read the whole model.
//!
//! An increment puts the records of its rows, and removes those whose row says that it is deleted; every other record
//! stays. A run reads the whole model when unread rows may yield other records: after a change of mapping, query,
//! source or column, with another base, or after a rollback to a version without a cursor. The cursor is part of the
//! manifest.

mod settings;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

pub(super) use settings::read;
pub use settings::{DeletedRows, IncrementSettings};

use super::{error::Error, ingest::Input, plan::RunPlan, spec::SyncSpec};
use crate::{
    domain::{
        cursor::{Cursor, CursorValue, NotACursor, Overlap},
        digest::Digest,
        manifest::Manifest,
        row::{CellKind, Column, ColumnKind, RowBatch},
        run::RunCounts,
    },
    source::{self, Query, Source},
};

/// A cursor that moved over this many rows without a changed record is announced by itself: the next run would read
/// them again.
const ROWS_REREAD_MAX: u64 = 1000;
/// Most rows that a check reads to see what a cursor's column has.
const ROWS_SAMPLED: u64 = 100;
/// What is wrong with a column whose values cannot be compared.
const MIXED: &str = "has both integers and times; take a column with one of them";

/// How a run of a sync with increments reads.
pub(super) struct IncrementPlan {
    settings: IncrementSettings,
    input: Digest,
    /// The cursor that the run goes on from, and the lowest value that it reads; `None` reads the whole model.
    from: Option<(Cursor, CursorValue)>,
    /// Positions of the cursor's column and of that of deleted rows in the rows that the run reads.
    column: usize,
    deleted: Option<usize>,
}

/// What the rows of a run say about the cursor.
#[derive(Default)]
pub(super) struct Marks {
    highest: Option<CursorValue>,
    /// Rows without a value in the cursor's column.
    nulls: u64,
    /// Why a value is no cursor, and what to do about it.
    fault: Option<&'static str>,
}

impl IncrementPlan {
    /// Decides whether a run reads an increment. `input` is the whole model, `compared` is the manifest that the run is
    /// compared with, unless it writes all records anew.
    pub(super) fn new(
        spec: &SyncSpec,
        settings: &IncrementSettings,
        input: &Input,
        compared: Option<&Manifest>,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let on_delete = spec.on_delete;
        settings.check(&input.columns)?;
        let IncrementSettings { column, deleted, changes, .. } = settings;
        let Input { source, query, columns } = input;
        let (mapping, source) = (spec.mapping_digest(), source.digest());
        let input = format!(
            "{source} {query:?} {columns:?} {mapping} {on_delete:?} {column} {deleted:?} {changes:?}"
        );
        let mut plan = Self {
            settings: settings.clone(),
            input: Digest::of(input.as_bytes()),
            from: None,
            column: position(columns, column).unwrap_or_default(),
            deleted: deleted.as_ref().and_then(|deleted| position(columns, &deleted.column)),
        };
        plan.from = compared.and_then(|manifest| plan.continued(manifest, now)).transpose()?;
        if plan.from.is_some() && plan.deleted.is_none() && deleted.is_some() {
            // The query of changes has it behind the columns of the model.
            plan.deleted = Some(columns.len());
        }
        Ok(plan)
    }

    /// Where the increment after `manifest` begins; `None` when the whole model is to be read.
    fn continued(
        &self,
        manifest: &Manifest,
        now: DateTime<Utc>,
    ) -> Option<Result<(Cursor, CursorValue), Error>> {
        let cursor = manifest.cursor.as_ref().filter(|cursor| cursor.input == self.input)?;
        let age = (now - cursor.whole_at).to_std().ok()?;
        if self.settings.full.is_some_and(|full| age >= full) {
            return None;
        }
        let value = CursorValue::parse(cursor.value.as_ref()?).ok()?;
        Some(self.settings.start(&value).map(|from| (cursor.clone(), from)))
    }

    /// Whether the run reads the whole model.
    pub(super) fn is_whole(&self) -> bool {
        self.from.is_none()
    }

    /// Whether increments come from a query of changes.
    pub(super) fn reads_changes(&self) -> bool {
        self.settings.changes.is_some()
    }

    /// The query of the increment, and its columns but for that of deleted rows; `None` for the whole model.
    pub(super) fn query(&self, model: &Query, columns: &[Column]) -> Option<Query> {
        let (_, from) = self.from.as_ref()?;
        let mut names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        if let Some(deleted) = self.settings.deleted.as_ref().filter(|_| self.deleted == Some(columns.len()))
        {
            names.push(deleted.column.clone());
        }
        let (query, column) = match &self.settings.changes {
            Some(changes) => (changes.clone(), None),
            None => (model.clone(), Some(self.settings.column.clone())),
        };
        let (is_text, from) = (source::is_text(columns.get(self.column)?), from.clone());
        Some(Query::Increment(Box::new(source::Increment { query, columns: names, column, is_text, from })))
    }

    /// Reads what a row says about the cursor into `marks`, and returns whether the row says that it is deleted.
    pub(super) fn read(&self, batch: &RowBatch, row: usize, marks: &mut Marks) -> bool {
        let (kind, text) = batch.cell(row, self.column);
        marks.see(kind, text);
        let deleted = self.settings.deleted.as_ref().zip(self.deleted);
        deleted.is_some_and(|(deleted, at)| {
            let (kind, text) = batch.cell(row, at);
            deleted.is_deleted(kind, text)
        })
    }

    /// The cursor after a run whose rows left `marks`.
    pub(super) fn cursor(&self, marks: &Marks, data_as_of: DateTime<Utc>) -> Result<Cursor, Error> {
        if let Some(fault) = marks.fault {
            return Err(self.settings.fault(fault));
        }
        let highest = marks.highest.clone().map(|value| value.until(data_as_of));
        if let Some(highest) = &highest {
            // The next run would fail otherwise.
            self.settings.start(highest)?;
        }
        let Some((before, _)) = &self.from else {
            let value = highest.map(CursorValue::into_text);
            return Ok(Cursor { value, whole_at: data_as_of, input: self.input });
        };
        let known = before.value.as_deref().and_then(|text| CursorValue::parse(text).ok());
        let is_higher = |new: &CursorValue| known.as_ref().is_none_or(|known| new.exceeds(known) == Ok(true));
        match highest.filter(is_higher) {
            Some(value) => Ok(Cursor { value: Some(value.into_text()), ..before.clone() }),
            None => Ok(before.clone()),
        }
    }

    /// Whether `cursor` is to be announced although no record changed.
    pub(super) fn must_announce(&self, cursor: &Cursor, counts: &RunCounts) -> bool {
        match &self.from {
            Some((before, _)) => before != cursor && counts.rows >= ROWS_REREAD_MAX,
            // Later runs count from it.
            None => cursor.value.is_some(),
        }
    }

    /// What an operator should know of rows without a value in the cursor's column.
    pub(super) fn warning(&self, marks: &Marks) -> Option<String> {
        let (nulls, column) = (marks.nulls, &self.settings.column);
        (nulls > 0 && self.is_whole()).then(|| {
            let (rows, them) = if nulls == 1 { ("row has", "it") } else { ("rows have", "them") };
            format!("{nulls} {rows} no value in `{column}`: only runs that read the whole model read {them}")
        })
    }
}

impl IncrementSettings {
    /// The beginning of an increment after `value`.
    fn start(&self, value: &CursorValue) -> Result<CursorValue, Error> {
        let overlap = self.overlap.unwrap_or(match value.time_form() {
            Some(_) => settings::OVERLAP_TIME,
            None => settings::OVERLAP_NUMBER,
        });
        value.minus(overlap).map_err(|NotACursor| {
            let wanted = match overlap {
                Overlap::Time(_) => "has integers: write `overlap` as a number, as in overlap = 1000",
                Overlap::Number(_) => "has times: write `overlap` as a duration, as in overlap = \"10m\"",
            };
            self.fault(wanted)
        })
    }

    fn fault(&self, why: &str) -> Error {
        Error::Increment { column: self.column.clone(), why: why.to_owned() }
    }

    /// Checks the settings with the columns of the model.
    ///
    /// # Errors
    /// [`Error::Increment`].
    pub fn check(&self, columns: &[Column]) -> Result<(), Error> {
        let fault = |column: &str, why: String| Err(Error::Increment { column: column.to_owned(), why });
        let absent = "is not in the model";
        let Some(at) = position(columns, &self.column) else { return fault(&self.column, absent.to_owned()) };
        let Column { kind, type_name, .. } = &columns[at];
        if matches!(kind, ColumnKind::Boolean | ColumnKind::Json | ColumnKind::Uuid) {
            return fault(&self.column, format!("is {type_name}; increments go by times, dates or integers"));
        }
        match &self.deleted {
            Some(deleted) if self.changes.is_none() && position(columns, &deleted.column).is_none() => {
                fault(&deleted.column, absent.to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Checks that the source takes the query of rows from a cursor on, or the query of changes, which has the columns of
    /// the model and that of deleted rows. A few rows are read when the type of the column does not say what its values are.
    ///
    /// # Errors
    /// [`Error::Increment`], [`Error::Source`].
    pub async fn check_queries(
        &self,
        source: &Source,
        model: &Query,
        columns: &[Column],
    ) -> Result<(), Error> {
        let Some(at) = position(columns, &self.column) else { return Ok(()) };
        let known = first_value(&columns[at]).filter(|_| source.has_typed_columns());
        let value = match known {
            Some(text) => CursorValue::parse(text).ok(),
            None => self.sample(source, model, columns, at).await?,
        };
        let from = value.map(|value| self.start(&value)).transpose()?;
        let (query, columns_read, column, from) = if let Some(changes) = &self.changes {
            // Its columns are the same whatever it is given.
            let any = first_value(&columns[at]).unwrap_or("0");
            (changes.clone(), Vec::new(), None, from.or_else(|| CursorValue::parse(any).ok()))
        } else {
            let names = columns.iter().map(|column| column.name.clone()).collect();
            (model.clone(), names, Some(self.column.clone()), from)
        };
        let Some(from) = from else { return Ok(()) };
        let is_text = source::is_text(&columns[at]);
        let query = source::Increment { query, columns: columns_read, column, is_text, from };
        let part = if self.changes.is_some() { "changes_sql" } else { "the rows from a cursor on" };
        let found = source.describe(&Query::Increment(Box::new(query))).await;
        let found = found.map_err(|error| error.of_part(part))?;
        if self.changes.is_none() {
            return Ok(());
        }
        check_alike(columns, &found)?;
        match &self.deleted {
            Some(deleted) if position(&found, &deleted.column).is_none() => {
                Err(missing(&deleted.column, "of `deleted`"))
            }
            _ => Ok(()),
        }
    }

    /// A value of the cursor's column among the first rows of the model.
    async fn sample(
        &self,
        source: &Source,
        model: &Query,
        columns: &[Column],
        at: usize,
    ) -> Result<Option<CursorValue>, Error> {
        let (sender, mut batches) = mpsc::channel::<RowBatch>(1);
        let collect = async {
            let mut marks = Marks::default();
            while let Some(batch) = batches.recv().await {
                for row in 0..batch.rows() {
                    let (kind, text) = batch.cell(row, at);
                    marks.see(kind, text);
                }
            }
            marks
        };
        let read = source.stream(model, sender, columns, Some(ROWS_SAMPLED));
        let (read, marks) = tokio::join!(read, collect);
        read?;
        marks.fault.map_or(Ok(marks.highest), |fault| Err(self.fault(fault)))
    }
}

/// A value of a cursor's column that no query can misread; `None` when its type does not say what its values are.
fn first_value(column: &Column) -> Option<&'static str> {
    let name = column.type_name.to_ascii_lowercase();
    match column.kind {
        ColumnKind::Integer => Some("0"),
        ColumnKind::Text if name.contains("timestamp") || name.contains("datetime") => {
            Some("1970-01-01T00:00:00")
        }
        ColumnKind::Text if name.contains("date") => Some("1970-01-01"),
        _ => None,
    }
}

/// Checks that a query of changes has the columns of the model.
pub(super) fn check_alike(model: &[Column], changes: &[Column]) -> Result<(), Error> {
    for column in model {
        let Some(at) = position(changes, &column.name) else {
            return Err(missing(&column.name, "of the model"));
        };
        if changes[at].kind != column.kind {
            let (one, other) = (&column.type_name, &changes[at].type_name);
            let why = format!("is {one} in the model and {other} in `changes_sql`");
            return Err(Error::Increment { column: column.name.clone(), why });
        }
    }
    Ok(())
}

fn missing(column: &str, of: &str) -> Error {
    Error::Increment { column: column.to_owned(), why: format!("{of} is not in `changes_sql`") }
}

impl RunPlan {
    /// Whether a record without a row in this run has left the model.
    pub(super) fn reads_whole_model(&self) -> bool {
        self.increment.as_ref().is_none_or(IncrementPlan::is_whole)
    }
}

impl Marks {
    /// Takes a value of the cursor's column.
    fn see(&mut self, kind: CellKind, text: &[u8]) {
        if self.is_surely_lower(text) {
            return;
        }
        match CursorValue::of(kind, text) {
            Ok(Some(value)) => self.raise(value),
            Ok(None) => self.nulls += 1,
            Err(NotACursor) => self.fault = Some(no_cursor(kind, text)),
        }
    }

    /// A quick answer for most rows: texts with digits at the same places sort as their values do, but for offsets from
    /// UTC.
    fn is_surely_lower(&self, text: &[u8]) -> bool {
        let Some(highest) = &self.highest else { return false };
        let highest = highest.text().as_bytes();
        let is_alike =
            |(one, other): (&u8, &u8)| one == other || one.is_ascii_digit() && other.is_ascii_digit();
        let is_offset = |byte: &u8| matches!(byte, b'+' | b'-');
        text.len() == highest.len()
            && text <= highest
            && text.first().is_some_and(u8::is_ascii_digit)
            && text.iter().zip(highest).all(is_alike)
            && !text.iter().skip(DATE_BYTES).any(is_offset)
    }

    fn raise(&mut self, value: CursorValue) {
        match self.highest.as_ref().map(|highest| value.exceeds(highest)) {
            None | Some(Ok(true)) => self.highest = Some(value),
            Some(Ok(false)) => {}
            Some(Err(NotACursor)) => self.fault = Some(MIXED),
        }
    }

    /// Adds what another thread saw.
    pub(super) fn merge(&mut self, other: Self) {
        self.nulls += other.nulls;
        self.fault = self.fault.or(other.fault);
        if let Some(value) = other.highest {
            self.raise(value);
        }
    }
}

/// Why a value is no cursor, and what to do about it.
fn no_cursor(kind: CellKind, text: &[u8]) -> &'static str {
    let text = std::str::from_utf8(text).unwrap_or_default();
    match kind {
        CellKind::Integer => {
            "has an integer of more than 128 bits; convert it to a smaller type, or take another column"
        }
        CellKind::Number if text.contains('.') => "has a number with a fraction; convert it to an integer",
        CellKind::Number => {
            "has a number of more than 128 bits; convert it to a smaller type, or take another column"
        }
        CellKind::Text if text.parse::<i128>().is_ok() => {
            "has digits of a text, which a source may order as text; convert it to an integer"
        }
        CellKind::Text if DateTime::parse_from_rfc3339(text).is_ok() => {
            "has a time with an offset; convert it to UTC"
        }
        CellKind::Text if text.trim() != text && CursorValue::parse(text.trim()).is_ok() => {
            "has a value with spaces around it, as a `char(n)` is padded; trim it in the model's SQL"
        }
        _ => "has a value that is neither an integer nor a time; take another column",
    }
}

/// Bytes of a date.
const DATE_BYTES: usize = 10;

fn position(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_keep_the_highest_value_whatever_the_order_and_the_thread() {
        for (cells, highest, nulls, is_faulty) in [
            (&["9", "10", "", "8", "-3"][..], Some("10"), 1, false),
            (&["2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z"], Some("2026-01-01T00:00:00.5Z"), 0, false),
            (&["2026-01-02 00:00:00", "2026-01-01 23:59:59"], Some("2026-01-02 00:00:00"), 0, false),
            // Later as text, earlier as a time.
            (
                &["2026-01-01 09:00:00+00:00", "2026-01-01 09:30:00+02:00"],
                Some("2026-01-01 09:00:00+00:00"),
                0,
                true,
            ),
            (
                &["2026-01-01 09:30:00+02:00", "2026-01-01 09:00:00+00:00"],
                Some("2026-01-01 09:00:00+00:00"),
                0,
                true,
            ),
            (&["5", "2026-01-01"], Some("5"), 0, true),
            (&["abc"], None, 0, true),
            (&["", ""], None, 2, false),
        ] {
            let kind = |text: &str| match text.parse::<i128>() {
                Ok(_) => CellKind::Integer,
                Err(_) if text.is_empty() => CellKind::Null,
                Err(_) => CellKind::Text,
            };
            let (mut one, mut other) = (Marks::default(), Marks::default());
            for (number, text) in cells.iter().enumerate() {
                let marks = if number % 2 == 0 { &mut one } else { &mut other };
                marks.see(kind(text), text.as_bytes());
            }
            one.merge(other);
            assert_eq!(one.highest.as_ref().map(CursorValue::text), highest, "{cells:?}");
            assert_eq!((one.nulls, one.fault.is_some()), (nulls, is_faulty), "{cells:?}");
        }
    }

    #[test]
    fn faults_say_what_was_found() {
        let long = "9".repeat(77);
        for (kind, text, fault) in [
            (CellKind::Integer, &*long, "an integer of more than 128 bits"),
            (CellKind::Number, "1.5", "a fraction"),
            (CellKind::Text, "7", "digits of a text"),
            (CellKind::Text, "2026-01-01T00:00:00+02:00", "an offset"),
            (CellKind::Text, "2026-01-01 00:00:00   ", "spaces around it"),
            (CellKind::Text, "Ann  ", "neither an integer nor a time"),
        ] {
            let mut marks = Marks::default();
            marks.see(kind, text.as_bytes());
            assert!(marks.fault.is_some_and(|found| found.contains(fault)), "{text}: {:?}", marks.fault);
        }
    }
}
