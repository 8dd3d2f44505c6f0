//! Requested operations that may take long, on the node that works on them: a run of a sync, a dry run, an approval.
//!
//! A request starts one and gets its id; later requests watch its progress, fetch its outcome or cancel it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Approved, Principal, Publisher, SyncOutcome, SyncRequest, error::Error};
use crate::{
    domain::{CollectionName, ErrorKind, OperationId, Pause, RejectedRow, RunId, RunProgress, RunRecord},
    engine::Progress,
    scheduler::OnEnded,
    support::{clock::Clock, random, shutdown::Shutdown},
};

/// Most operations in progress on one node: far more than operators start by hand.
const IN_PROGRESS_MAX: usize = 32;
/// Most ended operations that are kept, the newest ones.
const ENDED_MAX: usize = 256;
/// How long an ended operation is kept.
const ENDED_KEPT: TimeDelta = TimeDelta::hours(1);

/// What was requested.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A run of a sync.
    Sync,
    /// A run that reads and compares only.
    DryRun,
    /// The announcement of a held run.
    Approve,
}

/// How a requested run is to run; see [`SyncRequest`].
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestedRun {
    /// Waive the guards for this run.
    pub accept: bool,
    /// Read the whole model, also of a sync that reads increments.
    pub full: bool,
    /// Read and compare only; nothing is written.
    pub dry_run: bool,
}

/// The outcome of an operation that did not fail.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationResult {
    /// The run that ended.
    pub run: RunRecord,
    /// The kind of its error.
    pub kind: Option<ErrorKind>,
    /// What works in the mapping, but probably not as meant.
    pub warnings: Vec<String>,
    /// The listed rejected rows.
    pub rejected: Vec<RejectedRow>,
    /// Why the sync is paused, when it is.
    pub pause: Option<Pause>,
}

/// Why an operation failed.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationError {
    /// The stable code.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
    /// What the error means.
    pub kind: ErrorKind,
}

/// An operation as it is shown.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationView {
    /// Its id.
    pub id: OperationId,
    /// What was requested.
    pub kind: OperationKind,
    /// The sync, by its collection's name; of an approval, once it is known.
    pub sync: Option<CollectionName>,
    /// Who requested it.
    pub requested_by: String,
    /// When it was requested.
    pub requested_at: DateTime<Utc>,
    /// When it ended; `None` while it is in progress.
    pub ended_at: Option<DateTime<Utc>>,
    /// The run, once it has a record.
    pub run: Option<RunId>,
    /// What the run has done so far.
    pub progress: RunProgress,
    /// Its outcome, unless it failed.
    pub result: Option<OperationResult>,
    /// Why it failed.
    pub error: Option<OperationError>,
}

struct Operation {
    view: OperationView,
    progress: Progress,
    cancel: Shutdown,
}

/// The operations of one node. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    by_id: Arc<Mutex<BTreeMap<OperationId, Operation>>>,
    clock: Clock,
    on_ended: OnEnded,
    shutdown: Shutdown,
}

impl Operations {
    /// Without an operation yet. `on_ended` receives the runs that end; `shutdown` cancels all.
    pub fn new(clock: Clock, on_ended: OnEnded, shutdown: Shutdown) -> Self {
        Self { by_id: Arc::default(), clock, on_ended, shutdown }
    }

    /// Starts a run of a configured sync.
    ///
    /// # Errors
    /// [`Error::UnknownSync`], [`Error::TooManyOperations`].
    pub fn start_sync(
        &self,
        publisher: Publisher,
        sync: &str,
        requested: RequestedRun,
        principal: Principal,
    ) -> Result<OperationView, Error> {
        let sync = publisher.registry.find(sync)?.spec.collection;
        let RequestedRun { accept, full, dry_run } = requested;
        let kind = if dry_run { OperationKind::DryRun } else { OperationKind::Sync };
        let (view, progress, cancel) = self.begin(kind, Some(sync.clone()), &principal)?;
        let (operations, id) = (self.clone(), view.id);
        tokio::spawn(async move {
            let (progress, cancel) = (&progress, &cancel);
            let request = SyncRequest { sync: &sync, accept, full, dry_run, progress, cancel };
            let ended = Box::pin(publisher.sync(request, &principal)).await;
            if let (Ok(SyncOutcome { ended, .. }), false) = (&ended, dry_run) {
                (operations.on_ended)(Ok(ended));
            }
            operations.end(id, ended.map(OperationResult::from));
        });
        Ok(view)
    }

