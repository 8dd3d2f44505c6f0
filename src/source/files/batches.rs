//! Parquet and Arrow IPC: files of record batches.

use std::{
    collections::{HashSet, VecDeque},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    iter,
    sync::{Arc, Mutex, PoisonError},
};

use arrow_array::RecordBatch;
use arrow_ipc::{
    MetadataVersion,
    reader::{FileReader, StreamReader},
};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    basic::{ConvertedType, LogicalType, Type},
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};

use super::{
    FORMAT_UNKNOWN, RowReader,
    content::{Content, ContentReader},
    positions,
};
use crate::{
    domain::{
        limits::BATCH_ROWS,
        row::{Column, RowBatch},
    },
    source::{
        arrow::{self, ArrowDecoder},
        error::Error,
    },
};

/// Decoded bytes of one batch of a Parquet file, by what the file says of its row groups.
const BATCH_BYTES_TARGET: u64 = 8 << 20;
/// Blocks of a bucket's object that are kept while its columns are read side by side, in bytes, and one block.
const CACHE_BYTES: usize = 64 << 20;
const BLOCK_BYTES: std::ops::RangeInclusive<usize> = 128 << 10..=4 << 20;
/// Bytes that are read ahead of a page's header in a local file.
const HEADER_BYTES: u64 = 4 << 10;

/// Stands before the length of a message, since version 0.15 of Arrow.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Record batches of a file, row by row.
pub(super) struct BatchReader {
    content: Arc<Content>,
    batches: Batches,
    /// Where the columns stand in a batch, in the order wanted.
    order: Vec<usize>,
    columns: Vec<Column>,
    width: usize,
    decoder: ArrowDecoder,
    rows: usize,
    next: usize,
}

