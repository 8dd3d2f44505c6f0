//! The scheduler: one loop per sync, a limit on concurrent runs, and reloads.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use tracing::{error, warn};

use super::{due, due::History, schedule::Schedule};
use crate::{
    domain::{ErrorKind, Label, limits::CLOCK_SKEW_MAX},
    engine::{self, Engine, RunOutcome, RunRequest, SyncSpec, Trigger},
    metadata::{self, Metadata},
    model::{self, DbtProject, Invocation},
    source::Source,
    status::{Board, CLOCK_AHEAD, Problem},
    support::{clock::Clock, shutdown::Shutdown},
};

/// Longest sleep before the clock and the last run are checked again: the clock may be set, and another
/// process may run the sync.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Longest delay before the next attempt while the lease is held elsewhere or metadata is down. The lease of a
/// dead holder is acquired as soon as it expires.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);
/// Shortest delay before a lease that is about to expire is requested again.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(250);
/// Poll interval of a paused or dropped sync whose run is due: a resumed sync starts at most this late.
const PAUSE_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Shortest time between two runs. A command that waits for the lease asks for it every 300 ms, and would never get
/// it from a sync whose runs take as long as its schedule's interval.
const BETWEEN_RUNS: Duration = Duration::from_millis(700);

/// Latest runs of a sync that decide when the next is due: delays stop doubling long before.
pub const HISTORY_MAX: usize = 24;

/// A sync with its source and schedule.
#[derive(Clone)]
pub struct ScheduledSync {
    /// The sync.
    pub spec: SyncSpec,
    /// The source of its rows.
    pub source: Source,
    /// When it runs.
    pub schedule: Schedule,
}

/// Receives the outcome of every run, and the error when a due run could not begin. A sync that is paused or runs
/// elsewhere is no error.
pub type OnEnded = Arc<dyn Fn(Result<&RunOutcome, &engine::Error>) + Send + Sync>;

/// Runs each sync when it is due. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    /// Runs syncs.
    pub engine: Engine,
    /// Stores when they last ran.
    pub metadata: Metadata,
    /// The clock.
    pub clock: Clock,
    /// One permit for each concurrent run.
    pub permits: Arc<Semaphore>,
    /// Receives outcomes.
    pub on_ended: OnEnded,
    /// Shows problems of schedules.
    pub board: Board,
}

impl Scheduler {
    /// The loop of `sync`. After `retire` it starts no new run, and a run in progress continues; `shutdown`
    /// cancels the run.
    pub fn sync_loop(self, sync: ScheduledSync, retire: Shutdown, shutdown: Shutdown) -> SyncLoop {
        SyncLoop { sync, scheduler: self, retire, shutdown }
    }
}

/// Whether only another configuration can help after a run whose error has this kind.
fn is_hopeless_after(kind: Option<ErrorKind>) -> bool {
    kind == Some(ErrorKind::Invalid)
}

/// What the last attempt to run the sync says about the next one.
#[derive(Debug, Default)]
struct LastAttempt {
    /// Only another configuration can help.
    is_hopeless: bool,
    /// The sync is paused, its collection was dropped, or another publisher has a newer configuration.
    waits_for_operator: bool,
    /// The newest invocation of dbt, when no run comes after it any more: it was used, or has not built the model. With
    /// the error of an ephemeral model that it has not compiled.
    handled: Option<(Invocation, Option<model::Error>)>,
}

/// The poll interval of a sync that only an operator lets run; `None` for other errors.
fn poll_interval(error: &engine::Error) -> Option<Duration> {
    match error {
        engine::Error::Paused { .. } | engine::Error::Dropped { .. } => Some(PAUSE_POLL_INTERVAL),
        engine::Error::ConfigurationOutdated { .. } => Some(RETRY_DELAY_MAX),
        _ => None,
    }
}

/// The delay before the next attempt to acquire a lease that expires in `expires_in` unless it is renewed.
fn retry_delay(expires_in: Duration) -> Duration {
    expires_in.clamp(RETRY_DELAY_MIN, RETRY_DELAY_MAX)
}

/// When the next run is due.
struct Due {
    /// The time until then, or until it must be checked again.
    wait: Duration,
    /// The invocation of dbt that the run comes after.
    invocation: Option<Invocation>,
}

impl Due {
    fn within(wait: Duration) -> Self {
        Self { wait, invocation: None }
    }
}

/// Runs one sync when it is due. Cheap to clone.
#[derive(Clone)]
pub struct SyncLoop {
    sync: ScheduledSync,
    scheduler: Scheduler,
    /// Start no new run; a run in progress continues.
    retire: Shutdown,
    /// Cancel the run in progress.
    shutdown: Shutdown,
}

