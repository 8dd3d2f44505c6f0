//! `larder status`: what is announced.

use super::{
    args::Status,
    exit::Exit,
    output::{Failure, complain, counted, print, print_json, print_table},
    session,
};
use crate::{app, control, control::CollectionStatus, support::clock::Clock};

pub(super) async fn run(arguments: Status) -> Result<Exit, Failure> {
    let config = session::load(&arguments.config)?;
    let clock = Clock::default();
    let store = app::open_store(&config)?;
    let metadata = match app::open_metadata(&config, clock.clone()).await {
        Ok(metadata) => Some(metadata),
        Err(error) => {
            complain(&format!("warning: last and held runs are not shown, nor pauses: {error}"));
            None
        }
    };
    let status = control::Status::read(&store, metadata.as_ref(), &session::configured(&config)).await?;
    if arguments.json {
        print_json(&status)?;
        return Ok(Exit::Success);
    }
    match (status.key_set_revision, status.keys) {
        (Some(revision), Some(keys)) => {
            let keys = counted(keys as u64, "key");
            print(&format!("catalog {}, {keys} (revision {revision})", status.catalog))?;
        }
        _ => print(&format!("catalog {}, no keys yet", status.catalog))?,
    }
    if status.collections.is_empty() {
        print("no collections yet")?;
        return Ok(Exit::Success);
    }
    let heading =
        ["COLLECTION", "VERSION", "RECORDS", "BYTES", "DATA AS OF", "AGE", "REGIONS", "LAST RUN", "NOTE"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(status.collections.iter().map(|one| row(one, clock.now())));
    print_table(&rows)?;
    Ok(Exit::Success)
}

fn row(one: &CollectionStatus, now: chrono::DateTime<chrono::Utc>) -> Vec<String> {
    let dash = || "-".to_owned();
    let mut notes = Vec::new();
    if one.orphaned {
        notes.push("orphaned: no longer configured".to_owned());
    }
    if let Some(held) = one.held_run {
        notes.push(format!("held: {held}"));
    }
    if let Some(paused) = &one.paused {
        let since = paused.at.format("%Y-%m-%dT%H:%M:%SZ");
        notes.push(format!("paused: {} at {since} by {}", paused.why, paused.by));
    }
    notes.extend(one.pins.iter().map(|(region, version)| format!("pinned: {region} at {version}")));
    vec![
        one.collection.to_string(),
        one.version.map_or_else(dash, |version| version.to_string()),
        one.records.to_string(),
        one.bytes.to_string(),
        one.data_as_of.map_or_else(dash, |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
        one.data_as_of.map_or_else(dash, |at| format!("{} s", (now - at).num_seconds())),
        match &one.regions {
            None => "all".to_owned(),
            Some(regions) => regions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        },
        one.last_run.as_ref().map_or_else(dash, |run| run.status.to_string()),
        notes.join("; "),
    ]
}