    /// Starts the approval of a held run.
    ///
    /// # Errors
    /// [`Error::TooManyOperations`].
    pub fn start_approval(
        &self,
        publisher: Publisher,
        run: RunId,
        principal: Principal,
    ) -> Result<OperationView, Error> {
        let (view, _, cancel) = self.begin(OperationKind::Approve, None, &principal)?;
        let (operations, id) = (self.clone(), view.id);
        tokio::spawn(async move {
            let ended = Box::pin(publisher.approve(run, &principal, &cancel)).await;
            operations.end(id, ended.map(OperationResult::from));
        });
        Ok(view)
    }

    /// The operation of this ID.
    ///
    /// # Errors
    /// [`Error::UnknownOperation`].
    pub fn find(&self, id: OperationId) -> Result<OperationView, Error> {
        self.known().get(&id).map(Operation::view).ok_or_else(|| Error::UnknownOperation(id.to_string()))
    }

    /// Cancels an operation, unless it has ended.
    ///
    /// # Errors
    /// [`Error::UnknownOperation`].
    pub fn cancel(&self, id: OperationId) -> Result<OperationView, Error> {
        let known = self.known();
        let operation = known.get(&id).ok_or_else(|| Error::UnknownOperation(id.to_string()))?;
        operation.cancel.cancel();
        Ok(operation.view())
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<OperationId, Operation>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(
        &self,
        kind: OperationKind,
        sync: Option<CollectionName>,
        principal: &Principal,
    ) -> Result<(OperationView, Progress, Shutdown), Error> {
        let now = self.clock.now();
        let mut known = self.known();
        known.retain(|_, one| one.view.ended_at.is_none_or(|ended| now - ended < ENDED_KEPT));
        let ended = known.values().filter(|one| one.view.ended_at.is_some()).count();
        if known.len() - ended >= IN_PROGRESS_MAX {
            return Err(Error::TooManyOperations(IN_PROGRESS_MAX));
        }
        if ended >= ENDED_MAX
            && let Some(oldest) =
                known.values().filter_map(|one| Some((one.view.ended_at?, one.view.id))).min()
        {
            known.remove(&oldest.1);
        }
        let id = OperationId::from_uuid(random::uuid_at(now.timestamp_millis().unsigned_abs()));
        let view = OperationView {
            id,
            kind,
            sync,
            requested_by: principal.to_string(),
            requested_at: now,
            ended_at: None,
            run: None,
            progress: RunProgress::default(),
            result: None,
            error: None,
        };
        let (progress, cancel) = (Progress::default(), self.shutdown.child_token());
        let operation = Operation { view: view.clone(), progress: progress.clone(), cancel: cancel.clone() };
        known.insert(id, operation);
        Ok((view, progress, cancel))
    }

    fn end(&self, id: OperationId, ended: Result<OperationResult, Error>) {
        let now = self.clock.now();
        let mut known = self.known();
        let Some(operation) = known.get_mut(&id) else { return };
        let mut view = operation.view();
        view.ended_at = Some(now);
        match ended {
            Ok(result) => {
                view.run = (view.kind != OperationKind::DryRun).then_some(result.run.id);
                view.sync = Some(result.run.sync.clone());
                view.result = Some(result);
            }
            Err(error) => {
                let (code, message) = (error.code().to_owned(), error.text());
                view.error = Some(OperationError { code, message, kind: error.kind() });
            }
        }
        operation.view = view;
    }
}

impl Operation {
    fn view(&self) -> OperationView {
        let run = self.view.run.or_else(|| self.progress.run());
        OperationView { run, progress: self.progress.counts(), ..self.view.clone() }
    }
}

impl From<SyncOutcome> for OperationResult {
    fn from(SyncOutcome { ended, pause }: SyncOutcome) -> Self {
        let (run, kind, warnings, rejected) = (ended.record, ended.kind, ended.warnings, ended.rejected);
        Self { run, kind, warnings, rejected, pause }
    }
}

impl From<Approved> for OperationResult {
    fn from(Approved { record: run, pause }: Approved) -> Self {
        Self { run, kind: None, warnings: Vec::new(), rejected: Vec::new(), pause }
    }
}
