//! `larder rollback`, `resume`, `drop`, `pin` and `unpin`: undoing what was announced.

use super::{
    actor,
    args::{Change, ConfigArguments, Pin, Rollback, Unpin},
    exit::Exit,
    output::{Failure, complain, counted, print, print_json},
    session,
};
use crate::{
    admin::{self, fleet},
    app,
    catalog::Ages,
    config::Config,
    domain::{manifest::Version, name::RegionName},
    support::clock::Clock,
};

/// Most regions that a warning names.
const REGIONS_NAMED_MAX: usize = 50;

pub(super) async fn rollback(config: &ConfigArguments, arguments: Rollback) -> Result<Exit, Failure> {
    let (config, name) = session::load_for(config, &arguments.change.name)?;
    let process = session::publisher(&config).await?;
    let done =
        process.publisher.rollback(&name, Version(arguments.to), &actor::of(&arguments.change.actor)).await;
    process.stop().await;
    let done = done?;
    if arguments.change.json {
        print_json(&done)?;
    } else {
        print(&format!(
            "{name}: rolled back from version {} to {}, announced as version {}",
            done.from, done.to, done.version
        ))?;
        let at = done.data_as_of.format("%Y-%m-%dT%H:%M:%SZ");
        print(&format!("  {}, data as of {at}", counted(done.records, "record")))?;
        complain(&format!("Its scheduled runs wait until you give `larder resume {name}`."));
    }
    for region in &done.pinned {
        complain(&format!(
            "warning: region {region} is pinned and does not follow; larder unpin {name} --region {region}"
        ));
    }
    Ok(Exit::Success)
}

pub(super) async fn resume(config: &ConfigArguments, arguments: Change) -> Result<Exit, Failure> {
    let (config, name) = session::load_for(config, &arguments.name)?;
    let metadata = app::open_metadata(&config, Clock::default()).await?;
    let ended = admin::resume(&metadata, &name, &actor::of(&arguments.actor)).await?;
    if ended.is_none() {
        // A name that never was is refused; one that is not paused is as it should be.
        session::find_sync(&config, name.as_str())?;
    }
    if ended.as_ref().is_some_and(|ended| ended.pending.is_some()) {
        complain(&format!(
            "warning: that rollback is under way, or was killed; `larder status` shows which version of {name} is in force"
        ));
    }
    if arguments.json {
        print_json(&serde_json::json!({ "sync": name, "pause": ended }))?;
    } else if let Some(ended) = ended {
        print(&format!("{name}: resumed ({ended}); it runs by its schedule again"))?;
    } else {
        print(&format!("{name} is not paused"))?;
    }
    Ok(Exit::Success)
}

pub(super) async fn drop(config: &ConfigArguments, arguments: Change) -> Result<Exit, Failure> {
    let (config, name) = session::load_for(config, &arguments.name)?;
    let is_configured = config.sync(&name).is_some();
    let process = session::publisher(&config).await?;
    let removed = process.publisher.drop_collection(&name, is_configured, &actor::of(&arguments.actor)).await;
    process.stop().await;
    let removed = removed?;
    if arguments.json {
        print_json(&removed)?;
    } else {
        let records = removed.records.map(|records| format!(", {}", counted(records, "record")));
        print(&format!("{name}: dropped version {}{}", removed.version, records.unwrap_or_default()))?;
    }
    Ok(Exit::Success)
}

pub(super) async fn pin(config: &ConfigArguments, arguments: Pin) -> Result<Exit, Failure> {
    let region = region(&arguments.region)?;
    let (config, name) = session::load_for(config, &arguments.change.name)?;
    let process = session::publisher(&config).await?;
    let pinned = process
        .publisher
        .pin(&name, &region, Version(arguments.to), &actor::of(&arguments.change.actor))
        .await;
    process.stop().await;
    let pinned = pinned?;
    if arguments.change.json {
        print_json(&pinned)?;
    } else {
        let at = pinned.data_as_of.format("%Y-%m-%dT%H:%M:%SZ");
        print(&format!(
            "{name}: region {region} is pinned at version {}, data as of {at}; the newest is {}",
            pinned.version, pinned.newest
        ))?;
    }
    warn_unknown_region(&config, &region).await;
    Ok(Exit::Success)
}

/// Says that nobody knows a region that was pinned: its name may be wrong, or it may be about to start.
async fn warn_unknown_region(config: &Config, region: &RegionName) {
    let known = async {
        let (store, statuses) = (app::open_known_store(config)?, app::open_statuses(config));
        fleet::known_regions(&store, &statuses, Clock::default().now(), Ages::default()).await
    };
    let mut known = match known.await {
        Ok(Some(known)) => known,
        Ok(None) => return,
        Err(error) => {
            return complain(&format!("warning: whether {region} is a known region cannot be told: {error}"));
        }
    };
    known.extend(config.syncs.iter().filter_map(|sync| sync.spec.serving.regions.clone()).flatten());
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
    let region = region(&arguments.region)?;
    let (config, name) = session::load_for(config, &arguments.change.name)?;
    let process = session::publisher(&config).await?;
    let unpinned = process.publisher.unpin(&name, &region, &actor::of(&arguments.change.actor)).await;
    process.stop().await;
    let unpinned = unpinned?;
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

fn region(text: &str) -> Result<RegionName, Failure> {
    RegionName::new(text).map_err(|error| Failure::Usage(format!("--region {text:?}: {error}")))
}
