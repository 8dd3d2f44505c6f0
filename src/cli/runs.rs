//! `larder runs`: runs and their outcomes.

use super::{
    args::{ConfigArguments, Runs},
    exit::Exit,
    output::{Failure, carried, counted, moment, or_dash, print, print_json, print_table, shown},
    remote::Remote,
    session,
};
use crate::{
    admin::RunsFilter,
    domain::{
        CollectionName, RejectedRow, RunCounts, RunId, RunRecord,
        run::{REJECTED_PER_REASON_MAX, REJECTED_PER_RUN_MAX},
    },
};

pub(super) async fn run(config: &ConfigArguments, arguments: Runs) -> Result<Exit, Failure> {
    let subject = arguments.subject.as_deref();
    if let Some(id) = subject.and_then(|subject| subject.parse::<RunId>().ok()) {
        if arguments.sql {
            print(&sql(config, id).await?.ok_or_else(|| {
                Failure::Usage(format!("what {id} has read is not known: it failed before that"))
            })?)?;
            return Ok(Exit::Success);
        }
        let (record, rejected) = one(config, id).await?;
        show_one(&record, &rejected, arguments.json)?;
        return Ok(Exit::Success);
    }
    if arguments.sql {
        return Err(Failure::Usage("--sql needs a run's id (run_...)".to_owned()));
    }
    let sync = subject.map(CollectionName::new).transpose().map_err(|_| {
        let subject = subject.unwrap_or_default();
        Failure::Usage(format!("{subject:?} is neither a sync's name nor a run's id (run_...)"))
    })?;
    let (announced, limit) = (arguments.announced, arguments.limit as usize);
    let runs = list(config, sync.as_ref(), announced, limit).await?;
    if arguments.json {
        print_json(&runs)?;
    } else if runs.is_empty() {
        let of = sync.map_or(String::new(), |name| format!(" of {name}"));
        let which = if announced { " that announced a version" } else { "" };
        print(&format!("no runs{of}{which} yet"))?;
    } else {
        show(&runs)?;
    }
    Ok(Exit::Success)
}

/// What a run has read.
async fn sql(config: &ConfigArguments, id: RunId) -> Result<Option<String>, Failure> {
    /// The answer of a server.
    #[derive(serde::Deserialize)]
    struct Shown {
        sql: Option<String>,
    }
    let Some(remote) = Remote::of(config)? else {
        return Ok(session::admin(config).await?.run_query(id).await?);
    };
    Ok(remote.get::<Shown>(&format!("/admin/v1/runs/{id}"), &[]).await?.sql)
}

async fn one(config: &ConfigArguments, id: RunId) -> Result<(RunRecord, Vec<RejectedRow>), Failure> {
    /// The answer of a server.
    #[derive(serde::Deserialize)]
    struct Shown {
        run: RunRecord,
    }
    let Some(remote) = Remote::of(config)? else { return Ok(session::admin(config).await?.run(id).await?) };
    let shown: Shown = remote.get(&format!("/admin/v1/runs/{id}"), &[]).await?;
    Ok((shown.run, remote.get(&format!("/admin/v1/runs/{id}/rejected"), &[]).await?))
}

async fn list(
    config: &ConfigArguments,
    sync: Option<&CollectionName>,
    announced: bool,
    limit: usize,
) -> Result<Vec<RunRecord>, Failure> {
    let Some(remote) = Remote::of(config)? else {
        let filter = RunsFilter { sync, announced, before: None, limit };
        return Ok(session::admin(config).await?.runs(filter).await?);
    };
    let mut query = vec![("announced", if announced { "true" } else { "false" })];
    query.extend(sync.map(|sync| ("sync", sync.as_str())));
    remote.list("/admin/v1/runs", &query, limit).await
}

fn show(runs: &[RunRecord]) -> Result<(), Failure> {
    let heading = [
        "RUN", "SYNC", "STATUS", "STARTED", "SECONDS", "ROWS", "ADDED", "CHANGED", "REMOVED", "REJECTED",
        "VERSION", "ERROR",
    ];
    let row = |run: &RunRecord| {
        let counts = &run.counts;
        let seconds = run.finished_at.map(|end| (end - run.started_at).as_seconds_f64());
        vec![
            run.id.to_string(),
            run.sync.to_string(),
            run.status.to_string(),
            moment(run.started_at),
            or_dash(seconds.map(|seconds| format!("{seconds:.1}"))),
            counts.rows.to_string(),
            counts.added.to_string(),
            counts.changed.to_string(),
            counts.removed.to_string(),
            counts.rejected.to_string(),
            or_dash(run.version),
            run.error.as_ref().map_or(String::new(), |error| error.code.clone()),
        ]
    };
    print_table(&heading, runs.iter().map(row))
}

/// The counts that have no column in the table.
fn remarks(counts: &RunCounts) -> Vec<String> {
    let records = |count: u64, what: &str| format!("{} {what}", counted(count, "record"));
    let remarks = [
        (counts.records, records(counts.records, "after the run")),
        (counts.unread, records(counts.unread, "not read again: the run read an increment")),
        (counts.carried, carried(counts.carried)),
        (counts.left, records(counts.left, "whose row has left the model, kept by on_delete")),
        (
            counts.conflicts,
            records(counts.conflicts, "not found by an index value that other records have too"),
        ),
        (counts.nulled, format!("{} that JSON cannot express became null", counted(counts.nulled, "value"))),
    ];
    remarks.into_iter().filter(|(count, _)| *count > 0).map(|(_, line)| line).collect()
}

fn show_one(run: &RunRecord, rejected: &[RejectedRow], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&serde_json::json!({ "run": run, "rejected": rejected }));
    }
    show(std::slice::from_ref(run))?;
    for line in remarks(&run.counts) {
        print(&line)?;
    }
    if let Some(error) = &run.error {
        print(&format!("{}: {}", error.code, error.message))?;
    }
    if !rejected.is_empty() {
        print("")?;
        let row = |row: &RejectedRow| {
            vec![
                row.reason.clone(),
                or_dash(row.field.as_deref()),
                or_dash(row.primary_key.as_deref().map(shown)),
            ]
        };
        print_table(&["REASON", "FIELD", "PRIMARY KEY"], rejected.iter().map(row))?;
        if rejected.len() >= REJECTED_PER_REASON_MAX {
            print(&format!(
                "(at most {REJECTED_PER_REASON_MAX} of a reason and {REJECTED_PER_RUN_MAX} of a run are listed)"
            ))?;
        }
    }
    Ok(())
}