impl BatchReader {
    fn new(
        content: &Arc<Content>,
        schema: &Schema,
        chosen: Option<&[String]>,
        batches: impl FnOnce(&[usize]) -> Result<Batches, Error>,
    ) -> Result<Self, Error> {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let fields = positions(&names, chosen, content)?;
        let all = arrow::columns(schema);
        let columns = fields.iter().map(|&at| all[at].clone()).collect();
        // Readers give the columns in the order of the file.
        let mut sorted = fields.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let order = fields.iter().map(|at| sorted.partition_point(|other| other < at)).collect();
        Ok(Self {
            content: Arc::clone(content),
            batches: batches(&sorted)?,
            order,
            columns,
            width: names.len(),
            decoder: ArrowDecoder::of_finite_times(),
            rows: 0,
            next: 0,
        })
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>;

impl RowReader for BatchReader {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn read_row(&mut self, batch: &mut RowBatch) -> Result<bool, Error> {
        while self.next == self.rows {
            let Some(found) = self.batches.next() else { return Ok(false) };
            let found = found.map_err(|reason| self.content.explain(&reason))?;
            let found =
                found.project(&self.order).map_err(|_| self.content.explain("a batch lacks columns"))?;
            self.rows = self.decoder.begin(&found)?;
            self.next = 0;
        }
        self.decoder.read_row(self.next, batch);
        self.next += 1;
        Ok(true)
    }
}

/// Opens a Parquet file.
pub(super) fn parquet(content: &Arc<Content>, chosen: Option<&[String]>) -> Result<BatchReader, Error> {
    let failed = |_: ParquetError| content.explain("it is not a Parquet file, or is damaged");
    let pages = Pages { content: Arc::clone(content), cache: None };
    let metadata = ArrowReaderMetadata::load(&pages, ArrowReaderOptions::new()).map_err(failed)?;
    let metadata = match readable_schema(&metadata) {
        None => metadata,
        Some(schema) => {
            let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
            ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).map_err(failed)?
        }
    };
    let schema = Arc::clone(metadata.schema());
    BatchReader::new(content, &schema, chosen, |fields| {
        let cache = content.is_remote().then(|| Arc::new(Cache::new(fields.len())));
        let pages = Pages { content: Arc::clone(content), cache };
        if let Some((column, what)) = unreadable_column(&metadata, fields) {
            let message =
                format!("{} has {what} of Parquet in {column}, which cannot be read", content.name());
            return Err(Error::new(FORMAT_UNKNOWN, message).with_hint(
                "leave the column out with `columns`, or write it as text, for example with cast(... as varchar) or to_json(...)",
            ));
        }
        let mask = ProjectionMask::roots(metadata.parquet_schema(), fields.iter().copied());
        let rows = batch_rows(&metadata);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(pages, metadata);
        let reader = builder.with_projection(mask).with_batch_size(rows).build().map_err(failed)?;
        // The library's words may quote what it read.
        Ok(Box::new(reader.map(|batch| batch.map_err(|_| "a row group is damaged".to_owned()))))
    })
}

/// A column in the roots `fields` whose values would come as other ones, and what it has. Of intervals the library reads days and
/// milliseconds alone, but for a file of Arrow's own writer, which says what else they are. Of a variant it reads the encoded bytes.
fn unreadable_column(metadata: &ArrowReaderMetadata, fields: &[usize]) -> Option<(String, &'static str)> {
    let file = metadata.metadata().file_metadata();
    let is_of_arrow =
        file.key_value_metadata().is_some_and(|pairs| pairs.iter().any(|pair| pair.key == "ARROW:schema"));
    let schema = metadata.parquet_schema();
    let leaves = (0..schema.num_columns()).filter(|leaf| fields.contains(&schema.get_column_root_idx(*leaf)));
    let is_interval = |leaf: &usize| schema.column(*leaf).converted_type() == ConvertedType::INTERVAL;
    let interval = leaves.filter(|_| !is_of_arrow).find(is_interval);
    let interval = interval.map(|leaf| (schema.column(leaf).path().string(), "intervals"));
    interval.or_else(|| {
        let mut roots = fields.iter().map(|field| &schema.root_schema().get_fields()[*field]);
        roots.find(|root| has_variant(root)).map(|root| (root.name().to_owned(), "the type VARIANT"))
    })
}

fn has_variant(of: &parquet::schema::types::Type) -> bool {
    let is_variant = matches!(of.get_basic_info().logical_type_ref(), Some(LogicalType::Variant(_)));
    is_variant || of.is_group() && of.get_fields().iter().any(|field| has_variant(field))
}

/// Rows of one batch, so that it has about [`BATCH_BYTES_TARGET`].
fn batch_rows(metadata: &ArrowReaderMetadata) -> usize {
    let groups = metadata.metadata().row_groups().iter();
    let bytes_of_row = groups.map(|group| group.total_byte_size() / group.num_rows().max(1)).max();
    let bytes_of_row = u64::try_from(bytes_of_row.unwrap_or_default()).unwrap_or_default().max(1);
    (BATCH_BYTES_TARGET / bytes_of_row).clamp(1, BATCH_ROWS as u64) as usize
}

/// The schema with columns read as what they are: an enum is text, a time of 96 bits has years that nanoseconds of 64 bits do not
/// reach, and the library reads decimals in a dictionary only as decimals. `None` when nothing differs.
fn readable_schema(metadata: &ArrowReaderMetadata) -> Option<Schema> {
    let parquet = metadata.parquet_schema();
    let roots = parquet.root_schema().get_fields();
    let decimals = |data_type: &DataType| match data_type {
        DataType::Dictionary(_, value) if value.is_decimal() => Some((**value).clone()),
        _ => None,
    };
    let mut is_changed = false;
    let leaves = 0..parquet.num_columns();
    let is_int96 = |leaf: &usize| parquet.column(*leaf).physical_type() == Type::INT96;
    let with_int96: HashSet<usize> =
        leaves.filter(is_int96).map(|leaf| parquet.get_column_root_idx(leaf)).collect();
    let field = |(at, (field, root)): (usize, (&Arc<Field>, &Arc<parquet::schema::types::Type>))| {
        let info = root.get_basic_info();
        let data_type = if with_int96.contains(&at) {
            in_microseconds(field.data_type())
        } else if root.is_primitive() && info.logical_type_ref() == Some(&LogicalType::Enum) {
            DataType::Utf8
        } else {
            replaced(field.data_type(), &decimals)
        };
        if field.data_type() == &data_type {
            return Arc::clone(field);
        }
        is_changed = true;
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    let fields: Vec<_> = metadata.schema().fields().iter().zip(roots).enumerate().map(field).collect();
    is_changed.then(|| Schema::new_with_metadata(fields, metadata.schema().metadata().clone()))
}

/// The type with times in microseconds, wherever it has times in nanoseconds: those have years from 1677 to 2262 only.
fn in_microseconds(data_type: &DataType) -> DataType {
    replaced(data_type, &|data_type| match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        _ => None,
    })
}

/// The type with what `replace` gives in place of it, or of types within it.
fn replaced(data_type: &DataType, replace: &impl Fn(&DataType) -> Option<DataType>) -> DataType {
    let inner = |field: &Arc<Field>| {
        Arc::new(field.as_ref().clone().with_data_type(replaced(field.data_type(), replace)))
    };
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::List(field) => DataType::List(inner(field)),
        DataType::LargeList(field) => DataType::LargeList(inner(field)),
        DataType::FixedSizeList(field, length) => DataType::FixedSizeList(inner(field), *length),
        DataType::Map(entries, is_sorted) => DataType::Map(inner(entries), *is_sorted),
        other => replace(other).unwrap_or_else(|| other.clone()),
    }
}

