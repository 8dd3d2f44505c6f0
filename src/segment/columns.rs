//! The columns of a record batch, checked one by one and kept as slices of the file.

use std::ops::Range;

use arrow_array::{BinaryArray, FixedSizeBinaryArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::{Error, error::corrupt};

/// A part of the file or of the body of its record batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) length: usize,
}

impl Span {
    /// `None` when a number is negative.
    pub(super) fn new(start: i64, length: i64) -> Option<Self> {
        Some(Self { start: usize::try_from(start).ok()?, length: usize::try_from(length).ok()? })
    }

    /// `None` when it overflows.
    pub(super) fn end(&self) -> Option<usize> {
        self.start.checked_add(self.length)
    }

    /// The range, for slices that check it.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end().unwrap_or(usize::MAX)
    }
}

/// The metadata of one column or list child of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    length: usize,
    nulls: usize,
}

impl Node {
    /// `None` when a number is negative.
    pub(super) fn new(length: i64, nulls: i64) -> Option<Self> {
        Some(Self { length: usize::try_from(length).ok()?, nulls: usize::try_from(nulls).ok()? })
    }
}

/// The body of a record batch, read column by column.
#[derive(Debug)]
pub(super) struct Body<'a> {
    file: &'a Buffer,
    span: Span,
    rows: u32,
    nodes: std::vec::IntoIter<Node>,
    buffers: std::vec::IntoIter<Span>,
}

impl<'a> Body<'a> {
    /// A body at `span` of `file`, which lies within it.
    pub(super) fn new(file: &'a Buffer, span: Span, rows: u32, nodes: Vec<Node>, buffers: Vec<Span>) -> Self {
        Self { file, span, rows, nodes: nodes.into_iter(), buffers: buffers.into_iter() }
    }

    /// Rows of the batch.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// A column of text that has a value in every row.
    pub(super) fn required_text(&mut self) -> Result<StringArray, Error> {
        let text = self.text()?;
        if text.1 == 0 { Ok(text.0) } else { Err(corrupt("a key is null")) }
    }

    /// A column of text, null where a row has none.
    pub(super) fn optional_text(&mut self) -> Result<StringArray, Error> {
        Ok(self.text()?.0)
    }

    fn text(&mut self) -> Result<(StringArray, usize), Error> {
        let rows = self.node_of_rows()?;
        self.text_of(rows)
    }

    fn text_of(&mut self, node: Node) -> Result<(StringArray, usize), Error> {
        let nulls = self.nulls(node)?;
        let (ends, bytes) = (self.next_buffer()?, self.next_buffer()?);
        let ends = offsets(&ends, node.length, bytes.len())?;
        let count = nulls.as_ref().map_or(0, NullBuffer::null_count);
        // Checks that the text is UTF-8 and that every piece begins and ends at a character.
        let text = StringArray::try_new(ends, bytes, nulls).map_err(|_| corrupt("a text is not UTF-8"))?;
        Ok((text, count))
    }

    /// A column of bytes, null where a row has none.
    pub(super) fn optional_bytes(&mut self) -> Result<BinaryArray, Error> {
        let node = self.node_of_rows()?;
        let nulls = self.nulls(node)?;
        let (ends, bytes) = (self.next_buffer()?, self.next_buffer()?);
        let ends = offsets(&ends, node.length, bytes.len())?;
        BinaryArray::try_new(ends, bytes, nulls).map_err(|_| corrupt("a body lies outside"))
    }

    /// A column of `width` bytes in every row.
    pub(super) fn fixed(&mut self, width: i32) -> Result<FixedSizeBinaryArray, Error> {
        let bytes = self.fixed_buffer(width)?;
        FixedSizeBinaryArray::try_new_with_len(width, bytes, None, self.rows as usize)
            .map_err(|_| corrupt("a column is too short"))
    }

    /// A column of one byte in every row.
    pub(super) fn bytes(&mut self) -> Result<Buffer, Error> {
        self.fixed_buffer(1)
    }

