//! Retention: deletes objects that no document has referred to for a day.
//!
//! Ages are by the store's clock alone. What documents referred to in the meantime follows from the documents
//! themselves: see [`named`] and `docs/adr/retention-reads-the-catalogs-past.md`.

mod manifests;
mod named;
mod plan;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use tokio::time::Instant;

pub use self::named::lowest_kept;
use self::{manifests::KnownManifests, named::Named};
use super::{Catalog, Error, paths};
use crate::{
    domain::{CollectionName, DeploymentId, Object},
    store::{CLOCK, PROBES, Path, StoredObject},
};

/// Collections of one batch of deletions. The catalog is read once for a batch, and its objects are deleted with few
/// requests.
const BATCH: usize = 32;
/// Collections of a batch that are listed, and manifests of a collection that are read, at the same time.
const CONCURRENCY: usize = 8;

/// What is retained besides the objects that the catalog refers to.
#[derive(Debug, Clone)]
pub struct RetentionRules {
    /// Number of newest versions of each collection.
    pub keep_versions: usize,
    /// Paths of the manifests of runs that are held or whose outcome is unknown.
    pub manifests: HashSet<String>,
    /// How long objects are retained after they were written, and after the catalog ceased to refer to them: 24 h. A
    /// run may be about to announce what it wrote (a run older than 12 h ends itself, and a change is announced
    /// within 6 h), and a follower may be about to fetch what a document before the newest refers to.
    pub grace: TimeDelta,
}

impl Default for RetentionRules {
    fn default() -> Self {
        Self { keep_versions: 0, manifests: HashSet::new(), grace: TimeDelta::hours(24) }
    }
}

/// The result of one round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deletions {
    /// Number of deleted objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Collections that were not checked because the time was up. The next round begins with them.
    pub collections_left: usize,
}

/// Deletes objects, round by round. Manifests that one round has read are known to the next.
#[derive(Debug)]
pub struct Retention {
    catalog: Catalog,
    known: HashMap<CollectionName, KnownManifests>,
    /// The collection that the next round begins with, so that each one has its turn.
    start: Option<CollectionName>,
}

impl Retention {
    /// A retention that knows no manifest yet.
    pub fn new(catalog: Catalog) -> Self {
        Self { catalog, known: HashMap::new(), start: None }
    }

    /// Deletes objects that neither the catalog of the last [`RetentionRules::grace`] nor `rules` retain, and begins
    /// with no further collection after `time_max`. Without a catalog nothing is deleted. Only the holder of the
    /// housekeeping lease may call it.
    pub async fn run(
        &mut self,
        deployment: Option<DeploymentId>,
        rules: &RetentionRules,
        time_max: Duration,
    ) -> Result<Deletions, Error> {
        let until = Instant::now() + time_max;
        let mut done = Deletions::default();
        let now = self.catalog.store.now().await?;
        self.catalog.store.delete_unfinished(now).await?;
        let Some(newest) = self.catalog.newest(deployment).await? else { return Ok(done) };
        let mut named = Named::read(&self.catalog, newest, now - rules.grace).await?;
        self.delete_others(now, &named, rules, &mut done).await?;

        let names = self.names(&named).await?;
        self.known.retain(|name, _| names.contains(name));
        let mut due = self.in_turn(names);
        // A collection that changed meanwhile has a second turn in this round.
        for _ in 0..2 {
            let mut changed = Vec::new();
            while !due.is_empty() {
                let batch: Vec<_> = due.drain(..due.len().min(BATCH)).collect();
                // A batch that fails must not keep the others from their turn.
                self.start = due.first().cloned();
                changed.extend(self.run_batch(now, &mut named, rules, batch, &mut done).await?);
                // After the first batch, so that every round goes on.
                if Instant::now() >= until {
                    done.collections_left = due.len();
                    return Ok(done);
                }
            }
            due = changed;
        }
        Ok(done)
    }

    /// The collections that the catalog refers to, and those that have objects.
    async fn names(&self, named: &Named) -> Result<BTreeSet<CollectionName>, Error> {
        let listed = self.catalog.store.list_directories(&paths::collections()).await?;
        let listed = listed.iter().filter_map(|name| CollectionName::new(name).ok());
        Ok(named.newest.collections.keys().cloned().chain(listed).collect())
    }

    /// The collections from the one that is next, and then those before it.
    fn in_turn(&self, mut names: BTreeSet<CollectionName>) -> Vec<CollectionName> {
        let from = self.start.as_ref().map(|start| names.split_off(start)).unwrap_or_default();
        from.into_iter().chain(names).collect()
    }

