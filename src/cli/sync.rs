//! `larder sync`: one run now, with progress on a terminal.

use std::{
    io::{self, IsTerminal},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    args::{Approve, ConfigArguments, Sync},
    exit::Exit,
    output::{Failure, carried, complain, counted, print, print_json, rejected_row},
    remote::{Refused, Remote, nothing},
    session,
};
use crate::{
    admin::{
        Approved, OperationError, OperationResult, OperationView, Pause, Progress, RunOutcome, SyncOutcome,
        SyncRequest, fleet::Served,
    },
    app,
    domain::{
        CollectionName, ErrorKind, OperationId, RunCounts, RunId, RunProgress, RunRecord, RunStatus, Version,
    },
    support::{clock::Clock, shutdown::Shutdown},
};

/// Rejected rows that a dry run shows.
const DRY_RUN_REJECTED_MAX: usize = 20;
/// How often an operation of a server is polled.
const OPERATION_POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Longest time that one request to a server waits for nodes.
const SERVED_SECONDS_MAX: u64 = 25;
/// How often the progress bar moves.
const REDRAW: Duration = Duration::from_millis(100);

pub(super) async fn run(config: &ConfigArguments, arguments: Sync) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::of(config)? {
        return run_remote(&remote, arguments).await;
    }
    let config = session::load(config)?;
    let process = session::publisher(&config).await?;
    let collection = match process.publisher.registry.find(&arguments.name) {
        Ok(found) => found.spec.collection,
        Err(error) => {
            process.stop().await;
            return Err(error.into());
        }
    };
    let Sync { accept, full, dry_run, json, .. } = arguments;
    let principal = session::principal(&arguments.actor);
    let (progress, cancel) = (Progress::default(), Shutdown::new());
    let request =
        SyncRequest { sync: &collection, accept, full, dry_run, progress: &progress, cancel: &cancel };
    let ran = watch(process.publisher.sync(request, &principal), || progress.counts(), &cancel).await;
    let Some(ran) = ran else { return Ok(Exit::Interrupted) };
    process.stop().await;
    let SyncOutcome { ended, pause } = ran?;
    let exit = show_ended(&ended, pause.as_ref(), dry_run, json)?;
    match (arguments.wait, ended.record.version) {
        (Some(patience), Some(version)) if exit == Exit::Success => {
            let overview = app::open_overview(&config, Clock::default())?;
            let served = async { Ok(overview.await_version(&collection, version, patience).await?) };
            await_version(served, &collection, version, json).await
        }
        _ => Ok(exit),
    }
}

/// Starts a run on a server and follows it to its end.
async fn run_remote(remote: &Remote, arguments: Sync) -> Result<Exit, Failure> {
    let collection = session::collection(&arguments.name)?;
    let Sync { accept, full, dry_run, json, .. } = arguments;
    let start = json!({ "accept": accept, "full": full, "dry_run": dry_run });
    let path = format!("/admin/v1/syncs/{collection}/runs");
    let Some(ended) = operate(remote, &path, start).await? else { return Ok(Exit::Interrupted) };
    let OperationResult { run: record, kind, warnings, rejected, pause } = ended;
    let ended = RunOutcome { record, kind, store_failure: None, rejected, warnings };
    let exit = show_ended(&ended, pause.as_ref(), dry_run, json)?;
    match (arguments.wait, ended.record.version) {
        (Some(patience), Some(version)) if exit == Exit::Success => {
            let served = served_remotely(remote, &collection, version, patience);
            await_version(served, &collection, version, json).await
        }
        _ => Ok(exit),
    }
}

/// Starts an operation on a server, and follows it to its end with its progress. The first signal cancels it there; the
/// second one gives `None`.
async fn operate(remote: &Remote, path: &str, start: Value) -> Result<Option<OperationResult>, Failure> {
    /// The answer to a started operation.
    #[derive(serde::Deserialize)]
    struct Started {
        operation: OperationId,
    }
    let Started { operation } = remote.change(Method::POST, path, start).await?;
    let path = format!("/admin/v1/operations/{operation}");
    let (progress, cancel) = (Mutex::new(RunProgress::default()), Shutdown::new());
    let follow = async {
        let mut is_cancelled = false;
        loop {
            let view: OperationView = remote.get(&path, &[]).await?;
            *progress.lock().unwrap_or_else(PoisonError::into_inner) = view.progress;
            match (view.result, view.error) {
                (Some(result), _) => return Ok(result),
                (None, Some(OperationError { code, message, kind })) => {
                    return Err(Failure::Remote(Refused { code, message, kind: Some(kind) }));
                }
                (None, None) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(OPERATION_POLL_INTERVAL) => {}
                () = cancel.cancelled(), if !is_cancelled => {
                    is_cancelled = true;
                    remote.change::<Value>(Method::POST, &format!("{path}/cancel"), nothing()).await?;
                }
            }
        }
    };
    let counts = || *progress.lock().unwrap_or_else(PoisonError::into_inner);
    watch(follow, counts, &cancel).await.transpose()
}

