//! The spool of a run: what it will publish, written as segments while the rows stream.
//!
//! A full segment goes to the publisher task at once (unannounced objects are invisible, and what
//! no manifest names is collected). A put whose key turns out to have a twin is struck after the
//! stream: the few segments that hold one are then written again without it.

use tokio::sync::mpsc;

use super::{
    diff::{BaseTable, NewTable, Origin},
    error::Error,
};
use crate::{
    domain::limits::SEGMENT_BYTES_TARGET,
    segment::{Entry, SegmentBuilder, SegmentHeader},
};

/// A finished segment on its way to the store.
pub(super) struct Draft {
    /// Its place among the run's segments.
    pub(super) number: usize,
    pub(super) file: Vec<u8>,
    pub(super) rows: u64,
    pub(super) deletes: u64,
}

/// Where drafts go.
pub(super) enum Outbox {
    /// To the task that publishes them.
    Publish(mpsc::Sender<Draft>),
    /// Nowhere: a dry run counts and forgets.
    Discard,
}

/// The segments of a run, one of them open.
pub(super) struct Spool {
    header: SegmentHeader,
    open: SegmentBuilder,
    origins: Vec<Origin>,
    deletes: u64,
    finished: Vec<Vec<Origin>>,
    bytes: u64,
    bytes_max: u64,
    outbox: Outbox,
}

impl Spool {
    pub(super) fn new(header: SegmentHeader, bytes_max: u64, outbox: Outbox) -> Self {
        let open = SegmentBuilder::new(header.clone());
        Self {
            header,
            open,
            origins: Vec::new(),
            deletes: 0,
            finished: Vec::new(),
            bytes: 0,
            bytes_max,
            outbox,
        }
    }

    /// Appends a put or a delete.
    pub(super) fn push(&mut self, entry: &Entry<'_>, origin: Origin) -> Result<(), Error> {
        self.deletes += u64::from(entry.body.is_none());
        self.open.push(*entry)?;
        self.origins.push(origin);
        if self.open.bytes() >= SEGMENT_BYTES_TARGET { self.finish_segment() } else { Ok(()) }
    }

    /// Hands the open segment over; nothing happens when it is empty.
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
        match &self.outbox {
            Outbox::Publish(outbox) => outbox
                .blocking_send(Draft { number, file, rows, deletes })
                .map_err(|_| Error::PublisherStopped),
            Outbox::Discard => Ok(()),
        }
    }

    /// Hands the last segment over and lets the publisher task end.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        self.finish_segment()?;
        self.outbox = Outbox::Discard;
        Ok(())
    }

    /// Every put that is not struck, by its origin.
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
            .filter(|origin| !origin.is_struck(base, new))
    }

    /// The rows to strike, by the number of their segment; for segments that have any.
    pub(super) fn struck(&self, base: &BaseTable, new: &NewTable) -> Vec<(usize, Vec<u32>)> {
        let rows_of = |origins: &Vec<Origin>| -> Vec<u32> {
            (0_u32..)
                .zip(origins)
                .filter(|(_, origin)| origin.is_struck(base, new))
                .map(|(row, _)| row)
                .collect()
        };
        self.finished.iter().map(rows_of).enumerate().filter(|(_, rows)| !rows.is_empty()).collect()
    }

    /// The origins of a finished segment's rows.
    pub(super) fn origins(&self) -> impl Iterator<Item = (usize, &[Origin])> {
        self.finished.iter().map(Vec::as_slice).enumerate()
    }
}