impl SyncLoop {
    /// Runs until it is retired.
    pub async fn run(self) {
        self.announce_settings().await;
        let mut last = LastAttempt::default();
        loop {
            let Some(Due { wait, .. }) = self.due_in(&mut last).await else {
                // Only an operator starts a run.
                return self.retire.cancelled().await;
            };
            if !wait.is_zero() {
                if self.sleep(wait.min(SLEEP_MAX)).await {
                    continue;
                }
                return;
            }
            let permit = tokio::select! {
                permit = self.scheduler.permits.clone().acquire_owned() => permit,
                () = self.retire.cancelled() => return,
            };
            let Ok(permit) = permit else { return };
            if self.retire.is_cancelled() {
                return;
            }
            // Another process may have run the sync while this one waited for its permit.
            let due = self.due_in(&mut last).await.filter(|due| due.wait.is_zero());
            let Some(Due { invocation, .. }) = due else { continue };
            let ran = self.run_once(invocation, &mut last).await;
            // Release the permit before sleeping.
            drop(permit);
            if !self.sleep(ran.err().unwrap_or(BETWEEN_RUNS)).await {
                return;
            }
        }
    }

    /// Announces changed serving settings, which need no run. After a failure the next run announces them.
    async fn announce_settings(&self) {
        let spec = &self.sync.spec;
        match self.scheduler.engine.announce_settings(spec).await {
            Ok(_) | Err(engine::Error::LeaseHeld { .. }) => {}
            Err(error) => {
                let code = error.code();
                warn!(sync = %spec.collection, code, %error, "serving settings wait for the next run");
            }
        }
    }

    /// When the next run is due, or must be checked again; `None` when only an operator starts one.
    async fn due_in(&self, last: &mut LastAttempt) -> Option<Due> {
        self.try_due_in(last).await.unwrap_or_else(|error| {
            warn!(sync = %self.sync.spec.collection, %error, "no sync starts without metadata");
            Some(Due::within(RETRY_DELAY_MAX))
        })
    }

    async fn try_due_in(&self, last: &mut LastAttempt) -> Result<Option<Due>, metadata::Error> {
        if let Schedule::After(project) = &self.sync.schedule {
            return self.try_due_after(project, last).await.map(Some);
        }
        let name = &self.sync.spec.collection;
        let metadata = &self.scheduler.metadata;
        let until = self.scheduler.clock.now() + CLOCK_SKEW_MAX;
        let mut runs = metadata.runs(Some(name), HISTORY_MAX).await?;
        let is_ahead = runs.first().is_some_and(|run| run.started_at > until);
        if is_ahead {
            // Such a run would stop the schedule until its time has come.
            runs = metadata.runs_until(name, until, HISTORY_MAX).await?;
        }
        self.show_clock(is_ahead);
        let due = due::next(&self.sync.schedule, &History::of(&runs, until, last.is_hopeless));
        let Some(due) = due else { return Ok(None) };
        Ok(Some(Due::within(self.wait(due, last).await)))
    }

    /// When a run after an invocation of `project` is due.
    async fn try_due_after(
        &self,
        project: &DbtProject,
        last: &mut LastAttempt,
    ) -> Result<Due, metadata::Error> {
        let later = Due::within(project.poll_interval());
        let invocation = match project.newest_build().await {
            Ok(Some(invocation)) => invocation,
            none => {
                self.show_after(none.err().as_ref());
                return Ok(later);
            }
        };
        if let Some((_, error)) = last.handled.as_ref().filter(|(handled, _)| *handled == invocation) {
            self.show_after(error.as_ref());
            return Ok(later);
        }
        let (metadata, until) = (&self.scheduler.metadata, self.scheduler.clock.now() + CLOCK_SKEW_MAX);
        let started_by = engine::after(&invocation);
        let runs = metadata.runs_started_by(&self.sync.spec.collection, &started_by, HISTORY_MAX).await?;
        let due = due::next(&self.sync.schedule, &History::of(&runs, until, last.is_hopeless));
        let built = if runs.is_empty() { self.is_built_by(project, &invocation).await } else { Ok(true) };
        self.show_after(built.as_ref().err());
        match (due, built) {
            (Some(due), Ok(true)) => {
                Ok(Due { wait: self.wait(due, last).await, invocation: Some(invocation) })
            }
            // The manifest may come at any time.
            (_, Err(model::Error::DbtManifestOutdated { .. })) => Ok(later),
            (_, built) => {
                last.handled = Some((invocation, built.err()));
                Ok(later)
            }
        }
    }

    /// The time until `due`. When that is now, a sync that waits for an operator is checked first: it misses its ticks,
    /// and runs once when an operator lets it. Meanwhile it takes no lease.
    async fn wait(&self, due: DateTime<Utc>, last: &LastAttempt) -> Duration {
        let wait = (due - self.scheduler.clock.now()).to_std().unwrap_or_default();
        if !last.waits_for_operator || !wait.is_zero() {
            return wait;
        }
        let checked = self.scheduler.engine.check_schedule(&self.sync.spec).await;
        checked.err().as_ref().and_then(poll_interval).unwrap_or_default()
    }

