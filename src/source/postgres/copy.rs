//! The stream of `COPY ... TO STDOUT (FORMAT binary)`: a header, rows, an end mark
//! (<https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format").

use super::{decode::Decoder, types::Reader};
use crate::{
    domain::RowBatch,
    source::error::{Error, malformed},
};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 4 + 4;

/// Cuts the stream into rows. Postgres sends one row per message, but promises nothing: a row may
/// be spread over messages.
#[derive(Debug)]
pub(super) struct CopyReader {
    decoder: Decoder,
    part: Part,
    /// The beginning of what the last message did not hold whole.
    rest: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Rows,
    End,
}

impl CopyReader {
    pub(super) fn new(readers: Vec<Reader>) -> Self {
        Self { decoder: Decoder::new(readers), part: Part::Header, rest: Vec::new() }
    }

    /// Appends the rows that `message` completes to `batch`.
    pub(super) fn read(&mut self, message: &[u8], batch: &mut RowBatch) -> Result<(), Error> {
        if self.rest.is_empty() {
            let read = self.read_whole(message, batch)?;
            self.rest.extend_from_slice(&message[read..]);
            return Ok(());
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(message);
        let read = self.read_whole(&rest, batch)?;
        rest.drain(..read);
        self.rest = rest;
        Ok(())
    }

    /// Checks that the end mark came.
    pub(super) fn finish(&self) -> Result<(), Error> {
        if self.part == Part::End && self.rest.is_empty() {
            return Ok(());
        }
        Err(malformed("the rows have no end mark"))
    }

    /// Reads all that is whole in `bytes` and returns how much that was.
    fn read_whole(&mut self, bytes: &[u8], batch: &mut RowBatch) -> Result<usize, Error> {
        let mut at = 0;
        loop {
            let Some(length) = self.next(&bytes[at..], batch)? else { return Ok(at) };
            at += length;
        }
    }

    /// Reads the header, a row or the end mark; `None` when it is not whole.
    #[inline]
    fn next(&mut self, bytes: &[u8], batch: &mut RowBatch) -> Result<Option<usize>, Error> {
        match self.part {
            Part::Rows => {
                let Some((fields, values)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
                let fields = i16::from_be_bytes(*fields);
                if fields == -1 {
                    self.part = Part::End;
                    return Ok(Some(2));
                }
                if usize::try_from(fields) != Ok(self.decoder.columns()) {
                    return Err(malformed("a row has another number of columns than described"));
                }
                let Some(length) = self.decoder.length_of(values)? else { return Ok(None) };
                self.decoder.row(&values[..length], batch)?;
                Ok(Some(2 + length))
            }
            Part::Header => {
                let known = bytes.len().min(SIGNATURE.len());
                if bytes[..known] != SIGNATURE[..known] {
                    return Err(malformed("the rows do not begin with the signature of COPY"));
                }
                let Some(extension) = bytes.get(HEADER_BYTES - 4..).and_then(<[u8]>::first_chunk::<4>) else {
                    return Ok(None);
                };
                let length = HEADER_BYTES + u32::from_be_bytes(*extension) as usize;
                if bytes.len() < length {
                    return Ok(None);
                }
                self.part = Part::Rows;
                Ok(Some(length))
            }
            Part::End if bytes.is_empty() => Ok(None),
            Part::End => Err(malformed("rows go on after their end mark")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::CellKind;

    fn stream() -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 2, 9, 9]);
        for text in ["a", "bc", ""] {
            bytes.extend_from_slice(&[0, 2, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, text.len() as u8]);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&[0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend_from_slice(&[0xff, 0xff]);
        bytes
    }

    fn read(messages: &[&[u8]]) -> Result<RowBatch, Error> {
        let mut reader = CopyReader::new(vec![Reader::Int4, Reader::Text]);
        let mut batch = RowBatch::new(2);
        messages.iter().try_for_each(|message| reader.read(message, &mut batch))?;
        reader.finish().map(|()| batch)
    }

    proptest! {
        #[test]
        fn rows_may_be_cut_anywhere(cuts in prop::collection::vec(0..70_usize, 0..8)) {
            let bytes = stream();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let messages: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let batch = read(&messages).unwrap();
            prop_assert_eq!(batch.rows(), 4);
            prop_assert_eq!(batch.cell(1, 0), (CellKind::Integer, &b"7"[..]));
            prop_assert_eq!(batch.cell(1, 1), (CellKind::Text, &b"bc"[..]));
            prop_assert_eq!(batch.cell(2, 1), (CellKind::Text, &b""[..]));
            prop_assert_eq!(batch.cell(3, 1), (CellKind::Null, &b""[..]));
        }

        #[test]
        fn any_bytes_are_taken_without_panic(tail in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut bytes = stream()[..21].to_vec();
            bytes.extend_from_slice(&tail);
            let _ = read(&[&bytes]);
            let _ = read(&[&tail]);
        }
    }

    #[test]
    fn broken_streams_are_refused() {
        let whole = stream();
        assert!(read(&[&whole]).is_ok());
        assert!(read(&[&whole[..whole.len() - 2]]).is_err());
        assert!(read(&[&whole, b"x"]).is_err());
        assert!(read(&[b"PGCOPX"]).is_err());
        let mut other_count = whole.clone();
        other_count[22] = 3;
        assert!(read(&[&other_count]).is_err());
        let mut other_width = whole;
        other_width[26] = 3;
        assert!(read(&[&other_width]).is_err());
    }
}
