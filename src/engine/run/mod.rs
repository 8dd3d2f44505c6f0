//! One run of a sync, from its lease to its outcome.

mod guard;
mod held;
mod prepare;

pub use guard::Hold;
pub use held::HeldRemovals;

use std::time::Duration;

use tracing::{debug, info, warn};

use self::prepare::PreparedRun;
use super::{
    Engine,
    base::Announced,
    error::Error,
    lease::SyncLease,
    progress::Progress,
    request::{RunRequest, Trigger},
    spec::SyncSpec,
};
use crate::{
    catalog::{self, AnnounceError, Change},
    domain::{
        RunId,
        error::ErrorKind,
        run::{RejectedRow, RunCounts, RunRecord, RunStatus},
    },
};

/// Attempts of one run: it starts again when another announcement came first.
const ATTEMPTS_MAX: usize = 3;

/// How often a run stores its progress, and sees that an operator wants it to end.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A run that ended, well or not.
#[derive(Debug)]
pub struct RunOutcome {
    /// The run as metadata stores it, with its status and error.
    pub record: RunRecord,
    /// The kind of its error.
    pub kind: Option<ErrorKind>,
    /// The code of its error, when the object store or the catalog failed.
    pub store_failure: Option<&'static str>,
    /// The listed rejected rows and losers of index values.
    pub rejected: Vec<RejectedRow>,
    /// What works in the mapping, but probably not as meant.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Runs a sync once. The outcome has the errors of a run that began.
    ///
    /// # Errors
    /// When no run could begin: [`Error::LeaseHeld`]; [`Error::Paused`] or [`Error::Dropped`] for a scheduled
    /// run; [`Error::ConfigurationOutdated`]; another metadata database publishes; metadata is down. A dry run
    /// gives all its errors here.
    pub async fn run(&self, request: &RunRequest) -> Result<RunOutcome, Error> {
        if request.dry_run {
            return Box::pin(self.dry_run(request)).await;
        }
        let name = &request.spec.collection;
        let lease = SyncLease::acquire(&self.metadata, name).await?;
        let result = Box::pin(self.run_leased(&lease, request)).await;
        lease.release().await;
        result
    }

    /// Checks whether the catalog lets a sync run by its schedule. Takes no lease.
    ///
    /// # Errors
    /// [`Error::Paused`], [`Error::Dropped`], [`Error::ConfigurationOutdated`]; the catalog cannot be read.
    pub async fn check_schedule(&self, spec: &SyncSpec) -> Result<(), Error> {
        may_run(spec, Trigger::Schedule, self.announced(&spec.collection).await)?.map(drop)
    }

    /// Whether the announced version was made with the configuration of `spec`, or there is none yet.
    ///
    /// # Errors
    /// [`Error::ConfigurationOutdated`]; the catalog cannot be read.
    pub async fn has_configuration(&self, spec: &SyncSpec) -> Result<bool, Error> {
        let Some(base) = self.announced(&spec.collection).await?.base else { return Ok(true) };
        spec.check_newest(&base.manifest)?;
        let own = spec.configuration();
        Ok(base.manifest.configuration.as_ref().is_none_or(|found| found.sha256 == own.sha256))
    }

    async fn run_leased(&self, lease: &SyncLease, request: &RunRequest) -> Result<RunOutcome, Error> {
        let name = &request.spec.collection;
        self.reconcile_open_runs(name).await?;
        self.check_invocation(request).await?;
        let first = self.announced_or_lost(name, request.accept).await;
        let mut announced = may_run(&request.spec, request.trigger, first)?;
        let mut attempt = 1;
        loop {
            let before = announced.as_ref().ok().map(Announced::control);
            let outcome = self.attempt(lease, request, announced).await?;
            if outcome.record.status != RunStatus::Superseded || attempt == ATTEMPTS_MAX {
                if outcome.record.status == RunStatus::Announced {
                    self.compact(lease, &request.spec).await;
                }
                return Ok(outcome);
            }
            let next = self.announced_or_lost(name, request.accept).await;
            // The retry must not announce again data that a rollback or a drop has removed meanwhile.
            if next.as_ref().ok().map(Announced::control) != before {
                return Ok(self.stopped(outcome, next).await);
            }
            let Ok(next) = may_run(&request.spec, request.trigger, next) else { return Ok(outcome) };
            announced = next;
            attempt += 1;
            info!(sync = %name, attempt, "another announcement came first; the run starts again");
        }
    }

