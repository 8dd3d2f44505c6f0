//! A publisher: the real announcer, and lanes that make changes like the sync engine. There are no leases: every
//! publisher acts as if it held them all.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{join, join_all};
use larder::{
    catalog::{
        AnnounceError, Announced, Announcer, AnnouncerHandle, AnnouncerPace, Authority, Catalog, Change,
        Error, RunAnnouncement,
    },
    disk::SegmentDirectory,
    domain::{
        catalog::CollectionEntry,
        id::{DeploymentId, MetadataId},
        name::CollectionName,
    },
    support::shutdown::Shutdown,
};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    changes::AnnounceAnswer,
    hub::{Hub, Who},
    view::View,
};
use crate::support::{catalog::catalog_over, chance::Chance};

/// Attempts of a change that another one preceded.
const ATTEMPTS_MAX: usize = 3;
/// Longest duration of a run.
const RUN_AGE_MAX: TimeDelta = TimeDelta::hours(12);

/// A publisher over all its lives.
pub(super) struct Publisher {
    pub(super) hub: Arc<Hub>,
    pub(super) number: u8,
    /// Its metadata database; publishers with another one take turns with it.
    metadata: MetadataId,
    /// Remaining changes of each lane.
    pub(super) lanes: Vec<(Lane, AtomicU64)>,
    pub(super) directory: SegmentDirectory,
}

/// The subject of a lane's changes.
#[derive(Debug, Clone)]
pub(super) enum Lane {
    Collection(CollectionName),
    Keys,
    /// It lets its metadata database publish.
    Takeover,
}

/// One life of a publisher.
pub(super) struct Life<'a> {
    pub(super) hub: &'a Arc<Hub>,
    pub(super) catalog: Catalog,
    pub(super) directory: &'a SegmentDirectory,
    announcer: AnnouncerHandle,
    metadata: MetadataId,
}

impl Publisher {
    pub(super) fn new(hub: &Arc<Hub>, number: u8, database: u8, lanes: Vec<Lane>, root: &Path) -> Self {
        let mut chance = hub.chance(&["changes", &number.to_string()]);
        let root = root.join(format!("publisher-{number}"));
        Self {
            hub: Arc::clone(hub),
            number,
            metadata: MetadataId::from_uuid(Uuid::from_u128(u128::from(database) + 1)),
            lanes: lanes.into_iter().map(|lane| (lane.clone(), changes(&lane, &mut chance).into())).collect(),
            directory: SegmentDirectory::open(&root, hub.clock.clone()).unwrap(),
        }
    }

    /// Works until all changes are made, through all kills.
    pub(super) async fn run(self) {
        let who = Who::Publisher(self.number);
        loop {
            let (life, killed) = self.hub.begin_life(who);
            let view = View::new(&self.hub, who, life);
            tokio::select! {
                biased;
                () = killed.notified() => {}
                () = self.live(catalog_over(Arc::new(view)), life) => return,
            }
            let mut chance = self.hub.chance(&["down", &who.to_string(), &life.to_string()]);
            sleep(Duration::from_millis(chance.within(5, 4_000))).await;
            self.hub.trace(|| format!("{who} starts again"));
        }
    }

    async fn live(&self, catalog: Catalog, life: u32) {
        let pace = AnnouncerPace {
            backoff: (Duration::from_millis(200), Duration::from_secs(4)),
            ..AnnouncerPace::default()
        };
        let deployment = deployment(self.hub.seed);
        let clock = self.hub.clock.clone();
        let (announcer, handle) = Announcer::new(catalog.clone(), clock, None, pace);
        let announcer = announcer.with_authority(Authority::new(deployment, self.metadata));
        let (directory, metadata) = (&self.directory, self.metadata);
        let life_of = Life { hub: &self.hub, catalog, directory, announcer: handle, metadata };
        if life > 1 {
            life_of.reconcile().await;
        }
        let lanes = self.lanes.iter().map(|(lane, left)| self.work(&life_of, lane, left, life));
        let shutdown = Shutdown::new();
        let work = async {
            join_all(lanes).await;
            shutdown.cancel();
        };
        // In this order: the answer of the announcer is received, also just before the end.
        join(announcer.run(shutdown.clone()), work).await;
    }

