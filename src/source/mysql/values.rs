//! Columns and values of MySQL's text protocol: each value is its text, the column's type says how to read it.
//!
//! A stored `bit` is its bytes. One of an expression may be bytes or digits, and nothing tells which, so that the server is
//! asked for a number in its place ([`readable`]).

use sqlx::{
    Column as _, Decode, Row as _, TypeInfo as _, ValueRef as _,
    mysql::{MySql, MySqlColumn, MySqlRow, MySqlTypeInfo, MySqlValueRef},
};

use super::DIALECT;
use crate::{
    domain::{
        json::Compactor,
        row::{CellKind, Column, ColumnKind, RowBatch},
    },
    source::{
        cell::{self, RowWriter},
        error::{Error, malformed},
    },
};

/// How the text of a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Integer,
    /// `tinyint(1)`, which is MySQL's `boolean`.
    Boolean,
    Decimal,
    Single,
    Double,
    /// Bytes of a number, the highest first.
    Bits,
    Date,
    DateTime {
        is_utc: bool,
    },
    Time,
    Text,
    Bytes,
    Json,
}

/// Reads rows of one query.
#[derive(Debug)]
pub(super) struct ValueReader {
    forms: Vec<Form>,
    compactor: Compactor,
}

/// The columns of a prepared statement.
pub(super) fn describe(found: &[MySqlColumn]) -> Vec<Column> {
    let described = found.iter().map(|column| {
        let (form, type_name) = form(column.type_info());
        Column { name: column.name().to_owned(), kind: form.kind(), type_name }
    });
    described.collect()
}

/// A statement that has the rows of `sql`, whose columns are `found`, with a number in place of each `bit` of an expression.
pub(super) fn readable(sql: &str, found: &[MySqlColumn]) -> String {
    if !found.iter().any(is_computed_bit) {
        return sql.to_owned();
    }
    let columns = found.iter().map(|column| {
        let name = DIALECT.quote(column.name());
        if is_computed_bit(column) { format!("cast({name} as unsigned) as {name}") } else { name }
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    DIALECT.around(sql, |model| format!("select {columns} from {model}"))
}

/// Whether a `bit` comes from an expression: it has the flag BINARY, which the driver has in its `Debug` text alone.
fn is_computed_bit(column: &MySqlColumn) -> bool {
    let info = column.type_info();
    info.name() == "BIT" && format!("{info:?}").contains("BINARY")
}

fn form(info: &MySqlTypeInfo) -> (Form, String) {
    let mut name = info.name().to_ascii_lowercase();
    let is_text = <str as sqlx::Type<MySql>>::compatible(info);
    let form = match &*name {
        "boolean" => Form::Boolean,
        "decimal" => Form::Decimal,
        "float" => Form::Single,
        "double" => Form::Double,
        "bit" => Form::Bits,
        "date" => Form::Date,
        "datetime" => Form::DateTime { is_utc: false },
        "timestamp" => Form::DateTime { is_utc: true },
        "time" => Form::Time,
        "json" => Form::Json,
        "null" | "enum" | "set" => Form::Text,
        "year" => Form::Integer,
        other if other.contains("int") => Form::Integer,
        // The driver calls text of a collation that compares bytes binary.
        _ if is_text => {
            name = name.replace("varbinary", "varchar").replace("binary", "char").replace("blob", "text");
            Form::Text
        }
        _ => Form::Bytes,
    };
    (form, name)
}

impl ValueReader {
    /// Reads rows with the columns `found`, which must have the names of `described`. The types may differ: a server sorts
    /// some values as another type than it announced when it prepared the statement.
    pub(super) fn new(found: &[MySqlColumn], described: &[Column]) -> Result<Self, Error> {
        if !found.iter().map(MySqlColumn::name).eq(described.iter().map(|column| &*column.name))
            || found.iter().any(is_computed_bit)
        {
            return Err(malformed("its columns are not those of the prepared statement"));
        }
        let forms = found.iter().map(|column| form(column.type_info()).0).collect();
        Ok(Self { forms, compactor: Compactor::default() })
    }

    /// Appends `row` to `batch`.
    pub(super) fn row(&mut self, row: &MySqlRow, batch: &mut RowBatch) -> Result<(), Error> {
        let mut writer = RowWriter::new(batch);
        for (at, form) in self.forms.iter().enumerate() {
            let unreadable = || malformed(format_args!("the value of column {}", at + 1));
            let value = row.try_get_raw(at).map_err(|_| unreadable())?;
            if value.is_null() {
                writer.null();
                continue;
            }
            let text = bytes_of(value).map_err(|()| unreadable())?;
            let read = writer.try_value(text.len(), |out| form.read(text, &mut self.compactor, out));
            read.map_err(|()| unreadable())?;
        }
        Ok(())
    }
}

fn bytes_of(value: MySqlValueRef<'_>) -> Result<&[u8], ()> {
    <&[u8] as Decode<MySql>>::decode(value).map_err(|_| ())
}

impl Form {
    fn kind(self) -> ColumnKind {
        match self {
            Self::Integer | Self::Bits => ColumnKind::Integer,
            Self::Boolean => ColumnKind::Boolean,
            Self::Decimal | Self::Single | Self::Double => ColumnKind::Number,
            Self::Date | Self::DateTime { .. } | Self::Time | Self::Text | Self::Bytes => ColumnKind::Text,
            Self::Json => ColumnKind::Json,
        }
    }

    /// Appends a value; `None` for one that a record cannot express.
    fn read(self, text: &[u8], compactor: &mut Compactor, out: &mut Vec<u8>) -> Result<Option<CellKind>, ()> {
        Ok(Some(match self {
            Self::Integer => integer(text, out).ok_or(())?,
            Self::Boolean => match text {
                b"0" | b"1" => cell::boolean(text == b"1", out),
                _ => integer(text, out).ok_or(())?,
            },
            Self::Decimal => {
                number(text, out).ok_or(())?;
                CellKind::Number
            }
            Self::Single => return Ok(cell::single(parsed(text)?, out)),
            Self::Double => return Ok(cell::double(parsed(text)?, out)),
            Self::Bits if text.len() <= 8 => {
                cell::integer(text.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)), out)
            }
            Self::Bits => return Err(()),
            Self::Date => return Ok(date(text, out)),
            Self::DateTime { is_utc } => return Ok(date_time(text, is_utc, out)),
            Self::Time => {
                out.extend_from_slice(without_zeros(text));
                CellKind::Text
            }
            Self::Text => cell::text(text, out),
            Self::Bytes => cell::bytes(text, out),
            Self::Json => cell::json(text, compactor, out),
        }))
    }
}