    fn fixed_buffer(&mut self, width: i32) -> Result<Buffer, Error> {
        let node = self.node_of_rows()?;
        if self.nulls(node)?.is_some() {
            return Err(corrupt("a fingerprint or flag is null"));
        }
        let bytes = self.next_buffer()?;
        let needed = usize::try_from(width).ok().and_then(|width| width.checked_mul(node.length));
        match needed {
            Some(needed) if needed <= bytes.len() => Ok(bytes.slice_with_length(0, needed)),
            _ => Err(corrupt("a column is too short")),
        }
    }

    /// A column of lists of text: where the list of each row ends, and the text.
    pub(super) fn lists(&mut self) -> Result<(OffsetBuffer<i32>, StringArray), Error> {
        let node = self.node_of_rows()?;
        let nulls = self.nulls(node)?;
        let ends = self.next_buffer()?;
        let child = self.nodes.next().ok_or_else(|| corrupt("a column is missing"))?;
        let (text, missing) = self.text_of(child)?;
        if missing > 0 {
            return Err(corrupt("an element of a list is null"));
        }
        let ends = offsets(&ends, node.length, child.length)?;
        let is_empty = |row: usize| ends[row] == ends[row + 1];
        if nulls.is_some_and(|nulls| (0..node.length).any(|row| nulls.is_null(row) && !is_empty(row))) {
            return Err(corrupt("a list that is null has elements"));
        }
        Ok((ends, text))
    }

    /// Checks that all of the batch was read.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        if self.nodes.next().is_some() || self.buffers.next().is_some() {
            return Err(corrupt("it has more columns than its schema"));
        }
        Ok(())
    }

    fn node_of_rows(&mut self) -> Result<Node, Error> {
        let node = self.nodes.next().ok_or_else(|| corrupt("a column is missing"))?;
        if node.length == self.rows as usize { Ok(node) } else { Err(corrupt("a column is too short")) }
    }

    fn next_buffer(&mut self) -> Result<Buffer, Error> {
        let span = self.buffers.next().ok_or_else(|| corrupt("a column is missing"))?;
        match span.end() {
            Some(end) if end <= self.span.length => {
                Ok(self.file.slice_with_length(self.span.start + span.start, span.length))
            }
            _ => Err(corrupt("a column lies outside")),
        }
    }

    /// The rows that are null; `None` when none is.
    fn nulls(&mut self, node: Node) -> Result<Option<NullBuffer>, Error> {
        let bits = self.next_buffer()?;
        if bits.is_empty() {
            return if node.nulls == 0 { Ok(None) } else { Err(corrupt("a column does not tell its nulls")) };
        }
        if bits.len() < node.length.div_ceil(8) {
            return Err(corrupt("a column does not tell its nulls"));
        }
        let nulls = NullBuffer::new(BooleanBuffer::new(bits, 0, node.length));
        if nulls.null_count() != node.nulls {
            return Err(corrupt("a column has miscounted its nulls"));
        }
        Ok(Some(nulls).filter(|nulls| nulls.null_count() > 0))
    }
}

/// Reads the offsets of `count` pieces. Checks that they increase and stay within `limit` bytes or elements.
fn offsets(bytes: &Buffer, count: usize, limit: usize) -> Result<OffsetBuffer<i32>, Error> {
    if count == 0 && bytes.is_empty() {
        return Ok(OffsetBuffer::new_empty());
    }
    let needed = count.checked_add(1).and_then(|count| count.checked_mul(4));
    if needed.is_none_or(|needed| needed > bytes.len()) {
        return Err(corrupt("a column is too short"));
    }
    // Arrow panics on an unaligned buffer, and a copy would double the memory of a column.
    if bytes.as_ptr().align_offset(align_of::<i32>()) != 0 {
        return Err(corrupt("a column is not aligned"));
    }
    let ends = ScalarBuffer::<i32>::new(bytes.clone(), 0, count + 1);
    let rising = ends.is_sorted();
    let within = usize::try_from(ends[count]).is_ok_and(|last| last <= limit);
    if ends[0] < 0 || !rising || !within {
        return Err(corrupt("a piece of a column lies outside"));
    }
    Ok(OffsetBuffer::new(ends))
}
