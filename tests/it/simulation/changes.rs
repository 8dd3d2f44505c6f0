//! The changes that publishers make: to collections as the sync engine makes them, and to keys.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use larder::{
    catalog::{
        AnnounceError, Announced, Change, Content, SegmentDraft, publish_key_set, publish_manifest,
        publish_segment,
    },
    domain::{
        catalog::{CatalogDocument, CollectionEntry},
        digest::Digest,
        id::RunId,
        keyset::{Grant, KeyEntry, KeySet, KeySetDocument},
        limits::FORMAT,
        manifest::{Manifest, OnMiss, SegmentKind, ServingSettings, Version},
        name::{CollectionName, RegionName},
    },
    store::Error,
};

use tokio::time::sleep;

use super::{
    chance::Chance,
    content::{self, Changes, Model, Rows},
    oracle::KEEP_VERSIONS,
    publisher::{Life, deployment},
};

/// The answer to an announcement; `None` when there was nothing to announce.
pub(super) type Outcome = Result<Option<Result<Announced, AnnounceError>>, Error>;

/// What happens to a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Change,
    Confirm,
    Merge,
    NewBase,
    Rebuild,
    Settings,
    Rollback,
    Remove,
}

/// A manifest in the making.
struct Making<'a> {
    name: &'a CollectionName,
    run_id: RunId,
    began: DateTime<Utc>,
    /// What it is made from.
    base: Option<(CollectionEntry, Arc<Model>)>,
    /// Segments that stay, with what they say.
    kept: usize,
    /// A segment to be written.
    new: Option<(SegmentKind, Changes)>,
    rows: Rows,
    version: u64,
    fingerprint_seed: u64,
    serving: ServingSettings,
    data_as_of: DateTime<Utc>,
    /// It is announced only then, when somebody approves of it.
    held_ms: Option<u64>,
}

