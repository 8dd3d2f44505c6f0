//! A segment in memory: the parsed file and access to its rows.

use std::ops::Range;

use arrow_array::{Array, BinaryArray, FixedSizeBinaryArray, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_ipc::{Field, Footer, Type};

use super::{
    Codec, Dictionaries, Error, IndexColumn, SegmentBuffer,
    columns::Body,
    error::corrupt,
    file,
    header::{BODY, FINGERPRINT, FLAGS, Facts, INDEX_PREFIX, KEY, facts},
};
use crate::domain::{
    limits::{INDEXES_MAX, SEGMENT_BYTES_MAX},
    manifest::SegmentKind,
    name::{CollectionName, IndexName},
    record::{IndexValues, RecordFlags},
};

/// Bytes that a processor reads at once.
const CACHE_LINE_BYTES: usize = 64;

/// A parsed segment. All rows lie in the one buffer that the file was read into; the accessors
/// take rows from 0 and panic beyond the last, like a slice.
#[derive(Debug)]
pub struct Segment {
    file: Buffer,
    facts: Facts,
    keys: StringArray,
    fingerprints: FixedSizeBinaryArray,
    flags: Buffer,
    bodies: BinaryArray,
    secondary: Vec<Secondary>,
    columns: Vec<IndexColumn>,
}

#[derive(Debug)]
struct Secondary {
    text: StringArray,
    /// Where the values of each row end; only for an index with many values per record.
    rows: Option<OffsetBuffer<i32>>,
}

impl Segment {
    /// Reads a whole file. Every length, offset and count is checked, and all text is UTF-8, so
    /// that no accessor can fail afterwards; a body is only looked at when it is decoded. Finds
    /// its dictionary in the file or in `dictionaries`, and leaves it there for change segments.
    pub fn parse(buffer: SegmentBuffer, dictionaries: &mut Dictionaries) -> Result<Self, Error> {
        let file = buffer.into_buffer();
        if file.len() as u64 > SEGMENT_BYTES_MAX {
            return Err(Error::TooLarge { bytes: file.len() as u64, limit: SEGMENT_BYTES_MAX });
        }
        let footer = file::footer(&file)?;
        let facts = facts(&file::metadata(&footer)?, dictionaries)?;
        let columns = columns(&footer)?;
        let mut body = file::body(&file, &footer)?;
        if body.rows() != facts.counts.rows {
            return Err(corrupt("its metadata has miscounted its rows"));
        }
        let keys = body.required_text()?;
        let fingerprints = body.fixed(16)?;
        let flags = body.bytes()?;
        let bodies = body.optional_bytes()?;
        if bodies.null_count() != facts.counts.deletes as usize {
            return Err(corrupt("its metadata has miscounted its deletes"));
        }
        let secondary =
            columns.iter().map(|column| Secondary::read(&mut body, column)).collect::<Result<_, _>>()?;
        body.finish()?;
        Ok(Self { file, facts, keys, fingerprints, flags, bodies, secondary, columns })
    }

    /// Puts and deletes together.
    pub fn rows(&self) -> u32 {
        self.facts.counts.rows
    }

    /// Deletes among the rows.
    pub fn deletes(&self) -> u32 {
        self.facts.counts.deletes
    }

    /// Base or changes.
    pub fn kind(&self) -> SegmentKind {
        self.facts.kind
    }

    /// The collection that it names.
    pub fn collection(&self) -> &CollectionName {
        &self.facts.collection
    }

    /// How its bodies are stored.
    pub fn codec(&self) -> &Codec {
        &self.facts.codec
    }

    /// The secondary indexes, in the order of the manifest.
    pub fn secondary(&self) -> &[IndexColumn] {
        &self.columns
    }

    /// Length of the file, all of which stays in memory.
    pub fn byte_len(&self) -> usize {
        self.file.len()
    }

    /// The file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.file
    }

    /// The primary key.
    pub fn key(&self, row: u32) -> &str {
        self.keys.value(row as usize)
    }

    /// The fingerprint; 0 of a delete.
    pub fn fingerprint(&self, row: u32) -> u128 {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(self.fingerprints.value(row as usize));
        u128::from_be_bytes(bytes)
    }

    /// The flags.
    pub fn flags(&self, row: u32) -> RecordFlags {
        RecordFlags(self.flags[row as usize])
    }

    /// Whether the row deletes a record.
    pub fn is_delete(&self, row: u32) -> bool {
        self.bodies.is_null(row as usize)
    }

    /// Reads a byte of each cache line of a row's key and body, and returns something of them.
    pub fn touch(&self, row: u32) -> u8 {
        let body = self.stored_body(row).unwrap_or_default();
        let key = self.key(row).as_bytes();
        body.iter().step_by(CACHE_LINE_BYTES).chain(key.first()).fold(0, |all, byte| all ^ byte)
    }

    /// The body as stored; `None` of a delete, and beyond the last row.
    pub fn stored_body(&self, row: u32) -> Option<&[u8]> {
        let row = row as usize;
        (row < self.bodies.len() && self.bodies.is_valid(row)).then(|| self.bodies.value(row))
    }

    /// The values of a row under secondary index `number`, counted from 1 as in the manifest (0 is
    /// the primary one, whose value is the key). None of a delete.
    pub fn values(&self, row: u32, number: usize) -> Values<'_> {
        let column = &self.secondary[number - 1];
        Values { text: &column.text, range: column.range(row as usize) }
    }

    /// The number of values of all rows under secondary index `number`, from 1.
    pub fn value_count(&self, number: usize) -> usize {
        let column = &self.secondary[number - 1];
        column.text.len() - column.text.null_count()
    }

    /// Replaces `values` with all values of a row.
    pub fn all_values(&self, row: u32, values: &mut IndexValues) {
        values.clear();
        for number in 1..=self.secondary.len() {
            for value in self.values(row, number) {
                values.push(number as u16, value);
            }
        }
    }
}

