//! The next document: changes applied to the newest one. Pure.

use std::{collections::BTreeMap, sync::Arc};

use super::{AnnounceError, Change};
use crate::{
    catalog::Authority,
    domain::{
        AnnouncementId, CatalogDocument, CollectionEntry, CollectionName, DeploymentId, Digest, Pause,
        RegionName, Version,
        limits::{COLLECTIONS_MAX, DROPPED_MAX, FORMAT, NUMBER_MAX, PINS_MAX},
    },
};

/// The document after `base`, or the first one, without any change yet.
pub(super) fn follow(
    base: Option<&CatalogDocument>,
    deployment: DeploymentId,
    announced_by: AnnouncementId,
) -> CatalogDocument {
    match base {
        Some(base) => CatalogDocument { format: FORMAT, n: base.n + 1, announced_by, ..base.clone() },
        None => CatalogDocument {
            format: FORMAT,
            deployment,
            metadata: None,
            n: 1,
            announced_by,
            keys: None,
            collections: BTreeMap::new(),
            pins: BTreeMap::new(),
            dropped: BTreeMap::new(),
            pauses: BTreeMap::new(),
            last_release: 0,
        },
    }
}

/// Applies `change` to the document, if the document still has what the change is based on and `authority` may
/// change it.
pub(super) fn apply(
    document: &mut CatalogDocument,
    change: &Change,
    authority: Option<&Authority>,
) -> Result<(), AnnounceError> {
    if let Change::Takeover { from, to } = change {
        if document.metadata != *from {
            return Err(AnnounceError::Superseded);
        }
        document.metadata = Some(*to);
        return Ok(());
    }
    if let Some(authority) = authority {
        authority.check(document).map_err(|error| AnnounceError::Refused(Arc::new(error)))?;
    }
    apply_content(document, change)?;
    document.metadata = document.metadata.or(authority.map(Authority::metadata));
    Ok(())
}

fn apply_content(document: &mut CatalogDocument, change: &Change) -> Result<(), AnnounceError> {
    match change {
        Change::Collection { name, from, entry, pause, .. } => {
            set_collection(document, name, *from, entry)?;
            if let Some(pause) = pause {
                document.pauses.insert(name.clone(), pause.clone());
            }
            Ok(())
        }
        Change::Resume { name, pause } => resume(document, name, pause),
        Change::Remove { name, from } => remove(document, name, *from),
        Change::Pin { region, name, from, entry } => {
            check_pin(document, region, name, *from)?;
            // Only a collection of the catalog can be pinned.
            if !document.collections.contains_key(name) {
                return Err(AnnounceError::Superseded);
            }
            if from.is_none() && document.pins_count() >= PINS_MAX {
                return Err(AnnounceError::PinsFull);
            }
            let replaced =
                document.pins.entry(region.clone()).or_default().insert(name.clone(), entry.clone());
            if replaced.is_some() {
                document.last_release = document.n;
            }
            Ok(())
        }
        Change::Unpin { region, name, from } => {
            check_pin(document, region, name, Some(*from))?;
            unpin(document, name, |pinned_in| pinned_in == region);
            document.last_release = document.n;
            Ok(())
        }
        Change::Keys { from_revision, reference } => {
            let present = document.keys.as_ref().map_or(0, |keys| keys.revision);
            if present != *from_revision || reference.revision <= present {
                return Err(AnnounceError::Superseded);
            }
            document.keys = Some(reference.clone());
            Ok(())
        }
        Change::Freshness { .. } | Change::Takeover { .. } => Ok(()),
    }
}

fn resume(document: &mut CatalogDocument, name: &CollectionName, pause: &Pause) -> Result<(), AnnounceError> {
    if document.pauses.get(name) != Some(pause) {
        return Err(AnnounceError::Superseded);
    }
    document.pauses.remove(name);
    Ok(())
}

fn set_collection(
    document: &mut CatalogDocument,
    name: &CollectionName,
    from: Option<Digest>,
    entry: &CollectionEntry,
) -> Result<(), AnnounceError> {
    let present = document.collections.get(name);
    // A version never decreases; after a drop the next one is higher than the dropped one.
    let is_next = present.map(|present| present.sha256) == from
        && present.is_none_or(|present| entry.version >= present.version)
        && document.dropped.get(name).is_none_or(|last| entry.version > *last);
    if !is_next {
        return Err(AnnounceError::Superseded);
    }
    if present.is_none() && document.collections.len() >= COLLECTIONS_MAX {
        return Err(AnnounceError::Full);
    }
    document.dropped.remove(name);
    document.collections.insert(name.clone(), entry.clone());
    Ok(())
}

