//! Writes a segment: collects entries in columns, and writes the columns as one Arrow IPC file.

use std::{io::Write, sync::Arc};

use arrow_array::{
    ArrayRef, BinaryArray, FixedSizeBinaryArray, ListArray, RecordBatch, StringArray, UInt8Array,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_ipc::{
    MetadataVersion,
    writer::{FileWriter, IpcWriteOptions},
};
use arrow_schema::ArrowError;

use super::{
    Error, SegmentHeader,
    buffer::ALIGNMENT,
    header::{Counts, element, schema},
};
use crate::domain::{
    limits::SEGMENT_BYTES_MAX,
    manifest::SegmentKind,
    record::{IndexValues, RecordFlags},
};

/// One row of a segment.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Canonical primary key.
    pub key: &'a str,
    /// See [`super::fingerprint()`]. Ignored for a delete.
    pub fingerprint: u128,
    /// The flags of the record.
    pub flags: RecordFlags,
    /// The body as an [`super::Encoder`] made it; `None` is a delete.
    pub body: Option<&'a [u8]>,
    /// Values of the secondary indexes. Ignored for a delete.
    pub values: &'a IndexValues,
}

/// The size of a written segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Puts and deletes together.
    pub rows: u32,
    /// Deletes among them.
    pub deletes: u32,
    /// Length of the file.
    pub bytes: u64,
}

/// Collects the rows of one segment.
#[derive(Debug)]
pub struct SegmentBuilder {
    header: SegmentHeader,
    keys: Pieces,
    fingerprints: Vec<u8>,
    flags: Vec<u8>,
    bodies: Pieces,
    present: BooleanBufferBuilder,
    secondary: Vec<Secondary>,
    deletes: u32,
}

/// Concatenated texts or bodies.
#[derive(Debug)]
struct Pieces {
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

/// The values of one index: the offsets of rows into values, and of values into text.
#[derive(Debug)]
struct Secondary {
    values: Pieces,
    present: BooleanBufferBuilder,
    /// Ends of rows in `values`; only for an index with many values per record.
    rows: Option<Vec<i32>>,
}

impl Pieces {
    fn new() -> Self {
        Self { ends: vec![0], bytes: Vec::new() }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.ends.push(offset(self.bytes.len()));
    }

    fn len(&self) -> usize {
        self.ends.len() - 1
    }

    fn memory(&self) -> usize {
        self.bytes.len() + 4 * self.ends.len()
    }

    fn into_parts(self) -> (OffsetBuffer<i32>, Buffer) {
        (offsets(self.ends), Buffer::from_vec(self.bytes))
    }
}

/// A length within a segment: [`SegmentBuilder::push`] keeps all of them far below 2 GiB.
fn offset(length: usize) -> i32 {
    i32::try_from(length).expect("a segment is smaller than 2 GiB")
}

fn offsets(ends: Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(ends))
}

fn nulls(mut present: BooleanBufferBuilder) -> NullBuffer {
    NullBuffer::new(present.finish())
}

impl Secondary {
    fn new(each: bool) -> Self {
        Self { values: Pieces::new(), present: BooleanBufferBuilder::new(0), rows: each.then(|| vec![0]) }
    }

    /// Ends the current row, whose first value has the number `first`.
    fn close(&mut self, first: usize) {
        self.present.append(self.values.len() > first);
        match &mut self.rows {
            Some(rows) => rows.push(offset(self.values.len())),
            None if self.values.len() == first => self.values.push(b""),
            None => {}
        }
    }

    fn memory(&self) -> usize {
        self.values.memory() + self.present.len() / 8 + 4 * self.rows.as_ref().map_or(0, Vec::len)
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        let (ends, text) = self.values.into_parts();
        let nulls = Some(nulls(self.present));
        Ok(match self.rows {
            None => Arc::new(StringArray::try_new(ends, text, nulls)?),
            Some(rows) => {
                let values = Arc::new(StringArray::try_new(ends, text, None)?);
                Arc::new(ListArray::try_new(element(), offsets(rows), values, nulls)?)
            }
        })
    }
}

impl SegmentBuilder {
    /// An empty segment.
    pub fn new(header: SegmentHeader) -> Self {
        Self {
            keys: Pieces::new(),
            fingerprints: Vec::new(),
            flags: Vec::new(),
            bodies: Pieces::new(),
            present: BooleanBufferBuilder::new(0),
            secondary: header.secondary.iter().map(|index| Secondary::new(index.each)).collect(),
            deletes: 0,
            header,
        }
    }

