//! `larder status`: the announced collections, and the versions that each node serves.

use chrono::{DateTime, Utc};

use super::{
    args::ConfigArguments,
    exit::Exit,
    output::{Failure, complain, counted, moment, or_dash, print, print_json, print_table},
    remote::Remote,
    session,
};
use crate::{
    admin::{
        self, CollectionStatus,
        fleet::{Ages, CollectionView, FleetStatus, NodeDetails, NodeView},
    },
    app,
    domain::{CollectionName, limits::CLOCK_SKEW_MAX},
    status::{Problem, publishes_only},
    support::clock::Clock,
};

pub(super) async fn run(arguments: &ConfigArguments, json: bool) -> Result<Exit, Failure> {
    let clock = Clock::default();
    let status = match Remote::of(arguments)? {
        Some(remote) => remote.get("/admin/v1/status", &[]).await?,
        None => read(arguments, clock.clone()).await?,
    };
    if json {
        print_json(&status)?;
        return Ok(Exit::Success);
    }
    show_announced(&status, clock.now())?;
    if let Some(fleet) = &status.fleet {
        print("")?;
        show_fleet(fleet)?;
    }
    Ok(Exit::Success)
}

async fn read(arguments: &ConfigArguments, clock: Clock) -> Result<admin::Status, Failure> {
    let config = session::load(arguments)?;
    let overview = app::open_overview(&config, clock)?;
    let admin = session::admin_if_publisher(&config).await;
    if let (Some(registry), Some(_)) = (&overview.registry, &admin) {
        registry.replace(session::layered(&config).await.syncs);
    }
    let mut status = overview.status(admin.as_ref()).await?;
    match overview.read_fleet(&status).await {
        Ok(fleet) => status.fleet = Some(fleet),
        Err(error) => complain(&format!("warning: nodes are not shown: {error}")),
    }
    Ok(status)
}

fn show_announced(status: &admin::Status, now: DateTime<Utc>) -> Result<(), Failure> {
    match (status.key_set_revision, status.keys) {
        (Some(revision), Some(keys)) => {
            let keys = counted(keys as u64, "key");
            print(&format!("catalog {}, {keys} (revision {revision})", status.catalog))?;
        }
        _ => print(&format!("catalog {}, no keys yet", status.catalog))?,
    }
    if let (Some(metadata), Some(false)) = (status.metadata, status.publishes_here) {
        print(&format!("published with the metadata database {metadata}, which is not this node's"))?;
    }
    if let Some(problem) = &status.problem {
        print(&format!("problem: {} ({}); see `larder repair`", problem.message, problem.code))?;
    }
    if status.collections.is_empty() {
        return print("no collections yet");
    }
    let heading =
        ["COLLECTION", "VERSION", "RECORDS", "BYTES", "DATA AS OF", "AGE", "REGIONS", "LAST RUN", "NOTE"];
    print_table(&heading, status.collections.iter().map(|one| row(one, now)))
}

fn row(one: &CollectionStatus, now: DateTime<Utc>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(problem) = &one.problem {
        notes.push(format!("problem: {}; see `larder repair`", problem.code));
    }
    if one.data_as_of.is_some_and(|at| at > now + CLOCK_SKEW_MAX) {
        notes.push("clock_ahead: set the publisher's clock or this one".to_owned());
    }
    if one.orphaned {
        notes.push("orphaned: no longer configured".to_owned());
    }
    if let Some(held) = one.held_run {
        notes.push(format!("held: {held}"));
    }
    if let Some(paused) = &one.paused {
        notes.push(format!("paused: {paused} at {} by {}", moment(paused.at), paused.by));
    }
    if let Some(last) = one.dropped {
        notes.push(format!("dropped at {last}: larder sync {} brings it back", one.collection));
    }
    notes.extend(one.pins.iter().map(|(region, version)| format!("pinned: {region} at {version}")));
    vec![
        one.collection.to_string(),
        or_dash(one.version),
        one.records.to_string(),
        one.bytes.to_string(),
        one.data_as_of.map_or_else(dash, moment),
        one.data_as_of.map_or_else(dash, |at| format!("{} s", (now - at).num_seconds().max(0))),
        match &one.regions {
            None => "all".to_owned(),
            Some(regions) => regions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        },
        one.last_run.as_ref().map_or_else(dash, |run| run.status.to_string()),
        notes.join("; "),
    ]
}