fn remove(document: &mut CatalogDocument, name: &CollectionName, from: Digest) -> Result<(), AnnounceError> {
    if document.collections.get(name).map(|present| present.sha256) != Some(from) {
        return Err(AnnounceError::Superseded);
    }
    if let Some(entry) = document.collections.remove(name) {
        remember_dropped(&mut document.dropped, name, entry.version);
    }
    unpin(document, name, |_| true);
    // The pause of a dropped collection stays, as long as the catalog knows the collection.
    let CatalogDocument { collections, dropped, pauses, .. } = document;
    pauses.retain(|name, _| collections.contains_key(name) || dropped.contains_key(name));
    document.last_release = document.n;
    Ok(())
}

fn remember_dropped(dropped: &mut BTreeMap<CollectionName, Version>, name: &CollectionName, last: Version) {
    if dropped.len() >= DROPPED_MAX
        && let Some(lowest) =
            dropped.iter().min_by_key(|(_, version)| **version).map(|(name, _)| name.clone())
    {
        dropped.remove(&lowest);
    }
    // Readers refuse the highest number of all, because no version can follow it.
    dropped.insert(name.clone(), last.min(Version(NUMBER_MAX)));
}

/// Refuses a change that is based on another pin, or on none.
fn check_pin(
    document: &CatalogDocument,
    region: &RegionName,
    name: &CollectionName,
    from: Option<Digest>,
) -> Result<(), AnnounceError> {
    let present = document.pin(region, name).map(|pinned| pinned.sha256);
    if present == from { Ok(()) } else { Err(AnnounceError::Superseded) }
}

