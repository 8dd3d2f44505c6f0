//! Values of SQLite rows: the storage class decides, then the column's declared type.

use sqlx::{
    Decode, Row as _, Sqlite, TypeInfo as _, ValueRef as _,
    sqlite::{SqliteRow, SqliteValueRef},
};

use crate::{
    domain::{CellKind, Column, ColumnKind, RejectReason, RowBatch, json::Compactor},
    source::{
        cell::{self, CELL_BYTES_MAX, ROW_BYTES_MAX},
        error::{Error, malformed},
    },
};

/// Reads rows of one query.
#[derive(Debug)]
pub(super) struct ValueReader {
    kinds: Vec<ColumnKind>,
    compactor: Compactor,
}

impl ValueReader {
    pub(super) fn new(columns: &[Column]) -> Self {
        let kinds = columns.iter().map(|column| column.kind).collect();
        Self { kinds, compactor: Compactor::default() }
    }

    /// Appends `row` to `batch`.
    pub(super) fn row(&mut self, row: &SqliteRow, batch: &mut RowBatch) -> Result<(), Error> {
        let row_from = batch.bytes();
        for (at, kind) in self.kinds.iter().enumerate() {
            let value = row.try_get_raw(at).map_err(|_| unreadable(at))?;
            let has_room = batch.bytes() - row_from <= ROW_BYTES_MAX;
            let mut nulled = false;
            let mut failed = false;
            batch.push_with(|out| match read(value, *kind, has_room, &mut self.compactor, out) {
                Ok(Some(kind)) => kind,
                Ok(None) => {
                    nulled = true;
                    CellKind::Null
                }
                Err(()) => {
                    failed = true;
                    CellKind::Null
                }
            });
            if nulled {
                batch.count_nulled();
            }
            if failed {
                return Err(unreadable(at));
            }
        }
        Ok(())
    }
}

fn unreadable(at: usize) -> Error {
    malformed(format_args!("the value of column {}", at + 1))
}

/// Appends a value; `None` for a float that JSON cannot hold.
fn read(
    value: SqliteValueRef<'_>,
    kind: ColumnKind,
    has_room: bool,
    compactor: &mut Compactor,
    out: &mut Vec<u8>,
) -> Result<Option<CellKind>, ()> {
    if value.is_null() {
        return Ok(Some(CellKind::Null));
    }
    let storage = value.type_info().into_owned();
    let read = match storage.name() {
        "INTEGER" => {
            let number: i64 = decoded(value)?;
            match (kind, number) {
                (ColumnKind::Boolean, 0 | 1) => cell::boolean(number == 1, out),
                _ => cell::integer(number, out),
            }
        }
        "REAL" => match cell::double(decoded(value)?, out) {
            Some(number) => number,
            None => return Ok(None),
        },
        name => {
            let bytes: &[u8] = decoded(value)?;
            if bytes.len() > CELL_BYTES_MAX || !has_room {
                cell::invalid(RejectReason::RecordTooLarge, out)
            } else if name == "BLOB" {
                cell::bytes(bytes, out)
            } else if kind == ColumnKind::Json {
                return Ok(Some(cell::json(bytes, compactor, out)));
            } else {
                cell::text(bytes, out)
            }
        }
    };
    // A column declared as JSON turns text that looks like a number into one; it is JSON still.
    let is_json = kind == ColumnKind::Json && matches!(read, CellKind::Integer | CellKind::Number);
    Ok(Some(if is_json { CellKind::Json } else { read }))
}

fn decoded<'r, T: Decode<'r, Sqlite>>(value: SqliteValueRef<'r>) -> Result<T, ()> {
    T::decode(value).map_err(|_| ())
}
