//! Rows of a plain query: each value as the server prints it. For servers that have no binary copy.

use sqlx::{
    Row as _, ValueRef as _,
    postgres::{PgRow, PgValueRef},
};

use super::{decode::to_json, types::Reader};
use crate::{
    domain::{CellKind, RowBatch, json::Compactor},
    source::{
        cell::{self, RowWriter},
        error::{Error, malformed},
    },
};

/// Reads rows of one query.
#[derive(Debug)]
pub(super) struct TextReader {
    readers: Vec<Reader>,
    compactor: Compactor,
}

impl TextReader {
    pub(super) fn new(readers: Vec<Reader>) -> Self {
        Self { readers, compactor: Compactor::default() }
    }

    /// Appends `row` to `batch`.
    pub(super) fn row(&mut self, row: &PgRow, batch: &mut RowBatch) -> Result<(), Error> {
        if row.len() != self.readers.len() {
            return Err(malformed("a row has another number of columns than described"));
        }
        let mut writer = RowWriter::new(batch);
        for (at, reader) in self.readers.iter().enumerate() {
            let unreadable = || malformed(format_args!("column {} does not hold a {reader:?}", at + 1));
            let value = row.try_get_raw(at).map_err(|_| unreadable())?;
            if value.is_null() {
                writer.null();
                continue;
            }
            let text = bytes_of(&value).ok_or_else(unreadable)?;
            let read = writer.try_value(text.len(), |out| reader.read_text(text, &mut self.compactor, out));
            read.map_err(|()| unreadable())?;
        }
        Ok(())
    }
}

fn bytes_of<'a>(value: &PgValueRef<'a>) -> Option<&'a [u8]> {
    value.as_bytes().ok()
}

impl Reader {
    /// Appends a printed value; `None` for one that a record cannot express.
    fn read_text(
        self,
        text: &[u8],
        compactor: &mut Compactor,
        out: &mut Vec<u8>,
    ) -> Result<Option<CellKind>, ()> {
        let printed = || std::str::from_utf8(text).map_err(|_| ());
        Ok(match self {
            Self::Text => Some(cell::text(text, out)),
            Self::Uuid => Some(cell::uuid(uuid::Uuid::try_parse_ascii(text).map_err(|_| ())?, out)),
            Self::Json | Self::Jsonb => Some(cell::json(text, compactor, out)),
            Self::ToJson => Some(to_json(text, compactor, out)),
            Self::Bool => Some(cell::boolean(matches!(text, b"t" | b"true"), out)),
            Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid => {
                Some(cell::number(text, out).filter(|kind| *kind == CellKind::Integer).ok_or(())?)
            }
            Self::Float4 => cell::single(printed()?.parse().map_err(|_| ())?, out),
            Self::Float8 => cell::double(printed()?.parse().map_err(|_| ())?, out),
            Self::Numeric => match text {
                b"NaN" | b"Infinity" | b"-Infinity" => None,
                _ => cell::number(text, out).map(|_| CellKind::Number).map(Some).ok_or(())?,
            },
            Self::Bytes => {
                let digits = text.strip_prefix(b"\\x").unwrap_or(text);
                Some(cell::bytes(&hex::decode(digits).map_err(|_| ())?, out))
            }
            Self::Date => cell::printed_date(printed()?, out),
            Self::Timestamp => cell::printed_moment(printed()?, "", out),
            Self::TimestampTz => {
                let printed = printed()?;
                // A date has signs of its own, and an infinity has no offset.
                let at = printed.rfind(['+', '-']).filter(|at| *at > 10);
                match at.map(|at| printed.split_at(at)) {
                    None => None,
                    Some((local, offset)) => match cell::offset(offset) {
                        Some(offset) => cell::printed_moment_at(local, offset, out),
                        // `+00 BC`
                        None => None,
                    },
                }
            }
        })
    }
}
