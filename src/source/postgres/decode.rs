//! Rows of a binary copy: each value straight into a cell, without an allocation.

use super::{numeric::numeric, types::Reader};
use crate::{
    domain::{
        CellKind, RejectReason, RowBatch,
        json::{self, Compactor},
    },
    source::{
        cell::{self, CELL_BYTES_MAX, ROW_BYTES_MAX},
        error::{Error, malformed},
    },
};

/// Postgres counts days and microseconds from 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS * 86_400_000_000;

/// Decodes rows of one query.
#[derive(Debug)]
pub(super) struct Decoder {
    readers: Vec<Reader>,
    compactor: Compactor,
}

/// What a value became.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Cell(CellKind),
    /// It has no place in JSON: NaN, an infinity, a year past 9999. Nothing was written.
    Nulled,
    /// It is no value of its type. Nothing was written.
    Malformed,
}

impl Decoder {
    pub(super) fn new(readers: Vec<Reader>) -> Self {
        Self { readers, compactor: Compactor::default() }
    }

    pub(super) fn columns(&self) -> usize {
        self.readers.len()
    }

    /// The length of the row's values at the start of `bytes`; `None` when they are not whole.
    #[inline]
    pub(super) fn length_of(&self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        let mut at = 0_usize;
        for _ in &self.readers {
            let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) else { return Ok(None) };
            at += 4 + match i32::from_be_bytes(*length) {
                // Null.
                -1 => 0,
                length => usize::try_from(length).map_err(|_| malformed("a value has a negative length"))?,
            };
        }
        Ok((at <= bytes.len()).then_some(at))
    }

    /// Appends the row whose values are `values`, whole.
    #[inline]
    pub(super) fn row(&mut self, values: &[u8], batch: &mut RowBatch) -> Result<(), Error> {
        let row_from = batch.bytes();
        let mut rest = values;
        for (at, reader) in self.readers.iter().enumerate() {
            let Some((length, after)) = rest.split_first_chunk::<4>() else {
                return Err(malformed("a row ends early"));
            };
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                batch.push(CellKind::Null, b"");
                rest = after;
                continue;
            };
            let Some((value, after)) = after.split_at_checked(length) else {
                return Err(malformed("a row ends early"));
            };
            rest = after;
            if length > CELL_BYTES_MAX || batch.bytes() - row_from > ROW_BYTES_MAX {
                batch.push_with(|out| cell::invalid(RejectReason::RecordTooLarge, out));
                continue;
            }
            let (mut nulled, mut is_malformed) = (false, false);
            let compactor = &mut self.compactor;
            batch.push_with(|out| match reader.read(value, compactor, out) {
                Outcome::Cell(kind) => kind,
                Outcome::Nulled => {
                    nulled = true;
                    CellKind::Null
                }
                Outcome::Malformed => {
                    is_malformed = true;
                    CellKind::Null
                }
            });
            if nulled {
                batch.count_nulled();
            }
            if is_malformed {
                return Err(malformed(format_args!("column {} does not hold a {reader:?}", at + 1)));
            }
        }
        Ok(())
    }
}

impl Reader {
    #[inline]
    fn read(self, value: &[u8], compactor: &mut Compactor, out: &mut Vec<u8>) -> Outcome {
        match self {
            Self::Text => Outcome::Cell(cell::text(value, out)),
            Self::Bytes => Outcome::Cell(cell::bytes(value, out)),
            Self::Json => Outcome::Cell(cell::json(value, compactor, out)),
            Self::Jsonb => match value {
                // The version of jsonb's binary form; there has been one.
                [1, text @ ..] => Outcome::Cell(match json::squeeze(text, out) {
                    Some(_) => CellKind::Json,
                    None => cell::json(text, compactor, out),
                }),
                _ => Outcome::Malformed,
            },
            Self::ToJson => Outcome::Cell(to_json(value, compactor, out)),
            Self::Numeric => numeric(value, out),
            fixed => fixed.read_fixed(value, out).unwrap_or(Outcome::Malformed),
        }
    }