    /// Shows why no run can come after the newest invocation, or that none has to wait.
    fn show_after(&self, error: Option<&model::Error>) {
        self.show("after", error.map(model::Error::code), || {
            error.map(ToString::to_string).unwrap_or_default()
        });
    }

    /// Whether `invocation` has built the sync's model. The error is that of a model that waits for the next invocation or for the
    /// manifest; after any other one a run is due, which fails with the reason.
    async fn is_built_by(&self, project: &DbtProject, invocation: &Invocation) -> Result<bool, model::Error> {
        let spec = &self.sync.spec;
        let built = spec.model.is_built_by(project, invocation, &spec.collection).await;
        match built {
            Err(model::Error::DbtNotCompiled { .. } | model::Error::DbtManifestOutdated { .. }) | Ok(_) => {
                built
            }
            Err(_) => Ok(true),
        }
    }

    /// Shows whether runs are dated in the future.
    fn show_clock(&self, is_ahead: bool) {
        let name = &self.sync.spec.collection;
        self.show("schedule", is_ahead.then_some(CLOCK_AHEAD), || format!(
            "a run of {name} is dated in the future and left out of the schedule; set the clocks of the publishers"
        ));
    }

    /// Shows a problem of `part` of the sync, or that it is over.
    fn show(&self, part: &str, code: Option<&'static str>, message: impl FnOnce() -> String) {
        let name = &self.sync.spec.collection;
        let label = Label::fitted(&format!("{part}.{name}"));
        let board = &self.scheduler.board;
        if board.view(|status| status.tasks.get(&label).map(|problem| problem.code.as_str()) == code) {
            return;
        }
        let Some(code) = code else { return board.update(|status| drop(status.tasks.remove(&label))) };
        let message = message();
        warn!(sync = %name, code, "{message}");
        let problem = Problem::lasting(None, code, message, self.scheduler.clock.now());
        board.update(|status| drop(status.tasks.insert(label, problem)));
    }

    /// Runs the sync once; the error is the delay before the next attempt when no run could begin.
    async fn run_once(&self, invocation: Option<Invocation>, last: &mut LastAttempt) -> Result<(), Duration> {
        let (spec, source) = (&self.sync.spec, &self.sync.source);
        let request = RunRequest {
            cancel: self.shutdown.clone(),
            invocation,
            ..RunRequest::new(spec.clone(), source.clone(), Trigger::Schedule)
        };
        let outcome = self.scheduler.engine.run(&request).await;
        let poll_interval = outcome.as_ref().err().and_then(poll_interval);
        last.waits_for_operator = poll_interval.is_some();
        if let Err(error @ engine::Error::ConfigurationOutdated { .. }) = &outcome {
            self.show("configuration", Some(error.code()), || error.to_string());
        } else if outcome.is_ok() {
            self.show("configuration", None, String::new);
        }
        match outcome {
            Ok(ended) => {
                (self.scheduler.on_ended)(Ok(&ended));
                last.is_hopeless = is_hopeless_after(ended.kind);
                Ok(())
            }
            Err(engine::Error::LeaseHeld { expires_in, .. }) => Err(retry_delay(expires_in)),
            Err(engine::Error::InvocationUsed { .. }) => Err(RETRY_DELAY_MIN),
            Err(error) => {
                if let Some(delay) = poll_interval {
                    return Err(delay);
                }
                error!(sync = %spec.collection, code = error.code(), %error, "no run could begin");
                (self.scheduler.on_ended)(Err(&error));
                Err(RETRY_DELAY_MAX)
            }
        }
    }

    /// Sleeps, and returns whether the loop continues.
    async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            () = self.retire.cancelled() => false,
            () = self.shutdown.cancelled() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrong_configuration_is_hopeless() {
        assert!(is_hopeless_after(Some(ErrorKind::Invalid)));
        for kind in [ErrorKind::Unavailable, ErrorKind::Corrupt, ErrorKind::Conflict, ErrorKind::Internal] {
            assert!(!is_hopeless_after(Some(kind)), "{kind:?}");
        }
        assert!(!is_hopeless_after(None));
    }

    #[test]
    fn a_held_lease_is_requested_again_when_it_expires_and_within_bounds() {
        let seconds = Duration::from_secs;
        assert_eq!(retry_delay(seconds(15)), seconds(5), "a living holder renews it");
        assert_eq!(retry_delay(seconds(2)), seconds(2));
        assert_eq!(retry_delay(Duration::ZERO), RETRY_DELAY_MIN, "metadata is not polled without a delay");
    }
}
