//! Decides what may be deleted. Pure: lists and times in, objects out.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashSet},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{References, RetentionRules};
use crate::{
    domain::{catalog::CollectionEntry, manifest::Version, object::Object},
    store::{Path, StoredObject},
};

/// Age up to which every object is retained, by the store's clock: a run may be about to announce it (a run
/// older than 12 h ends itself), and a follower may be about to fetch it.
const GRACE_HOURS: i64 = 24;
/// Age up to which catalog documents are retained: their number must not become free while a publisher that
/// read the catalog before is asleep.
const DOCUMENT_DAYS: i64 = 30;
/// Number of newest key sets that are retained, for readers of a document that is a little old.
const KEY_SETS_KEPT: usize = 10;

/// What the plan needs of a manifest.
#[derive(Debug, Clone)]
pub(super) struct ManifestSummary {
    pub(super) version: Version,
    pub(super) segments: Vec<String>,
}

/// Whether an object may be deleted if nothing refers to it.
pub(super) fn is_past_grace(now: DateTime<Utc>, object: &StoredObject) -> bool {
    now - object.modified > TimeDelta::hours(GRACE_HOURS)
}

/// The objects of one collection that may be deleted, manifests first. `summaries` has every listed manifest,
/// `None` for one that cannot be decoded.
pub(super) fn collection(
    now: DateTime<Utc>,
    references: &References,
    objects: Vec<StoredObject>,
    summaries: &BTreeMap<Path, Option<ManifestSummary>>,
    rules: &RetentionRules,
) -> Vec<StoredObject> {
    let entry = references.entry.as_ref();
    let last = last_versions(entry, summaries, rules.keep_versions);
    let is_retained = |object: &StoredObject| {
        let summary = summaries.get(&object.path).and_then(Option::as_ref);
        !is_past_grace(now, object)
            || rules.manifests.contains(object.path.as_ref())
            || references.entry_of(object.path.as_ref()).is_some()
            || summary.is_some_and(|summary| last.contains(&summary.version))
    };
    let (manifests, others): (Vec<StoredObject>, Vec<StoredObject>) =
        objects.into_iter().partition(|object| summaries.contains_key(&object.path));
    let is_listed =
        |entry: &CollectionEntry| manifests.iter().any(|object| object.path.as_ref() == entry.manifest);
    let are_all_listed = entry.into_iter().chain(&references.pinned).all(is_listed);
    let (retained, mut deletable): (Vec<StoredObject>, Vec<StoredObject>) =
        manifests.into_iter().partition(is_retained);
    let mut segments: HashSet<&str> = HashSet::new();
    for manifest in &retained {
        match &summaries[&manifest.path] {
            Some(summary) => segments.extend(summary.segments.iter().map(String::as_str)),
            // It may refer to any segment.
            None => return Vec::new(),
        }
    }
    if !are_all_listed {
        return Vec::new();
    }
    // Objects that this build does not know are retained.
    let is_segment =
        |object: &StoredObject| matches!(Object::parse(object.path.as_ref()), Some(Object::Segment(_)));
    deletable.extend(others.into_iter().filter(|object| {
        is_segment(object) && is_past_grace(now, object) && !segments.contains(object.path.as_ref())
    }));
    deletable
}

