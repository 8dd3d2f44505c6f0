//! Orders of events that are rare with a real store: results are handed to the replica directly.

use std::sync::Mutex;

use bytes::Bytes;
use chrono::TimeDelta;
use tempfile::TempDir;
use uuid::Uuid;

use super::{super::target::Refusal, *};
use crate::{
    catalog::SigningKeys,
    disk::SegmentBuffer,
    domain::{
        catalog::Freshness,
        digest::Digest,
        id::{AnnouncementId, DeploymentId, NodeId, RunId},
        label::Label,
        limits::FORMAT,
        manifest::{Manifest, ServingSettings},
    },
    status::Identity,
    store::{self, Location, Store},
};

/// Records its calls, and serves nothing.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Target for Notes {
    fn served(&self, _: &CollectionName) -> Option<Arc<Manifest>> {
        None
    }

    fn build(&self, _: Arc<Manifest>, _: Vec<SegmentBuffer>) -> Result<(), Refusal> {
        Ok(())
    }

    fn apply(&self, _: Arc<Manifest>, _: Vec<SegmentBuffer>) -> Result<(), Refusal> {
        Ok(())
    }

    fn adopt(&self, _: Arc<Manifest>) -> Result<(), Refusal> {
        Ok(())
    }

    fn set_freshness(&self, name: &CollectionName, _: DateTime<Utc>) {
        self.add(format!("fresh {name}"));
    }

    fn set_loading(&self, name: &CollectionName) {
        self.add(format!("loading {name}"));
    }

    fn set_elsewhere(&self, name: &CollectionName, _: Arc<[RegionName]>) {
        self.add(format!("elsewhere {name}"));
    }

    fn remove(&self, name: &CollectionName) {
        self.add(format!("remove {name}"));
    }

    fn use_keys(&self, keys: &KeySet) {
        self.add(format!("keys {}", keys.revision));
    }
}

/// A replica that is not run, its target and its clock.
struct Fixture {
    replica: Replica<Notes>,
    notes: Arc<Notes>,
    clock: Clock,
    _directory: TempDir,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
    let region = RegionName::new("us").unwrap();
    let settings = Settings {
        region: region.clone(),
        data_dir: directory.path().to_owned(),
        poll_interval: Duration::from_secs(1),
    };
    let identity = Identity {
        node: NodeId::from_uuid(Uuid::from_u128(1)),
        name: Label::fitted("node"),
        region,
        roles: Vec::new(),
    };
    let store = Store::open(&Location::Directory(directory.path().join("store"))).unwrap();
    let segments = SegmentDirectory::open(&directory.path().join("segments"), clock.clone()).unwrap();
    let notes = Arc::new(Notes::default());
    let (replica, _) = Replica::open(
        &settings,
        Pace::new(settings.poll_interval),
        Catalog::new(store, SigningKeys::default()),
        segments,
        Arc::clone(&notes),
        clock.clone(),
        Board::new(identity, clock.now()),
    )
    .unwrap();
    Fixture { replica, notes, clock, _directory: directory }
}

fn name() -> CollectionName {
    CollectionName::new("a").unwrap()
}

fn entry(version: u64) -> CollectionEntry {
    CollectionEntry {
        version: Version(version),
        run_id: RunId::from_uuid(Uuid::from_u128(version.into())),
        regions: None,
        manifest: format!("collections/a/{version}/manifest.json"),
        sha256: Digest::of(&version.to_be_bytes()),
    }
}

/// Document `n` with this entry of `a` and this key set.
fn document(n: u64, entry: Option<CollectionEntry>, keys: Option<KeySetReference>) -> CatalogDocument {
    CatalogDocument {
        format: FORMAT,
        deployment: DeploymentId::from_uuid(Uuid::from_u128(1)),
        metadata: None,
        n,
        announced_by: AnnouncementId::from_uuid(Uuid::from_u128(n.into())),
        keys,
        collections: entry.into_iter().map(|entry| (name(), entry)).collect(),
        pins: BTreeMap::new(),
        dropped: BTreeMap::new(),
        pauses: BTreeMap::new(),
        last_release: 0,
    }
}

fn keys(revision: u64) -> KeySetReference {
    KeySetReference { object: format!("keys/{revision}"), sha256: Digest::of(b"keys"), revision }
}

fn polled_keys(revision: u64) -> PollResult {
    let set = KeySet { revision, ..KeySet::default() };
    PollResult { keys: Some(Ok((keys(revision), set, Bytes::new()))), ..PollResult::default() }
}

fn lost() -> catalog::Error {
    store::Error::Missing("catalog/x".to_owned()).into()
}

fn applied(version: u64) -> Applied {
    Applied { manifest: Arc::new(manifest(version)), ahead: None }
}

