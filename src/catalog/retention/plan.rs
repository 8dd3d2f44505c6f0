//! What may go. Pure: lists and times in, paths out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Kept, Named};
use crate::domain::{catalog::CollectionEntry, manifest::Version};
use crate::store::paths::Object;

/// Nothing younger goes, by the store's own time: a run may be about to name it (a run older than
/// 12 h ends itself), and a follower may be about to fetch it.
pub(crate) const GRACE_HOURS: i64 = 24;
/// Catalog documents stay this long: a number must not become free while a publisher that read the
/// catalog before can still be asleep.
const DOCUMENT_DAYS: i64 = 30;
/// Key sets kept beside the one in force, for whoever reads a document that is a little old.
const KEY_SETS_KEPT: usize = 10;

/// An object as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) path: String,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) bytes: u64,
}

/// What matters of a manifest.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) version: Version,
    pub(crate) segments: Vec<String>,
}

/// Whether an object is old enough to go when nothing names it.
pub(crate) fn is_past_grace(now: DateTime<Utc>, object: &Stored) -> bool {
    now - object.modified > TimeDelta::hours(GRACE_HOURS)
}

/// The objects of one collection that may go, manifests first. `facts` has every listed manifest, `None` for one that cannot be
/// understood.
pub(crate) fn collection(
    now: DateTime<Utc>,
    named: &Named,
    objects: Vec<Stored>,
    facts: &BTreeMap<String, Option<Facts>>,
    kept: &Kept,
) -> Vec<Stored> {
    let entry = named.entry.as_ref();
    let last = last_versions(entry, facts, kept.keep_versions);
    let stays = |object: &Stored| {
        let version = facts.get(&object.path).and_then(|facts| facts.as_ref()).map(|facts| facts.version);
        !is_past_grace(now, object)
            || kept.manifests.contains(&object.path)
            || named.by_manifest(&object.path).is_some()
            || version.is_some_and(|version| last.contains(&version))
    };
    let mut segments: HashSet<&str> = HashSet::new();
    let mut is_known = true;
    let mut doomed = Vec::new();
    let (manifests, others): (Vec<Stored>, Vec<Stored>) =
        objects.into_iter().partition(|object| facts.contains_key(&object.path));
    let is_listed = |entry: &CollectionEntry| manifests.iter().any(|object| object.path == entry.manifest);
    let has_named = entry.into_iter().chain(&named.pinned).all(is_listed);
    for manifest in manifests {
        if stays(&manifest) {
            match &facts[&manifest.path] {
                Some(facts) => segments.extend(facts.segments.iter().map(String::as_str)),
                None => is_known = false,
            }
        } else {
            doomed.push(manifest);
        }
    }
    // A manifest that stays but cannot be read may name any segment.
    if !is_known || !has_named {
        return Vec::new();
    }
    // Only what this build knows to be a segment goes.
    let is_segment = |object: &Stored| matches!(Object::parse(&object.path), Some(Object::Segment(_)));
    doomed.extend(others.into_iter().filter(|object| {
        is_segment(object) && is_past_grace(now, object) && !segments.contains(object.path.as_str())
    }));
    doomed
}

/// The `count` highest versions up to the announced one that any manifest has. A version that was
/// made but never announced shares its number with one that was.
fn last_versions(
    entry: Option<&CollectionEntry>,
    facts: &BTreeMap<String, Option<Facts>>,
    count: usize,
) -> BTreeSet<Version> {
    let Some(entry) = entry else { return BTreeSet::new() };
    let versions: BTreeSet<Version> = facts.values().flatten().map(|facts| facts.version).collect();
    versions.into_iter().rev().filter(|version| *version <= entry.version).take(count).collect()
}

