//! Decides what may be deleted. Pure: lists and times in, objects out.

use std::{cmp::Reverse, collections::HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    RetentionRules, is_manifest,
    manifests::{Key, KnownManifests, key},
    named::References,
};
use crate::{
    domain::{KeySetReference, Object},
    store::{Path, StoredObject},
};

/// Age up to which catalog documents are retained: their number must not become free while a publisher that
/// read the catalog before is asleep.
pub(super) const DOCUMENT_DAYS: i64 = 30;
/// Number of newest key sets that are retained, for readers of a document that is a little old.
const KEY_SETS_KEPT: usize = 10;

/// Whether an object may be deleted if nothing refers to it.
pub(super) fn is_past_grace(now: DateTime<Utc>, rules: &RetentionRules, object: &StoredObject) -> bool {
    now - object.modified >= rules.grace
}

/// Whether a manifest is retained whatever its version.
pub(super) fn is_retained(
    now: DateTime<Utc>,
    rules: &RetentionRules,
    references: &References,
    manifest: &StoredObject,
) -> bool {
    !is_past_grace(now, rules, manifest)
        || rules.manifests.contains(manifest.path.as_ref())
        || references.entry_of(manifest.path.as_ref()).is_some()
}

/// The objects of one collection that may be deleted. `known` has every listed manifest that is not `unreadable`;
/// `needed` has the segments of those that are retained whatever their version.
pub(super) fn collection(
    now: DateTime<Utc>,
    rules: &RetentionRules,
    references: &References,
    objects: Vec<StoredObject>,
    known: &KnownManifests,
    unreadable: &HashSet<Path>,
    needed: &HashSet<Key>,
) -> Vec<StoredObject> {
    let listed: HashSet<&str> = objects.iter().map(|object| object.path.as_ref()).collect();
    // A manifest that is referred to and cannot be read may refer to any segment.
    let is_missing = references.entries.iter().any(|entry| !listed.contains(entry.manifest.as_str()));
    let is_damaged = |object: &StoredObject| {
        unreadable.contains(&object.path) && is_retained(now, rules, references, object)
    };
    if is_missing || objects.iter().any(is_damaged) {
        return Vec::new();
    }
    let has_version =
        |object: &StoredObject| known.version(&object.path).is_some_and(|it| references.has(it));
    let is_deletable = |object: &StoredObject| match key(object.path.as_ref()) {
        _ if has_version(object) => false,
        Some(_) if is_manifest(object) => !is_retained(now, rules, references, object),
        Some(segment) => is_past_grace(now, rules, object) && !needed.contains(&segment),
        // Objects that this build does not know are retained.
        None => false,
    };
    objects.into_iter().filter(is_deletable).collect()
}

/// The catalog documents below number `from` that may be deleted, oldest first, so that the others have no gap.
pub(super) fn documents(now: DateTime<Utc>, from: u64, objects: Vec<StoredObject>) -> Vec<StoredObject> {
    let mut numbered: Vec<(u64, StoredObject)> = objects
        .into_iter()
        .filter_map(|object| match Object::parse(object.path.as_ref()) {
            Some(Object::Document(n)) => Some((n, object)),
            _ => None,
        })
        .collect();
    numbered.sort_by_key(|(n, _)| *n);
    numbered
        .into_iter()
        .take_while(|(n, object)| *n < from && now - object.modified > TimeDelta::days(DOCUMENT_DAYS))
        .map(|(_, object)| object)
        .collect()
}

