//! `larder rollback`, `resume`, `drop`, `pin` and `unpin`: undoing what was announced.

use super::{
    args::{Drop, Pin, Resume, Rollback, Unpin},
    exit::Exit,
    output::{ACTOR, Failure, complain, counted, print, print_json},
    session,
};
use crate::{
    app, control,
    domain::{manifest::Version, name::RegionName},
    support::clock::Clock,
};

pub(super) async fn rollback(arguments: Rollback) -> Result<Exit, Failure> {
    let (config, name) = session::load_for(&arguments.config, &arguments.name)?;
    let process = session::publisher(&config).await?;
    let done = process.publisher.rollback(&name, Version(arguments.to), ACTOR).await;
    process.stop().await;
    let done = done?;
    if arguments.json {
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

pub(super) async fn resume(arguments: Resume) -> Result<Exit, Failure> {
    let (config, name) = session::load_for(&arguments.config, &arguments.name)?;
    let metadata = app::open_metadata(&config, Clock::default()).await?;
    let ended = control::resume(&metadata, &name, ACTOR).await?;
    if ended.is_none() {
        // A name that never was is refused; one that is not paused is as it should be.
        session::find_sync(&config, name.as_str())?;
    }
    if arguments.json {
        print_json(&serde_json::json!({ "sync": name, "pause": ended }))?;
    } else if let Some(ended) = ended {
        print(&format!("{name}: resumed ({}); it runs by its schedule again", ended.why))?;
    } else {
        print(&format!("{name} is not paused"))?;
    }
    Ok(Exit::Success)
}

pub(super) async fn drop(arguments: Drop) -> Result<Exit, Failure> {
    let (config, name) = session::load_for(&arguments.config, &arguments.name)?;
    let is_configured = config.sync(&name).is_some();
    let process = session::publisher(&config).await?;
    let removed = process.publisher.drop_collection(&name, is_configured, ACTOR).await;
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

pub(super) async fn pin(arguments: Pin) -> Result<Exit, Failure> {
    let region = region(arguments.config.region())?;
    let (config, name) = session::load_for(&arguments.config, &arguments.name)?;
    let process = session::publisher(&config).await?;
    let pinned = process.publisher.pin(&name, &region, Version(arguments.to), ACTOR).await;
    process.stop().await;
    let pinned = pinned?;
    if arguments.json {
        print_json(&pinned)?;
    } else {
        let at = pinned.data_as_of.format("%Y-%m-%dT%H:%M:%SZ");
        print(&format!(
            "{name}: region {region} is pinned at version {}, data as of {at}; the newest is {}",
            pinned.version, pinned.newest
        ))?;
    }
    Ok(Exit::Success)
}

pub(super) async fn unpin(arguments: Unpin) -> Result<Exit, Failure> {
    let region = region(arguments.config.region())?;
    let (config, name) = session::load_for(&arguments.config, &arguments.name)?;
    let process = session::publisher(&config).await?;
    let unpinned = process.publisher.unpin(&name, &region, ACTOR).await;
    process.stop().await;
    let unpinned = unpinned?;
    if arguments.json {
        print_json(&unpinned)?;
    } else {
        print(&format!(
            "{name}: region {region} leaves version {} and follows the newest again, which is {}",
            unpinned.from, unpinned.version
        ))?;
    }
    Ok(Exit::Success)
}

fn region(argument: Option<&str>) -> Result<RegionName, Failure> {
    let text = argument.unwrap_or_default();
    RegionName::new(text).map_err(|error| Failure::Usage(format!("--region {text:?}: {error}")))
}