impl Secondary {
    fn read(body: &mut Body<'_>, column: &IndexColumn) -> Result<Self, Error> {
        if column.each {
            let (rows, text) = body.lists()?;
            Ok(Self { text, rows: Some(rows) })
        } else {
            Ok(Self { text: body.optional_text()?, rows: None })
        }
    }

    #[expect(clippy::cast_sign_loss, reason = "offsets were found rising from 0 when parsed")]
    fn range(&self, row: usize) -> Range<usize> {
        match &self.rows {
            Some(rows) => rows[row] as usize..rows[row + 1] as usize,
            None if self.text.is_null(row) => row..row,
            None => row..row + 1,
        }
    }
}

/// The values of one row under one index.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    text: &'a StringArray,
    range: Range<usize>,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.range.next().map(|at| self.text.value(at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for Values<'_> {}

/// Checks the schema and reads the index columns out of it.
fn columns(footer: &Footer<'_>) -> Result<Vec<IndexColumn>, Error> {
    let fields =
        footer.schema().and_then(|schema| schema.fields()).ok_or_else(|| corrupt("it has no columns"))?;
    if fields.len() < 4 || fields.len() > 4 + INDEXES_MAX {
        return Err(corrupt("columns are missing, or there are too many"));
    }
    let is = |at: usize, name: &str, ok: fn(&Field<'_>) -> bool| {
        let field = fields.get(at);
        field.name() == Some(name) && field.dictionary().is_none() && ok(&field)
    };
    let fixed = is(0, KEY, is_text)
        && is(1, FINGERPRINT, |field| {
            field.type_as_fixed_size_binary().is_some_and(|binary| binary.byteWidth() == 16)
        })
        && is(2, FLAGS, |field| {
            field.type_as_int().is_some_and(|int| int.bitWidth() == 8 && !int.is_signed())
        })
        && is(3, BODY, |field| field.type_type() == Type::Binary);
    if !fixed {
        return Err(corrupt("a column is missing or has another type"));
    }
    fields.iter().skip(4).map(|field| index_column(&field)).collect()
}

fn index_column(field: &Field<'_>) -> Result<IndexColumn, Error> {
    let name = field
        .name()
        .and_then(|name| name.strip_prefix(INDEX_PREFIX))
        .and_then(|name| IndexName::new(name).ok())
        .ok_or_else(|| corrupt("an index has no valid name"))?;
    let is_list = field.type_type() == Type::List
        && field.children().is_some_and(|children| children.len() == 1 && is_text(&children.get(0)));
    if field.dictionary().is_some() || !(is_text(field) || is_list) {
        return Err(corrupt("an index has values of another type"));
    }
    Ok(IndexColumn { name, each: is_list })
}

fn is_text(field: &Field<'_>) -> bool {
    field.type_type() == Type::Utf8 && field.dictionary().is_none()
}