/// Waits until every live node of a server's deployment serves a version.
async fn served_remotely(
    remote: &Remote,
    collection: &CollectionName,
    version: Version,
    patience: Duration,
) -> Result<Served, Failure> {
    /// The answer of a server.
    #[derive(serde::Deserialize)]
    struct Reached {
        served: Option<Served>,
        error: Option<Refused>,
    }
    let begin = Instant::now();
    loop {
        let left = patience.saturating_sub(begin.elapsed());
        let seconds = left.as_secs().min(SERVED_SECONDS_MAX).to_string();
        let query = [("version", version.to_string()), ("seconds", seconds)];
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reached: Reached =
            remote.get(&format!("/admin/v1/collections/{collection}/served"), &query).await?;
        match (reached.served, reached.error) {
            (Some(served), _) => return Ok(served),
            (None, Some(refused)) if left.as_secs() <= SERVED_SECONDS_MAX => {
                return Err(Failure::Remote(Refused { kind: Some(ErrorKind::Unavailable), ..refused }));
            }
            _ => {}
        }
    }
}

/// `larder approve`.
pub(super) async fn approve(config: &ConfigArguments, arguments: Approve) -> Result<Exit, Failure> {
    let id: RunId = arguments.run.parse().map_err(|_| {
        Failure::Usage(format!(
            "{:?} is not a run's id (run_...); larder status shows held runs",
            arguments.run
        ))
    })?;
    let approved = match Remote::of(config)? {
        Some(remote) => {
            let path = format!("/admin/v1/runs/{id}/approve");
            let ended = operate(&remote, &path, nothing()).await?;
            ended.map(|OperationResult { run, pause, .. }| (run, pause))
        }
        None => approve_here(config, id, &arguments).await?,
    };
    let Some((record, pause)) = approved else { return Ok(Exit::Interrupted) };
    if arguments.json {
        print_json(&record)?;
    } else {
        let (sync, version) = (&record.sync, record.version.map_or(0, |version| version.0));
        print(&format!("{sync}: announced version {version}, exactly what {id} had made"))?;
        print(&counts(&record.counts))?;
    }
    warn_paused(&record.sync, pause.as_ref());
    Ok(Exit::Success)
}

/// Approves a held run in this process; `None` after a second signal.
async fn approve_here(
    config: &ConfigArguments,
    id: RunId,
    arguments: &Approve,
) -> Result<Option<(RunRecord, Option<Pause>)>, Failure> {
    let config = session::load(config)?;
    let (principal, cancel) = (session::principal(&arguments.actor), Shutdown::new());
    let process = session::publisher(&config).await?;
    let approval = process.publisher.approve(id, &principal, &cancel);
    let Some(approved) = watch(approval, RunProgress::default, &cancel).await else { return Ok(None) };
    process.stop().await;
    let Approved { record, pause } = approved?;
    Ok(Some((record, pause)))
}

fn show_ended(ended: &RunOutcome, pause: Option<&Pause>, dry_run: bool, json: bool) -> Result<Exit, Failure> {
    if json {
        print_json(&ended.record)?;
    } else {
        show(ended, dry_run)?;
    }
    warn_paused(&ended.record.sync, pause);
    Ok(Exit::of_run(ended.record.status, ended.kind))
}

/// Waits until every live node that serves `collection` serves `version`.
async fn await_version(
    served: impl Future<Output = Result<Served, Failure>>,
    collection: &CollectionName,
    version: Version,
    is_json: bool,
) -> Result<Exit, Failure> {
    let mut signals = app::Signals::new();
    let served = tokio::select! {
        served = served => served?,
        () = signals.stop() => {
            complain("no longer waiting; the version stays announced");
            return Ok(Exit::Interrupted);
        }
    };
    if !is_json {
        let (nodes, regions) =
            (counted(served.nodes as u64, "node"), counted(served.regions as u64, "region"));
        print(&format!("{collection}: version {version} is served by {nodes} in {regions}"))?;
    }
    for pinned in &served.pinned {
        complain(&format!(
            "warning: region {pinned} is pinned to a version of its own; it was not waited for"
        ));
    }
    for silent in &served.silent {
        complain(&format!("warning: {silent}; it was not waited for"));
    }
    Ok(Exit::Success)
}

