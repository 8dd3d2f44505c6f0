//! Bringing up the publishing side: metadata, deployment, announcer, engine.

use super::parts::{open_catalog, open_metadata, open_tables};
use crate::{
    admin::{Error, Publisher, Registry, resolve_authority},
    catalog::{Announcer, AnnouncerPace},
    config::Config,
    disk::SegmentDirectory,
    engine::Engine,
    replica,
    support::{clock::Clock, shutdown::Shutdown},
};

/// Opens everything that a publisher needs. With `takes_over` another metadata database may publish at present. Its announcer, the future, must be run, and ends with `shutdown`.
pub(super) async fn start(
    config: &Config,
    registry: Registry,
    directory: SegmentDirectory,
    clock: Clock,
    shutdown: Shutdown,
    takes_over: bool,
) -> Result<(Publisher, impl Future<Output = ()> + Send + use<>), Error> {
    let data_dir = config.node.data_dir.clone();
    let catalog = open_catalog(config)?.with_document_copies(move || replica::kept_document(&data_dir));
    let metadata = open_metadata(config, clock.clone()).await?;
    let (authority, n) = resolve_authority(&catalog, &metadata, takes_over).await?;
    let (service, announcer) = Announcer::new(catalog.clone(), clock.clone(), None, AnnouncerPace::default());
    let announcing = service.with_authority(authority.clone()).with_known_document(n).run(shutdown);
    let engine = Engine::new(
        catalog.clone(),
        (directory, open_tables(config, clock.clone())?),
        metadata.clone(),
        announcer.clone(),
        authority.clone(),
        clock.clone(),
        config.engine.clone(),
    );
    let keep_versions = config.catalog.keep_versions;
    let publisher =
        Publisher { registry, catalog, metadata, announcer, engine, authority, keep_versions, clock };
    Ok((publisher, announcing))
}