#[tokio::test]
async fn key_sets_never_go_back_and_an_intermediate_one_is_not_used() {
    let Fixture { mut replica, notes, .. } = fixture();
    replica.apply_poll(Ok(polled_keys(3)));
    assert_eq!(notes.take(), ["keys 3"]);
    for revision in [2, 3] {
        replica.apply_poll(Ok(polled_keys(revision)));
        assert_eq!((notes.take(), replica.keys.revision), (vec![], 3));
    }
    replica.follow_document(document(1, None, Some(keys(6))));
    assert_eq!(replica.keys_wanted, Some(keys(6)));
    // It was being read when the document was followed.
    replica.apply_poll(Ok(polled_keys(5)));
    assert_eq!(
        (notes.take(), replica.keys_wanted.clone()),
        (vec![], Some(keys(6))),
        "6 may revoke keys of 5"
    );
    replica.apply_poll(Ok(polled_keys(6)));
    assert_eq!((notes.take(), replica.keys_wanted.clone()), (vec!["keys 6".to_owned()], None));
}

#[tokio::test]
async fn lasting_problem_keeps_its_time_and_ends_with_its_cause() {
    let Fixture { mut replica, clock, .. } = fixture();
    let began = clock.now();
    for minutes in 0..3 {
        clock.set(began + TimeDelta::minutes(minutes));
        replica.apply_poll(Ok(PollResult { problem: Some(lost()), ..PollResult::default() }));
        assert_eq!(replica.problem.as_ref().unwrap().since, began);
        assert_eq!(replica.keys_at, None, "keys may have been revoked in a document that is not known");
    }
    replica.apply_poll(Ok(PollResult::default()));
    assert_eq!((replica.problem.clone(), replica.keys_at), (None, Some(clock.now())));
}

#[tokio::test]
async fn freshness_counts_for_its_version_alone() {
    let Fixture { mut replica, clock, .. } = fixture();
    let fresh = |version, seconds| Freshness {
        version: Version(version),
        data_as_of: clock.now() - TimeDelta::seconds(seconds),
    };
    replica.follow_document(document(1, Some(entry(1)), None));
    replica.apply_freshness(&name(), fresh(2, 5));
    assert_eq!(replica.fresh.get(&name()), None, "no document has version 2 yet");
    replica.apply_freshness(&name(), fresh(1, 9));
    replica.follow_document(document(2, Some(entry(1)), Some(keys(1))));
    assert_eq!(replica.fresh.get(&name()), Some(&fresh(1, 9)), "the document is about something else");
    replica.follow_document(document(3, Some(entry(2)), None));
    assert_eq!(replica.fresh.get(&name()), None);
}

#[tokio::test]
async fn collection_that_goes_while_it_is_applied_is_not_served() {
    let elsewhere = || {
        let regions = Some(vec![RegionName::new("eu").unwrap()]);
        Some(CollectionEntry { regions, ..entry(2) })
    };
    for (next, note) in [(None, "remove a"), (elsewhere(), "elsewhere a")] {
        let is_gone = next.is_none();
        let Fixture { mut replica, notes, .. } = fixture();
        replica.follow_document(document(1, Some(entry(1)), None));
        replica.tracked.get_mut(&name()).unwrap().is_applying = true;
        replica.follow_document(document(2, next, None));
        notes.take();
        replica.finish_apply(&name(), entry(1), Ok(applied(1)));
        assert_eq!(notes.take(), [note], "what was applied is removed");
        assert_eq!(replica.tracked.contains_key(&name()), !is_gone);
        assert!(replica.tracked.values().all(|tracked| tracked.served.is_none()));
    }
}

#[tokio::test]
async fn end_of_an_attempt_decides_what_is_tried_next() {
    let Fixture { mut replica, .. } = fixture();
    replica.follow_document(document(1, Some(entry(1)), None));
    let now = Instant::now();
    let finish = |replica: &mut Replica<Notes>, outcome| {
        replica.must_poll = false;
        replica.tracked.get_mut(&name()).unwrap().is_applying = true;
        replica.finish_apply(&name(), entry(1), outcome);
        (replica.must_poll, replica.tracked[&name()].due_entry(now).is_some())
    };
    // The target serves nothing: it has lost the version meanwhile.
    assert_eq!(finish(&mut replica, Ok(applied(1))), (false, true));
    let broken = Error::Broken { collection: name() };
    assert_eq!(finish(&mut replica, Err(broken)), (false, false), "it waits");
    // The catalog may have moved on.
    assert_eq!(finish(&mut replica, Err(lost().into())), (true, false));
}

fn manifest(version: u64) -> Manifest {
    Manifest {
        format: FORMAT,
        collection: name(),
        version: Version(version),
        run_id: RunId::from_uuid(Uuid::from_u128(version.into())),
        created_at: DateTime::UNIX_EPOCH,
        data_as_of: DateTime::UNIX_EPOCH,
        indexes: Vec::new(),
        columns: Vec::new(),
        fields: Vec::new(),
        mapping: Digest::of(b"mapping"),
        configuration: None,
        fingerprint_seed: 0,
        serving: ServingSettings::default(),
        records: 0,
        left: 0,
        cursor: None,
        segments: Vec::new(),
    }
}
