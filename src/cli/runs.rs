//! `larder runs`: what runs came to.

use super::{
    args::{ConfigArguments, Runs},
    exit::Exit,
    output::{Failure, counted, print, print_json, print_table, shown},
    session,
};
use crate::{
    admin::Error,
    app,
    domain::{
        id::RunId,
        name::CollectionName,
        run::{REJECTED_PER_REASON_MAX, REJECTED_PER_RUN_MAX, RejectedRow, RunCounts, RunRecord},
    },
    support::clock::Clock,
};

pub(super) async fn run(config: &ConfigArguments, arguments: Runs) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    let metadata = app::open_metadata(&config, Clock::default()).await?;
    let run_id = arguments.subject.as_deref().and_then(|subject| subject.parse::<RunId>().ok());
    if let Some(id) = run_id {
        let unknown = || Failure::Control(Error::UnknownRun { id: id.to_string() });
        let record = metadata.run(id).await?.ok_or_else(unknown)?;
        let rejected = metadata.rejected(id).await?;
        show_one(&record, &rejected, arguments.json)?;
        return Ok(Exit::Success);
    }
    let sync = match &arguments.subject {
        Some(name) => Some(CollectionName::new(name).map_err(|_| {
            Failure::Usage(format!("{name:?} is neither a sync's name nor a run's id (run_...)"))
        })?),
        None => None,
    };
    let limit = arguments.limit as usize;
    let runs = if arguments.announced {
        metadata.announced_runs(sync.as_ref(), limit).await?
    } else {
        metadata.runs(sync.as_ref(), limit).await?
    };
    if let Some(name) = arguments.subject.as_deref().filter(|_| runs.is_empty()) {
        // Runs of a sync that is no longer configured are shown; a name that never was is refused.
        session::find_sync(&config, name)?;
    }
    if arguments.json {
        print_json(&runs)?;
    } else if runs.is_empty() {
        let of = sync.map_or(String::new(), |name| format!(" of {name}"));
        let which = if arguments.announced { " that announced a version" } else { "" };
        print(&format!("no runs{of}{which} yet"))?;
    } else {
        print_table(&table(&runs))?;
    }
    Ok(Exit::Success)
}

fn table(runs: &[RunRecord]) -> Vec<Vec<String>> {
    let heading = [
        "RUN", "SYNC", "STATUS", "STARTED", "SECONDS", "ROWS", "ADDED", "CHANGED", "REMOVED", "REJECTED",
        "VERSION", "ERROR",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(runs.iter().map(|run| {
        let counts = &run.counts;
        let seconds = run.finished_at.map(|end| (end - run.started_at).as_seconds_f64());
        vec![
            run.id.to_string(),
            run.sync.to_string(),
            run.status.to_string(),
            run.started_at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1}")),
            counts.rows.to_string(),
            counts.added.to_string(),
            counts.changed.to_string(),
            counts.removed.to_string(),
            counts.rejected.to_string(),
            run.version.map_or("-".to_owned(), |version| version.to_string()),
            run.error.as_ref().map_or(String::new(), |error| error.code.clone()),
        ]
    }));
    rows
}

/// What the table has no column for.
fn remarks(counts: &RunCounts) -> Vec<String> {
    let records = |count: u64, what: &str| format!("{} {what}", counted(count, "record"));
    let remarks = [
        (counts.records, records(counts.records, "after the run")),
        (counts.carried, records(counts.carried, "left as before, because of rejected rows")),
        (counts.left, records(counts.left, "whose row has left the model, kept by on_delete")),
        (
            counts.conflicts,
            records(
                counts.conflicts,
                "without an index value that a record with a lower primary key has too",
            ),
        ),
        (counts.nulled, format!("{} that JSON cannot express became null", counted(counts.nulled, "value"))),
    ];
    remarks.into_iter().filter(|(count, _)| *count > 0).map(|(_, line)| line).collect()
}

fn show_one(run: &RunRecord, rejected: &[RejectedRow], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&serde_json::json!({ "run": run, "rejected": rejected }));
    }
    print_table(&table(std::slice::from_ref(run)))?;
    let counts = &run.counts;
    for line in remarks(counts) {
        print(&line)?;
    }
    if let Some(error) = &run.error {
        print(&format!("{}: {}", error.code, error.message))?;
    }
    if !rejected.is_empty() {
        let mut rows = vec![["REASON", "FIELD", "PRIMARY KEY"].map(str::to_owned).to_vec()];
        rows.extend(rejected.iter().map(|row| {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            vec![row.reason.clone(), or_dash(&row.field), shown(&or_dash(&row.primary_key)).into_owned()]
        }));
        print("")?;
        print_table(&rows)?;
        if rejected.len() >= REJECTED_PER_REASON_MAX {
            print(&format!(
                "(at most {REJECTED_PER_REASON_MAX} of a reason and {REJECTED_PER_RUN_MAX} of a run are listed)"
            ))?;
        }
    }
    Ok(())
}
