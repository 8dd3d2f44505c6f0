//! The reference model: invariants of the catalog, of announcements and of deletions.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use larder::{
    catalog::{AnnounceError, Announced, Change},
    domain::{
        catalog::{CatalogDocument, CollectionEntry, Head, KeySetReference},
        digest::Digest,
        id::{MetadataId, RunId},
        keyset::KeySet,
        name::CollectionName,
    },
};

use super::{
    bucket::{Bucket, Request},
    content::Model,
};

/// Versions of a collection that retention keeps.
pub(super) const KEEP_VERSIONS: usize = 3;

type Checked = Result<(), String>;

/// A change that a publisher tries to announce.
#[derive(Debug)]
pub(super) struct Attempt {
    change: Change,
    /// The metadata database of its publisher.
    by: MetadataId,
    /// Its publisher knows that it is not announced.
    is_refused: bool,
    /// The document that introduced it.
    pub(super) introduced: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ReferenceModel {
    /// Every document that was ever created; the first has number 1.
    pub(super) documents: Vec<Arc<CatalogDocument>>,
    pub(super) attempts: Vec<Attempt>,
    /// The content of manifests.
    pub(super) models: HashMap<Digest, Arc<Model>>,
    manifests: HashMap<RunId, Digest>,
    entries: HashMap<Digest, usize>,
    /// Published key sets by their object.
    pub(super) key_sets: HashMap<String, KeySet>,
    key_changes: HashMap<String, usize>,
    /// Manifests of held runs.
    pub(super) held: HashSet<String>,
    /// Times at which collections were read.
    times: HashSet<(CollectionName, DateTime<Utc>)>,
    /// Keys that were valid and are revoked.
    revoked: BTreeSet<String>,
}

impl ReferenceModel {
    pub(super) fn newest(&self) -> Option<&Arc<CatalogDocument>> {
        self.documents.last()
    }

    /// Adds a published manifest.
    pub(super) fn add_manifest(&mut self, digest: Digest, model: Model) {
        self.manifests.insert(model.manifest.run_id, digest);
        self.models.insert(digest, Arc::new(model));
    }

    /// Adds a change that is about to be announced.
    pub(super) fn attempt(&mut self, change: &Change, by: MetadataId) -> usize {
        let number = self.attempts.len();
        if let Change::Collection { name, data_as_of, .. } | Change::Freshness { name, data_as_of, .. } =
            change
        {
            self.times.insert((name.clone(), *data_as_of));
        }
        match change {
            Change::Collection { entry, .. } => drop(self.entries.insert(entry.sha256, number)),
            Change::Keys { reference, .. } => {
                self.key_changes.insert(reference.object.clone(), number);
            }
            Change::Remove { .. }
            | Change::Freshness { .. }
            | Change::Pin { .. }
            | Change::Unpin { .. }
            | Change::Resume { .. }
            | Change::Takeover { .. } => {}
        }
        self.attempts.push(Attempt { change: change.clone(), by, is_refused: false, introduced: None });
        number
    }

    /// The entries that publishers tried to announce, in order.
    pub(super) fn collections_attempted(&self) -> Vec<(CollectionName, CollectionEntry)> {
        let attempted = self.attempts.iter().filter_map(|attempt| match &attempt.change {
            Change::Collection { name, entry, .. } => Some((name.clone(), entry.clone())),
            _ => None,
        });
        attempted.collect()
    }

    /// Whether the collection was read at that time.
    pub(super) fn is_time_of(&self, name: &CollectionName, time: DateTime<Utc>) -> bool {
        self.times.contains(&(name.clone(), time))
    }

    /// Checks that these keys were announced.
    pub(super) fn keys_in_force(&self, keys: &KeySet) -> Checked {
        let named = self.documents.iter().filter_map(|document| document.keys.as_ref());
        let mut named = named.filter(|reference| reference.revision == keys.revision);
        if named.any(|reference| self.key_sets.get(&reference.object) == Some(keys)) {
            Ok(())
        } else {
            Err(format!("keys {} were never announced like that", keys.revision))
        }
    }

