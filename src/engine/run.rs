//! One run of a sync, from lease to outcome.

use tracing::{debug, info, warn};

use super::{
    Engine,
    error::Error,
    guard::Hold,
    lease::KeptLease,
    prepare::Prepared,
    request::{RunRequest, Trigger},
};
use crate::{
    catalog::{AnnounceError, Change},
    domain::{
        error::ErrorKind,
        id::RunId,
        run::{RejectedRow, RunCounts, RunError, RunRecord, RunStatus},
    },
    support::random,
};

/// Times that a run starts again because another announcement came first.
const ATTEMPTS_MAX: usize = 3;

/// A run that came to its end. A failed one is an end too: its record has the error.
#[derive(Debug)]
pub struct Ended {
    /// The run as metadata keeps it.
    pub record: RunRecord,
    /// Why it is held.
    pub hold: Option<Hold>,
    /// What kind of error ended it.
    pub kind: Option<ErrorKind>,
    /// The code of that error, when the object store or the catalog failed.
    pub store_failure: Option<&'static str>,
    /// The rejected rows kept, and listed conflicts.
    pub rejected: Vec<RejectedRow>,
}

impl Engine {
    /// Runs a sync once. An error means that no run could begin ([`Error::LeaseHeld`],
    /// [`Error::Paused`] for one by schedule, metadata down); everything later stands in the record that comes back.
    pub async fn run(&self, request: &RunRequest) -> Result<Ended, Error> {
        if request.dry_run {
            return Box::pin(self.dry_run(request)).await;
        }
        let name = &request.spec.collection;
        self.settle_rollback(name).await?;
        let lease = KeptLease::take(&self.metadata, name).await?;
        let result = Box::pin(self.run_leased(&lease, request)).await;
        lease.release().await;
        result
    }

    async fn run_leased(&self, lease: &KeptLease, request: &RunRequest) -> Result<Ended, Error> {
        let spec = &request.spec;
        self.settle_open_runs(&spec.collection).await?;
        if let (Trigger::Schedule, Some(pause)) = (request.trigger, lease.paused()) {
            return Err(Error::Paused { sync: spec.collection.clone(), why: pause.to_string() });
        }
        let mut attempt = 1;
        loop {
            let ended = self.attempt(lease, request).await?;
            if ended.record.status != RunStatus::Superseded || attempt == ATTEMPTS_MAX {
                if ended.record.status == RunStatus::Announced {
                    self.upkeep(lease, spec).await;
                }
                return Ok(ended);
            }
            // What was rolled back since it began does not come again by itself.
            if lease.confirm_pace().await.is_err() {
                return Ok(ended);
            }
            attempt += 1;
            info!(sync = %spec.collection, attempt, "another announcement came first; the run starts again");
        }
    }

    async fn attempt(&self, lease: &KeptLease, request: &RunRequest) -> Result<Ended, Error> {
        let mut record = self.new_record(request);
        self.metadata.insert_run(&record).await?;
        let prepared = tokio::select! {
            prepared = Box::pin(self.prepare(record.id, request)) => prepared,
            () = lease.lost() => Err(Error::LeaseLost),
            () = request.cancel.cancelled() => Err(Error::Cancelled),
            () = tokio::time::sleep(self.settings.run_timeout) => {
                Err(Error::RunTimeout { seconds: self.settings.run_timeout.as_secs() })
            }
        };
        let mut hold = None;
        let mut rejected = Vec::new();
        let concluded = match prepared {
            Ok(prepared) => {
                record.counts = prepared.counts;
                record.data_as_of = Some(prepared.data_as_of);
                hold = prepared.hold;
                let concluded = self.conclude(lease, &mut record, &prepared).await;
                rejected = prepared.rejected;
                concluded
            }
            Err(error) => Err(error),
        };
        let kind = concluded.as_ref().err().map(Error::kind);
        let store_failure = concluded.as_ref().err().and_then(Error::store_failure);
        if let Err(error) = concluded {
            record.status = match &error {
                Error::Announce(AnnounceError::Superseded) | Error::Paused { .. } => RunStatus::Superseded,
                // Its outcome is not known: whoever next takes the lease settles it.
                Error::Announce(AnnounceError::Unknown) => RunStatus::Announcing,
                Error::Cancelled | Error::Announce(AnnounceError::Ending) => RunStatus::Cancelled,
                _ => RunStatus::Failed,
            };
            record.error = Some(RunError { code: error.code().to_owned(), message: error.to_string() });
        }
        self.close(&mut record, &rejected).await;
        Ok(Ended { record, hold, kind, store_failure, rejected })
    }