impl Life<'_> {
    /// One change of a collection, made from what the catalog names now.
    pub(super) async fn change_collection(&self, name: &CollectionName, chance: &mut Chance) -> Outcome {
        let began = self.hub.clock.now();
        let newest = self.store.newest(Some(deployment(self.hub.seed))).await?;
        let entry = newest.as_ref().and_then(|newest| newest.collections.get(name)).cloned();
        let run_id = RunId::from_uuid(Self::identifier(chance));
        let Some(entry) = entry else {
            let rows = content::rows(chance);
            let dropped = newest.as_ref().and_then(|newest| newest.dropped.get(name));
            let making = Making {
                name,
                run_id,
                began,
                base: None,
                kept: 0,
                new: Some((SegmentKind::Base, content::whole(&rows))),
                rows,
                version: dropped.map_or(1, |last| last.0 + 1),
                fingerprint_seed: chance.next(),
                serving: serving(chance),
                data_as_of: began,
                held_ms: None,
            };
            return self.make(making).await;
        };
        // Read as an engine reads it; what it stands for is known here.
        self.store.manifest(name, &entry).await?;
        let model = self.hub.state().oracle.models[&entry.sha256].clone();
        let step = step(&model, chance);
        self.hub.tell(|| format!("{step:?} of {name}, from version {}", entry.version));
        let next = entry.version.0 + 1;
        let mut making = Making {
            name,
            run_id,
            began,
            kept: model.manifest.segments.len(),
            new: None,
            rows: model.rows.clone(),
            version: entry.version.0,
            fingerprint_seed: model.manifest.fingerprint_seed,
            serving: model.manifest.serving.clone(),
            data_as_of: model.manifest.data_as_of,
            held_ms: chance.is(8).then(|| chance.within(1_000, 10_000)),
            base: Some((entry.clone(), model.clone())),
        };
        match step {
            Step::Change => {
                let changes = content::changes(chance, &model.rows);
                making.rows = content::applied(&model.rows, &changes);
                making.new = Some((SegmentKind::Changes, changes));
                making.version = next;
                making.data_as_of = began;
            }
            Step::Confirm => {
                let (name, version) = (name.clone(), entry.version);
                let change = Change::Freshness { name, version, data_as_of: began };
                return Ok(Some(self.announce(change).await));
            }
            Step::Merge => {
                let bases = bases(&model);
                let mut merged = Changes::new();
                for changes in &model.segments[bases..] {
                    merged.extend(changes.iter().map(|(key, change)| (*key, *change)));
                }
                making.kept = bases;
                making.new = Some((SegmentKind::Changes, merged));
            }
            Step::NewBase | Step::Rebuild => {
                making.kept = 0;
                if step == Step::Rebuild {
                    making.rows = content::rows(chance);
                    making.version = next;
                    making.data_as_of = began;
                }
                making.new = Some((SegmentKind::Base, content::whole(&making.rows)));
            }
            Step::Settings => making.serving = serving(chance),
            Step::Rollback => return self.roll_back(making, chance).await,
            Step::Remove => {
                let change = Change::Remove { name: name.clone(), from: entry.sha256 };
                return Ok(Some(self.announce(change).await));
            }
        }
        self.make(making).await
    }

    /// An earlier version's content as a new version.
    async fn roll_back(&self, mut making: Making<'_>, chance: &mut Chance) -> Outcome {
        let Some((entry, _)) = making.base.clone() else { return Ok(None) };
        let earlier = self.hub.state().oracle.earlier(making.name, &entry);
        if earlier.is_empty() {
            return Ok(None);
        }
        let (to, model) = earlier[chance.within(0, earlier.len() as u64 - 1) as usize].clone();
        self.store.manifest(making.name, &to).await?;
        making.kept = model.manifest.segments.len();
        making.rows.clone_from(&model.rows);
        making.data_as_of = model.manifest.data_as_of;
        making.version += 1;
        making.fingerprint_seed = model.manifest.fingerprint_seed;
        let from = entry.sha256;
        self.publish(making, &model, Some(from)).await
    }

    async fn make(&self, making: Making<'_>) -> Outcome {
        let none = Model::empty(making.name);
        let base = making.base.clone();
        let model = base.as_ref().map_or(&none, |(_, model)| &**model);
        self.publish(making, model, base.as_ref().map(|(entry, _)| entry.sha256)).await
    }

    /// Publishes and announces; segments come from `model` and are followed by the new one.
    async fn publish(&self, making: Making<'_>, model: &Model, from: Option<Digest>) -> Outcome {
        let mut references = model.manifest.segments[..making.kept].to_vec();
        let mut segments = model.segments[..making.kept].to_vec();
        if let Some((kind, changes)) = making.new {
            let draft = SegmentDraft {
                collection: making.name.clone(),
                run_id: making.run_id,
                number: 0,
                rows: changes.len() as u64,
                deletes: changes.values().filter(|change| change.is_none()).count() as u64,
                kind,
                version: Version(making.version),
            };
            let file = content::file(making.name, kind, making.fingerprint_seed, &changes);
            let content = Content::Bytes(file);
            references.push(publish_segment(&self.store, self.directory, &draft, content).await?);
            segments.push(changes);
        }
        let manifest = Manifest {
            version: Version(making.version),
            run_id: making.run_id,
            created_at: making.began,
            data_as_of: making.data_as_of,
            fingerprint_seed: making.fingerprint_seed,
            serving: making.serving,
            segments: references,
            records: making.rows.len() as u64,
            ..Model::empty(making.name).manifest
        };
        let (object, sha256) = publish_manifest(&self.store, &manifest).await?;
        let entry = CollectionEntry {
            version: manifest.version,
            run_id: manifest.run_id,
            regions: manifest.serving.regions.clone(),
            manifest: object,
            sha256,
        };
        self.hub.state().oracle.made(sha256, Model { manifest, rows: making.rows, segments });
        if !self.is_young(making.began) {
            return Ok(None);
        }
        let held = making.held_ms.map(|_| entry.manifest.clone());
        if let (Some(ms), Some(held)) = (making.held_ms, &held) {
            self.hub.tell(|| format!("{} is held for {ms} ms", making.run_id));
            self.hub.state().oracle.held.insert(held.clone());
            sleep(Duration::from_millis(ms)).await;
        }
        let change =
            Change::Collection { name: making.name.clone(), from, entry, data_as_of: making.data_as_of };
        let answer = self.announce(change).await;
        if let Some(held) = held {
            self.hub.state().oracle.held.remove(&held);
        }
        Ok(Some(answer))
    }

    /// A key is made or revoked.
    pub(super) async fn change_keys(&self, chance: &mut Chance) -> Outcome {
        let began = self.hub.clock.now();
        let newest: Option<CatalogDocument> = self.store.newest(Some(deployment(self.hub.seed))).await?;
        let present = newest.and_then(|newest| newest.keys);
        let set = match &present {
            Some(reference) => self.store.key_set(reference).await?,
            None => KeySet::default(),
        };
        let mut keys = set.keys;
        if !keys.is_empty() && chance.is(50) {
            keys.remove(chance.within(0, keys.len() as u64 - 1) as usize);
        } else {
            keys.push(key(&Self::identifier(chance).simple().to_string()[..12]));
        }
        let document = KeySetDocument::new(set.revision + 1, &keys);
        let reference = publish_key_set(&self.store, &document).await?;
        self.hub.state().oracle.key_sets.insert(reference.object.clone(), document.into());
        if !self.is_young(began) {
            return Ok(None);
        }
        Ok(Some(self.announce(Change::Keys { from_revision: set.revision, reference }).await))
    }
}

