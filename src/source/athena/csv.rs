//! Athena's CSV: every value stands between quotes, and null is nothing at all, which other readers of CSV do not tell
//! from an empty text.

use std::borrow::Cow;

use crate::source::{
    cell::ROW_BYTES_MAX,
    error::{Error, malformed},
};

/// Rows of a file that comes in pieces.
pub(super) struct CsvRows {
    width: usize,
    buffer: Vec<u8>,
    at: usize,
    /// Up to here no row ends.
    searched: usize,
    is_quoted: bool,
}

/// A row.
pub(super) struct CsvRow<'a>(Vec<Option<Cow<'a, str>>>);

impl CsvRow<'_> {
    /// The values, `None` for null.
    pub(super) fn values(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.iter().map(|value| value.as_deref())
    }
}

impl CsvRows {
    /// Rows of `width` values.
    pub(super) fn new(width: usize) -> Self {
        Self { width, buffer: Vec::new(), at: 0, searched: 0, is_quoted: false }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.at);
        self.searched -= self.at;
        self.at = 0;
        self.buffer.extend_from_slice(piece);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.buffer.len()
    }

    /// The next row that is whole; the last one may end without a line break.
    pub(super) fn next(&mut self, is_last_piece: bool) -> Result<Option<CsvRow<'_>>, Error> {
        while let Some(byte) = self.buffer.get(self.searched) {
            self.searched += 1;
            match byte {
                // A doubled quote ends the quotes and begins them again.
                b'"' => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => {
                    let (from, to) = (self.at, self.searched - 1);
                    self.at = self.searched;
                    return split(&self.buffer[from..to], self.width).map(Some);
                }
                _ => {}
            }
        }
        if self.buffer.len() - self.at > ROW_BYTES_MAX {
            return Err(malformed(format_args!("a row of the result has more than {ROW_BYTES_MAX} bytes")));
        }
        if is_last_piece && !self.is_quoted && !self.is_empty() {
            let from = std::mem::replace(&mut self.at, self.buffer.len());
            return split(&self.buffer[from..], self.width).map(Some);
        }
        Ok(None)
    }
}

fn split(line: &[u8], width: usize) -> Result<CsvRow<'_>, Error> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = std::str::from_utf8(line).map_err(|_| malformed("the result is not UTF-8"))?;
    let mut values = Vec::with_capacity(width);
    let mut rest = Some(line);
    while let Some(text) = rest {
        let Some(quoted) = text.strip_prefix('"') else {
            let (value, after) =
                text.split_once(',').map_or((text, None), |(value, after)| (value, Some(after)));
            values.push(Some(value).filter(|value| !value.is_empty()).map(Cow::Borrowed));
            rest = after;
            continue;
        };
        let mut end = 0;
        loop {
            let Some(found) = quoted[end..].find('"') else { return Err(malformed("a quote is not closed")) };
            end += found;
            if !quoted[end + 1..].starts_with('"') {
                break;
            }
            end += 2;
        }
        let value = &quoted[..end];
        values.push(Some(if value.contains('"') {
            value.replace("\"\"", "\"").into()
        } else {
            value.into()
        }));
        rest = match &quoted[end + 1..] {
            "" => None,
            after => Some(after.strip_prefix(',').ok_or_else(|| malformed("a quote ends within a value"))?),
        };
    }
    if values.len() == width {
        Ok(CsvRow(values))
    } else {
        Err(malformed("a row of the result has another number of values than there are columns"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rows = Vec<Vec<Option<String>>>;

    fn read(text: &str, piece_bytes: usize) -> Result<Rows, Error> {
        let mut rows = CsvRows::new(2);
        let mut found = Vec::new();
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(piece_bytes).collect();
        for (at, piece) in pieces.iter().enumerate() {
            rows.push(piece);
            while let Some(row) = rows.next(at + 1 == pieces.len())? {
                found.push(row.values().map(|value| value.map(str::to_owned)).collect());
            }
        }
        assert!(rows.is_empty());
        Ok(found)
    }

    #[test]
    fn null_is_not_an_empty_text() {
        let text = "\"a\",\"b\"\n\"\",\n,\"x, \"\"y\"\"\n\u{e9}\"\n\"1\",\"2\"";
        let some = |text: &str| Some(text.to_owned());
        let expected = vec![
            vec![some("a"), some("b")],
            vec![some(""), None],
            vec![None, some("x, \"y\"\né")],
            vec![some("1"), some("2")],
        ];
        for piece_bytes in 1..20 {
            assert_eq!(read(text, piece_bytes).unwrap(), expected, "{piece_bytes}");
        }
        for text in ["\"a\"\n", "\"a\",\"b\",\"c\"\n", "\"a\"b,\"c\"\n"] {
            assert_eq!(read(text, 3).unwrap_err().code(), "source_answer_malformed", "{text}");
        }
    }
}
