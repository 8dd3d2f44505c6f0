//! Finds the one record batch of an Arrow IPC file.
//!
//! The bytes come from a bucket that others may write to. Arrow's own file decoder slices by offsets
//! that it does not check and panics on bad ones; here every offset, length and count is checked
//! before use, nothing is copied, and nothing is allocated but a few words per column. The
//! metadata is read through the flatbuffer verifier. The format:
//! <https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format>.

use std::collections::HashMap;

use arrow_buffer::Buffer;
use arrow_ipc::{Block, Endianness, Footer, MessageHeader, root_as_footer, root_as_message};

use super::{
    Error,
    columns::{Body, Node, Span},
    error::corrupt,
};

const MAGIC: &[u8] = b"ARROW1";
/// Magic and padding at the start.
const START_BYTES: usize = 8;
/// Length of the footer and magic at the end.
const END_BYTES: usize = 10;
/// Largest footer or message header, in bytes: a dictionary takes at most 171 KiB of it.
const METADATA_BYTES_MAX: usize = 1024 * 1024;

/// Finds the footer of `file`.
pub(super) fn footer(file: &[u8]) -> Result<Footer<'_>, Error> {
    if file.len() < START_BYTES + END_BYTES || !file.starts_with(MAGIC) || !file.ends_with(MAGIC) {
        return Err(corrupt("it is not an Arrow file, or its end is missing"));
    }
    let end = file.len() - END_BYTES;
    let length = i32::from_le_bytes([file[end], file[end + 1], file[end + 2], file[end + 3]]);
    let length = usize::try_from(length).map_err(|_| corrupt("its footer has no valid length"))?;
    if length > METADATA_BYTES_MAX || length > end - START_BYTES {
        return Err(corrupt("its footer has no valid length"));
    }
    root_as_footer(&file[end - length..end]).map_err(|_| corrupt("its footer is damaged"))
}

/// The metadata of the schema.
pub(super) fn metadata<'a>(footer: &Footer<'a>) -> Result<HashMap<&'a str, &'a str>, Error> {
    let schema = footer.schema().ok_or_else(|| corrupt("it has no schema"))?;
    if schema.endianness() != Endianness::Little {
        return Err(corrupt("its numbers are not little-endian"));
    }
    let mut metadata = HashMap::new();
    for pair in schema.custom_metadata().into_iter().flatten() {
        let (Some(key), Some(value)) = (pair.key(), pair.value()) else {
            return Err(corrupt("its metadata is damaged"));
        };
        metadata.insert(key, value);
    }
    Ok(metadata)
}

/// Finds the record batch of `file`, which must be the only one.
pub(super) fn body<'a>(file: &'a Buffer, footer: &Footer<'_>) -> Result<Body<'a>, Error> {
    if footer.dictionaries().is_some_and(|dictionaries| !dictionaries.is_empty()) {
        return Err(corrupt("it has Arrow dictionaries"));
    }
    let blocks = footer.recordBatches().ok_or_else(|| corrupt("it has no record batch"))?;
    if blocks.len() != 1 {
        return Err(corrupt("it does not have exactly one record batch"));
    }
    let block = blocks.get(0);
    let (header, body) = extent(file.len(), block).ok_or_else(|| corrupt("its record batch lies outside"))?;
    let message = file.get(header.range()).ok_or_else(|| corrupt("its record batch lies outside"))?;
    // A continuation marker and the length of what follows, padding included.
    let message = message.get(8..).ok_or_else(|| corrupt("its record batch has no header"))?;
    let message =
        root_as_message(message).map_err(|_| corrupt("the header of its record batch is damaged"))?;
    if message.header_type() != MessageHeader::RecordBatch {
        return Err(corrupt("its record batch is something else"));
    }
    let batch = message
        .header_as_record_batch()
        .ok_or_else(|| corrupt("the header of its record batch is damaged"))?;
    if batch.compression().is_some() {
        return Err(corrupt("its columns are compressed"));
    }
    let rows = u32::try_from(batch.length()).map_err(|_| corrupt("its record batch has no valid length"))?;
    let nodes = batch.nodes().ok_or_else(|| corrupt("its record batch has no columns"))?;
    let buffers = batch.buffers().ok_or_else(|| corrupt("its record batch has no columns"))?;
    let nodes =
        nodes.iter().map(|node| Node::new(node.length(), node.null_count())).collect::<Option<Vec<_>>>();
    let buffers =
        buffers.iter().map(|span| Span::new(span.offset(), span.length())).collect::<Option<Vec<_>>>();
    match (nodes, buffers) {
        (Some(nodes), Some(buffers)) => Ok(Body::new(file, body, rows, nodes, buffers)),
        _ => Err(corrupt("a column of it has no valid length")),
    }
}

/// The header and the body of `block`, if they are within a file of `len` bytes.
fn extent(len: usize, block: &Block) -> Option<(Span, Span)> {
    let header = Span::new(block.offset(), i64::from(block.metaDataLength()))?;
    let body = Span { start: header.end()?, length: usize::try_from(block.bodyLength()).ok()? };
    (header.length <= METADATA_BYTES_MAX && body.end()? <= len).then_some((header, body))
}