    /// Checks that no run of the sync has used the invocation of dbt that this one comes after.
    async fn check_invocation(&self, request: &RunRequest) -> Result<(), Error> {
        let Some(invocation) = &request.invocation else { return Ok(()) };
        let sync = &request.spec.collection;
        let last = self.metadata.runs_started_by(sync, &request.started_by(), 1).await?;
        if last.first().is_some_and(|run| run.status.is_result()) {
            let (sync, invocation) = (sync.clone(), invocation.id().to_owned());
            return Err(Error::InvocationUsed { sync, invocation });
        }
        Ok(())
    }

    /// A superseded run that does not start again, with its reason when that is a pause.
    async fn stopped(&self, mut outcome: RunOutcome, announced: Result<Announced, Error>) -> RunOutcome {
        if let Ok(Announced { pause: Some(pause), .. }) = announced {
            let (sync, why) = (outcome.record.sync.clone(), pause.to_string());
            outcome.record.error = Some(Error::Paused { sync, why }.as_run_error());
            if let Err(error) = self.metadata.update_run(&outcome.record).await {
                warn!(run = %outcome.record.id, %error, "the reason of a superseded run could not be recorded");
            }
        }
        outcome
    }

    async fn attempt(
        &self,
        lease: &SyncLease,
        request: &RunRequest,
        announced: Result<Announced, Error>,
    ) -> Result<RunOutcome, Error> {
        let mut record = self.new_record(request);
        self.metadata.insert_run(&record).await?;
        request.progress.record(record.id);
        let timeout = self.settings.run_timeout;
        let prepared = tokio::select! {
            prepared = Box::pin(async { self.prepare(record.id, request, announced?).await }) => prepared,
            () = lease.lost() => Err(Error::LeaseLost),
            () = request.cancel.cancelled() => Err(Error::Cancelled),
            () = self.report_until_cancelled(record.id, &request.progress) => Err(Error::Cancelled),
            () = tokio::time::sleep(timeout) => Err(Error::RunTimeout { seconds: timeout.as_secs() }),
        };
        let mut held_before = None;
        let (mut rejected, mut warnings) = (Vec::new(), Vec::new());
        let concluded = match prepared {
            Ok(prepared) => {
                record.counts = prepared.counts;
                record.data_as_of = Some(prepared.data_as_of);
                held_before = prepared.held_before;
                let concluded = self.conclude(lease, &mut record, &prepared).await;
                warnings = prepared.warnings;
                // The rows that the held run lists are those of its result.
                rejected = if held_before.is_none() { prepared.rejected } else { Vec::new() };
                concluded
            }
            Err(error) => Err(error),
        };
        let kind = concluded.as_ref().err().map(Error::kind);
        let store_failure = concluded.as_ref().err().and_then(Error::store_failure);
        if let Err(error) = concluded {
            record.status = status_after(&error);
            record.error = Some(error.as_run_error());
        }
        self.record_end(&mut record, &rejected).await;
        let record = match held_before {
            // The run to approve is the one that is held already.
            Some(id) => RunRecord { id, status: RunStatus::Held, ..record },
            None => record,
        };
        Ok(RunOutcome { record, kind, store_failure, rejected, warnings })
    }