/// Removes the pins of `name` in the regions for which `is_unpinned` holds.
fn unpin(document: &mut CatalogDocument, name: &CollectionName, is_unpinned: impl Fn(&RegionName) -> bool) {
    document.pins.retain(|region, pinned| {
        if is_unpinned(region) {
            pinned.remove(name);
        }
        !pinned.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{KeySetReference, MetadataId, RunId};

    fn apply(document: &mut CatalogDocument, change: &Change) -> Result<(), AnnounceError> {
        super::apply(document, change, None)
    }

    fn name(text: &str) -> CollectionName {
        CollectionName::new(text).unwrap()
    }

    fn entry(version: u64, content: &str) -> CollectionEntry {
        CollectionEntry {
            version: Version(version),
            run_id: RunId::from_uuid(Uuid::from_u128(1)),
            regions: None,
            manifest: String::new(),
            sha256: Digest::of(content.as_bytes()),
        }
    }

    fn collection(text: &str, from: Option<&str>, version: u64, content: &str) -> Change {
        Change::Collection {
            name: name(text),
            from: from.map(|content| Digest::of(content.as_bytes())),
            entry: entry(version, content),
            data_as_of: DateTime::UNIX_EPOCH,
            pause: None,
        }
    }

    fn keys(from_revision: u64, revision: u64) -> Change {
        let reference = KeySetReference { object: String::new(), sha256: Digest::of(b"k"), revision };
        Change::Keys { from_revision, reference }
    }

    fn region(text: &str) -> RegionName {
        RegionName::new(text).unwrap()
    }

    fn pin(place: &str, from: Option<&str>, version: u64, content: &str) -> Change {
        Change::Pin {
            region: region(place),
            name: name("a"),
            from: from.map(|content| Digest::of(content.as_bytes())),
            entry: entry(version, content),
        }
    }

    fn unpin(place: &str, from: &str) -> Change {
        Change::Unpin { region: region(place), name: name("a"), from: Digest::of(from.as_bytes()) }
    }

    fn first() -> CatalogDocument {
        let deployment = DeploymentId::from_uuid(Uuid::from_u128(1));
        follow(None, deployment, AnnouncementId::from_uuid(Uuid::from_u128(1)))
    }

    #[test]
    fn a_change_is_refused_when_its_base_was_replaced() {
        let mut document = first();
        let remove = |content: &str| Change::Remove { name: name("a"), from: Digest::of(content.as_bytes()) };
        for (change, is_applied) in [
            (collection("a", Some("a1"), 1, "a1"), false), // it does not exist yet
            (collection("a", None, 1, "a1"), true),
            (collection("a", None, 1, "again"), false),
            (collection("a", Some("other"), 2, "a2"), false),
            (collection("a", Some("a1"), 0, "a0"), false), // versions never fall
            (collection("a", Some("a1"), 1, "merged"), true), // the same version, merged
            (collection("a", Some("merged"), 2, "a2"), true),
            (collection("b", None, 1, "b1"), true), // another collection does not matter
            (remove("a1"), false),
            (pin("eu", Some("a1"), 1, "a1"), false), // it is not pinned yet
            (pin("eu", None, 1, "a1"), true),
            (pin("eu", None, 2, "a2"), false),
            (pin("eu", Some("a1"), 2, "a2"), true),
            (pin("us", None, 1, "a1"), true), // another region does not matter
            (collection("a", Some("a2"), 3, "a3"), true), // a pin does not matter to the collection
            (unpin("us", "a2"), false),
            (unpin("us", "a1"), true),
            (unpin("us", "a1"), false),
            (remove("a2"), false),
            (remove("a3"), true), // its pin is removed with it
            (remove("a3"), false),
            (unpin("eu", "a2"), false),
            (pin("eu", None, 1, "a1"), false), // it is not in the catalog
            (collection("a", None, 1, "a1"), false), // versions rise across a drop
            (collection("a", None, 3, "a3"), false),
            (collection("a", None, 4, "a4"), true),
            (remove("a4"), true),
            (keys(1, 2), false),
            (keys(0, 0), false),
            (keys(0, 5), true),
            (keys(0, 6), false),
            (keys(5, 5), false),
            (keys(5, 6), true),
        ] {
            let before = document.clone();
            let outcome = apply(&mut document, &change);
            assert_eq!(outcome.is_ok(), is_applied, "{change:?}");
            assert!(is_applied || before == document, "a refused change leaves no trace: {change:?}");
        }
        assert_eq!(document.collections.keys().map(CollectionName::as_str).collect::<Vec<_>>(), ["b"]);
        assert_eq!(document.keys.unwrap().revision, 6);
        assert_eq!((document.pins.len(), document.dropped), (0, [(name("a"), Version(4))].into()));
    }

    #[test]
    fn documents_without_pins_and_drops_do_not_have_their_members() {
        let mut document = first();
        apply(&mut document, &collection("a", None, 1, "a1")).unwrap();
        let text = serde_json::to_string(&document).unwrap();
        assert!(!text.contains("pins") && !text.contains("dropped"), "{text}");
        assert_eq!(serde_json::from_str::<CatalogDocument>(&text).unwrap(), document);
        apply(&mut document, &pin("eu", None, 1, "a1")).unwrap();
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<CatalogDocument>(&text).unwrap(), document);
        apply(&mut document, &unpin("eu", "a1")).unwrap();
        assert!(!serde_json::to_string(&document).unwrap().contains("pins"), "no empty region is left");
    }

    #[test]
    fn the_number_of_pins_is_bounded() {
        let mut document = first();
        apply(&mut document, &collection("a", None, 1, "a1")).unwrap();
        for number in 0..PINS_MAX {
            apply(&mut document, &pin(&format!("r{number}"), None, 1, "a1")).unwrap();
        }
        assert!(matches!(
            apply(&mut document, &pin("one-more", None, 1, "a1")),
            Err(AnnounceError::PinsFull)
        ));
        assert!(apply(&mut document, &pin("r0", Some("a1"), 1, "other")).is_ok());
        assert!(serde_json::to_string(&document).unwrap().len() < 500 * PINS_MAX, "documents stay small");
    }

    #[test]
    fn beyond_the_bound_the_dropped_collection_with_the_lowest_version_is_forgotten() {
        let mut dropped = BTreeMap::new();
        for number in 0..=DROPPED_MAX as u64 {
            remember_dropped(&mut dropped, &name(&format!("c{number}")), Version(number + 1));
        }
        assert_eq!(dropped.len(), DROPPED_MAX);
        assert!(!dropped.contains_key(&name("c0")) && dropped.contains_key(&name("c1")));
        remember_dropped(&mut dropped, &name("last"), Version(u64::MAX));
        assert_eq!(dropped[&name("last")], Version(NUMBER_MAX));
    }

    #[test]
    fn only_the_database_that_the_document_names_changes_it() {
        let id = |number| MetadataId::from_uuid(Uuid::from_u128(number));
        let mut document = first();
        let [one, two] = [1, 2].map(|number| Authority::new(document.deployment, id(number)));
        let take = |from, to| Change::Takeover { from, to };
        let (a, b) = (collection("a", None, 1, "a1"), collection("b", None, 1, "b1"));
        for (change, by, code) in [
            (&a, &one, None), // the first change names the database
            (&b, &two, Some("foreign_metadata")),
            (&b, &one, None),
            (&take(None, id(2)), &two, Some("superseded")),
            (&take(Some(id(1)), id(2)), &two, None),
            (&take(Some(id(1)), id(3)), &two, Some("superseded")),
            (&collection("a", Some("a1"), 2, "a2"), &one, Some("foreign_metadata")),
            (&Change::Remove { name: name("a"), from: Digest::of(b"a1") }, &one, Some("foreign_metadata")),
            (&pin("eu", None, 1, "a1"), &one, Some("foreign_metadata")),
            (&keys(0, 1), &one, Some("foreign_metadata")),
            (&keys(0, 1), &two, None),
        ] {
            let before = document.clone();
            let outcome = super::apply(&mut document, change, Some(by));
            assert_eq!(outcome.as_ref().err().map(AnnounceError::code), code, "{change:?}");
            assert!(code.is_none() || before == document, "a refused change leaves no trace: {change:?}");
        }
        assert_eq!(document.metadata, Some(id(2)));
    }

    #[test]
    fn a_pause_comes_with_a_change_and_survives_a_drop() {
        let mut document = first();
        let pause = |why: &str| Pause { at: DateTime::UNIX_EPOCH, by: "test".into(), why: why.into() };
        let paused = |from, version, content, why| match collection("a", from, version, content) {
            Change::Collection { name, from, entry, data_as_of, .. } => {
                Change::Collection { name, from, entry, data_as_of, pause: Some(pause(why)) }
            }
            change => change,
        };
        let resume = |why| Change::Resume { name: name("a"), pause: pause(why) };
        apply(&mut document, &collection("a", None, 1, "a1")).unwrap();
        let superseded = apply(&mut document, &paused(Some("other"), 2, "a2", "one"));
        assert!(superseded.is_err() && document.pauses.is_empty(), "both or none");
        apply(&mut document, &paused(Some("a1"), 2, "a2", "one")).unwrap();
        apply(&mut document, &collection("a", Some("a2"), 3, "a3")).unwrap();
        apply(&mut document, &Change::Remove { name: name("a"), from: Digest::of(b"a3") }).unwrap();
        apply(&mut document, &collection("a", None, 4, "a4")).unwrap();
        assert_eq!(document.pauses, [(name("a"), pause("one"))].into());
        apply(&mut document, &paused(Some("a4"), 5, "a5", "two")).unwrap();
        assert!(apply(&mut document, &resume("one")).is_err(), "another pause has replaced it");
        apply(&mut document, &resume("two")).unwrap();
        assert!(document.pauses.is_empty() && apply(&mut document, &resume("two")).is_err());
    }

    #[test]
    fn a_document_keeps_what_it_does_not_change() {
        let mut base = first();
        apply(&mut base, &collection("a", None, 1, "a1")).unwrap();
        apply(&mut base, &keys(0, 1)).unwrap();
        let other = DeploymentId::from_uuid(Uuid::from_u128(9));
        let next = follow(Some(&base), other, AnnouncementId::from_uuid(Uuid::from_u128(2)));
        assert_eq!((next.n, next.deployment), (2, base.deployment));
        assert_eq!((next.collections, next.keys), (base.collections, base.keys));
    }

    #[test]
    fn the_number_of_collections_is_bounded() {
        let mut document = first();
        for number in 0..COLLECTIONS_MAX {
            document.collections.insert(name(&format!("c{number}")), entry(1, "x"));
        }
        let one_more = apply(&mut document, &collection("one-more", None, 1, "y"));
        assert!(matches!(one_more, Err(AnnounceError::Full)));
        assert!(apply(&mut document, &collection("c0", Some("x"), 2, "y")).is_ok());
    }
}