    /// Handles some collections. Returns those whose references changed meanwhile.
    async fn run_batch(
        &mut self,
        now: DateTime<Utc>,
        named: &mut Named,
        rules: &RetentionRules,
        batch: Vec<CollectionName>,
        done: &mut Deletions,
    ) -> Result<Vec<CollectionName>, Error> {
        if self.known.values().map(KnownManifests::len).sum::<usize>() > manifests::KNOWN_MAX {
            self.known.clear();
        }
        let plan = |name: CollectionName| {
            let (catalog, references) = (&self.catalog, named.references(&name, rules.keep_versions));
            let mut known = self.known.remove(&name).unwrap_or_default();
            async move {
                let deletable = known.deletable(catalog, now, &name, &references, rules).await;
                (name, known, deletable)
            }
        };
        let planning: Vec<_> = batch.into_iter().map(plan).collect();
        let planned: Vec<_> = stream::iter(planning).buffered(CONCURRENCY).collect().await;
        let mut deletable = Vec::new();
        let mut failure = Ok(());
        for (name, known, objects) in planned {
            self.known.insert(name.clone(), known);
            match objects {
                Ok(objects) => deletable.push((name, objects)),
                Err(error) => failure = failure.and(Err(error)),
            }
        }
        // A version that was pinned or rolled back to since is not in the plan.
        let deployment = named.newest.deployment;
        let changed = match self.catalog.newest_after(named.newest.n, Some(deployment)).await? {
            Some(later) => named.advance(later),
            None => BTreeSet::new(),
        };
        let (changed, deletable): (Vec<_>, Vec<_>) =
            deletable.into_iter().partition(|(name, _)| changed.contains(name));
        let deletable = deletable.into_iter().flat_map(|(_, objects)| objects);
        let (manifests, segments) = deletable.partition(is_manifest);
        // A manifest goes before its segments: it must not refer to objects that do not exist.
        self.catalog.delete(manifests, done).await?;
        self.catalog.delete(segments, done).await?;
        failure.map(|()| changed.into_iter().map(|(name, _)| name).collect())
    }

    /// Deletes documents, key sets and probes.
    async fn delete_others(
        &self,
        now: DateTime<Utc>,
        named: &Named,
        rules: &RetentionRules,
        done: &mut Deletions,
    ) -> Result<(), Error> {
        let catalog = &self.catalog;
        if let Some(earlier) = &named.earlier {
            let old = catalog.document_at(named.newest.n, now - TimeDelta::days(plan::DOCUMENT_DAYS)).await?;
            // A head that could not be written for long may refer to an old document, which must exist.
            let head = catalog.head().await?.map_or(named.newest.n, |head| head.n);
            let below = old.min(earlier.n).min(head);
            let listed = catalog.store.list_below(&paths::catalog(), &paths::document(below)).await?;
            catalog.delete(plan::documents(now, below, listed), done).await?;
            let revisions = (earlier.keys.as_ref(), named.newest.keys.as_ref());
            let listed = catalog.list(&paths::key_sets()).await?;
            catalog.delete(plan::key_sets(now, rules, revisions, listed), done).await?;
        }
        // Objects of processes that were killed while they probed the store.
        let probes = catalog.list(&Path::from(PROBES)).await?;
        let is_left =
            |probe: &StoredObject| probe.path.as_ref() != CLOCK && plan::is_past_grace(now, rules, probe);
        let probes = probes.into_iter().filter(is_left);
        catalog.delete(probes.collect(), done).await
    }
}

impl Catalog {
    /// The present time by the store's clock, which the ages of objects are by.
    pub async fn store_time(&self) -> Result<DateTime<Utc>, Error> {
        Ok(self.store.now().await?)
    }

    async fn list(&self, prefix: &Path) -> Result<Vec<StoredObject>, Error> {
        let mut objects = Vec::new();
        self.store.list(prefix, None, |object| objects.push(object)).await?;
        Ok(objects)
    }

    async fn delete(&self, objects: Vec<StoredObject>, done: &mut Deletions) -> Result<(), Error> {
        let (number, bytes) = (objects.len(), objects.iter().map(|object| object.bytes).sum::<u64>());
        self.store.delete_all(objects.into_iter().map(|object| object.path).collect()).await?;
        done.objects += number;
        done.bytes += bytes;
        Ok(())
    }
}

fn is_manifest(object: &StoredObject) -> bool {
    matches!(Object::parse(object.path.as_ref()), Some(Object::Manifest(_)))
}