    /// Appends a row. One that does not fit the header, or that makes the file larger than
    /// [`SEGMENT_BYTES_MAX`], is an error and changes nothing.
    pub fn push(&mut self, entry: Entry<'_>) -> Result<(), Error> {
        self.check(&entry)?;
        self.keys.push(entry.key.as_bytes());
        self.flags.push(entry.flags.0);
        self.bodies.push(entry.body.unwrap_or_default());
        self.present.append(entry.body.is_some());
        if entry.body.is_some() {
            self.fingerprints.extend_from_slice(&entry.fingerprint.to_be_bytes());
            self.push_values(entry.values);
        } else {
            self.deletes += 1;
            self.fingerprints.extend_from_slice(&[0; 16]);
            self.push_values(&IndexValues::default());
        }
        Ok(())
    }

    fn check(&self, entry: &Entry<'_>) -> Result<(), Error> {
        let mut size = self.bytes() + entry.key.len() + entry.body.map_or(0, <[u8]>::len) + 64;
        let mut last = 0;
        for (index, value) in entry.values.iter() {
            let Some(column) = usize::from(index).checked_sub(1).and_then(|at| self.secondary.get(at)) else {
                return Err(Error::Misfit("a value under an index that the segment has not"));
            };
            if index < last {
                return Err(Error::Misfit("values out of the order of the indexes"));
            }
            if index == last && column.rows.is_none() {
                return Err(Error::Misfit("a second value under an index that takes one"));
            }
            last = index;
            size += value.len() + 4;
        }
        if entry.body.is_none() && self.header.kind == SegmentKind::Base {
            return Err(Error::Misfit("a delete in a base"));
        }
        if size as u64 > SEGMENT_BYTES_MAX {
            return Err(Error::TooLarge { bytes: size as u64, limit: SEGMENT_BYTES_MAX });
        }
        Ok(())
    }

    fn push_values(&mut self, values: &IndexValues) {
        let mut values = values.iter().peekable();
        for (at, column) in self.secondary.iter_mut().enumerate() {
            let first = column.values.len();
            while let Some((_, value)) = values.next_if(|(index, _)| usize::from(*index) == at + 1) {
                column.values.push(value.as_bytes());
            }
            column.close(first);
        }
    }

    /// Puts and deletes so far.
    pub fn rows(&self) -> u32 {
        self.flags.len() as u32
    }

    /// The approximate length of the file. A writer compares it with
    /// [`crate::domain::limits::SEGMENT_BYTES_TARGET`].
    pub fn bytes(&self) -> usize {
        let fixed = 4096 + 2 * self.dictionary_bytes();
        fixed
            + self.keys.memory()
            + self.fingerprints.len()
            + self.flags.len()
            + self.bodies.memory()
            + self.flags.len() / 2
            + self.secondary.iter().map(Secondary::memory).sum::<usize>()
    }

    /// A file has the schema twice, and with it the dictionary in base64.
    fn dictionary_bytes(&self) -> usize {
        match &self.header.codec {
            super::Codec::Zstd(dictionary) if self.header.embed_dictionary => {
                dictionary.as_bytes().len().div_ceil(3) * 4
            }
            _ => 0,
        }
    }

    /// Writes the file to `out` column by column, without another copy.
    pub fn finish(self, out: &mut impl Write) -> Result<Written, Error> {
        let failed = Error::Write;
        let counts = Counts { rows: self.rows(), deletes: self.deletes };
        let schema = Arc::new(schema(&self.header, counts));
        let columns = self.into_columns().map_err(failed)?;
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(failed)?;
        let mut counted = Counted { out, bytes: 0 };
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5).map_err(failed)?;
        let mut writer = FileWriter::try_new_with_options(&mut counted, &schema, options).map_err(failed)?;
        writer.write(&batch).and_then(|()| writer.finish()).map_err(failed)?;
        drop(writer);
        Ok(Written { rows: counts.rows, deletes: counts.deletes, bytes: counted.bytes })
    }

    fn into_columns(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let rows = self.flags.len();
        let (key_ends, keys) = self.keys.into_parts();
        let (body_ends, bodies) = self.bodies.into_parts();
        let fingerprints = Buffer::from_vec(self.fingerprints);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::try_new(key_ends, keys, None)?),
            Arc::new(FixedSizeBinaryArray::try_new_with_len(16, fingerprints, None, rows)?),
            Arc::new(UInt8Array::new(ScalarBuffer::from(self.flags), None)),
            Arc::new(BinaryArray::try_new(body_ends, bodies, Some(nulls(self.present)))?),
        ];
        for column in self.secondary {
            columns.push(column.finish()?);
        }
        Ok(columns)
    }
}

/// Counts the bytes that are written.
struct Counted<'a, W> {
    out: &'a mut W,
    bytes: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
