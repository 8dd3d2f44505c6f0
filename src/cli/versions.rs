//! `larder versions`: the versions of a collection that can be served.

use super::{
    args::{ConfigArguments, Versions},
    exit::Exit,
    output::{Failure, moment, or_dash, print_json, print_table},
    remote::Remote,
    session,
};
use crate::{
    admin::ServableVersion,
    app,
    domain::{RegionName, RunCounts},
    support::clock::Clock,
};

pub(super) async fn run(config: &ConfigArguments, arguments: Versions) -> Result<Exit, Failure> {
    let (name, limit) = (session::collection(&arguments.name)?, arguments.limit as usize);
    let versions = if let Some(remote) = Remote::of(config)? {
        remote.list(&format!("/admin/v1/collections/{name}/versions"), &[], limit).await?
    } else {
        let config = session::load(config)?;
        let admin = session::admin_if_publisher(&config).await;
        let overview = app::open_overview(&config, Clock::default())?;
        overview.versions(admin.as_ref(), &name, limit).await?
    };
    if arguments.json {
        print_json(&versions)?;
    } else {
        let heading = [
            "VERSION",
            "ORIGIN",
            "RUN",
            "CREATED",
            "DATA AS OF",
            "RECORDS",
            "ADDED",
            "CHANGED",
            "REMOVED",
            "BYTES",
            "NOTE",
        ];
        print_table(&heading, versions.iter().map(row))?;
    }
    Ok(Exit::Success)
}

fn row(one: &ServableVersion) -> Vec<String> {
    let newest = one.newest.then(|| "newest".to_owned());
    let pinned = (!one.pinned.is_empty()).then(|| {
        let regions: Vec<&str> = one.pinned.iter().map(RegionName::as_str).collect();
        format!("pinned: {}", regions.join(", "))
    });
    // A rollback reads no row.
    let counts = one.counts.filter(|_| !matches!(one.origin.as_deref(), Some("rollback" | "takeover")));
    let count = |of: fn(&RunCounts) -> u64| or_dash(counts.as_ref().map(of));
    vec![
        one.version.to_string(),
        or_dash(one.origin.as_deref()),
        or_dash(one.run),
        moment(one.created_at),
        moment(one.data_as_of),
        one.records.to_string(),
        count(|counts| counts.added),
        count(|counts| counts.changed),
        count(|counts| counts.removed),
        one.bytes.to_string(),
        newest.into_iter().chain(pinned).collect::<Vec<_>>().join("; "),
    ]
}