/// Awaits `run` and shows its progress. The first signal cancels the run. The second one gives `None` at once:
/// an announcement under way cannot be cancelled, and its outcome may take long to find out.
async fn watch<T>(
    run: impl Future<Output = T>,
    progress: impl Fn() -> RunProgress,
    cancel: &Shutdown,
) -> Option<T> {
    let bar = if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {per_sec} {elapsed}") {
        bar.set_style(style);
    }
    let mut signals = app::Signals::new();
    let mut redraw = tokio::time::interval(REDRAW);
    tokio::pin!(run);
    loop {
        tokio::select! {
            result = &mut run => {
                bar.finish_and_clear();
                return Some(result);
            }
            _ = redraw.tick() => {
                let RunProgress { rows, changed, expected } = progress();
                bar.set_position(rows);
                let of = if expected > 0 { format!(" of about {expected}") } else { String::new() };
                bar.set_message(format!("{rows}{of} rows, {changed} new or changed"));
            }
            () = signals.stop() => {
                if cancel.is_cancelled() {
                    bar.finish_and_clear();
                    complain("ended at once by a second signal; the next run of this sync records the outcome");
                    return None;
                }
                cancel.cancel();
                bar.suspend(|| complain("cancelling the run; a second signal ends at once"));
            }
        }
    }
}

fn show(ended: &RunOutcome, dry_run: bool) -> Result<(), Failure> {
    let record = &ended.record;
    let counts = &record.counts;
    print(&headline(record, dry_run))?;
    print(&self::counts(counts))?;
    if let Some(error) = &record.error {
        complain(&format!("{}: {}", error.code, error.message));
    }
    if record.status == RunStatus::Held {
        let id = record.id;
        complain(&if dry_run {
            "A guard would hold this run: nothing would change for readers unless it is run with --accept."
                .to_owned()
        } else {
            format!(
                "A guard holds run {id}: nothing changed for readers. Look at the model; then announce exactly \
                 what that run made with `larder approve {id}`, or run again with --accept."
            )
        });
    }
    warn(ended, dry_run);
    Ok(())
}

/// The counts of a run, on one line.
fn counts(counts: &RunCounts) -> String {
    let (rows, records) = (counted(counts.rows, "row"), counted(counts.records, "record"));
    let unread = match counts.unread {
        0 => String::new(),
        unread => format!(", {unread} of them not read again"),
    };
    format!(
        "  {rows}: {} added, {} changed, {} removed, {} rejected; {records}{unread}",
        counts.added, counts.changed, counts.removed, counts.rejected
    )
}

/// Warns that a sync stays paused, when it is.
fn warn_paused(sync: &CollectionName, pause: Option<&Pause>) {
    if let Some(pause) = pause {
        complain(&format!(
            "warning: {sync} stays paused ({pause}): its scheduled runs wait for larder resume {sync}"
        ));
    }
}

/// Warns of what the mapping probably does not mean, of rejected rows, conflicts and replaced values, on stderr.
fn warn(ended: &RunOutcome, dry_run: bool) {
    let counts = &ended.record.counts;
    for warning in &ended.warnings {
        complain(&format!("warning: {warning}"));
    }
    let listed =
        if dry_run { String::new() } else { format!("; larder runs {} lists them", ended.record.id) };
    if counts.rejected > 0 {
        complain(&format!("warning: {} rejected{listed}", counted(counts.rejected, "row")));
    }
    if dry_run {
        // A dry run stores no rejected rows: they are shown here or nowhere.
        for row in ended.rejected.iter().take(DRY_RUN_REJECTED_MAX) {
            let row = rejected_row(&row.reason, row.field.as_deref(), row.primary_key.as_deref());
            complain(&format!("  {row}"));
        }
    }
    if counts.conflicts > 0 {
        let records = counted(counts.conflicts, "record");
        complain(&format!(
            "warning: {records} not found by an index value that other records have too{listed}"
        ));
    }
    if counts.carried > 0 {
        complain(&format!("warning: {}", carried(counts.carried)));
    }
    if counts.nulled > 0 {
        let values = counted(counts.nulled, "value");
        complain(&format!("warning: {values} that JSON cannot express became null"));
    }
}

fn headline(record: &RunRecord, dry_run: bool) -> String {
    let took = record.finished_at.map(|end| (end - record.started_at).as_seconds_f64()).unwrap_or_default();
    let sync = &record.sync;
    let version = record.version.map(|version| version.to_string()).unwrap_or_default();
    match (record.status, dry_run) {
        (RunStatus::Announced, true) => format!("{sync}: would announce a new version ({took:.1} s)"),
        (RunStatus::Held, true) => format!("{sync}: would be held ({took:.1} s)"),
        (RunStatus::Announced, false) => format!("{sync}: announced version {version} in {took:.1} s"),
        (RunStatus::Unchanged, _) => format!("{sync}: unchanged ({took:.1} s)"),
        (status, _) => format!("{sync}: {status} after {took:.1} s ({})", record.id),
    }
}