    /// Types of a fixed width; `None` when `value` has another.
    #[inline]
    fn read_fixed(self, value: &[u8], out: &mut Vec<u8>) -> Option<Outcome> {
        let outcome = |kind: Option<CellKind>| kind.map_or(Outcome::Nulled, Outcome::Cell);
        Some(match self {
            Self::Bool => Outcome::Cell(cell::boolean(u8::from_be_bytes(value.try_into().ok()?) != 0, out)),
            Self::Int2 => Outcome::Cell(cell::integer(i16::from_be_bytes(value.try_into().ok()?), out)),
            Self::Int4 => Outcome::Cell(cell::integer(i32::from_be_bytes(value.try_into().ok()?), out)),
            Self::Int8 => Outcome::Cell(cell::integer(i64::from_be_bytes(value.try_into().ok()?), out)),
            Self::Oid => Outcome::Cell(cell::integer(u32::from_be_bytes(value.try_into().ok()?), out)),
            Self::Float4 => outcome(cell::single(f32::from_be_bytes(value.try_into().ok()?), out)),
            Self::Float8 => outcome(cell::double(f64::from_be_bytes(value.try_into().ok()?), out)),
            Self::Uuid => Outcome::Cell(uuid(value.try_into().ok()?, out)),
            Self::Date => {
                // The infinities are the ends of the range, far outside the years that are kept.
                let days = i32::from_be_bytes(value.try_into().ok()?);
                outcome(cell::date(i64::from(days) + EPOCH_DAYS, out))
            }
            Self::Timestamp | Self::TimestampTz => {
                let micros = i64::from_be_bytes(value.try_into().ok()?);
                let is_utc = self == Self::TimestampTz;
                outcome(cell::timestamp(micros.saturating_add(EPOCH_MICROS), is_utc, out))
            }
            _ => return None,
        })
    }
}

fn uuid(value: [u8; 16], out: &mut Vec<u8>) -> CellKind {
    let mut text = uuid::Uuid::encode_buffer();
    let text = uuid::Uuid::from_bytes(value).hyphenated().encode_lower(&mut text);
    out.extend_from_slice(text.as_bytes());
    CellKind::Text
}