    /// Holds, announces or confirms what was prepared.
    async fn conclude(
        &self,
        lease: &KeptLease,
        record: &mut RunRecord,
        prepared: &Prepared,
    ) -> Result<(), Error> {
        let base = prepared.base.as_ref();
        if let (Some(hold), Some(published)) = (&prepared.hold, &prepared.published) {
            record.status = RunStatus::Held;
            record.error = Some(hold.as_error());
            record.finished_at = Some(self.clock.now());
            let from = base.map(|base| base.sha256);
            self.metadata.hold_run(record, &published.object, published.sha256, from).await?;
            return Ok(());
        }
        lease.confirm().await?;
        if let Some(published) = &prepared.published {
            record.status = RunStatus::Announcing;
            record.version = Some(published.manifest.version);
            self.metadata.update_run(record).await?;
            self.metadata.set_run_manifest(record.id, &published.object, published.sha256).await?;
            self.announce(base.map(|base| base.sha256), published).await?;
            record.status = RunStatus::Announced;
        } else if let Some(base) = base {
            let (name, version) = (base.manifest.collection.clone(), base.manifest.version);
            self.announcer
                .announce(Change::Freshness { name, version, data_as_of: prepared.data_as_of })
                .await?;
            record.version = Some(version);
            record.status = RunStatus::Unchanged;
        }
        // The outcome stands, whatever metadata says now.
        if let Err(error) = self.metadata.supersede_held(&record.sync).await {
            warn!(sync = %record.sync, %error, "an earlier held run could not be marked as superseded");
        }
        Ok(())
    }

    /// Writes the end of a run down. Metadata that is gone at this moment costs the record, not
    /// the outcome: an open run is settled from the catalog later.
    async fn close(&self, record: &mut RunRecord, rejected: &[RejectedRow]) {
        if !record.status.is_open() {
            record.finished_at = Some(self.clock.now());
        }
        let RunCounts { rows, added, changed, removed, rejected: rejects, .. } = record.counts;
        let code = record.error.as_ref().map_or("", |error| &error.code);
        if record.status == RunStatus::Unchanged {
            // Schedules of seconds would fill the log with nothing.
            debug!(sync = %record.sync, run = %record.id, rows, rejected = rejects, "nothing changed");
        } else {
            info!(
                sync = %record.sync, run = %record.id, status = %record.status, code,
                rows, added, changed, removed, rejected = rejects, "sync run ended"
            );
        }
        let kept = async {
            self.metadata.add_rejected(record.id, rejected).await?;
            self.metadata.update_run(record).await
        };
        if let Err(error) = kept.await {
            warn!(run = %record.id, %error, "the end of a run could not be recorded");
        }
    }

    async fn dry_run(&self, request: &RunRequest) -> Result<Ended, Error> {
        let mut record = self.new_record(request);
        let prepared = tokio::select! {
            prepared = self.prepare(record.id, request) => prepared?,
            () = request.cancel.cancelled() => return Err(Error::Cancelled),
        };
        record.counts = prepared.counts;
        record.data_as_of = Some(prepared.data_as_of);
        record.finished_at = Some(self.clock.now());
        record.status = match (&prepared.hold, prepared.is_changed) {
            (Some(_), _) => RunStatus::Held,
            (None, true) => RunStatus::Announced,
            (None, false) => RunStatus::Unchanged,
        };
        record.error = prepared.hold.as_ref().map(Hold::as_error);
        let (hold, rejected) = (prepared.hold, prepared.rejected);
        Ok(Ended { record, hold, kind: None, store_failure: None, rejected })
    }

    fn new_record(&self, request: &RunRequest) -> RunRecord {
        let now = self.clock.now();
        RunRecord {
            id: RunId::from_uuid(random::uuid_at(now.timestamp_millis().unsigned_abs())),
            sync: request.spec.collection.clone(),
            status: RunStatus::Running,
            trigger: request.trigger.as_str().to_owned(),
            started_at: now,
            finished_at: None,
            data_as_of: None,
            version: None,
            counts: RunCounts::default(),
            error: None,
        }
    }
}
