//! `larder approve`: announcing what a guard holds.

use super::{
    actor,
    args::{Approve, ConfigArguments},
    exit::Exit,
    output::{Failure, complain, print, print_json},
    session, sync,
};
use crate::{
    domain::id::RunId,
    engine::{RunRequest, Trigger},
};

pub(super) async fn run(config: &ConfigArguments, arguments: Approve) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    session::publishes(&config)?;
    let id: RunId = arguments.run.parse().map_err(|_| {
        Failure::Usage(format!(
            "{:?} is not a run's id (run_...); larder status shows held runs",
            arguments.run
        ))
    })?;
    let actor = actor::of(&arguments.actor);
    let process = session::publisher(&config).await?;
    let approved = async {
        let held = process.publisher.held_run(id).await?;
        let name = held.record.sync.clone();
        let announced = process.publisher.approve(&held, &actor).await?;
        let pause = process.publisher.metadata.pause(&name).await?;
        Ok::<_, Failure>((name, announced, pause))
    };
    let (name, announced, pause) = match approved.await {
        Ok(approved) => approved,
        Err(failure) => {
            process.stop().await;
            return Err(failure);
        }
    };
    if let Some(record) = announced {
        process.stop().await;
        if arguments.json {
            print_json(&record)?;
        } else {
            let version = record.version.map(|version| version.to_string()).unwrap_or_default();
            print(&format!("{name}: announced version {version}, exactly what {id} had made"))?;
            print(&sync::counts(&record.counts))?;
        }
        sync::warn_paused(&name, pause.as_ref());
        return Ok(Exit::Success);
    }
    complain(&format!("{name} has changed since {id} was held; the sync runs again, without guards."));
    let found = session::find_sync(&config, name.as_str())
        .and_then(|sync| Ok((sync.spec.clone(), session::source_of(&config, sync)?)));
    match found {
        Ok((spec, source)) => {
            let request = RunRequest { accept: true, ..RunRequest::new(spec, source, Trigger::Operator) };
            sync::run_now(process, &request, &actor, arguments.json).await.map(|(exit, _)| exit)
        }
        Err(failure) => {
            process.stop().await;
            Err(failure)
        }
    }
}
