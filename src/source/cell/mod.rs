//! How values look in a record, for every source alike: the text of one cell.
//!
//! Each function appends the cell's plain text to `out` and returns the kind of the cell.

mod printed;
mod row;
mod time;

use base64::{Engine as _, engine::general_purpose::STANDARD};

pub(super) use printed::{offset, printed_date, printed_moment, printed_moment_at};
pub(super) use row::RowWriter;
pub(super) use time::{date, fraction, moment, time, timestamp};

use crate::domain::{
    CellKind, RejectReason,
    json::{self, Compactor},
    limits::RECORD_BYTES_MAX,
};

/// Larger values of a source are not read into a batch: no record could hold them, whatever their
/// escapes and white space.
pub(super) const CELL_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;
/// Most text of one row that is read into a batch; cells past it are too large. Bounds the memory
/// of a batch whatever the number of columns.
pub(super) const ROW_BYTES_MAX: usize = 16 * RECORD_BYTES_MAX;

/// A cell that cannot be served.
pub(super) fn invalid(reason: RejectReason, out: &mut Vec<u8>) -> CellKind {
    out.extend_from_slice(reason.code().as_bytes());
    CellKind::Invalid
}

/// Text as it is; it must be UTF-8 without a NUL character, which JSON text cannot have either: parsers of
/// clients cut it off there or refuse the record.
pub(super) fn text(value: &[u8], out: &mut Vec<u8>) -> CellKind {
    if std::str::from_utf8(value).is_err() || memchr::memchr(0, value).is_some() {
        return invalid(RejectReason::InvalidText, out);
    }
    out.extend_from_slice(value);
    CellKind::Text
}

/// Bytes in base64: standard alphabet, padded (RFC 4648, section 4).
pub(super) fn bytes(value: &[u8], out: &mut Vec<u8>) -> CellKind {
    let from = out.len();
    out.resize(from + value.len().div_ceil(3) * 4, 0);
    if let Ok(length) = STANDARD.encode_slice(value, &mut out[from..]) {
        out.truncate(from + length);
        CellKind::Text
    } else {
        out.truncate(from);
        invalid(RejectReason::RecordTooLarge, out)
    }
}

pub(super) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) -> CellKind {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    CellKind::Integer
}

pub(super) fn boolean(value: bool, out: &mut Vec<u8>) -> CellKind {
    out.extend_from_slice(if value { b"true" } else { b"false" });
    CellKind::Boolean
}

/// A float of 64 bits; `None`, and nothing written, for NaN and infinities.
pub(super) fn double(value: f64, out: &mut Vec<u8>) -> Option<CellKind> {
    json::double(value, out).then_some(CellKind::Number)
}

/// A float of 32 bits; `None`, and nothing written, for NaN and infinities.
pub(super) fn single(value: f32, out: &mut Vec<u8>) -> Option<CellKind> {
    json::single(value, out).then_some(CellKind::Number)
}

/// A UUID, in lower case.
pub(super) fn uuid(value: uuid::Uuid, out: &mut Vec<u8>) -> CellKind {
    let mut text = uuid::Uuid::encode_buffer();
    out.extend_from_slice(value.hyphenated().encode_lower(&mut text).as_bytes());
    CellKind::Text
}

/// The number that `value` is, as JSON writes numbers, with all its digits; `None`, and nothing written, when it
/// is none.
pub(super) fn number(value: &[u8], out: &mut Vec<u8>) -> Option<CellKind> {
    let from = out.len();
    if json::number(value, out) == Ok(value.len()) {
        let is_integer = !out[from..].contains(&b'.');
        return Some(if is_integer { CellKind::Integer } else { CellKind::Number });
    }
    out.truncate(from);
    None
}

/// JSON, compacted.
pub(super) fn json(value: &[u8], compactor: &mut Compactor, out: &mut Vec<u8>) -> CellKind {
    match compactor.compact(value, out) {
        Ok(_) => CellKind::Json,
        Err(reason) => invalid(reason, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_padded_base64() {
        for (value, expected) in
            [(&b""[..], ""), (b"\0", "AA=="), (b"\xfb\xff\xfe", "+//+"), (b"1234", "MTIzNA==")]
        {
            let mut out = b"x".to_vec();
            assert_eq!(bytes(value, &mut out), CellKind::Text);
            assert_eq!(out, format!("x{expected}").as_bytes());
        }
    }

    #[test]
    fn text_is_utf8() {
        let mut out = Vec::new();
        assert_eq!(text("é".as_bytes(), &mut out), CellKind::Text);
        assert_eq!(text(b"\xe9", &mut out), CellKind::Invalid);
        assert_eq!(text(b"a\0b", &mut out), CellKind::Invalid);
        assert_eq!(out, "éinvalid_textinvalid_text".as_bytes());
    }
}
