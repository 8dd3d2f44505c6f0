//! The changes of publishers: to collections, like the sync engine's, and to keys.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use larder::{
    catalog::{AnnounceError, Announced, Change, Error, SegmentDraft},
    domain::{
        catalog::{CatalogDocument, CollectionEntry},
        digest::Digest,
        id::RunId,
        keyset::{KeyEntry, KeyLimits, KeySet, KeySetDocument, Scope},
        limits::FORMAT,
        manifest::{Manifest, OnMiss, SegmentKind, ServingSettings, Version},
        name::{CollectionName, RegionName},
    },
};

use tokio::time::sleep;

use super::{
    content::{self, Changes, Model, Rows},
    publisher::{Life, deployment},
    reference::KEEP_VERSIONS,
};
use crate::support::chance::Chance;

/// The answer to an announcement; `None` when there was nothing to announce.
pub(super) type AnnounceAnswer = Result<Option<Result<Announced, AnnounceError>>, Error>;

/// A change of a collection.
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

/// A manifest to be published.
struct Draft<'a> {
    name: &'a CollectionName,
    run_id: RunId,
    began: DateTime<Utc>,
    /// The manifest that it is made from.
    base: Option<(CollectionEntry, Arc<Model>)>,
    /// Number of segments of `base` that stay.
    kept: usize,
    /// A new segment.
    new: Option<(SegmentKind, Changes)>,
    rows: Rows,
    version: u64,
    fingerprint_seed: u64,
    serving: ServingSettings,
    data_as_of: DateTime<Utc>,
    /// It is held this long until it is approved.
    held_ms: Option<u64>,
}