fn parsed<F: std::str::FromStr>(text: &[u8]) -> Result<F, ()> {
    std::str::from_utf8(text).map_err(|_| ())?.parse().map_err(|_| ())
}

/// A number without the zeros that `zerofill` puts before it.
fn number(text: &[u8], out: &mut Vec<u8>) -> Option<CellKind> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let zeros = digits.windows(2).take_while(|pair| pair[0] == b'0' && pair[1].is_ascii_digit()).count();
    if zeros == 0 {
        return cell::number(text, out);
    }
    let mut plain = if digits.len() < text.len() { b"-".to_vec() } else { Vec::new() };
    plain.extend_from_slice(&digits[zeros..]);
    cell::number(&plain, out)
}

fn integer(text: &[u8], out: &mut Vec<u8>) -> Option<CellKind> {
    number(text, out).filter(|kind| *kind == CellKind::Integer)
}

/// A date that is one: MySQL can store months and days of zero, the year zero, and 30 February.
fn date(text: &[u8], out: &mut Vec<u8>) -> Option<CellKind> {
    cell::printed_date(std::str::from_utf8(text).ok()?, out)
}

/// `YYYY-MM-DD HH:MM:SS.ffffff` in ISO 8601.
fn date_time(text: &[u8], is_utc: bool, out: &mut Vec<u8>) -> Option<CellKind> {
    let (day, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix(b" ")?;
    date(day, out)?;
    out.push(b'T');
    out.extend_from_slice(without_zeros(time));
    if is_utc {
        out.push(b'Z');
    }
    Some(CellKind::Text)
}

/// A time whose fraction has no zeros at its end.
fn without_zeros(time: &[u8]) -> &[u8] {
    if !time.contains(&b'.') {
        return time;
    }
    let end = time.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
    time[..end].strip_suffix(b".").unwrap_or(&time[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: Form, text: &str) -> Result<Option<(CellKind, String)>, ()> {
        let mut out = Vec::new();
        let kind = form.read(text.as_bytes(), &mut Compactor::default(), &mut out)?;
        Ok(kind.map(|kind| (kind, String::from_utf8(out).unwrap())))
    }

    #[test]
    fn texts_become_values() {
        let utc = Form::DateTime { is_utc: true };
        let naive = Form::DateTime { is_utc: false };
        for (form, text, expected) in [
            (Form::Integer, "-9223372036854775808", Some((CellKind::Integer, "-9223372036854775808"))),
            (Form::Integer, "00042", Some((CellKind::Integer, "42"))),
            (Form::Integer, "0000", Some((CellKind::Integer, "0"))),
            (Form::Boolean, "1", Some((CellKind::Boolean, "true"))),
            (Form::Boolean, "2", Some((CellKind::Integer, "2"))),
            (Form::Decimal, "-0012.50", Some((CellKind::Number, "-12.50"))),
            (Form::Decimal, "0.00", Some((CellKind::Number, "0.00"))),
            (Form::Double, "1e300", Some((CellKind::Number, "1e+300"))),
            (Form::Single, "1.1", Some((CellKind::Number, "1.1"))),
            (Form::Bits, "\u{1}\u{2}", Some((CellKind::Integer, "258"))),
            (Form::Date, "2026-11-23", Some((CellKind::Text, "2026-11-23"))),
            (Form::Date, "0000-00-00", None),
            (Form::Date, "2026-11-00", None),
            (Form::Date, "2026-02-30", None),
            (Form::Date, "2024-02-29", Some((CellKind::Text, "2024-02-29"))),
            (naive, "2025-02-29 23:59:59.999999", None),
            (utc, "2026-11-23 22:10:52.004000", Some((CellKind::Text, "2026-11-23T22:10:52.004Z"))),
            (naive, "2026-11-23 22:10:52", Some((CellKind::Text, "2026-11-23T22:10:52"))),
            (naive, "0000-00-00 00:00:00.000000", None),
            (Form::Time, "-838:59:59.000000", Some((CellKind::Text, "-838:59:59"))),
            (Form::Time, "00:00:00.100", Some((CellKind::Text, "00:00:00.1"))),
            (Form::Time, "10:00:00", Some((CellKind::Text, "10:00:00"))),
            (Form::Bytes, "1234", Some((CellKind::Text, "MTIzNA=="))),
            (Form::Json, "{\"a\": 1.50}", Some((CellKind::Json, "{\"a\":1.50}"))),
        ] {
            let expected = expected.map(|(kind, text)| (kind, text.to_owned()));
            assert_eq!(read(form, text), Ok(expected), "{text} as {form:?}");
        }
        assert_eq!(read(Form::Integer, "x"), Err(()));
        assert_eq!(read(Form::Bits, "123456789"), Err(()));
    }
}