/// Opens an Arrow IPC file or stream.
pub(super) fn arrow(content: &Arc<Content>, chosen: Option<&[String]>) -> Result<BatchReader, Error> {
    const MAGIC: &[u8] = b"ARROW1";
    let failed = || content.explain("it is not an Arrow file, or is damaged");
    let mut reader = BufReader::new(ContentReader::new(content, 0));
    let mut start = [0; MAGIC.len()];
    reader.read_exact(&mut start).and_then(|()| reader.rewind()).map_err(|_| failed())?;
    let is_file = start == MAGIC;
    if is_file {
        // A stream of messages stands in a file from byte 8 on.
        reader.seek(SeekFrom::Start(8)).map_err(|_| failed())?;
        let is_current = has_current_version(&mut reader);
        reader.seek(SeekFrom::Start(8)).map_err(|_| failed())?;
        if is_current {
            let reader = FileReader::try_new(reader, None).map_err(|_| failed())?;
            let schema = reader.schema();
            return BatchReader::new(content, &schema, chosen, |fields| {
                let fields = fields.to_vec();
                Ok(Box::new(reader.map(move |batch| project(batch, &fields))))
            });
        }
    }
    let mut reader =
        StreamReader::try_new(Marked { input: reader, last: None }, None).map_err(|_| failed())?;
    let schema = reader.schema();
    BatchReader::new(content, &schema, chosen, |fields| {
        let fields = fields.to_vec();
        let mut has_ended = false;
        Ok(Box::new(iter::from_fn(move || {
            if has_ended {
                return None;
            }
            let next = reader.next().map(|batch| project(batch, &fields));
            has_ended = next.is_none();
            // The footer of a file stands behind its stream.
            next.or_else(|| reader.get_mut().check_end(is_file).err().map(Err))
        })))
    })
}

fn project(batch: Result<RecordBatch, ArrowError>, fields: &[usize]) -> Result<RecordBatch, String> {
    batch.and_then(|batch| batch.project(fields)).map_err(|_| "a record batch is damaged".to_owned())
}

/// Whether the messages of a file are of version 5 of the metadata, or begin elsewhere, as those of Arrow's Rust library do. Arrow's C++
/// library writes this version in the footer of every file, and the reader of files refuses messages of another one.
fn has_current_version(reader: &mut impl io::Read) -> bool {
    let mut next = || {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map(|()| bytes)
    };
    let length = next().and_then(|first| if first == CONTINUATION { next() } else { Ok(first) });
    let length = length.ok().and_then(|bytes| u64::try_from(i32::from_le_bytes(bytes)).ok());
    let mut message = Vec::new();
    let is_read = reader.take(length.unwrap_or_default()).read_to_end(&mut message).is_ok();
    let version = arrow_ipc::root_as_message(&message).map(|message| message.version());
    !(is_read && version.is_ok_and(|version| version != MetadataVersion::V5))
}

/// The input of a stream, which knows the last four bytes that were read by themselves: zeros mark the end of the stream. The
/// format allows streams without the mark, but then one that was cut between two batches looks complete.
struct Marked<R> {
    input: R,
    last: Option<[u8; 4]>,
}