/// The key sets that may be deleted, when the catalog referred to those of `revisions` earlier and refers to now.
pub(super) fn key_sets(
    now: DateTime<Utc>,
    rules: &RetentionRules,
    (earlier, in_force): (Option<&KeySetReference>, Option<&KeySetReference>),
    objects: Vec<StoredObject>,
) -> Vec<StoredObject> {
    let mut sets: Vec<(u64, StoredObject)> = objects
        .into_iter()
        .filter_map(|object| match Object::parse(object.path.as_ref()) {
            Some(Object::KeySet(revision)) => Some((revision, object)),
            _ => None,
        })
        .collect();
    sets.sort_by_key(|(revision, _)| Reverse(*revision));
    // Revisions only rise: every set since is above the earlier one.
    let since = earlier.map_or(0, |earlier| earlier.revision);
    let is_named =
        |object: &StoredObject| in_force.is_some_and(|in_force| in_force.object == object.path.as_ref());
    sets.into_iter()
        .skip(KEY_SETS_KEPT)
        .filter(|(revision, object)| {
            *revision < since && is_past_grace(now, rules, object) && !is_named(object)
        })
        .map(|(_, object)| object)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::*;
    use crate::catalog::paths;
    use crate::domain::{CollectionEntry, CollectionName, Digest, RunId, Version};

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn stored(path: Path, age_hours: i64) -> StoredObject {
        StoredObject { path, modified: now() - TimeDelta::hours(age_hours), bytes: 1 }
    }

    fn run(number: u64) -> RunId {
        RunId::from_uuid(Uuid::from_u128(number.into()))
    }

    fn manifest(number: u64) -> Path {
        paths::manifest(&name(), run(number))
    }

    fn segment(number: u64) -> Path {
        paths::segment(&name(), run(number), 0)
    }

    fn name() -> CollectionName {
        CollectionName::new("a").unwrap()
    }

    /// References to these entries, with versions retained from `floor` on.
    fn references(floor: Option<u64>, entries: &[u64]) -> References {
        References {
            floor: floor.map(Version),
            entries: entries.iter().map(|number| entry(*number)).collect(),
        }
    }

    fn entry(number: u64) -> CollectionEntry {
        CollectionEntry {
            version: Version(number),
            run_id: run(number),
            regions: None,
            manifest: manifest(number).into(),
            sha256: Digest::of(b""),
        }
    }

    /// Versions 1..=`newest`: version v has the segments v-1 and v.
    fn history(newest: u64, age_hours: i64) -> (Vec<StoredObject>, KnownManifests) {
        let mut objects = Vec::new();
        let mut known = KnownManifests::default();
        for v in 1..=newest {
            objects.extend([stored(manifest(v), age_hours), stored(segment(v), age_hours)]);
            known.add(&manifest(v), Version(v), [segment(v - 1), segment(v)].iter().map(AsRef::as_ref));
        }
        (objects, known)
    }

    /// The numbers of the manifests, and of the segments, that may be deleted. Manifests of `special` are retained
    /// for another reason than their version.
    fn deletable(
        references: &References,
        held: &[u64],
        special: &[u64],
        (objects, known): (Vec<StoredObject>, &KnownManifests),
        unreadable: &[u64],
    ) -> (BTreeSet<u64>, BTreeSet<u64>) {
        let rules = RetentionRules {
            manifests: held.iter().map(|number| manifest(*number).into()).collect(),
            ..RetentionRules::default()
        };
        let needed = special.iter().flat_map(|v| [segment(v - 1), segment(*v)]);
        let needed = needed.filter_map(|path| key(path.as_ref())).collect();
        let unreadable = unreadable.iter().map(|number| manifest(*number)).collect();
        let found = collection(now(), &rules, references, objects, known, &unreadable, &needed);
        let numbers = |of: fn(u64) -> Path| {
            let is_found = |number: &u64| found.iter().any(|object| object.path == of(*number));
            (0..200).filter(is_found).collect::<BTreeSet<_>>()
        };
        assert_eq!(numbers(manifest).len() + numbers(segment).len(), found.len());
        (numbers(manifest), numbers(segment))
    }

    #[test]
    fn versions_from_the_floor_and_their_segments_are_retained() {
        let (objects, known) = history(10, 48);
        // 8, 9, 10 stay with segments 7 to 10; the held 2 stays with 1 and 2.
        let found = deletable(&references(Some(8), &[10]), &[2], &[2], (objects.clone(), &known), &[]);
        assert_eq!(found, ([1, 3, 4, 5, 6, 7].into(), [3, 4, 5, 6].into()));
        // Never announced, or dropped for long: only the held one stays.
        let (manifests, segments) = deletable(&references(None, &[]), &[2], &[2], (objects, &known), &[]);
        assert_eq!((manifests.len(), segments.len()), (9, 8));
        let (young, known) = history(10, 23);
        assert_eq!(
            deletable(&references(Some(8), &[10]), &[], &[], (young, &known), &[]),
            Default::default()
        );
    }

    #[test]
    fn entries_and_their_segments_are_retained() {
        let (objects, known) = history(10, 48);
        let pinned = references(Some(9), &[10, 3, 6]);
        let found = deletable(&pinned, &[], &[3, 6], (objects.clone(), &known), &[]);
        assert_eq!(found, ([1, 2, 4, 5, 7, 8].into(), [1, 4, 7].into()));
        // A pinned manifest that is not listed may refer to any segment.
        let without = objects.into_iter().filter(|object| object.path != manifest(3)).collect();
        assert_eq!(deletable(&pinned, &[], &[6], (without, &known), &[]), Default::default());
    }

    #[test]
    fn nothing_is_deleted_while_a_retained_manifest_cannot_be_read() {
        let (objects, _) = history(5, 48);
        let (_, known) = history(4, 48);
        let references = references(Some(5), &[5]);
        assert_eq!(deletable(&references, &[], &[], (objects.clone(), &known), &[5]), Default::default());
        let (manifests, _) = deletable(&references, &[], &[5], (objects, &known), &[2]);
        assert_eq!(manifests, [1, 2, 3, 4].into(), "a damaged one is no reason when nothing refers to it");
    }

    #[test]
    fn oldest_documents_are_deleted_without_a_gap() {
        let document = |n, days: i64| stored(paths::document(n), days * 24);
        let paths_of =
            |found: Vec<StoredObject>| found.into_iter().map(|object| object.path).collect::<BTreeSet<_>>();
        let objects =
            vec![document(3, 10), document(1, 50), document(2, 40), document(4, 45), document(5, 45)];
        assert_eq!(paths_of(documents(now(), 5, objects)), [1, 2].map(paths::document).into());
        let all_old = (1..=5).map(|n| document(n, 60)).chain([stored(paths::head(), 9999)]);
        assert_eq!(paths_of(documents(now(), 4, all_old.collect())), [1, 2, 3].map(paths::document).into());
    }

    #[test]
    fn the_latest_key_sets_and_those_lately_in_force_are_retained() {
        let set = |revision: u64| paths::key_set(revision, 0);
        let reference = |revision: u64| KeySetReference {
            object: set(revision).into(),
            sha256: Digest::of(b""),
            revision,
        };
        let deleted = |earlier: u64, in_force: u64| {
            let listed = (1..=20).map(|revision| stored(set(revision), 48)).chain([stored(set(0), 1)]);
            let (earlier, in_force) = (reference(earlier), reference(in_force));
            let revisions = (Some(&earlier), Some(&in_force));
            key_sets(now(), &RetentionRules::default(), revisions, listed.collect()).len()
        };
        assert_eq!(deleted(20, 20), 10);
        assert_eq!(deleted(20, 5), 9);
        assert_eq!(deleted(8, 20), 7, "8 was in force a day ago");
    }
}