/// The `count` highest versions up to the announced one that any manifest has. A version that was made but never
/// announced shares its number with one that was announced.
fn last_versions(
    entry: Option<&CollectionEntry>,
    summaries: &BTreeMap<Path, Option<ManifestSummary>>,
    count: usize,
) -> BTreeSet<Version> {
    let Some(entry) = entry else { return BTreeSet::new() };
    let versions: BTreeSet<Version> = summaries.values().flatten().map(|summary| summary.version).collect();
    versions.into_iter().rev().filter(|version| *version <= entry.version).take(count).collect()
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

/// The key sets that may be deleted.
pub(super) fn key_sets(
    now: DateTime<Utc>,
    in_force: Option<&str>,
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
    sets.into_iter()
        .skip(KEY_SETS_KEPT)
        .map(|(_, object)| object)
        .filter(|object| is_past_grace(now, object) && in_force != Some(object.path.as_ref()))
        .collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::catalog::paths;
    use crate::domain::{digest::Digest, id::RunId, name::CollectionName};

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

    /// The references of a document that announces version `number`.
    fn references(number: u64) -> References {
        References { entry: Some(entry(number)), pinned: Vec::new() }
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
    fn history(newest: u64, age_hours: i64) -> (Vec<StoredObject>, BTreeMap<Path, Option<ManifestSummary>>) {
        let mut objects = Vec::new();
        let mut summaries = BTreeMap::new();
        for v in 1..=newest {
            objects.extend([stored(manifest(v), age_hours), stored(segment(v), age_hours)]);
            let segments = [segment(v - 1), segment(v)].map(String::from).into();
            summaries.insert(manifest(v), Some(ManifestSummary { version: Version(v), segments }));
        }
        (objects, summaries)
    }

    fn paths_of(deletable: &[StoredObject]) -> BTreeSet<Path> {
        deletable.iter().map(|object| object.path.clone()).collect()
    }

    #[test]
    fn the_last_versions_and_their_segments_are_retained() {
        let rules = RetentionRules { keep_versions: 3, manifests: HashSet::from([manifest(2).into()]) };
        let (objects, summaries) = history(10, 48);
        let deletable = collection(now(), &references(10), objects.clone(), &summaries, &rules);
        // 8, 9, 10 stay with segments 7 to 10; the held 2 stays with 1 and 2.
        let expected = [1, 3, 4, 5, 6, 7].map(manifest).into_iter().chain([3, 4, 5, 6].map(segment));
        assert_eq!(paths_of(&deletable), expected.collect());
        let first_segment = deletable.iter().position(|object| object.path == segment(3)).unwrap();
        assert!(
            deletable[..first_segment].iter().all(|object| object.path.filename() == Some("manifest.json"))
        );

        let (young, summaries) = history(10, 23);
        assert_eq!(collection(now(), &references(10), young, &summaries, &rules), []);
        // Dropped from the catalog: only the held one stays.
        let deletable = collection(now(), &References::default(), objects, &summaries, &rules);
        assert_eq!(deletable.len(), 20 - 3);
    }

    #[test]
    fn pinned_versions_and_their_segments_are_retained() {
        let rules = RetentionRules { keep_versions: 2, manifests: HashSet::new() };
        let (objects, summaries) = history(10, 48);
        let pinned = References { pinned: vec![entry(3), entry(6)], ..references(10) };
        let deletable = paths_of(&collection(now(), &pinned, objects.clone(), &summaries, &rules));
        let expected = [1, 2, 4, 5, 7, 8].map(manifest).into_iter().chain([1, 4, 7].map(segment));
        assert_eq!(deletable, expected.collect());
        // A pinned manifest that is not listed may refer to any segment.
        let without: Vec<_> = objects.into_iter().filter(|object| object.path != manifest(3)).collect();
        assert_eq!(collection(now(), &pinned, without, &summaries, &rules), []);
    }

    #[test]
    fn versions_never_announced_do_not_count() {
        let rules = RetentionRules { keep_versions: 2, manifests: HashSet::new() };
        let (mut objects, mut summaries) = history(5, 48);
        for extra in 100..110 {
            // Ten superseded runs that made a version 5 of their own, and one held at 6.
            let version = if extra == 100 { 6 } else { 5 };
            objects.extend([stored(manifest(extra), 48), stored(segment(extra), 48)]);
            summaries.insert(
                manifest(extra),
                Some(ManifestSummary { version: Version(version), segments: vec![segment(extra).into()] }),
            );
        }
        let deletable = paths_of(&collection(now(), &references(5), objects, &summaries, &rules));
        for retained in [manifest(5), manifest(4), segment(5), segment(4), segment(3)] {
            assert!(!deletable.contains(&retained), "{retained}");
        }
        for deleted in [manifest(100), segment(100), manifest(3), segment(2)] {
            assert!(deletable.contains(&deleted), "{deleted}");
        }
    }

    #[test]
    fn nothing_is_deleted_while_a_retained_manifest_cannot_be_read() {
        let rules = RetentionRules { keep_versions: 1, manifests: HashSet::new() };
        let (objects, mut summaries) = history(5, 48);
        summaries.insert(manifest(5), None);
        assert_eq!(collection(now(), &references(5), objects.clone(), &summaries, &rules), []);
        // The newest is not listed.
        summaries.remove(&manifest(5));
        let without: Vec<_> = objects.into_iter().filter(|object| object.path != manifest(5)).collect();
        assert_eq!(collection(now(), &references(5), without, &summaries, &rules), []);
    }

    #[test]
    fn oldest_documents_are_deleted_without_a_gap() {
        let document = |n, days: i64| stored(paths::document(n), days * 24);
        let objects =
            vec![document(3, 10), document(1, 50), document(2, 40), document(4, 45), document(5, 45)];
        let deletable = paths_of(&documents(now(), 5, objects));
        assert_eq!(deletable, [1, 2].map(paths::document).into());
        let all_old = (1..=5).map(|n| document(n, 60)).chain([stored(paths::head(), 9999)]);
        let deletable = documents(now(), 4, all_old.collect());
        assert_eq!(paths_of(&deletable), [1, 2, 3].map(paths::document).into());
    }

    #[test]
    fn the_latest_key_sets_and_the_one_in_force_are_retained() {
        let set = |revision: u64| paths::key_set(revision, 0);
        let objects: Vec<_> =
            (1..=20).map(|revision| stored(set(revision), 48)).chain([stored(set(0), 1)]).collect();
        let deletable = paths_of(&key_sets(now(), Some(set(5).as_ref()), objects));
        assert_eq!(deletable, (1..=10).filter(|revision| *revision != 5).map(set).collect());
    }
}