/// Prints a table of nodes, and a table of the collections that each node serves.
fn show_fleet(fleet: &FleetStatus) -> Result<(), Failure> {
    if fleet.nodes.is_empty() {
        let hours = Ages::default().shown.num_hours();
        return print(&format!("no node has written a status within {hours} hours"));
    }
    let heading = [
        "REGION",
        "NODE",
        "STATE",
        "SEEN",
        "CATALOG",
        "AGE",
        "KEYS",
        "AGE",
        "BUILD",
        "PROBLEM",
        "LAST ERROR",
    ];
    print_table(&heading, fleet.nodes.iter().map(node_row))?;
    if fleet.left_off > 0 {
        print(&format!("and {}", counted(fleet.left_off as u64, "more node")))?;
    }
    let heading =
        ["REGION", "NODE", "COLLECTION", "VERSION", "BEHIND", "RECORDS", "BYTES", "DATA AS OF", "PROBLEM"];
    let mut rows = Vec::new();
    for node in &fleet.nodes {
        let collections = node.details.iter().flat_map(|details| &details.collections);
        rows.extend(collections.map(|(name, one)| collection_row(node, name, one)));
    }
    if !rows.is_empty() {
        print("")?;
        print_table(&heading, rows)?;
    }
    Ok(())
}

fn node_row(node: &NodeView) -> Vec<String> {
    let mut row = vec![
        node.region.to_string(),
        name(node),
        node.state.as_str().to_owned(),
        format!("{} s ago", node.seen_seconds),
    ];
    let age = |seconds: Option<f64>| seconds.map_or_else(dash, |seconds| format!("{seconds:.0} s"));
    if let Some(details) = &node.details {
        let error = details.last_error.as_ref().map_or_else(dash, |error| {
            let of = error.collection.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            format!("{}{of}, {}", error.code, moment(error.at))
        });
        // A node that only publishes follows neither the catalog nor the keys.
        let follows = |number: u64| if publishes_only(&details.roles) { dash() } else { number.to_string() };
        row.extend([
            follows(details.catalog),
            age(details.catalog_age_seconds),
            follows(details.keys_revision),
            age(details.keys_age_seconds),
            details.build.to_string(),
            node_problem(details).map_or_else(dash, problem),
            error,
        ]);
    } else {
        row.extend(std::iter::repeat_with(dash).take(6));
        row.push(or_dash(node.unreadable.as_deref()));
    }
    row
}

/// The problem of following; else of publishing; else of the first failing task.
fn node_problem(details: &NodeDetails) -> Option<&Problem> {
    let publisher = details.publisher.as_ref().and_then(|publisher| publisher.problem.as_ref());
    details.problem.as_ref().or(publisher).or(details.tasks.values().next())
}

fn collection_row(node: &NodeView, collection: &CollectionName, one: &CollectionView) -> Vec<String> {
    vec![
        node.region.to_string(),
        name(node),
        collection.to_string(),
        or_dash(one.served_version),
        behind(one),
        one.records.to_string(),
        one.bytes.to_string(),
        one.data_as_of.map_or_else(dash, moment),
        one.problem.as_ref().map_or_else(dash, problem),
    ]
}

/// `2 versions, 35 s, since 2026-11-23T22:10:52Z`; `not at its pin: 1 version above, since ...`.
fn behind(one: &CollectionView) -> String {
    if one.announced_version.is_none() {
        return "no longer announced".to_owned();
    }
    let versions = match (one.versions_behind, one.versions_above_pin) {
        (0, 0) => return dash(),
        (0, above) => format!("not at its pin: {} above", counted(above, "version")),
        (behind, _) => counted(behind, "version"),
    };
    let seconds = Some(one.versions_above_pin).filter(|above| *above == 0).and(one.seconds_behind);
    let seconds = seconds.map(|seconds| format!(", {seconds:.0} s")).unwrap_or_default();
    let since = one.behind_since.map(|at| format!(", since {}", moment(at))).unwrap_or_default();
    format!("{versions}{seconds}{since}")
}

fn problem(problem: &Problem) -> String {
    format!("{} since {}", problem.code, moment(problem.since))
}

fn name(node: &NodeView) -> String {
    node.details.as_ref().map_or_else(|| node.node.to_string(), |details| details.name.to_string())
}

fn dash() -> String {
    "-".to_owned()
}
