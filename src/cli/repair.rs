//! `larder repair` and `larder housekeeping`.

use super::{
    args::{ActorArgument, ConfigArguments},
    exit::Exit,
    output::{Failure, complain, counted, print, print_json},
    session,
};
use crate::{admin::CatalogRepair, app, support::clock::Clock, telemetry};

pub(super) async fn repair(
    config: &ConfigArguments,
    actor: &ActorArgument,
    json: bool,
) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    telemetry::show_warnings();
    let (catalog, versions) = app::repair(&config, &session::principal(actor), Clock::default()).await?;
    let is_whole = versions.iter().all(|one| one.restored);
    if json {
        print_json(&serde_json::json!({ "catalog": catalog, "versions": versions }))?;
    } else {
        print(&match &catalog {
            CatalogRepair::Whole { catalog } => format!("catalog {catalog}: whole"),
            CatalogRepair::HeadRewritten { catalog } => format!("catalog {catalog}: head was written again"),
            CatalogRepair::DocumentRestored { catalog } => {
                format!("catalog {catalog}: the document was put back from this node's copy")
            }
            CatalogRepair::AnnouncedAgain { catalog, from, .. } => format!(
                "catalog {catalog}: documents after {from} are lost; announced from that one and the metadata database"
            ),
        })?;
        if versions.is_empty() {
            print("every announced version is whole")?;
        }
        for one in &versions {
            let outcome = one.code.map_or("restored".to_owned(), |code| format!("not restored ({code})"));
            print(&format!("{} {}: {outcome}", one.collection, one.version))?;
        }
    }
    if let CatalogRepair::AnnouncedAgain { to_repeat, .. } = &catalog {
        for action in to_repeat {
            let at = action.at.format("%Y-%m-%dT%H:%M:%SZ");
            let detail = action.detail.as_deref().map_or_else(String::new, |detail| format!(" ({detail})"));
            complain(&format!(
                "warning: {} of {} by {} at {at}{detail} may be lost; look at `larder status`, and repeat it if so",
                action.action, action.subject, action.actor
            ));
        }
    }
    for one in versions.iter().filter(|one| !one.restored) {
        let name = &one.collection;
        complain(&format!(
            "{name}: this node has no whole copy of version {}; run `larder repair` on a node that serves it, or \
             `larder rollback {name} --to VERSION`",
            one.version
        ));
    }
    Ok(if is_whole { Exit::Success } else { Exit::Failed })
}

pub(super) async fn housekeeping(config: &ConfigArguments, json: bool) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    telemetry::show_warnings();
    let Some(round) = app::housekeeping(&config, Clock::default()).await? else {
        complain("another process does the housekeeping at present; nothing was deleted");
        return Ok(Exit::Superseded);
    };
    if json {
        print_json(&round)?;
    } else {
        print(&format!("deleted {}, {} bytes", counted(round.objects as u64, "object"), round.bytes))?;
    }
    Ok(Exit::Success)
}