    /// Checks the announcer's answer to an attempt.
    pub(super) fn answered(&mut self, number: usize, answer: &Result<Announced, AnnounceError>) -> Checked {
        match answer {
            Ok(announced) => {
                let n = announced.n;
                let change = &self.attempts[number].change;
                let Some((before, document)) = self.around(n) else {
                    return Err(format!("announced in document {n}, which does not exist: {change:?}"));
                };
                if document.deployment != announced.deployment {
                    return Err(format!("document {n} is of another deployment"));
                }
                if introduces(change, before, document) {
                    Ok(())
                } else {
                    Err(format!("said to be announced in document {n}, and is not: {change:?}"))
                }
            }
            Err(AnnounceError::Unknown) => Ok(()),
            Err(error) => {
                self.attempts[number].is_refused = true;
                let Some(n) = self.attempts[number].introduced else { return Ok(()) };
                if self.is_of_a_twin(number, n) {
                    return Ok(());
                }
                Err(format!("document {n} has a change that was answered with: {error}"))
            }
        }
    }

    /// Whether another attempt may have brought the change of attempt `number` in document `n`, which is then taken
    /// for that one's: two publishers may make the same takeover at once, and a document does not tell them apart.
    fn is_of_a_twin(&mut self, number: usize, n: u64) -> bool {
        let change = self.attempts[number].change.clone();
        let is_retried = |retried: &&mut Attempt| {
            matches!(change, Change::Takeover { .. })
                && retried.change == change
                && !retried.is_refused
                && retried.introduced.is_none()
        };
        let retried = self.attempts.iter_mut().find(is_retried);
        retried.map(|retried| retried.introduced = Some(n)).is_some()
    }

    fn around(&self, n: u64) -> Option<(Option<&CatalogDocument>, &CatalogDocument)> {
        let at = usize::try_from(n.checked_sub(1)?).ok()?;
        let before = at.checked_sub(1).map(|before| &*self.documents[before]);
        Some((before, self.documents.get(at)?))
    }

    /// The document that introduced the manifest of `run`, and the manifest's content.
    pub(super) fn announced(&self, run: RunId) -> Option<(u64, Arc<Model>)> {
        let digest = self.manifests.get(&run)?;
        let attempt = &self.attempts[*self.entries.get(digest)?];
        Some((attempt.introduced?, Arc::clone(self.models.get(digest)?)))
    }

    /// Checks a write or a delete.
    pub(super) fn written(&mut self, request: &Request, bucket: &Bucket, wall: DateTime<Utc>) -> Checked {
        match request {
            Request::Put { path, bytes, is_creation } => {
                if let Some(number) = document_number(path) {
                    if !is_creation {
                        return Err(format!("{path} was written, not created"));
                    }
                    let document =
                        serde_json::from_slice(bytes).map_err(|error| format!("{path}: {error}"))?;
                    return self.created(number, document, bucket);
                }
                let before = bucket.before(path).filter(|_| path != "catalog/head");
                if before.is_some_and(|before| before != bytes) {
                    return Err(format!("{path} was changed"));
                }
                Ok(())
            }
            Request::Delete { path } => self.deleted(path, bucket, wall),
            Request::Get { .. } | Request::List { .. } => Ok(()),
        }
    }

    fn created(&mut self, n: u64, document: CatalogDocument, bucket: &Bucket) -> Checked {
        let before = self.documents.last().cloned();
        let expected = before.as_ref().map_or(1, |before| before.n + 1);
        if n != expected || document.n != n {
            return Err(format!("document {} was created under {n}; the next is {expected}", document.n));
        }
        if before.as_ref().is_some_and(|before| before.deployment != document.deployment) {
            return Err(format!("document {n} is of another deployment"));
        }
        let (from, to) = (before.as_ref().and_then(|before| before.metadata), document.metadata);
        let by = to.ok_or_else(|| format!("document {n} names no metadata database"))?;
        if from.is_some() && from != to {
            let takeover = Change::Takeover { from, to: by };
            let is_it = |attempt: &&mut Attempt| {
                attempt.change == takeover && !attempt.is_refused && attempt.introduced.is_none()
            };
            let attempt = self.attempts.iter_mut().find(is_it);
            introduce(
                attempt.ok_or_else(|| format!("document {n} has a takeover that nobody made"))?,
                by,
                n,
            )?;
        }
        let none = BTreeMap::new();
        let earlier = before.as_ref().map_or(&none, |before| &before.collections);
        let names: BTreeSet<_> = earlier.keys().chain(document.collections.keys()).collect();
        for name in names {
            let (earlier, entry) = (earlier.get(name), document.collections.get(name));
            self.changed_collection((n, by), name, earlier, entry, bucket)?;
        }
        let keys = before.as_ref().and_then(|before| before.keys.as_ref());
        self.changed_keys((n, by), keys, document.keys.as_ref(), bucket)?;
        self.documents.push(Arc::new(document));
        Ok(())
    }

