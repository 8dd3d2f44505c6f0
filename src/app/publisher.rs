//! Bringing up the publishing side: metadata, deployment, announcer, engine.

use tokio::task::JoinHandle;

use super::parts::{open_metadata, open_store};
use crate::{
    admin::{Error, Publisher, settle_deployment},
    catalog::Announcer,
    config::Config,
    disk::SegmentDirectory,
    support::{clock::Clock, shutdown::Shutdown},
};

/// Opens everything that a publisher needs and starts its announcer, which ends with `shutdown`.
pub(super) async fn start(
    config: &Config,
    directory: SegmentDirectory,
    clock: Clock,
    shutdown: Shutdown,
) -> Result<(Publisher, JoinHandle<()>), Error> {
    let store = open_store(config)?;
    let metadata = open_metadata(config, clock.clone()).await?;
    let (deployment, n) = settle_deployment(&store, &metadata).await?;
    let (announcer, handle) = Announcer::new(store.clone(), clock.clone(), Some(deployment));
    let announcer = announcer.after(n);
    let announcing = tokio::spawn(announcer.run(shutdown));
    let engine = config.engine.clone();
    Ok((Publisher::new(store, directory, metadata, handle, deployment, clock, engine), announcing))
}