    async fn work(&self, life: &Life<'_>, lane: &Lane, left: &AtomicU64, number: u32) {
        loop {
            let todo = left.load(Ordering::Relaxed);
            if todo == 0 {
                return;
            }
            let place = format!("{} {lane:?} {todo} {number}", self.number);
            let mut chance = self.hub.chance(&["work", &place]);
            sleep(Duration::from_millis(chance.within(1, 2_500))).await;
            for _ in 0..ATTEMPTS_MAX {
                let made = match lane {
                    Lane::Collection(name) => life.change_collection(name, &mut chance).await,
                    Lane::Keys => life.change_keys(&mut chance).await,
                    Lane::Takeover => life.take_over().await,
                };
                match made {
                    Ok(Some(Err(AnnounceError::Superseded))) => {}
                    Ok(_) => break,
                    Err(error) => {
                        self.hub.trace(|| format!("publisher {}: gives up: {error}", self.number));
                        break;
                    }
                }
            }
            left.store(todo - 1, Ordering::Relaxed);
        }
    }
}

/// The number of changes of a lane.
fn changes(lane: &Lane, chance: &mut Chance) -> u64 {
    match lane {
        Lane::Collection(_) => 1 + chance.weighed(&[40, 35, 25]) as u64,
        Lane::Keys => chance.within(0, 2),
        Lane::Takeover => chance.within(1, 2),
    }
}

/// The deployment of a simulation.
pub(super) fn deployment(seed: u64) -> DeploymentId {
    DeploymentId::from_uuid(Uuid::from_u128(u128::from(seed) + 1))
}

impl Life<'_> {
    /// Whether a run that began at `began` may still announce.
    pub(super) fn is_young(&self, began: DateTime<Utc>) -> bool {
        self.hub.clock.now() - began < RUN_AGE_MAX
    }

    /// Announces `change` and checks the answer.
    pub(super) async fn announce(&self, change: Change) -> Result<Announced, AnnounceError> {
        let number = self.hub.state().reference.attempt(&change, self.metadata);
        let answer = self.announcer.announce(change).await;
        self.hub.trace(|| format!("change {number}: {answer:?}"));
        self.hub.check(|state| state.reference.answered(number, &answer));
        answer
    }

    /// Lets this publisher's metadata database publish, unless it does.
    async fn take_over(&self) -> AnnounceAnswer {
        let newest = self.catalog.newest(Some(deployment(self.hub.seed))).await?;
        let (from, to) = (newest.as_ref().and_then(|newest| newest.metadata), self.metadata);
        if newest.is_none() || from == Some(to) {
            return Ok(None);
        }
        Ok(Some(self.announce(Change::Takeover { from, to }).await))
    }

    /// Reconciles changes whose publisher was killed with the catalog, and checks the result.
    async fn reconcile(&self) {
        let open: Vec<(CollectionName, CollectionEntry)> = self.hub.state().reference.collections_attempted();
        for (name, entry) in open.into_iter().rev().take(2) {
            let newest = self.hub.state().reference.documents.len() as u64;
            let deployment = deployment(self.hub.seed);
            let resolved: Result<RunAnnouncement, Error> =
                self.catalog.find_announced(&name, entry.run_id, Some(deployment)).await;
            let Ok(resolved) = resolved else { continue };
            self.hub.check(|state| {
                let introduced = state.reference.announced(entry.run_id).map(|(n, _)| n);
                // Retention deletes several documents at a time: a gap hides the documents below it.
                let is_there = |n: u64| {
                    let mut documents = (n..=newest).map(|n| format!("catalog/{n:020}.json"));
                    documents.all(|path| state.bucket.object(&path).is_some())
                };
                match resolved {
                    RunAnnouncement::Found { n, .. }
                        if introduced.is_none_or(|introduced| introduced > n) =>
                    {
                        Err(format!("run {} counts as announced, and is not", entry.run_id))
                    }
                    RunAnnouncement::NotFound { complete: true }
                        if introduced.is_some_and(|n| n <= newest && is_there(n)) =>
                    {
                        Err(format!("run {} counts as not announced, and is", entry.run_id))
                    }
                    _ => Ok(()),
                }
            });
        }
    }

    /// A random identifier.
    pub(super) fn identifier(chance: &mut Chance) -> Uuid {
        Uuid::from_u128(u128::from(chance.next()) << 64 | u128::from(chance.next()))
    }
}
