//! Fetches, verifies and applies one collection's announced version.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    error::Error,
    local::Local,
    plan::{Plan, plan},
    target::{Exchange, Refusal, Target},
};
use crate::{
    catalog::Catalog,
    disk::{SegmentBuffer, SegmentDirectory, SegmentUser},
    domain::{
        catalog::CollectionEntry,
        digest::Digest,
        limits::CLOCK_SKEW_MAX,
        manifest::{Manifest, SegmentReference},
        name::CollectionName,
    },
    store,
    support::{background, blocking, clock::Clock},
};

/// Segments fetched at the same time, over all collections: enough to fill a network link, and a bound on
/// memory and open files.
const FETCHES_MAX: usize = 4;
/// Collections rebuilt at the same time: a rebuild holds two copies in memory.
const BUILDS_MAX: usize = 1;

/// A method of the target that may block.
type BlockingStep<T> = fn(&T, Arc<Manifest>, Vec<SegmentBuffer>) -> Result<(), Refusal>;

/// A version that is served now.
#[derive(Debug)]
pub(super) struct Applied {
    /// Its data is not dated ahead of this node's clock.
    pub(super) manifest: Arc<Manifest>,
    /// The time that the publisher gave its data, and when it arrived, if that was ahead.
    pub(super) ahead: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// Brings collections to the announced version. All collections share it.
#[derive(Debug)]
pub(super) struct Applier<T> {
    pub(super) catalog: Catalog,
    pub(super) segments: SegmentDirectory,
    pub(super) local: Local,
    pub(super) target: Arc<T>,
    /// The runtime for rebuilds while the node serves requests.
    pub(super) background: Handle,
    clock: Clock,
    fetches: Semaphore,
    builds: Semaphore,
}

impl<T: Target> Applier<T> {
    pub(super) fn new(
        catalog: Catalog,
        segments: SegmentDirectory,
        local: Local,
        target: Arc<T>,
        background: Handle,
        clock: Clock,
    ) -> Self {
        let (fetches, builds) = (Semaphore::new(FETCHES_MAX), Semaphore::new(BUILDS_MAX));
        Self { catalog, segments, local, target, background, clock, fetches, builds }
    }

    /// Fetches and applies the version that `entry` names. The previous version is served until then, and on
    /// failure. A rebuild takes much longer than applying changes: with `beside_readers` it runs in the
    /// background runtime, at low priority. `ahead` is a time of its data that was ahead of this node's clock, and when it
    /// arrived.
    pub(super) async fn fetch_and_apply(
        self: &Arc<Self>,
        name: &CollectionName,
        entry: &CollectionEntry,
        ahead: Option<(DateTime<Utc>, DateTime<Utc>)>,
        beside_readers: bool,
    ) -> Result<Applied, Error> {
        let mut manifest = self.local.manifest(&self.catalog, name, entry).await?;
        let (now, dated) = (self.clock.now(), manifest.data_as_of);
        let known = ahead.filter(|(known, _)| *known == dated);
        let ahead = (dated > now + CLOCK_SKEW_MAX).then(|| known.unwrap_or((dated, now)));
        if let Some((_, arrived)) = ahead {
            manifest.data_as_of = arrived;
        }
        let manifest = Arc::new(manifest);
        let _incoming = IncomingSegments::new(&self.segments, name, &manifest);
        // Reserve the space before any fetch, and also when nothing is fetched: the next start needs local copies
        // of all served segments.
        self.segments.ensure_space_for(&manifest.segments).await?;
        let served = self.target.served(name);
        match plan(served.as_deref(), &manifest) {
            Plan::Nothing => {}
            Plan::Adopt => {
                let adopted = self.target.adopt(Arc::clone(&manifest));
                adopted.map_err(|refusal| Error::Refused { collection: name.clone(), refusal })?;
            }
            Plan::Changes(segments) => {
                let buffers = self.load(&segments).await?;
                match self.run_blocking(name, &manifest, buffers, T::apply).await {
                    Err(Error::Refused { refusal, .. }) => {
                        tracing::warn!(code = refusal.code, collection = %name, "changes cannot be applied; rebuilding the collection");
                        self.build(name, &manifest, false, beside_readers).await?;
                    }
                    outcome => outcome?,
                }
            }
            Plan::Relocate => self.build(name, &manifest, true, beside_readers).await?,
            Plan::Base => self.build(name, &manifest, false, beside_readers).await?,
        }
        self.segments.set_in_use(SegmentUser::Served(name.clone()), digests(&manifest));
        Ok(Applied { manifest, ahead })
    }

    /// Releases the segments of a collection that is no longer served here.
    pub(super) fn release_segments(&self, name: &CollectionName) {
        self.segments.set_in_use(SegmentUser::Served(name.clone()), []);
    }

