//! `larder sync`: one run now, with progress on a terminal.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    actor,
    args::{ConfigArguments, Sync},
    exit::Exit,
    output::{Failure, complain, counted, print, print_json, shown},
    session,
};
use crate::{
    admin::fleet,
    app::{self, PublisherProcess},
    catalog::Ages,
    config::Config,
    domain::{
        manifest::Version,
        name::CollectionName,
        run::{RunCounts, RunRecord, RunStatus},
    },
    engine::{Ended, Progress, RunRequest, Trigger},
    metadata::Pause,
    support::{clock::Clock, shutdown::Shutdown},
};

/// Rejected rows that a dry run shows.
const DRY_RUN_REJECTED_MAX: usize = 20;
/// How often the progress bar moves.
const REDRAW: Duration = Duration::from_millis(100);

pub(super) async fn run(config: &ConfigArguments, arguments: Sync) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    let sync = session::find_sync(&config, &arguments.name)?;
    let source = session::source_of(&config, sync)?;
    let process = session::publisher(&config).await?;
    let request = RunRequest {
        accept: arguments.accept,
        dry_run: arguments.dry_run,
        ..RunRequest::new(sync.spec.clone(), source, Trigger::Operator)
    };
    let actor = actor::of(&arguments.actor);
    let (exit, version) = run_now(process, &request, &actor, arguments.json).await?;
    match (arguments.wait, version) {
        (Some(patience), Some(version)) if exit == Exit::Success => {
            await_version(&config, &sync.spec.collection, version, patience, arguments.json).await
        }
        _ => Ok(exit),
    }
}

/// One run, told as it goes and when it has ended, and the version that then stands; ends the
/// publishing side of this process.
pub(super) async fn run_now(
    process: PublisherProcess,
    request: &RunRequest,
    actor: &str,
    json: bool,
) -> Result<(Exit, Option<Version>), Failure> {
    let spec = &request.spec;
    let run = process.publisher.run_or_follow(request, actor);
    let Some(ended) = watch(run, &request.progress, &request.cancel).await else {
        complain("ended at once by a second signal; the next run of this sync settles this one");
        return Ok((Exit::Interrupted, None));
    };
    // It is told beside the outcome, which stands without it.
    let pause = process.publisher.metadata.pause(&spec.collection).await.unwrap_or_default();
    process.stop().await;
    let ended = ended?;
    if json {
        print_json(&ended.record)?;
    } else {
        tell(&ended, request.dry_run)?;
    }
    warn_paused(&spec.collection, pause.as_ref());
    Ok((Exit::of_run(ended.record.status, ended.kind), ended.record.version))
}

/// Waits until every live node that serves `collection` serves `version`.
async fn await_version(
    config: &Config,
    collection: &CollectionName,
    version: Version,
    patience: Duration,
    is_json: bool,
) -> Result<Exit, Failure> {
    let store = app::open_known_store(config)?;
    let statuses = app::open_statuses(config);
    let (clock, ages) = (Clock::default(), Ages::default());
    let waited = fleet::await_version(&store, &statuses, &clock, ages, collection, version, patience);
    let mut signals = app::Signals::new();
    let served = tokio::select! {
        served = waited => served?,
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

/// Awaits `run`; shows its progress; cancels it on the first signal, and gives `None` at once on the
/// second: an announcement under way is not cancelled, and finding out how it ended can take long.
async fn watch<T>(run: impl Future<Output = T>, progress: &Progress, cancel: &Shutdown) -> Option<T> {
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
                let rows = progress.rows();
                bar.set_position(rows);
                let expected = progress.expected();
                let of = if expected > 0 { format!(" of about {expected}") } else { String::new() };
                bar.set_message(format!("{rows}{of} rows, {} new or changed", progress.puts()));
            }
            () = signals.stop() => {
                if cancel.is_cancelled() {
                    bar.finish_and_clear();
                    return None;
                }
                cancel.cancel();
                bar.suspend(|| complain("cancelling the run; a second signal ends at once"));
            }
        }
    }
}

fn tell(ended: &Ended, dry_run: bool) -> Result<(), Failure> {
    let record = &ended.record;
    let counts = &record.counts;
    print(&headline(record, dry_run))?;
    if counts.rows > 0 || counts.records > 0 {
        print(&self::counts(counts))?;
    }
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
                "A guard holds this run: nothing changed for readers. Look at the model; then announce \
                 exactly this result with `larder approve {id}`, or run again with --accept."
            )
        });
    }
    warn(ended, dry_run);
    Ok(())
}

/// What a run counted, on one line.
pub(super) fn counts(counts: &RunCounts) -> String {
    let (rows, records) = (counted(counts.rows, "row"), counted(counts.records, "record"));
    format!(
        "  {rows}: {} added, {} changed, {} removed, {} rejected; {records}",
        counts.added, counts.changed, counts.removed, counts.rejected
    )
}

/// Says that a sync stays paused, when it is.
pub(super) fn warn_paused(sync: &CollectionName, pause: Option<&Pause>) {
    if let Some(pause) = pause {
        complain(&format!(
            "warning: {sync} stays paused ({pause}): its scheduled runs wait for larder resume {sync}"
        ));
    }
}

/// What went less well, on stderr.
fn warn(ended: &Ended, dry_run: bool) {
    let counts = &ended.record.counts;
    let listed =
        if dry_run { String::new() } else { format!("; larder runs {} lists them", ended.record.id) };
    if counts.rejected > 0 {
        complain(&format!("warning: {} rejected{listed}", counted(counts.rejected, "row")));
    }
    if dry_run {
        // Nothing is recorded: this is the only place where they are seen.
        for row in ended.rejected.iter().take(DRY_RUN_REJECTED_MAX) {
            let field = row.field.as_ref().map(|field| format!(" in {field}")).unwrap_or_default();
            let key = row.primary_key.as_deref();
            let key = key.map(|key| format!(" (primary key {})", shown(key))).unwrap_or_default();
            complain(&format!("  {}{field}{key}", row.reason));
        }
    }
    if counts.conflicts > 0 {
        let records = counted(counts.conflicts, "record");
        complain(&format!(
            "warning: {records} without an index value that a record with a lower primary key has too{listed}"
        ));
    }
    if counts.carried > 0 {
        let records = counted(counts.carried, "record");
        complain(&format!("warning: {records} left as before, because of rejected rows"));
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
