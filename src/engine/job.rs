//! The thread of a run: builds the table of what is served, takes the stream, judges it and writes
//! what becomes of the records that no row replaces.

use chrono::{DateTime, Utc};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{
    base::SegmentReader,
    closing::{Closing, judge},
    conflicts::Contested,
    diff::BaseTable,
    error::Error,
    guard::{self, Hold},
    plan::Plan,
    progress::Progress,
    sequencer::Sequencer,
    spool::Outbox,
    stream::Task,
};
use crate::{
    disk::SegmentDirectory,
    domain::{row::RowBatch, run::RunCounts},
    segment::Codec,
    store::Store,
    support::background::spawn_thread,
};

/// What a run's thread needs.
pub(super) struct Job {
    pub(super) plan: std::sync::Arc<Plan>,
    pub(super) store: Store,
    pub(super) directory: SegmentDirectory,
    pub(super) data_as_of: DateTime<Utc>,
    pub(super) progress: Progress,
    pub(super) spool_bytes_max: u64,
    pub(super) accept: bool,
    pub(super) dry_run: bool,
}

/// What it brings back.
pub(super) struct Judged {
    pub(super) sequencer: Sequencer,
    pub(super) table: BaseTable,
    pub(super) codec: Codec,
    pub(super) counts: RunCounts,
    pub(super) hold: Option<Hold>,
    /// Contested values by the number of their index.
    pub(super) contested: Vec<(usize, Contested)>,
}

impl Job {
    /// Starts the thread. `ended` tells whether the source came to its end: a stream that was cut
    /// must not be taken for a short one.
    pub(super) fn spawn(
        self,
        batches: mpsc::Receiver<RowBatch>,
        outbox: Outbox,
        ended: oneshot::Receiver<()>,
    ) -> Result<oneshot::Receiver<Result<Judged, Error>>, Error> {
        let (done, result) = oneshot::channel();
        let runtime = Handle::current();
        // The caller may be gone: a cancelled run wants no result.
        let work = move || drop(done.send(self.work(batches, outbox, ended, &runtime)));
        spawn_thread("larder-sync", work).map_err(|source| Error::ThreadRefused { source })?;
        Ok(result)
    }

    fn work(
        &self,
        batches: mpsc::Receiver<RowBatch>,
        outbox: Outbox,
        ended: oneshot::Receiver<()>,
        runtime: &Handle,
    ) -> Result<Judged, Error> {
        let plan = &*self.plan;
        let mut reader = SegmentReader::new(&self.store, &self.directory, runtime);
        let (table, base_codec) = match plan.compared() {
            Some(manifest) => reader.table(manifest)?,
            None => (BaseTable::with_capacity(0), Codec::Plain),
        };
        let task = Task {
            collection: &plan.spec.collection,
            mapping: &plan.mapping,
            base: &table,
            codec: (!plan.rebuild).then_some(base_codec),
            compression: plan.spec.compression,
            data_as_of: self.data_as_of,
            fingerprint_seed: plan.fingerprint_seed,
            spool_bytes_max: self.spool_bytes_max,
            progress: self.progress.clone(),
        };
        let (mut sequencer, codec) = task.run(batches, outbox)?;
        ended.blocking_recv().map_err(|_| Error::Cancelled)?;

        let on_delete = plan.spec.on_delete;
        let (mut counts, facts) = judge(&sequencer, &table, on_delete, plan.fields_changed);
        let hold = guard::look(&facts, &plan.spec.guards).filter(|_| !self.accept);
        sequencer.strike_claims(&table);
        if let Some(manifest) = plan.compared() {
            let (mapping, rebuild) = (&plan.mapping, plan.rebuild);
            Closing { manifest, mapping, on_delete, codec: &codec, rebuild }.append(
                &table,
                &mut reader,
                &mut sequencer,
            )?;
        }
        let mut contested = Vec::new();
        for (index, claims) in std::mem::take(&mut sequencer.claims).into_iter().enumerate() {
            let (losers, groups) = claims.judge();
            counts.conflicts += losers;
            contested.extend(groups.into_iter().map(|group| (index, group)));
        }
        sequencer.spool.close()?;
        if self.dry_run {
            contested.clear();
        }
        Ok(Judged { sequencer, table, codec, counts, hold, contested })
    }
}