    /// Stores the progress of a run, until an operator asks for its end. A run goes on while metadata is down.
    async fn report_until_cancelled(&self, id: RunId, progress: &Progress) {
        loop {
            tokio::time::sleep(REPORT_INTERVAL).await;
            match self.metadata.report_progress(id, progress.counts()).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => debug!(run = %id, %error, "the progress of a run could not be stored"),
            }
        }
    }

    /// Holds, announces or confirms a prepared run.
    async fn conclude(
        &self,
        lease: &SyncLease,
        record: &mut RunRecord,
        prepared: &PreparedRun,
    ) -> Result<(), Error> {
        if let (Some(hold), Some(_)) = (&prepared.hold, prepared.held_before) {
            record.status = RunStatus::StillHeld;
            record.error = Some(hold.as_error());
            return Ok(());
        }
        if let (Some(hold), Some(published)) = (&prepared.hold, &prepared.published) {
            record.status = RunStatus::Held;
            record.error = Some(hold.as_error());
            record.finished_at = Some(self.clock.now());
            let (object, sha256) = (&published.object, published.sha256);
            self.metadata.hold_run(record, object, sha256, prepared.from).await?;
            return Ok(());
        }
        lease.confirm().await?;
        if let Some(published) = &prepared.published {
            record.status = RunStatus::Announcing;
            record.version = Some(published.manifest.version);
            self.metadata.update_run(record).await?;
            self.metadata.set_run_manifest(record.id, &published.object, published.sha256).await?;
            self.announce(prepared.from, published).await?;
            record.status = RunStatus::Announced;
        } else if let Some(base) = &prepared.base {
            let (name, version) = (base.manifest.collection.clone(), base.manifest.version);
            self.announcer
                .announce(Change::Freshness { name, version, data_as_of: prepared.data_as_of })
                .await?;
            record.version = Some(version);
            record.status = RunStatus::Unchanged;
        }
        self.supersede_held(&record.sync).await;
        Ok(())
    }

    /// Records the end of a run. When metadata is down at this moment the record is lost, not the
    /// outcome: an open run is reconciled with the catalog later.
    async fn record_end(&self, record: &mut RunRecord, rejected: &[RejectedRow]) {
        if !record.status.is_open() {
            record.finished_at = Some(self.clock.now());
        }
        let RunCounts { rows, added, changed, removed, rejected: rejects, .. } = record.counts;
        let code = record.error.as_ref().map_or("", |error| &error.code);
        if record.status == RunStatus::Unchanged {
            // A schedule of seconds would fill the log.
            debug!(sync = %record.sync, run = %record.id, rows, rejected = rejects, "nothing changed");
        } else {
            info!(
                sync = %record.sync, run = %record.id, status = %record.status, code,
                rows, added, changed, removed, rejected = rejects, "sync run ended"
            );
        }
        let stored = async {
            self.metadata.add_rejected(record.id, rejected).await?;
            self.metadata.update_run(record).await
        };
        if let Err(error) = stored.await {
            warn!(run = %record.id, %error, "the end of a run could not be recorded");
        }
    }

    async fn dry_run(&self, request: &RunRequest) -> Result<RunOutcome, Error> {
        let mut record = self.new_record(request);
        let announced = self.announced_or_lost(&record.sync, request.accept).await?;
        let prepared = tokio::select! {
            prepared = self.prepare(record.id, request, announced) => prepared?,
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
        let PreparedRun { rejected, warnings, .. } = prepared;
        Ok(RunOutcome { record, kind: None, store_failure: None, rejected, warnings })
    }

    fn new_record(&self, request: &RunRequest) -> RunRecord {
        RunRecord {
            id: self.new_run_id(),
            sync: request.spec.collection.clone(),
            status: RunStatus::Running,
            trigger: request.started_by().into_owned(),
            started_at: self.clock.now(),
            finished_at: None,
            data_as_of: None,
            version: None,
            counts: RunCounts::default(),
            error: None,
        }
    }
}

/// Whether the catalog lets a run begin. One that cannot be read fails the run, which has a record then.
fn may_run(
    spec: &SyncSpec,
    trigger: Trigger,
    announced: Result<Announced, Error>,
) -> Result<Result<Announced, Error>, Error> {
    let (sync, is_scheduled) = (&spec.collection, trigger == Trigger::Schedule);
    if let Ok(Announced { base: Some(base), .. }) = &announced {
        spec.check_newest(&base.manifest)?;
    }
    match announced {
        Err(error @ Error::Catalog(catalog::Error::ForeignMetadata { .. })) => Err(error),
        Ok(Announced { pause: Some(pause), .. }) if is_scheduled => {
            Err(Error::Paused { sync: sync.clone(), why: pause.to_string() })
        }
        Ok(announced) if is_scheduled && announced.is_dropped() => {
            Err(Error::Dropped { sync: sync.clone(), last: announced.last })
        }
        announced => Ok(announced),
    }
}

/// The status of a run that ended with `error`.
fn status_after(error: &Error) -> RunStatus {
    match error {
        Error::Announce(AnnounceError::Superseded) | Error::Paused { .. } => RunStatus::Superseded,
        // The outcome is unknown: the next holder of the lease reconciles the run.
        Error::Announce(AnnounceError::Unknown) => RunStatus::Announcing,
        Error::Cancelled | Error::Announce(AnnounceError::Ending) => RunStatus::Cancelled,
        _ => RunStatus::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_failed_run_says_what_comes_next() {
        let statuses = [
            (Error::Announce(AnnounceError::Superseded), RunStatus::Superseded),
            (Error::Announce(AnnounceError::Unknown), RunStatus::Announcing),
            (Error::Announce(AnnounceError::Ending), RunStatus::Cancelled),
            (Error::Announce(AnnounceError::Late), RunStatus::Failed),
            (Error::Cancelled, RunStatus::Cancelled),
            (Error::LeaseLost, RunStatus::Failed),
        ];
        for (error, expected) in statuses {
            assert_eq!(status_after(&error), expected, "{error}");
        }
    }
}
