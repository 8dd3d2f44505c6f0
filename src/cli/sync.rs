//! `larder sync`: one run now, with progress on a terminal.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    args::Sync,
    exit::Exit,
    output::{Failure, complain, print, print_json},
    session,
};
use crate::{
    app,
    domain::run::{RunRecord, RunStatus},
    engine::{Ended, Progress, RunOptions, Trigger},
    support::shutdown::Shutdown,
};

/// How often the progress bar moves.
const REDRAW: Duration = Duration::from_millis(100);

pub(super) async fn run(arguments: Sync) -> Result<Exit, Failure> {
    let config = session::load(&arguments.config)?;
    let sync = session::find_sync(&config, &arguments.sync)?;
    let source = session::source_of(&config, sync)?;
    let process = session::publisher(&config).await?;
    let options =
        RunOptions { trigger: Trigger::Operator, accept: arguments.accept, dry_run: arguments.dry_run };
    let cancel = Shutdown::new();
    let progress = Progress::default();
    let run = process.publisher.run_or_follow(&sync.spec, &source, options, &progress, &cancel);
    let Some(ended) = watch(run, &progress, &cancel).await else {
        complain("ended at once by a second signal; the next run of this sync settles this one");
        return Ok(Exit::Interrupted);
    };
    process.stop().await;
    let ended = ended?;
    if arguments.json {
        print_json(&ended.record)?;
    } else {
        tell(&ended, arguments.dry_run)?;
    }
    Ok(Exit::of_run(ended.record.status, ended.kind))
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
        print(&format!(
            "  {} rows: {} added, {} changed, {} removed, {} rejected; {} records",
            counts.rows, counts.added, counts.changed, counts.removed, counts.rejected, counts.records
        ))?;
    }
    if let Some(error) = &record.error {
        complain(&format!("{}: {}", error.code, error.message));
    }
    if record.status == RunStatus::Held {
        complain(
            "nothing changed for readers. Look at the model; then run again with --accept to announce it.",
        );
    }
    let warn = |count: u64, what: &str| {
        if count > 0 {
            let more =
                if dry_run { String::new() } else { format!("; larder runs {} lists them", record.id) };
            complain(&format!("warning: {count} {what}{more}"));
        }
    };
    warn(counts.rejected, "rows rejected");
    warn(counts.conflicts, "records do not hold an index value they claim: a lower primary key has it");
    if counts.carried > 0 {
        complain(&format!(
            "warning: {} records left as they were, because their rows were rejected",
            counts.carried
        ));
    }
    if counts.nulled > 0 {
        complain(&format!("warning: {} values that JSON cannot express became null", counts.nulled));
    }
    Ok(())
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
