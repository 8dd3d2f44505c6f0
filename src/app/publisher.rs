//! Bringing up the publishing side: metadata, deployment, announcer, engine.

use tokio::task::JoinHandle;

use super::parts::{open_metadata, open_store};
use crate::{
    admin::{Error, Publisher, Registry, resolve_deployment},
    catalog::Announcer,
    config::Config,
    disk::SegmentDirectory,
    engine::Engine,
    support::{clock::Clock, shutdown::Shutdown},
};

/// Opens everything that a publisher needs and starts its announcer, which ends with `shutdown`.
pub(super) async fn start(
    config: &Config,
    registry: Registry,
    directory: SegmentDirectory,
    clock: Clock,
    shutdown: Shutdown,
) -> Result<(Publisher, JoinHandle<()>), Error> {
    let store = open_store(config)?;
    let metadata = open_metadata(config, clock.clone()).await?;
    let (deployment, n) = resolve_deployment(&store, &metadata).await?;
    let (service, announcer) = Announcer::new(store.clone(), clock.clone(), Some(deployment));
    let announcing = tokio::spawn(service.after(n).run(shutdown));
    let engine = Engine::new(
        store.clone(),
        directory,
        metadata.clone(),
        announcer.clone(),
        deployment,
        clock.clone(),
        config.engine.clone(),
    );
    Ok((Publisher { registry, store, metadata, announcer, engine, deployment, clock }, announcing))
}
