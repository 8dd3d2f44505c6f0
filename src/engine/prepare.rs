//! From the source to a published manifest: everything of a run up to its announcement. Nothing of
//! it is visible to a reader, and all of it may be dropped at any moment.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{
    Engine,
    base::Base,
    error::Error,
    guard::Hold,
    job::{Job, Judged},
    listing::list_conflicts,
    plan::Plan,
    publishing::Publishing,
    reading::read,
    request::RunRequest,
    spec::SyncSpec,
    spool::Outbox,
    stream::BATCHES_WAITING_MAX,
    strike::rewrite_struck,
};
use crate::{
    catalog,
    domain::{
        digest::Digest,
        id::RunId,
        manifest::{Manifest, SegmentReference, Version},
        run::{RejectedRow, RunCounts},
    },
    mapping::Mapping,
    source::Source,
    store,
};

/// What a run came to, not yet announced.
pub(super) struct Prepared {
    pub(super) data_as_of: DateTime<Utc>,
    pub(super) counts: RunCounts,
    pub(super) rejected: Vec<RejectedRow>,
    pub(super) hold: Option<Hold>,
    pub(super) base: Option<Arc<Base>>,
    /// The manifest that was published; `None` when nothing changed, and in a dry run.
    pub(super) published: Option<Published>,
    /// Whether a record or a setting differs from what is served.
    pub(super) is_changed: bool,
}

/// A manifest in the store.
pub(super) struct Published {
    pub(super) manifest: Manifest,
    pub(super) object: String,
    pub(super) sha256: Digest,
}

impl Engine {
    /// Reads, compares and publishes.
    pub(super) async fn prepare(&self, run_id: RunId, request: &RunRequest) -> Result<Prepared, Error> {
        let RunRequest { spec, source, progress, .. } = request;
        let (base, last) = self.base_of(spec).await?;
        progress.begin(base.as_ref().map_or(0, |base| base.manifest.records));
        let columns = source.describe(&spec.query).await?;
        let mapping = Mapping::compile(&spec.mapping, &columns).map_err(Error::Mapping)?;
        let is_lost = match &base {
            Some(base) if request.accept => self.is_lost(base).await?,
            _ => false,
        };
        let plan = Arc::new(Plan::new(spec.clone(), columns, mapping, (base, is_lost), last));
        let data_as_of = self.clock.now();
        let publishing = Publishing {
            store: self.store.clone(),
            directory: self.directory.clone(),
            collection: spec.collection.clone(),
            run_id,
            kind: plan.kind(),
            version: plan.version,
        };
        let job = Job {
            plan: plan.clone(),
            store: self.store.clone(),
            directory: self.directory.clone(),
            data_as_of,
            progress: progress.clone(),
            spool_bytes_max: self.settings.spool_bytes_max,
            accept: request.accept,
            dry_run: request.dry_run,
        };
        let (judged, written) = stream(job, source, publishing.clone()).await?;
        let counts = judged.counts;
        let hold = judged.hold;
        let (written, rejected) = self.settle_twins(&plan, judged, written, &publishing).await?;
        let has_records_changed = counts.added + counts.changed + counts.removed > 0;
        let is_changed = plan.rebuild
            || plan.settings_differ()
            || !written.is_empty()
            || (request.dry_run && has_records_changed);
        // A held run keeps its manifest, also when nothing was written: an operator may announce it.
        let published = if (is_changed || hold.is_some()) && !request.dry_run {
            let manifest = plan.manifest(run_id, self.clock.now(), data_as_of, &counts, written);
            let (object, sha256) = catalog::publish_manifest(&self.store, &manifest).await?;
            Some(Published { manifest, object, sha256 })
        } else {
            None
        };
        Ok(Prepared { data_as_of, counts, rejected, hold, base: plan.base.clone(), published, is_changed })
    }

    /// Whether a segment of what is announced is gone or damaged, here and in the store: then nothing can be
    /// compared with it, and whoever accepts that gets everything written anew.
    async fn is_lost(&self, base: &Base) -> Result<bool, Error> {
        for segment in &base.manifest.segments {
            match self.directory.load(&self.store, segment).await {
                Ok(_) => {}
                Err(error @ (store::Error::Missing { .. } | store::Error::Corrupt { .. })) => {
                    let collection = &base.manifest.collection;
                    tracing::warn!(code = error.code(), %collection, %error, "what is announced cannot be read; everything is written anew");
                    return Ok(true);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// What is announced of a collection, and the last version that it had: also when it was dropped.
    pub(super) async fn base_of(&self, spec: &SyncSpec) -> Result<(Option<Arc<Base>>, Version), Error> {
        let name = &spec.collection;
        let newest = self.store.newest(Some(self.deployment)).await?;
        let Some(mut document) = newest else { return Ok((None, Version(0))) };
        match document.collections.remove(name) {
            Some(entry) => {
                let last = entry.version;
                Ok((Some(Arc::new(Base::read(&self.store, name, entry).await?)), last))
            }
            None => Ok((None, document.dropped.remove(name).unwrap_or(Version(0)))),
        }
    }

    /// Lists conflicts, then takes struck puts out of what was published.
    async fn settle_twins(
        &self,
        plan: &Arc<Plan>,
        judged: Judged,
        mut written: BTreeMap<usize, SegmentReference>,
        publishing: &Publishing,
    ) -> Result<(Vec<SegmentReference>, Vec<RejectedRow>), Error> {
        let (plan, store, directory) = (plan.clone(), self.store.clone(), self.directory.clone());
        let runtime = Handle::current();
        let references = written.clone();
        let (drafts, rejected) = tokio::task::spawn_blocking(move || {
            let mut judged = judged;
            let place = (&store, &directory, &runtime);
            let mut rejected = std::mem::take(&mut judged.sequencer.rejected);
            list_conflicts(&plan, &judged, &references, place, &mut rejected)?;
            let drafts = rewrite_struck(&plan, &judged, &references, place)?;
            Ok::<_, Error>((drafts, rejected.rows().to_vec()))
        })
        .await
        .map_err(|_| Error::WorkerDied)??;
        for (number, draft) in drafts {
            if draft.rows == 0 {
                written.remove(&number);
            } else {
                let (_, reference) = publishing.publish(draft).await?;
                written.insert(number, reference);
            }
        }
        Ok((written.into_values().collect(), rejected))
    }
}

/// Runs source, thread and publisher side by side. Of several errors the first cause is given.
async fn stream(
    job: Job,
    source: &Source,
    publishing: Publishing,
) -> Result<(Judged, BTreeMap<usize, SegmentReference>), Error> {
    let (batch_sender, batches) = mpsc::channel(BATCHES_WAITING_MAX);
    let (draft_sender, drafts) = mpsc::channel(1);
    let (end_sender, ended) = oneshot::channel();
    let outbox = if job.dry_run {
        drop(draft_sender);
        Outbox::Discard
    } else {
        Outbox::Publish(draft_sender)
    };
    let plan = job.plan.clone();
    let judged = job.spawn(batches, outbox, ended)?;
    let read = read(source.clone(), plan, batch_sender, end_sender);
    let (read, judged, written) = tokio::join!(read, judged, publishing.run(drafts));
    read?;
    match judged {
        Ok(Ok(judged)) => Ok((judged, written?)),
        Ok(Err(Error::PublisherStopped)) => Err(written.err().unwrap_or(Error::PublisherStopped)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::WorkerDied),
    }
}