    fn changed_collection(
        &mut self,
        (n, by): (u64, MetadataId),
        name: &CollectionName,
        before: Option<&CollectionEntry>,
        after: Option<&CollectionEntry>,
        bucket: &Bucket,
    ) -> Checked {
        if before == after {
            return Ok(());
        }
        let from = before.map(|before| before.sha256);
        let Some(entry) = after else {
            let is_asked = |attempt: &Attempt| {
                matches!(&attempt.change, Change::Remove { name: removed, from: asked }
                    if removed == name && Some(*asked) == from)
                    && attempt.by == by
            };
            let is_asked = self.attempts.iter().any(is_asked);
            return if is_asked { Ok(()) } else { Err(format!("document {n} has lost collection {name}")) };
        };
        let number = self.entries.get(&entry.sha256).copied();
        let attempt = number.map(|number| &mut self.attempts[number]);
        let Some(attempt) = attempt else {
            return Err(format!("document {n} has an entry of {name} that nobody made"));
        };
        let Change::Collection { name: asked, from: made_from, entry: made, .. } = &attempt.change else {
            return Err(format!("document {n}: not a collection's change"));
        };
        if asked != name || *made_from != from || made != entry {
            return Err(format!(
                "document {n} has version {} of {name}, not made from what was there",
                entry.version
            ));
        }
        introduce(attempt, by, n)?;
        let model = self.models.get(&entry.sha256).ok_or("a manifest that nobody made")?;
        let segments = model.manifest.segments.iter().map(|segment| &segment.object);
        for object in segments.chain([&entry.manifest]) {
            if bucket.object(object).is_none() {
                return Err(format!(
                    "document {n} announces version {} of {name} without {object}",
                    entry.version
                ));
            }
        }
        Ok(())
    }

    fn changed_keys(
        &mut self,
        (n, by): (u64, MetadataId),
        before: Option<&KeySetReference>,
        after: Option<&KeySetReference>,
        bucket: &Bucket,
    ) -> Checked {
        if before == after {
            return Ok(());
        }
        let Some(after) = after else { return Err(format!("document {n} has lost the key set")) };
        let number = self.key_changes.get(&after.object).copied();
        let attempt = number.map(|number| &mut self.attempts[number]);
        let Some(attempt) = attempt else {
            return Err(format!("document {n} names a key set that nobody announces"));
        };
        let Change::Keys { from_revision, .. } = attempt.change else {
            return Err(format!("document {n}: not a change of keys"));
        };
        let revision = before.map_or(0, |before| before.revision);
        if from_revision != revision || after.revision <= revision {
            return Err(format!("document {n}: key set {} follows {revision}", after.revision));
        }
        introduce(attempt, by, n)?;
        if bucket.object(&after.object).is_none() {
            return Err(format!("document {n} announces a key set that is not there"));
        }
        let ids = |reference: Option<&KeySetReference>| -> BTreeSet<String> {
            let set = reference.and_then(|reference| self.key_sets.get(&reference.object));
            set.into_iter().flat_map(|set| &set.keys).map(|key| key.id.clone()).collect()
        };
        let (before, after) = (ids(before), ids(Some(after)));
        if let Some(back) = after.intersection(&self.revoked).next() {
            return Err(format!("document {n} brings back the revoked key {back}"));
        }
        self.revoked.extend(before.difference(&after).cloned());
        Ok(())
    }

