//! The segment writer: the segments of a run, written while its rows stream.
//!
//! A full segment is uploaded at once: no reader sees an unannounced object, and retention deletes the
//! ones that no manifest references. A put whose key turns out to be a duplicate is retracted after the
//! stream: the few segments that hold one are then written again without it.

use tokio::sync::mpsc;

use super::diff::{BaseTable, NewTable, Origin};
use crate::{
    domain::{
        index::IndexDefinition, limits::SEGMENT_BYTES_TARGET, manifest::SegmentKind, name::CollectionName,
    },
    engine::error::Error,
    segment::{self, Codec, Entry, IndexColumn, SegmentBuilder, SegmentHeader},
};

/// A finished segment, to be uploaded.
pub(in crate::engine) struct FinishedSegment {
    /// Its number within the run.
    pub(super) number: usize,
    pub(super) file: Vec<u8>,
    pub(super) rows: u64,
    pub(super) deletes: u64,
    /// The number of an uploaded segment that this one replaces.
    pub(super) replaces: Option<usize>,
}

/// Where finished segments go.
pub(in crate::engine) enum UploadQueue {
    /// To the uploader.
    Upload(mpsc::Sender<FinishedSegment>),
    /// Nowhere: a dry run only counts.
    Discard,
}

/// The header of a collection's segments; the first of `indexes` is the primary one.
pub(in crate::engine) fn segment_header(
    collection: &CollectionName,
    indexes: &[IndexDefinition],
    kind: SegmentKind,
    codec: &Codec,
) -> SegmentHeader {
    let column = |index: &IndexDefinition| IndexColumn { name: index.name.clone(), each: index.each };
    SegmentHeader {
        collection: collection.clone(),
        kind,
        secondary: indexes.iter().skip(1).map(column).collect(),
        codec: codec.clone(),
        embed_dictionary: kind == SegmentKind::Base,
    }
}

/// What a row adds to the sum of a run's rows: its fingerprint, or for a delete the hash of its key.
pub(in crate::engine) fn row_print(key: &str, fingerprint: u128, is_delete: bool) -> u128 {
    // The halves are mixed, so that a delete is no put.
    if is_delete { segment::key_hash(key).rotate_left(1) } else { fingerprint }
}

/// The retracted puts of one segment.
pub(super) struct RetractedRows {
    /// The segment's number within the run.
    pub(super) segment: usize,
    /// Their rows, ascending.
    pub(super) rows: Vec<u32>,
}

/// The segments of a run, one of them open.
pub(in crate::engine) struct SegmentWriter {
    header: SegmentHeader,
    open: SegmentBuilder,
    origins: Vec<Origin>,
    deletes: u64,
    finished: Vec<Vec<Origin>>,
    bytes: u64,
    bytes_max: u64,
    queue: UploadQueue,
    /// What each row adds to the sum of all; of a dry run, whose rows cannot be read again.
    prints: Option<Vec<u128>>,
}

impl SegmentWriter {
    pub(in crate::engine) fn new(header: SegmentHeader, bytes_max: u64, queue: UploadQueue) -> Self {
        let open = SegmentBuilder::new(header.clone());
        Self {
            header,
            open,
            origins: Vec::new(),
            deletes: 0,
            finished: Vec::new(),
            bytes: 0,
            bytes_max,
            prints: matches!(queue, UploadQueue::Discard).then(Vec::new),
            queue,
        }
    }

    /// Appends a put or a delete.
    pub(in crate::engine) fn push(&mut self, entry: &Entry<'_>, origin: Origin) -> Result<(), Error> {
        self.deletes += u64::from(entry.body.is_none());
        if let Some(prints) = &mut self.prints {
            prints.push(row_print(entry.key, entry.fingerprint, entry.body.is_none()));
        }
        self.open.push(*entry)?;
        self.origins.push(origin);
        if self.open.bytes() >= SEGMENT_BYTES_TARGET { self.finish_segment() } else { Ok(()) }
    }

    /// Queues the open segment, unless it is empty.
    fn finish_segment(&mut self) -> Result<(), Error> {
        if self.origins.is_empty() {
            return Ok(());
        }
        let open = std::mem::replace(&mut self.open, SegmentBuilder::new(self.header.clone()));
        let number = self.finished.len();
        let rows = self.origins.len() as u64;
        let deletes = std::mem::take(&mut self.deletes);
        self.finished.push(std::mem::take(&mut self.origins));
        let mut file = Vec::with_capacity(SEGMENT_BYTES_TARGET + SEGMENT_BYTES_TARGET / 8);
        open.finish(&mut file)?;
        self.bytes += file.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(Error::SpoolFull { bytes_max: self.bytes_max });
        }
        match &self.queue {
            UploadQueue::Upload(queue) => queue
                .blocking_send(FinishedSegment { number, file, rows, deletes, replaces: None })
                .map_err(|_| Error::UploadStopped),
            UploadQueue::Discard => Ok(()),
        }
    }

    /// Queues the last segment and lets the uploader end.
    pub(in crate::engine) fn close(&mut self) -> Result<(), Error> {
        self.finish_segment()?;
        self.queue = UploadQueue::Discard;
        Ok(())
    }

    /// The origins of all puts that are not retracted.
    pub(super) fn kept<'a>(
        &'a self,
        base: &'a BaseTable,
        new: &'a NewTable,
    ) -> impl Iterator<Item = Origin> + 'a {
        self.finished
            .iter()
            .flatten()
            .chain(&self.origins)
            .copied()
            .filter(|origin| !origin.is_retracted(base, new))
    }

    /// The sum of all rows that are not retracted, the same whatever their order; `None` of a run that writes them.
    pub(super) fn sum(&self, base: &BaseTable, new: &NewTable) -> Option<u128> {
        let origins = self.finished.iter().flatten().chain(&self.origins);
        let rows = origins.zip(self.prints.as_ref()?);
        let kept = rows.filter(|(origin, _)| !origin.is_retracted(base, new)).map(|(_, print)| *print);
        Some(kept.fold(0, u128::wrapping_add))
    }

    /// The segments that hold retracted puts.
    pub(super) fn retracted(&self, base: &BaseTable, new: &NewTable) -> Vec<RetractedRows> {
        let is_retracted = |(_, origin): &(u32, &Origin)| origin.is_retracted(base, new);
        let rows_of =
            |origins: &Vec<Origin>| (0..).zip(origins).filter(is_retracted).map(|(row, _)| row).collect();
        let segments = self.finished.iter().map(rows_of).enumerate();
        segments
            .map(|(segment, rows)| RetractedRows { segment, rows })
            .filter(|it| !it.rows.is_empty())
            .collect()
    }

    /// The origins of a finished segment's rows.
    pub(super) fn origins(&self) -> impl Iterator<Item = (usize, &[Origin])> {
        self.finished.iter().map(Vec::as_slice).enumerate()
    }
}