impl Life<'_> {
    /// Makes one change of a collection, from its announced manifest.
    pub(super) async fn change_collection(
        &self,
        name: &CollectionName,
        chance: &mut Chance,
    ) -> AnnounceAnswer {
        let began = self.hub.clock.now();
        let newest = self.catalog.newest(Some(deployment(self.hub.seed))).await?;
        let entry = newest.as_ref().and_then(|newest| newest.collections.get(name)).cloned();
        let run_id = RunId::from_uuid(Self::identifier(chance));
        let Some(entry) = entry else {
            let rows = content::rows(chance);
            let dropped = newest.as_ref().and_then(|newest| newest.dropped.get(name));
            let draft = Draft {
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
            return self.make(draft).await;
        };
        // Read like the engine does; the reference model has its content.
        self.catalog.manifest(name, &entry).await?;
        let model = self.hub.state().reference.models[&entry.sha256].clone();
        let step = step(&model, chance);
        self.hub.trace(|| format!("{step:?} of {name}, from version {}", entry.version));
        let next = entry.version.0 + 1;
        let mut draft = Draft {
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
                draft.rows = content::applied(&model.rows, &changes);
                draft.new = Some((SegmentKind::Changes, changes));
                draft.version = next;
                draft.data_as_of = began;
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
                draft.kept = bases;
                draft.new = Some((SegmentKind::Changes, merged));
            }
            Step::NewBase | Step::Rebuild => {
                draft.kept = 0;
                if step == Step::Rebuild {
                    draft.rows = content::rows(chance);
                    draft.version = next;
                    draft.data_as_of = began;
                }
                draft.new = Some((SegmentKind::Base, content::whole(&draft.rows)));
            }
            Step::Settings => draft.serving = serving(chance),
            Step::Rollback => return self.roll_back(draft, chance).await,
            Step::Remove => {
                let change = Change::Remove { name: name.clone(), from: entry.sha256 };
                return Ok(Some(self.announce(change).await));
            }
        }
        self.make(draft).await
    }

    /// Announces the content of an earlier version as a new version.
    async fn roll_back(&self, mut draft: Draft<'_>, chance: &mut Chance) -> AnnounceAnswer {
        let Some((entry, _)) = draft.base.clone() else { return Ok(None) };
        let earlier = self.hub.state().reference.earlier(draft.name, &entry);
        if earlier.is_empty() {
            return Ok(None);
        }
        let (to, model) = earlier[chance.within(0, earlier.len() as u64 - 1) as usize].clone();
        self.catalog.manifest(draft.name, &to).await?;
        draft.kept = model.manifest.segments.len();
        draft.rows.clone_from(&model.rows);
        draft.data_as_of = model.manifest.data_as_of;
        draft.version += 1;
        draft.fingerprint_seed = model.manifest.fingerprint_seed;
        let from = entry.sha256;
        self.publish(draft, &model, Some(from)).await
    }

    async fn make(&self, draft: Draft<'_>) -> AnnounceAnswer {
        let none = Model::empty(draft.name);
        let base = draft.base.clone();
        let model = base.as_ref().map_or(&none, |(_, model)| &**model);
        self.publish(draft, model, base.as_ref().map(|(entry, _)| entry.sha256)).await
    }

    /// Publishes and announces the kept segments of `model`, followed by the new one.
    async fn publish(&self, draft: Draft<'_>, model: &Model, from: Option<Digest>) -> AnnounceAnswer {
        let mut references = model.manifest.segments[..draft.kept].to_vec();
        let mut segments = model.segments[..draft.kept].to_vec();
        if let Some((kind, changes)) = draft.new {
            let segment = SegmentDraft {
                collection: draft.name.clone(),
                run_id: draft.run_id,
                number: 0,
                rows: changes.len() as u64,
                deletes: changes.values().filter(|change| change.is_none()).count() as u64,
                kind,
                version: Version(draft.version),
            };
            let file = content::file(draft.name, kind, draft.fingerprint_seed, &changes);
            let content = file;
            references.push(self.catalog.publish_segment(self.directory, &segment, content).await?);
            segments.push(changes);
        }
        let manifest = Manifest {
            version: Version(draft.version),
            run_id: draft.run_id,
            created_at: draft.began,
            data_as_of: draft.data_as_of,
            fingerprint_seed: draft.fingerprint_seed,
            serving: draft.serving,
            segments: references,
            records: draft.rows.len() as u64,
            ..Model::empty(draft.name).manifest
        };
        let (object, sha256) = self.catalog.publish_manifest(&manifest).await?;
        let entry = CollectionEntry {
            version: manifest.version,
            run_id: manifest.run_id,
            regions: manifest.serving.regions.clone(),
            manifest: object,
            sha256,
        };
        self.hub.state().reference.add_manifest(sha256, Model { manifest, rows: draft.rows, segments });
        if !self.is_young(draft.began) {
            return Ok(None);
        }
        let held = draft.held_ms.map(|_| entry.manifest.clone());
        if let (Some(ms), Some(held)) = (draft.held_ms, &held) {
            self.hub.trace(|| format!("{} is held for {ms} ms", draft.run_id));
            self.hub.state().reference.held.insert(held.clone());
            sleep(Duration::from_millis(ms)).await;
        }
        let (name, data_as_of) = (draft.name.clone(), draft.data_as_of);
        let change = Change::Collection { name, from, entry, data_as_of, pause: None };
        let answer = self.announce(change).await;
        if let Some(held) = held {
            self.hub.state().reference.held.remove(&held);
        }
        Ok(Some(answer))
    }

    /// Creates or revokes a key.
    pub(super) async fn change_keys(&self, chance: &mut Chance) -> AnnounceAnswer {
        let began = self.hub.clock.now();
        let newest: Option<CatalogDocument> = self.catalog.newest(Some(deployment(self.hub.seed))).await?;
        let present = newest.and_then(|newest| newest.keys);
        let set = match &present {
            Some(reference) => self.catalog.key_set(reference).await?,
            None => KeySet::default(),
        };
        let mut keys = set.keys;
        if !keys.is_empty() && chance.is(50) {
            keys.remove(chance.within(0, keys.len() as u64 - 1) as usize);
        } else {
            keys.push(key(&Self::identifier(chance).simple().to_string()[..12]));
        }
        let document = KeySetDocument::new(set.revision + 1, &keys);
        let reference = self.catalog.publish_key_set(&document).await?;
        self.hub.state().reference.key_sets.insert(reference.object.clone(), document.into());
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

/// The number of base segments.
fn bases(model: &Model) -> usize {
    model.manifest.segments.iter().filter(|segment| segment.kind == SegmentKind::Base).count()
}

/// Serving settings for all regions, or for one.
fn serving(chance: &mut Chance) -> ServingSettings {
    let region = |name: &str| Some(vec![RegionName::new(name).unwrap()]);
    let regions = match chance.weighed(&[6, 1, 1]) {
        0 => None,
        1 => region("near"),
        _ => region("far"),
    };
    let on_miss = if chance.is(50) { OnMiss::Empty } else { OnMiss::NotFound };
    ServingSettings { on_miss, regions, ..ServingSettings::default() }
}

fn key(id: &str) -> KeyEntry {
    KeyEntry {
        id: id.into(),
        sha256: Digest::of(id.as_bytes()),
        name: "key".into(),
        grant: Scope::AllCollections,
        created_at: DateTime::UNIX_EPOCH,
        expires_at: None,
        limits: KeyLimits::default(),
        previous: None,
    }
}

impl Model {
    /// A collection without records.
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
            configuration: None,
            fingerprint_seed: 0,
            serving: ServingSettings::default(),
            segments: Vec::new(),
            records: 0,
            left: 0,
            cursor: None,
        };
        Self { manifest, rows: Rows::new(), segments: Vec::new() }
    }
}

impl super::reference::ReferenceModel {
    /// Announced manifests of the versions before `entry` that a rollback may restore.
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