    fn deleted(&self, path: &str, bucket: &Bucket, wall: DateTime<Utc>) -> Checked {
        let Some(written) = bucket.first_written(path) else { return Ok(()) };
        let age = wall - written;
        let newest = self.newest().ok_or("something was deleted before there was a catalog")?;
        if age < TimeDelta::hours(24) {
            return Err(format!("{path} was deleted at the age of {} h", age.num_hours()));
        }
        if path == "catalog/head" {
            return Err(format!("{path} was deleted"));
        }
        if let Some(n) = document_number(path) {
            let head = bucket.object("catalog/head");
            let head = head.and_then(|head| serde_json::from_slice::<Head>(head).ok());
            let is_needed = n >= newest.n || head.is_some_and(|head| n >= head.n);
            if is_needed || age < TimeDelta::days(30) {
                return Err(format!("{path} was deleted at the age of {} h", age.num_hours()));
            }
        }
        if newest.keys.as_ref().is_some_and(|keys| keys.object == path) {
            return Err("the key set in force was deleted".into());
        }
        for manifest in self.models.values().map(|model| &model.manifest) {
            let object = format!("collections/{}/{}/manifest.json", manifest.collection, manifest.run_id);
            let mut segments = manifest.segments.iter().map(|segment| &*segment.object);
            let is_named = segments.any(|segment| segment == path);
            if self.held.contains(&object) && (object == path || is_named) {
                return Err(format!("{path} was deleted, which a held run names"));
            }
            let is_announced = is_named && self.announced(manifest.run_id).is_some();
            if is_announced && bucket.object(&object).is_some() {
                return Err(format!("{path} was deleted before a manifest that names it"));
            }
        }
        for (name, entry) in &newest.collections {
            for (digest, manifest) in self.last_versions(name, entry) {
                let segments = self.models[&digest].manifest.segments.iter().map(|segment| &segment.object);
                if segments.chain([&manifest]).any(|object| object == path) {
                    return Err(format!(
                        "{path} was deleted, which one of the last versions of {name} needs"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The announced manifests of the last versions of a collection since it was created.
    fn last_versions(&self, name: &CollectionName, newest: &CollectionEntry) -> Vec<(Digest, String)> {
        let mut versions = BTreeSet::new();
        let mut last = Vec::new();
        let entries = self.documents.iter().rev().map_while(|document| document.collections.get(name));
        for entry in entries.filter(|entry| entry.version <= newest.version) {
            versions.insert(entry.version);
            if versions.len() > KEEP_VERSIONS {
                break;
            }
            last.push((entry.sha256, entry.manifest.clone()));
        }
        last
    }
}

/// Document `n`, which names the metadata database `by`, has the change of `attempt`.
fn introduce(attempt: &mut Attempt, by: MetadataId, n: u64) -> Checked {
    if attempt.by != by {
        return Err(format!("document {n} has a change of a metadata database that may not publish"));
    }
    if attempt.is_refused {
        return Err(format!("document {n} has a change that was said to be refused"));
    }
    if let Some(earlier) = attempt.introduced.replace(n) {
        return Err(format!("document {n} has a change that document {earlier} brought"));
    }
    Ok(())
}

/// Whether `document`, and none before it, has `change`.
fn introduces(change: &Change, before: Option<&CatalogDocument>, document: &CatalogDocument) -> bool {
    let earlier = |name| before.and_then(|before| before.collections.get(name)).map(|entry| entry.sha256);
    match change {
        Change::Collection { name, from, entry, .. } => {
            document.collections.get(name) == Some(entry) && earlier(name) == *from
        }
        Change::Remove { name, from } => {
            !document.collections.contains_key(name) && earlier(name) == Some(*from)
        }
        Change::Keys { from_revision, reference } => {
            let revision = before.and_then(|before| before.keys.as_ref()).map_or(0, |keys| keys.revision);
            document.keys.as_ref() == Some(reference) && revision == *from_revision
        }
        Change::Freshness { name, version, .. } => {
            document.collections.get(name).is_some_and(|entry| entry.version == *version)
        }
        Change::Takeover { from, to } => {
            document.metadata == Some(*to) && before.and_then(|before| before.metadata) == *from
        }
        // Simulated publishers do not pin and do not resume.
        Change::Pin { .. } | Change::Unpin { .. } | Change::Resume { .. } => false,
    }
}

fn document_number(path: &str) -> Option<u64> {
    path.strip_prefix("catalog/")?.strip_suffix(".json")?.parse().ok()
}