    /// Builds a collection beside the served one or, when the records are `the_same`, in its place.
    async fn build(
        self: &Arc<Self>,
        name: &CollectionName,
        manifest: &Arc<Manifest>,
        the_same: bool,
        beside_readers: bool,
    ) -> Result<(), Error> {
        if !beside_readers {
            return self.build_here(name, manifest, the_same).await;
        }
        let (applier, to_build, manifest) = (Arc::clone(self), name.clone(), Arc::clone(manifest));
        let building = async move { applier.build_here(&to_build, &manifest, the_same).await };
        let built = background::run_on(&self.background, building).await;
        built.unwrap_or_else(|_| Err(Error::Broken { collection: name.clone() }))
    }

    async fn build_here(
        &self,
        name: &CollectionName,
        manifest: &Arc<Manifest>,
        the_same: bool,
    ) -> Result<(), Error> {
        // Download before acquiring the build permit: a slow link then delays no other collection, and files on
        // disk take no memory yet.
        let is_remote = !self.catalog.store().is_local();
        let missing = manifest.segments.iter().filter(|segment| is_remote && !self.segments.has(segment));
        let fetches: Vec<_> = missing.map(|segment| self.fetch(segment)).collect();
        stream::iter(fetches).buffer_unordered(FETCHES_MAX).try_collect::<()>().await?;
        let _permit = self.builds.acquire().await;
        let exchange = if the_same { self.target.begin_exchange(manifest) } else { None };
        if let Some(exchange) = exchange {
            match self.exchange(name, manifest, &exchange).await {
                Err(Error::Refused { refusal, .. }) => {
                    tracing::warn!(code = refusal.code, collection = %name, "the segments cannot be exchanged one at a time; rebuilding the collection");
                }
                outcome => return outcome,
            }
        }
        let buffers = self.load(&manifest.segments).await?;
        self.run_blocking(name, manifest, buffers, T::build).await
    }

    /// Exchanges the segments of a collection, so that no more than one is in memory twice.
    async fn exchange(
        &self,
        name: &CollectionName,
        manifest: &Manifest,
        exchange: &Arc<dyn Exchange>,
    ) -> Result<(), Error> {
        let refused = |refusal| Error::Refused { collection: name.clone(), refusal };
        for (number, segment) in manifest.segments.iter().enumerate() {
            let (buffer, exchange) = (self.load_one(segment).await?, Arc::clone(exchange));
            let exchanged = blocking::run(move || exchange.exchange(number, buffer)).await;
            let Some(exchanged) = exchanged else { return Err(Error::Disk(store::Error::Ending.into())) };
            exchanged.map_err(refused)?;
        }
        exchange.finish().map_err(refused)
    }

    async fn fetch(&self, segment: &SegmentReference) -> Result<(), Error> {
        let _permit = self.fetches.acquire().await;
        self.segments.fetch(self.catalog.store(), segment).await?;
        Ok(())
    }

    /// Loads the verified bytes of segments, in order.
    async fn load(&self, segments: &[SegmentReference]) -> Result<Vec<SegmentBuffer>, Error> {
        let loads: Vec<_> = segments.iter().map(|segment| self.load_one(segment)).collect();
        stream::iter(loads).buffered(FETCHES_MAX).try_collect().await
    }

    async fn load_one(&self, segment: &SegmentReference) -> Result<SegmentBuffer, Error> {
        let _permit = self.fetches.acquire().await;
        Ok(self.segments.load(self.catalog.store(), segment).await?)
    }

    /// Runs a step of the target on a thread that may block.
    async fn run_blocking(
        &self,
        name: &CollectionName,
        manifest: &Arc<Manifest>,
        buffers: Vec<SegmentBuffer>,
        step: BlockingStep<T>,
    ) -> Result<(), Error> {
        let (target, manifest) = (Arc::clone(&self.target), Arc::clone(manifest));
        match blocking::run(move || step(&target, manifest, buffers)).await {
            Some(Ok(())) => Ok(()),
            Some(Err(refusal)) => Err(Error::Refused { collection: name.clone(), refusal }),
            None => Err(Error::Disk(store::Error::Ending.into())),
        }
    }
}

fn digests(manifest: &Manifest) -> impl Iterator<Item = Digest> + '_ {
    manifest.segments.iter().map(|segment| segment.sha256)
}

/// Protects the segments of a version that is being applied from eviction, until dropped.
struct IncomingSegments {
    segments: SegmentDirectory,
    name: CollectionName,
}

impl IncomingSegments {
    fn new(segments: &SegmentDirectory, name: &CollectionName, manifest: &Manifest) -> Self {
        segments.set_in_use(SegmentUser::Incoming(name.clone()), digests(manifest));
        Self { segments: segments.clone(), name: name.clone() }
    }
}

impl Drop for IncomingSegments {
    fn drop(&mut self) {
        self.segments.set_in_use(SegmentUser::Incoming(self.name.clone()), []);
    }
}