impl<R: io::Read> io::Read for Marked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.last = None;
        self.input.read_exact(buffer)?;
        self.last = <[u8; 4]>::try_from(&*buffer).ok();
        Ok(())
    }
}

impl<R: io::Read> Marked<R> {
    /// Refuses a stream that ended without its mark and, unless it stands in a file, one with something behind it.
    fn check_end(&mut self, is_file: bool) -> Result<(), String> {
        if self.last != Some([0; 4]) {
            let reason =
                "it ends without the mark of a stream's end: it was cut, or its writer was not closed";
            return Err(reason.to_owned());
        }
        match self.input.read(&mut [0]) {
            Ok(read) if read == 0 || is_file => Ok(()),
            Ok(_) => Err("something, such as a second stream, follows the end of its stream".to_owned()),
            Err(_) => Err("it cannot be read to its end".to_owned()),
        }
    }
}

/// The pages of a Parquet file.
struct Pages {
    content: Arc<Content>,
    /// `None` where reading twice costs nothing.
    cache: Option<Arc<Cache>>,
}

/// Blocks of an object, the newest last. Columns are read side by side, each from its own place on.
struct Cache {
    block_bytes: usize,
    blocks_max: usize,
    blocks: Mutex<VecDeque<(u64, Bytes)>>,
}

impl Cache {
    fn new(columns: usize) -> Self {
        let block_bytes = (CACHE_BYTES / columns.max(1)).clamp(*BLOCK_BYTES.start(), *BLOCK_BYTES.end());
        // One more for a page that ends in the next block.
        Self { block_bytes, blocks_max: columns + 1, blocks: Mutex::default() }
    }

    fn block(&self, content: &Content, number: u64) -> io::Result<Bytes> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = blocks.iter().position(|(other, _)| *other == number) {
            let found = blocks.remove(at).unwrap_or_default();
            blocks.push_back(found.clone());
            return Ok(found.1);
        }
        let bytes = content.read_at(number * self.block_bytes as u64, self.block_bytes)?;
        if blocks.len() == self.blocks_max {
            blocks.pop_front();
        }
        blocks.push_back((number, bytes.clone()));
        Ok(bytes)
    }

    /// The bytes from `start` to the end of their block.
    fn rest_of_block(&self, content: &Content, start: u64) -> io::Result<Bytes> {
        let block = self.block(content, start / self.block_bytes as u64)?;
        let from = (start % self.block_bytes as u64) as usize;
        Ok(block.slice(from.min(block.len())..))
    }
}

/// Reads pages one after the other.
enum PageRead {
    Local(ContentReader),
    Cached { content: Arc<Content>, cache: Arc<Cache>, position: u64 },
}

impl io::Read for PageRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Local(reader) => reader.read(buffer),
            Self::Cached { content, cache, position } => {
                if *position >= content.length() {
                    return Ok(0);
                }
                let bytes = cache.rest_of_block(content, *position)?;
                let read = bytes.len().min(buffer.len());
                buffer[..read].copy_from_slice(&bytes[..read]);
                *position += read as u64;
                Ok(read)
            }
        }
    }
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.content.length()
    }
}

impl ChunkReader for Pages {
    type T = PageRead;

    fn get_read(&self, start: u64) -> parquet::errors::Result<PageRead> {
        let content = Arc::clone(&self.content);
        Ok(match &self.cache {
            Some(cache) => PageRead::Cached { content, cache: Arc::clone(cache), position: start },
            None => PageRead::Local(ContentReader::with_request_bytes(&content, start, HEADER_BYTES)),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = match &self.cache {
            Some(cache) if length <= cache.block_bytes => {
                let first = cache.rest_of_block(&self.content, start)?;
                if first.len() >= length {
                    return Ok(first.slice(..length));
                }
                let second = cache.rest_of_block(&self.content, start + first.len() as u64)?;
                let missing = (length - first.len()).min(second.len());
                [&first[..], &second[..missing]].concat().into()
            }
            _ => self.content.read_at(start, length)?,
        };
        if bytes.len() == length {
            Ok(bytes)
        } else {
            Err(ParquetError::EOF("the file is too short".to_owned()))
        }
    }
}
