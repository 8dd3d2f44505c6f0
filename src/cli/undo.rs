//! `larder rollback`, `resume`, `drop`, `pin`, `unpin` and `takeover`: what an operator decides.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::{
    args::{Change, ConfigArguments, Pin, Rollback, Takeover, Unpin},
    exit::Exit,
    output::{Failure, complain, counted, moment, print, print_json},
    remote::{Remote, nothing},
    session,
};
use crate::{
    admin::{Dropped, Pause, Pinned, Publisher, RolledBack, Unpinned, fleet::Ages},
    app,
    domain::{RegionName, Version},
    support::clock::Clock,
};

/// Most regions that a warning names.
const REGIONS_NAMED_MAX: usize = 50;

pub(super) async fn rollback(config: &ConfigArguments, arguments: Rollback) -> Result<Exit, Failure> {
    let (name, principal) = session::change(&arguments.change)?;
    let to = Version(arguments.to);
    let rollback = async |publisher: &Publisher| publisher.rollback(&name, to, &principal).await;
    let done: RolledBack = match Remote::of(config)? {
        Some(remote) => {
            let path = format!("/admin/v1/collections/{name}/rollback");
            remote.change(Method::POST, &path, json!({ "version": to })).await?
        }
        None => session::publish(&session::load(config)?, rollback).await?,
    };
    if arguments.change.json {
        print_json(&done)?;
    } else {
        print(&format!(
            "{name}: rolled back from version {} to {}, announced as version {}",
            done.from, done.to, done.version
        ))?;
        print(&format!("  {}, data as of {}", counted(done.records, "record"), moment(done.data_as_of)))?;
        complain(&format!("Its scheduled runs wait until you run `larder resume {name}`."));
    }
    for region in &done.pinned {
        complain(&format!(
            "warning: region {region} is pinned and does not follow; larder unpin {name} --region {region}"
        ));
    }
    Ok(Exit::Success)
}

pub(super) async fn resume(config: &ConfigArguments, arguments: Change) -> Result<Exit, Failure> {
    /// The answer of a server.
    #[derive(serde::Deserialize)]
    struct Resumed {
        pause: Option<Pause>,
    }
    let (name, principal) = session::change(&arguments)?;
    let resume = async |publisher: &Publisher| publisher.resume(&name, &principal).await;
    let ended = match Remote::of(config)? {
        Some(remote) => {
            let path = format!("/admin/v1/syncs/{name}/resume");
            remote.change::<Resumed>(Method::POST, &path, nothing()).await?.pause
        }
        None => session::publish(&session::load(config)?, resume).await?,
    };
    if arguments.json {
        print_json(&json!({ "sync": name, "pause": ended }))?;
    } else if let Some(ended) = ended {
        print(&format!("{name}: resumed ({ended}); it runs by its schedule again"))?;
    } else {
        print(&format!("{name} is not paused"))?;
    }
    Ok(Exit::Success)
}

pub(super) async fn drop(config: &ConfigArguments, arguments: Change) -> Result<Exit, Failure> {
    let (name, principal) = session::change(&arguments)?;
    let drop = async |publisher: &Publisher| publisher.drop_collection(&name, &principal).await;
    let dropped: Dropped = match Remote::of(config)? {
        Some(remote) => {
            remote.change(Method::DELETE, &format!("/admin/v1/collections/{name}"), nothing()).await?
        }
        None => session::publish(&session::load(config)?, drop).await?,
    };
    if arguments.json {
        print_json(&dropped)?;
    } else {
        let records = dropped.records.map(|records| format!(", {}", counted(records, "record")));
        print(&format!("{name}: dropped version {}{}", dropped.version, records.unwrap_or_default()))?;
        complain(&format!("A publisher that still has its sync waits until you run `larder sync {name}`."));
    }
    Ok(Exit::Success)
}

pub(super) async fn pin(config: &ConfigArguments, arguments: Pin) -> Result<Exit, Failure> {
    let region = session::region(&arguments.region)?;
    let (name, principal) = session::change(&arguments.change)?;
    let to = Version(arguments.to);
    let pin = async |publisher: &Publisher| publisher.pin(&name, &region, to, &principal).await;
    let pinned: Pinned = match Remote::of(config)? {
        Some(remote) => {
            let path = format!("/admin/v1/collections/{name}/pins/{region}");
            remote.change(Method::PUT, &path, json!({ "version": to })).await?
        }
        None => session::publish(&session::load(config)?, pin).await?,
    };
    if arguments.change.json {
        print_json(&pinned)?;
    } else {
        print(&format!(
            "{name}: region {region} is pinned at version {}, data as of {}; the newest is {}",
            pinned.version,
            moment(pinned.data_as_of),
            pinned.newest
        ))?;
    }
    warn_unknown_region(known_regions(config).await, &region);
    Ok(Exit::Success)
}

/// Regions that a node, sync or collection names; the error in words.
async fn known_regions(config: &ConfigArguments) -> Result<Option<BTreeSet<RegionName>>, String> {
    let known = async {
        match Remote::of(config)? {
            Some(remote) => remote.get("/admin/v1/regions", &[]).await,
            None => {
                Ok(app::open_overview(&session::load(config)?, Clock::default())?.known_regions().await?)
            }
        }
    };
    known.await.map_err(|failure: Failure| failure.message())
}

/// Warns of a pinned region that no node, sync or collection names: its name may be wrong, or its nodes are still
/// to start.
fn warn_unknown_region(known: Result<Option<BTreeSet<RegionName>>, String>, region: &RegionName) {
    let known = match known {
        Ok(Some(known)) => known,
        Ok(None) => return,
        Err(error) => {
            return complain(&format!("warning: cannot check whether {region} is a known region: {error}"));
        }
    };
    if !known.contains(region) {
        let known: Vec<&str> = known.iter().take(REGIONS_NAMED_MAX).map(RegionName::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        complain(&format!(
            "warning: no node has reported from region {region} within {} hours, and no sync names it: the pin \
             waits for one; known regions: {known}",
            Ages::default().shown.num_hours()
        ));
    }
}

pub(super) async fn unpin(config: &ConfigArguments, arguments: Unpin) -> Result<Exit, Failure> {
    let region = session::region(&arguments.region)?;
    let (name, principal) = session::change(&arguments.change)?;
    let unpin = async |publisher: &Publisher| publisher.unpin(&name, &region, &principal).await;
    let unpinned: Unpinned = match Remote::of(config)? {
        Some(remote) => {
            let path = format!("/admin/v1/collections/{name}/pins/{region}");
            remote.change(Method::DELETE, &path, nothing()).await?
        }
        None => session::publish(&session::load(config)?, unpin).await?,
    };
    if arguments.change.json {
        print_json(&unpinned)?;
    } else {
        print(&format!(
            "{name}: region {region} leaves version {} and follows the newest again, which is {}",
            unpinned.from, unpinned.version
        ))?;
    }
    Ok(Exit::Success)
}

pub(super) async fn take_over(config: &ConfigArguments, arguments: Takeover) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    let done = session::take_over(&config, &session::principal(&arguments.actor)).await?;
    if arguments.json {
        print_json(&done)?;
    } else if done.from == Some(done.to) {
        print(&format!("{} publishes already", done.to))?;
    } else {
        print(&format!("{} publishes from now on", done.to))?;
        if let Some(from) = done.from {
            complain(&format!("Publishers with the metadata database {from} are refused."));
        }
    }
    Ok(Exit::Success)
}
