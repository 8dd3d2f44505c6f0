//! Bringing one collection to what the catalog names: fetch, verify, apply.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    error::Error,
    local::Local,
    plan::{Plan, plan},
    target::{Refusal, Target},
};
use crate::{
    catalog::Catalog,
    disk::{SegmentBuffer, SegmentDirectory, SegmentUser},
    domain::{
        catalog::CollectionEntry,
        digest::Digest,
        manifest::{Manifest, SegmentReference},
        name::CollectionName,
    },
    store,
    support::{background, blocking},
};

/// Segments fetched at the same time, over all collections: enough to fill a link, and a bound on
/// memory and on open files.
const FETCHES_MAX: usize = 4;
/// Collections built anew at the same time: two copies of one are in memory meanwhile.
const BUILDS_MAX: usize = 1;

/// The target's part of the work.
type Work<T> = fn(&T, Arc<Manifest>, Vec<SegmentBuffer>) -> Result<(), Refusal>;

/// What all collections share.
#[derive(Debug)]
pub(super) struct Tools<T> {
    pub(super) catalog: Catalog,
    pub(super) segments: SegmentDirectory,
    pub(super) local: Local,
    pub(super) target: Arc<T>,
    /// Where collections are built beside readers.
    pub(super) background: Handle,
    fetches: Semaphore,
    builds: Semaphore,
}

impl<T: Target> Tools<T> {
    pub(super) fn new(
        catalog: Catalog,
        segments: SegmentDirectory,
        local: Local,
        target: Arc<T>,
        background: Handle,
    ) -> Self {
        let (fetches, builds) = (Semaphore::new(FETCHES_MAX), Semaphore::new(BUILDS_MAX));
        Self { catalog, segments, local, target, background, fetches, builds }
    }

    /// Serves what `entry` names. What was served before goes on until then, and on failure. Changes are
    /// applied at once; to build a collection takes so much longer that, `beside_readers`, it steps back.
    pub(super) async fn bring(
        self: &Arc<Self>,
        name: &CollectionName,
        entry: &CollectionEntry,
        beside_readers: bool,
    ) -> Result<Arc<Manifest>, Error> {
        let manifest = Arc::new(self.local.manifest(&self.catalog, name, entry).await?);
        let _coming = Coming::new(&self.segments, name, &manifest);
        // Before anything is fetched, and also when nothing is to be: what is served must be here at the
        // next start.
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
                match self.work(name, &manifest, buffers, T::apply).await {
                    Err(Error::Refused { refusal, .. }) => {
                        tracing::warn!(code = refusal.code, collection = %name, "changes do not apply; it is built anew");
                        self.build(name, &manifest, beside_readers).await?;
                    }
                    outcome => outcome?,
                }
            }
            Plan::Base => self.build(name, &manifest, beside_readers).await?,
        }
        self.segments.set_in_use(SegmentUser::Served(name.clone()), digests(&manifest));
        Ok(manifest)
    }

    /// The collection is not served here any more.
    pub(super) fn forget(&self, name: &CollectionName) {
        self.segments.set_in_use(SegmentUser::Served(name.clone()), []);
    }

    async fn build(
        self: &Arc<Self>,
        name: &CollectionName,
        manifest: &Arc<Manifest>,
        beside_readers: bool,
    ) -> Result<(), Error> {
        if !beside_readers {
            return self.build_here(name, manifest).await;
        }
        let (tools, to_build, manifest) = (Arc::clone(self), name.clone(), Arc::clone(manifest));
        let building = async move { tools.build_here(&to_build, &manifest).await };
        let built = background::run_on(&self.background, building).await;
        built.unwrap_or_else(|_| Err(Error::Broken { collection: name.clone() }))
    }

    async fn build_here(&self, name: &CollectionName, manifest: &Arc<Manifest>) -> Result<(), Error> {
        // Downloaded before the turn comes: a slow link keeps no other collection waiting, and what
        // is on the disk takes no memory yet.
        let is_far = !self.catalog.store().is_local();
        let lacking = manifest.segments.iter().filter(|segment| is_far && !self.segments.has(segment));
        let fetches: Vec<_> = lacking.map(|segment| self.fetch(segment)).collect();
        stream::iter(fetches).buffer_unordered(FETCHES_MAX).try_collect::<()>().await?;
        let _turn = self.builds.acquire().await;
        let buffers = self.load(&manifest.segments).await?;
        self.work(name, manifest, buffers, T::build).await
    }

    async fn fetch(&self, segment: &SegmentReference) -> Result<(), Error> {
        let _turn = self.fetches.acquire().await;
        self.segments.fetch(self.catalog.store(), segment).await?;
        Ok(())
    }

    /// The verified bytes of segments, in order.
    async fn load(&self, segments: &[SegmentReference]) -> Result<Vec<SegmentBuffer>, Error> {
        let loads: Vec<_> = segments.iter().map(|segment| self.load_one(segment)).collect();
        stream::iter(loads).buffered(FETCHES_MAX).try_collect().await
    }

    async fn load_one(&self, segment: &SegmentReference) -> Result<SegmentBuffer, Error> {
        let _turn = self.fetches.acquire().await;
        Ok(self.segments.load(self.catalog.store(), segment).await?)
    }

    /// Runs the target's part where it may block.
    async fn work(
        &self,
        name: &CollectionName,
        manifest: &Arc<Manifest>,
        buffers: Vec<SegmentBuffer>,
        work: Work<T>,
    ) -> Result<(), Error> {
        let (target, manifest) = (Arc::clone(&self.target), Arc::clone(manifest));
        match blocking::run(move || work(&target, manifest, buffers)).await {
            Some(Ok(())) => Ok(()),
            Some(Err(refusal)) => Err(Error::Refused { collection: name.clone(), refusal }),
            None => Err(Error::Disk(store::Error::Ending.into())),
        }
    }
}

fn digests(manifest: &Manifest) -> impl Iterator<Item = Digest> + '_ {
    manifest.segments.iter().map(|segment| segment.sha256)
}

/// Keeps the segments of what a collection is becoming, until it is dropped.
struct Coming {
    segments: SegmentDirectory,
    name: CollectionName,
}

impl Coming {
    fn new(segments: &SegmentDirectory, name: &CollectionName, manifest: &Manifest) -> Self {
        segments.set_in_use(SegmentUser::Coming(name.clone()), digests(manifest));
        Self { segments: segments.clone(), name: name.clone() }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.segments.set_in_use(SegmentUser::Coming(self.name.clone()), []);
    }
}