/// What the server made JSON of: a scalar becomes a cell of its own kind, so that it can be a key.
pub(super) fn to_json(value: &[u8], compactor: &mut Compactor, out: &mut Vec<u8>) -> CellKind {
    let from = out.len();
    if let Err(reason) = compactor.compact(value, out) {
        out.truncate(from);
        return cell::invalid(reason, out);
    }
    match out.get(from) {
        Some(b'"') => {
            let json = out.split_off(from);
            json::read_string(&json, out);
            CellKind::Text
        }
        Some(b'n') => {
            out.truncate(from);
            CellKind::Null
        }
        Some(b't' | b'f') => CellKind::Boolean,
        Some(b'-' | b'0'..=b'9') if out[from..].contains(&b'.') => CellKind::Number,
        Some(b'-' | b'0'..=b'9') => CellKind::Integer,
        _ => CellKind::Json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: Reader, value: &[u8]) -> Option<(CellKind, String, u64)> {
        let mut row = u32::try_from(value.len()).unwrap().to_be_bytes().to_vec();
        row.extend_from_slice(value);
        let mut batch = RowBatch::new(1);
        Decoder::new(vec![reader]).row(&row, &mut batch).ok()?;
        let (kind, text) = batch.cell(0, 0);
        Some((kind, String::from_utf8(text.to_vec()).unwrap(), batch.nulled()))
    }

    #[test]
    fn values_are_read_by_type() {
        use CellKind::{Boolean, Integer, Invalid, Json, Null, Number, Text};
        let uuid_bytes = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
        for (reader, value, expected) in [
            (Reader::Bool, &[1][..], (Boolean, "true", 0)),
            (Reader::Bool, &[0], (Boolean, "false", 0)),
            (Reader::Int2, &i16::MIN.to_be_bytes(), (Integer, "-32768", 0)),
            (Reader::Int4, &[0, 0, 1, 0], (Integer, "256", 0)),
            (Reader::Int8, &i64::MIN.to_be_bytes(), (Integer, "-9223372036854775808", 0)),
            (Reader::Oid, &u32::MAX.to_be_bytes(), (Integer, "4294967295", 0)),
            (Reader::Float4, &0.1_f32.to_be_bytes(), (Number, "0.1", 0)),
            (Reader::Float8, &f64::NAN.to_be_bytes(), (Null, "", 1)),
            (Reader::Uuid, &uuid_bytes, (Text, "01234567-89ab-cdef-0123-456789abcdef", 0)),
            (Reader::Date, &0_i32.to_be_bytes(), (Text, "2000-01-01", 0)),
            (Reader::Date, &i32::MAX.to_be_bytes(), (Null, "", 1)),
            (Reader::Timestamp, &1_i64.to_be_bytes(), (Text, "2000-01-01T00:00:00.000001", 0)),
            (Reader::TimestampTz, &0_i64.to_be_bytes(), (Text, "2000-01-01T00:00:00Z", 0)),
            (Reader::TimestampTz, &i64::MAX.to_be_bytes(), (Null, "", 1)),
            (Reader::TimestampTz, &i64::MIN.to_be_bytes(), (Null, "", 1)),
            (Reader::Bytes, b"\0", (Text, "AA==", 0)),
            (Reader::Text, b"\xff", (Invalid, "invalid_text", 0)),
            (Reader::Jsonb, b"\x01{\"a\": 1}", (Json, "{\"a\":1}", 0)),
            (Reader::Json, b" null", (Json, "null", 0)),
            (Reader::Json, b"\"\\u0000\"", (Invalid, "invalid_json", 0)),
            (Reader::ToJson, b"\"a\\\"\\u00e9\"", (Text, "a\"é", 0)),
            (Reader::ToJson, b"null", (Null, "", 0)),
            (Reader::ToJson, b"12", (Integer, "12", 0)),
            (Reader::ToJson, b"-1.5", (Number, "-1.5", 0)),
            (Reader::ToJson, b"true", (Boolean, "true", 0)),
            (Reader::ToJson, b"[1, 2]", (Json, "[1,2]", 0)),
        ] {
            let (kind, text, nulled) = expected;
            assert_eq!(read(reader, value), Some((kind, text.to_owned(), nulled)), "{reader:?}");
        }
    }

    #[test]
    fn other_widths_are_malformed() {
        for reader in
            [Reader::Int2, Reader::Int4, Reader::Float8, Reader::Uuid, Reader::Date, Reader::Numeric]
        {
            assert_eq!(read(reader, &[0; 3]), None, "{reader:?}");
        }
        assert_eq!(read(Reader::Jsonb, b"\x02{}"), None);
    }

    #[test]
    fn what_no_record_could_hold_is_not_kept() {
        let too_large = Some((CellKind::Invalid, "record_too_large".to_owned(), 0));
        assert_eq!(read(Reader::Text, &vec![b'x'; CELL_BYTES_MAX + 1]), too_large);
        assert_eq!(read(Reader::Text, &vec![b'x'; CELL_BYTES_MAX]).unwrap().0, CellKind::Text);
        let columns = 20;
        let mut row = Vec::new();
        for _ in 0..columns {
            row.extend_from_slice(&u32::try_from(CELL_BYTES_MAX).unwrap().to_be_bytes());
            row.resize(row.len() + CELL_BYTES_MAX, b'x');
        }
        let mut batch = RowBatch::new(columns);
        Decoder::new(vec![Reader::Text; columns]).row(&row, &mut batch).unwrap();
        assert!(batch.bytes() < ROW_BYTES_MAX + 2 * CELL_BYTES_MAX);
        assert_eq!(batch.cell(0, 0).0, CellKind::Text);
        assert_eq!(batch.cell(0, columns - 1).0, CellKind::Invalid);
    }
}