fn step(model: &Model, chance: &mut Chance) -> Step {
    use Step::{Change, Confirm, Merge, NewBase, Rebuild, Remove, Rollback, Settings};
    let steps = [Change, Confirm, Merge, NewBase, Rebuild, Settings, Rollback, Remove];
    let is_merge_useful = model.segments.len() > bases(model) + 1;
    let merge = if is_merge_useful { 30 } else { 0 };
    steps[chance.weighed(&[45, 10, merge, 7, 6, 8, 10, 5])]
}

/// How many of the segments are of the base.
fn bases(model: &Model) -> usize {
    model.manifest.segments.iter().filter(|segment| segment.kind == SegmentKind::Base).count()
}

/// Served everywhere, or in one region.
fn serving(chance: &mut Chance) -> ServingSettings {
    let region = |name: &str| Some(vec![RegionName::new(name).unwrap()]);
    let regions = match chance.weighed(&[6, 1, 1]) {
        0 => None,
        1 => region("near"),
        _ => region("far"),
    };
    let on_miss = if chance.is(50) { OnMiss::Empty } else { OnMiss::NotFound };
    ServingSettings { on_miss, cache_control: None, regions }
}

fn key(id: &str) -> KeyEntry {
    KeyEntry {
        id: id.into(),
        sha256: Digest::of(id.as_bytes()),
        name: "key".into(),
        grant: Grant::AllCollections,
        created_at: DateTime::UNIX_EPOCH,
        expires_at: None,
    }
}

impl Model {
    /// A collection without anything.
    fn empty(name: &CollectionName) -> Self {
        let manifest = Manifest {
            format: FORMAT,
            collection: name.clone(),
            version: Version(0),
            run_id: RunId::from_uuid(uuid::Uuid::nil()),
            created_at: DateTime::UNIX_EPOCH,
            data_as_of: DateTime::UNIX_EPOCH,
            indexes: content::indexes(),
            columns: Vec::new(),
            fields: Vec::new(),
            mapping: Digest::of(b"mapping"),
            fingerprint_seed: 0,
            serving: ServingSettings::default(),
            segments: Vec::new(),
            records: 0,
            left: 0,
        };
        Self { manifest, rows: Rows::new(), segments: Vec::new() }
    }
}

impl super::oracle::Oracle {
    /// Announced manifests of the last versions before `entry`, which may be rolled back to.
    fn earlier(&self, name: &CollectionName, entry: &CollectionEntry) -> Vec<(CollectionEntry, Arc<Model>)> {
        let entries = self.documents.iter().rev().map_while(|document| document.collections.get(name));
        let recent = entry.version.0.saturating_sub(KEEP_VERSIONS as u64 - 1);
        let mut earlier: Vec<_> = entries
            .filter(|found| found.version < entry.version && found.version.0 >= recent)
            .filter_map(|found| Some((found.clone(), self.models.get(&found.sha256)?.clone())))
            .collect();
        earlier.dedup_by_key(|(found, _)| found.sha256);
        earlier
    }
}
