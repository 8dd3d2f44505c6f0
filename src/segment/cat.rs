//! Rows of a segment as JSON lines, for people and scripts.

use super::{Decoder, Error, Segment};
use crate::domain::json::write_string;

/// Appends `row` to `out` as one line with its line feed:
/// `{"key":"7","flags":0,"indexes":{"email":"a@b"},"body":{…}}`. An index with many values a record has
/// an array, a value that is absent is null, and so is the body of a delete.
pub fn cat_line(segment: &Segment, row: u32, decoder: &mut Decoder, out: &mut Vec<u8>) -> Result<(), Error> {
    out.extend_from_slice(b"{\"key\":");
    write_string(out, segment.key(row).as_bytes());
    out.extend_from_slice(format!(",\"flags\":{},\"indexes\":{{", segment.flags(row).0).as_bytes());
    for (at, column) in segment.secondary().iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(out, column.name.as_str().as_bytes());
        out.push(b':');
        let mut values = segment.values(row, at + 1);
        if column.each {
            let before = out.len();
            for value in values {
                out.push(if out.len() == before { b'[' } else { b',' });
                write_string(out, value.as_bytes());
            }
            out.extend_from_slice(if out.len() == before { b"[]" } else { b"]" });
        } else if let Some(value) = values.next() {
            write_string(out, value.as_bytes());
        } else {
            out.extend_from_slice(b"null");
        }
    }
    out.extend_from_slice(b"},\"body\":");
    if segment.is_delete(row) {
        out.extend_from_slice(b"null");
    } else {
        let mut body = Vec::new();
        decoder.decode(segment, row, &mut body)?;
        out.extend_from_slice(&body);
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}