/// The catalog documents that may go, oldest first, so that what stays has no gap once they are gone.
/// Those from `from` on stay.
pub(crate) fn documents(now: DateTime<Utc>, from: u64, objects: Vec<Stored>) -> Vec<Stored> {
    let mut doomed: Vec<(u64, Stored)> = objects
        .into_iter()
        .filter_map(|object| match Object::parse(&object.path) {
            Some(Object::Document(n)) => Some((n, object)),
            _ => None,
        })
        .collect();
    doomed.sort_by_key(|(n, _)| *n);
    doomed
        .into_iter()
        .take_while(|(n, object)| *n < from && now - object.modified > TimeDelta::days(DOCUMENT_DAYS))
        .map(|(_, object)| object)
        .collect()
}

/// The key sets that may go.
pub(crate) fn key_sets(now: DateTime<Utc>, in_force: Option<&str>, objects: Vec<Stored>) -> Vec<Stored> {
    let mut sets: Vec<(u64, Stored)> = objects
        .into_iter()
        .filter_map(|object| match Object::parse(&object.path) {
            Some(Object::KeySet(revision)) => Some((revision, object)),
            _ => None,
        })
        .collect();
    sets.sort_by_key(|(revision, _)| std::cmp::Reverse(*revision));
    sets.into_iter()
        .skip(KEY_SETS_KEPT)
        .map(|(_, object)| object)
        .filter(|object| is_past_grace(now, object) && in_force != Some(object.path.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{digest::Digest, id::RunId, name::CollectionName};
    use crate::store::paths;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn stored(path: String, age_hours: i64) -> Stored {
        Stored { path, modified: now() - TimeDelta::hours(age_hours), bytes: 1 }
    }

    fn run(number: u64) -> RunId {
        RunId::from_uuid(Uuid::from_u128(number.into()))
    }

    fn manifest(number: u64) -> String {
        paths::manifest(&name(), run(number)).to_string()
    }

    fn segment(number: u64) -> String {
        paths::segment(&name(), run(number), 0).to_string()
    }

    fn name() -> CollectionName {
        CollectionName::new("a").unwrap()
    }

    /// What a document names that announces version `number`.
    fn named(number: u64) -> Named {
        Named { entry: Some(entry(number)), pinned: Vec::new() }
    }

    fn entry(number: u64) -> CollectionEntry {
        CollectionEntry {
            version: Version(number),
            run_id: run(number),
            regions: None,
            manifest: manifest(number),
            sha256: Digest::of(b""),
        }
    }

    /// Versions 1..=`newest`: version v names the segments v-1 and v.
    fn history(newest: u64, age_hours: i64) -> (Vec<Stored>, BTreeMap<String, Option<Facts>>) {
        let mut objects = Vec::new();
        let mut facts = BTreeMap::new();
        for v in 1..=newest {
            objects.extend([stored(manifest(v), age_hours), stored(segment(v), age_hours)]);
            let segments = vec![segment(v - 1), segment(v)];
            facts.insert(manifest(v), Some(Facts { version: Version(v), segments }));
        }
        (objects, facts)
    }

    fn paths_of(doomed: &[Stored]) -> BTreeSet<String> {
        doomed.iter().map(|object| object.path.clone()).collect()
    }

    #[test]
    fn the_last_versions_and_what_they_name_stay() {
        let kept = Kept { keep_versions: 3, manifests: HashSet::from([manifest(2)]) };
        let (objects, facts) = history(10, 48);
        let doomed = collection(now(), &named(10), objects.clone(), &facts, &kept);
        // 8, 9, 10 stay with segments 7 to 10; the held 2 stays with 1 and 2.
        let expected = [1, 3, 4, 5, 6, 7].map(manifest).into_iter().chain([3, 4, 5, 6].map(segment));
        assert_eq!(paths_of(&doomed), expected.collect());
        let first_segment = doomed.iter().position(|object| object.path == segment(3)).unwrap();
        assert!(doomed[..first_segment].iter().all(|object| object.path.ends_with("manifest.json")));

        let (young, facts) = history(10, 23);
        assert_eq!(collection(now(), &named(10), young, &facts, &kept), []);
        // Dropped from the catalog: only the held one stays.
        let doomed = collection(now(), &Named::default(), objects, &facts, &kept);
        assert_eq!(doomed.len(), 20 - 3);
    }

    #[test]
    fn pinned_versions_and_what_they_name_stay() {
        let kept = Kept { keep_versions: 2, manifests: HashSet::new() };
        let (objects, facts) = history(10, 48);
        let pinned = Named { pinned: vec![entry(3), entry(6)], ..named(10) };
        let doomed = paths_of(&collection(now(), &pinned, objects.clone(), &facts, &kept));
        let expected = [1, 2, 4, 5, 7, 8].map(manifest).into_iter().chain([1, 4, 7].map(segment));
        assert_eq!(doomed, expected.collect());
        // A pinned manifest that is not even listed may name any segment.
        let without: Vec<_> = objects.into_iter().filter(|object| object.path != manifest(3)).collect();
        assert_eq!(collection(now(), &pinned, without, &facts, &kept), []);
    }

    #[test]
    fn versions_made_but_not_announced_take_no_place() {
        let kept = Kept { keep_versions: 2, manifests: HashSet::new() };
        let (mut objects, mut facts) = history(5, 48);
        for extra in 100..110 {
            // Ten superseded runs that made a version 5 of their own, and one held at 6.
            let version = if extra == 100 { 6 } else { 5 };
            objects.extend([stored(manifest(extra), 48), stored(segment(extra), 48)]);
            facts.insert(
                manifest(extra),
                Some(Facts { version: Version(version), segments: vec![segment(extra)] }),
            );
        }
        let doomed = paths_of(&collection(now(), &named(5), objects, &facts, &kept));
        for stays in [manifest(5), manifest(4), segment(5), segment(4), segment(3)] {
            assert!(!doomed.contains(&stays), "{stays}");
        }
        for goes in [manifest(100), segment(100), manifest(3), segment(2)] {
            assert!(doomed.contains(&goes), "{goes}");
        }
    }

    #[test]
    fn nothing_goes_while_a_manifest_that_stays_cannot_be_read() {
        let kept = Kept { keep_versions: 1, manifests: HashSet::new() };
        let (objects, mut facts) = history(5, 48);
        facts.insert(manifest(5), None);
        assert_eq!(collection(now(), &named(5), objects.clone(), &facts, &kept), []);
        // The newest is not even listed.
        facts.remove(&manifest(5));
        let without: Vec<_> = objects.into_iter().filter(|object| object.path != manifest(5)).collect();
        assert_eq!(collection(now(), &named(5), without, &facts, &kept), []);
    }

    #[test]
    fn documents_go_from_the_oldest_on_and_leave_no_gap() {
        let document = |n, days: i64| stored(paths::document(n).to_string(), days * 24);
        let objects =
            vec![document(3, 10), document(1, 50), document(2, 40), document(4, 45), document(5, 45)];
        let doomed = paths_of(&documents(now(), 5, objects));
        assert_eq!(doomed, [1, 2].map(|n| paths::document(n).to_string()).into());
        let all_old = (1..=5).map(|n| document(n, 60)).chain([stored(paths::head().to_string(), 9999)]);
        let doomed = documents(now(), 4, all_old.collect());
        assert_eq!(paths_of(&doomed), [1, 2, 3].map(|n| paths::document(n).to_string()).into());
    }

    #[test]
    fn the_latest_key_sets_and_the_one_in_force_stay() {
        let set = |revision: u64| paths::key_set(revision, 0).to_string();
        let objects: Vec<_> =
            (1..=20).map(|revision| stored(set(revision), 48)).chain([stored(set(0), 1)]).collect();
        let doomed = paths_of(&key_sets(now(), Some(&set(5)), objects));
        assert_eq!(doomed, (1..=10).filter(|revision| *revision != 5).map(set).collect());
    }
}
