//! The objects that the catalog references now, or has referenced since a given time.
//!
//! Three kinds of documents show it: the newest one; the one that was in force at that time; and for each document
//! since then that ended a pin or dropped a collection, the one before it. Versions only rise, so every version that
//! was announced in between lies between the first two.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    catalog::{Catalog, Error, paths},
    domain::{CatalogDocument, CollectionEntry, CollectionName, Digest, Version},
};

/// Documents tried, one below the other, when one of a certain age is lost or damaged.
const TRIES_MAX: u64 = 8;
/// Documents read that ended a pin or dropped a collection. There may be [`PINS_MAX`] pins.
///
/// [`PINS_MAX`]: crate::domain::limits::PINS_MAX
const RELEASES_MAX: usize = 2_000;
/// Hours since which a version may be unreferenced and can still be pinned or rolled back to. Retention deletes it
/// after 24 h, and the change is announced within 6 h or not at all.
const SELECTABLE_HOURS: i64 = 16;

/// What the catalog refers to, and has referred to since a time.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) newest: CatalogDocument,
    /// The document in force at that time, or an earlier one; `None` when the catalog is younger.
    pub(super) earlier: Option<CatalogDocument>,
    /// Entries that were pinned, and entries of collections that came and were dropped.
    released: BTreeMap<(CollectionName, Digest), CollectionEntry>,
}

/// What the catalog refers to for one collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct References {
    /// The lowest version that is retained for its number; `None` for a collection that the catalog does not have.
    pub(super) floor: Option<Version>,
    /// The entries whose manifests and segments are retained.
    pub(super) entries: Vec<CollectionEntry>,
}

impl References {
    /// The entry of the manifest at `path`.
    pub(super) fn entry_of(&self, path: &str) -> Option<&CollectionEntry> {
        self.entries.iter().find(|entry| entry.manifest == path)
    }

    /// Whether `version` is retained for its number.
    pub(super) fn has(&self, version: Version) -> bool {
        self.floor.is_some_and(|floor| version >= floor)
    }
}

impl Named {
    /// Reads what was referred to since `since`, by the store's clock.
    ///
    /// # Errors
    /// `object_missing` and those of a damaged document, when a document that is needed to know it is lost.
    pub(super) async fn read(
        catalog: &Catalog,
        newest: CatalogDocument,
        since: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let earlier = catalog.readable_document_at(newest.n, since).await?;
        let from = earlier.as_ref().map_or(0, |earlier| earlier.n);
        let mut release = newest.last_release;
        let mut named = Self { newest, earlier, released: BTreeMap::new() };
        for _ in 0..RELEASES_MAX {
            // The first document releases nothing.
            if release <= from.max(1) {
                return Ok(named);
            }
            let before = catalog.referenced_document(release - 1).await?;
            named.add_released(&before);
            release = before.last_release;
        }
        Err(super::super::error::corrupt(
            paths::catalog().as_ref(),
            "more pins ended in a day than can be read",
        ))
    }

    /// Adds what `document` refers to and the others may not.
    fn add_released(&mut self, document: &CatalogDocument) {
        let is_elsewhere = |name: &CollectionName| {
            let has = |document: &CatalogDocument| document.collections.contains_key(name);
            has(&self.newest) || self.earlier.as_ref().is_some_and(has)
        };
        let dropped = document.collections.iter().filter(|(name, _)| !is_elsewhere(name));
        let pinned = document.pins.values().flatten();
        let released =
            dropped.chain(pinned).map(|(name, entry)| ((name.clone(), entry.sha256), entry.clone()));
        self.released.extend(released.collect::<Vec<_>>());
    }

    /// Takes a newer document. Returns the collections whose references have changed.
    pub(super) fn advance(&mut self, later: CatalogDocument) -> BTreeSet<CollectionName> {
        let before = std::mem::replace(&mut self.newest, later);
        self.add_released(&before);
        let of = |document: &CatalogDocument, name: &CollectionName| {
            let pins: Vec<_> = document.pins_of(name).map(|(_, entry)| entry.sha256).collect();
            (document.collections.get(name).map(|entry| entry.sha256), pins)
        };
        let names = before.collections.keys().chain(self.newest.collections.keys());
        names.filter(|name| of(&before, name) != of(&self.newest, name)).cloned().collect()
    }

    /// What is referred to for `name`, when the last `keep_versions` are retained.
    pub(super) fn references(&self, name: &CollectionName, keep_versions: usize) -> References {
        let documents = [Some(&self.newest), self.earlier.as_ref()];
        let documents = || documents.into_iter().flatten();
        let entries = documents().filter_map(|document| document.collections.get(name));
        let pinned = documents().flat_map(|document| document.pins_of(name).map(|(_, entry)| entry));
        let released = self.released.iter().filter(|((of, _), _)| of == name).map(|(_, entry)| entry);
        let entries: Vec<_> = entries.chain(pinned).chain(released).cloned().collect();
        let before = self.earlier.as_ref().and_then(|earlier| {
            let dropped = || earlier.dropped.get(name).map(|last| Version(last.0.saturating_add(1)));
            let kept = |entry: &CollectionEntry| lowest_kept(entry.version, keep_versions);
            earlier.collections.get(name).map(kept).or_else(dropped)
        });
        let floor = (!entries.is_empty()).then(|| before.unwrap_or(Version(0)));
        References { floor, entries }
    }
}

/// The lowest of the last `keep_versions` up to `version`. Versions are consecutive.
pub fn lowest_kept(version: Version, keep_versions: usize) -> Version {
    Version((version.0.saturating_add(1)).saturating_sub(keep_versions as u64))
}

impl Catalog {
    /// Whether `version` of a collection can be pinned or rolled back to: retention keeps it for longer than it takes
    /// to announce that.
    pub async fn is_selectable(
        &self,
        newest: &CatalogDocument,
        name: &CollectionName,
        version: Version,
        keep_versions: usize,
    ) -> Result<bool, Error> {
        let present = newest.collections.get(name);
        let is_kept = present.is_some_and(|present| version >= lowest_kept(present.version, keep_versions));
        let is_pinned = newest.pins_of(name).any(|(_, pinned)| pinned.version == version);
        if is_kept || is_pinned {
            return Ok(true);
        }
        let now = self.store_time().await?;
        Ok(version >= self.lowest_selectable(newest, name, keep_versions, now).await?)
    }

    /// The lowest version that can be selected without a pin, at `now` by the store's clock.
    pub async fn lowest_selectable(
        &self,
        newest: &CatalogDocument,
        name: &CollectionName,
        keep_versions: usize,
        now: DateTime<Utc>,
    ) -> Result<Version, Error> {
        let since = now - TimeDelta::hours(SELECTABLE_HOURS);
        let named = Named::read(self, newest.clone(), since).await?;
        Ok(named.references(name, keep_versions).floor.unwrap_or(Version(u64::MAX)))
    }

    /// The number of the newest document up to `newest` that was written by `time`, or of one that does not exist
    /// any more; 0 when there was none. Reads no document.
    pub(super) async fn document_at(&self, newest: u64, time: DateTime<Utc>) -> Result<u64, Error> {
        let (mut older, mut younger) = (0, newest.saturating_add(1));
        while younger - older > 1 {
            let middle = older + (younger - older) / 2;
            match self.store.modified(&paths::document(middle)).await? {
                Some(modified) if modified > time => younger = middle,
                // Documents below the oldest are deleted.
                _ => older = middle,
            }
        }
        Ok(older)
    }

    /// The newest document that was written by `time` and can be read; `None` when there was none.
    async fn readable_document_at(
        &self,
        newest: u64,
        time: DateTime<Utc>,
    ) -> Result<Option<CatalogDocument>, Error> {
        let at = self.document_at(newest, time).await?;
        for n in (at.saturating_sub(TRIES_MAX) + 1..=at).rev() {
            let is_old = self.store.modified(&paths::document(n)).await?.is_some_and(|found| found <= time);
            if !is_old {
                continue;
            }
            match self.document(n).await {
                Ok(Some(document)) => return Ok(Some(document)),
                Ok(None) => {}
                Err(error) if error.is_of_object() => {
                    tracing::warn!(code = error.code(), %error, "an old document cannot be read; using one before it");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{AnnouncementId, DeploymentId, RegionName, RunId, limits::FORMAT};

    fn name(text: &str) -> CollectionName {
        CollectionName::new(text).unwrap()
    }

    fn entry(version: u64) -> CollectionEntry {
        CollectionEntry {
            version: Version(version),
            run_id: RunId::from_uuid(Uuid::from_u128(version.into())),
            regions: None,
            manifest: format!("m{version}"),
            sha256: Digest::of(&version.to_be_bytes()),
        }
    }

    fn document(n: u64, served: &[(&str, u64)], pins: &[(&str, u64)]) -> CatalogDocument {
        let pins: BTreeMap<_, _> = pins.iter().map(|(of, version)| (name(of), entry(*version))).collect();
        CatalogDocument {
            format: FORMAT,
            deployment: DeploymentId::from_uuid(Uuid::from_u128(1)),
            n,
            announced_by: AnnouncementId::from_uuid(Uuid::from_u128(n.into())),
            keys: None,
            collections: served.iter().map(|(of, version)| (name(of), entry(*version))).collect(),
            pins: [(RegionName::new("eu").unwrap(), pins)].into(),
            dropped: BTreeMap::new(),
            metadata: None,
            pauses: BTreeMap::new(),
            last_release: 0,
        }
    }

    fn named(newest: CatalogDocument, earlier: Option<CatalogDocument>) -> Named {
        Named { newest, earlier, released: BTreeMap::new() }
    }

    #[test]
    fn versions_since_the_earlier_document_are_retained() {
        let both =
            named(document(9, &[("a", 20), ("new", 3)], &[]), Some(document(5, &[("a", 8), ("b", 4)], &[])));
        let floor = |name_of: &str| both.references(&name(name_of), 3).floor;
        assert_eq!(floor("a"), Some(Version(6)), "6, 7 and 8 were the last three");
        assert_eq!(floor("b"), Some(Version(2)), "it was dropped since");
        assert_eq!(floor("new"), Some(Version(0)), "it came since");
        assert_eq!(floor("never"), None);
        assert_eq!(both.references(&name("a"), 3).entries, [entry(20), entry(8)]);
        let young = named(document(9, &[("a", 20)], &[]), None);
        assert_eq!(young.references(&name("a"), 3).floor, Some(Version(0)));
    }

    #[test]
    fn a_collection_that_came_again_is_retained_from_its_return() {
        let mut earlier = document(5, &[], &[]);
        earlier.dropped = [(name("a"), Version(8))].into();
        let both = named(document(9, &[("a", 9)], &[]), Some(earlier));
        assert_eq!(both.references(&name("a"), 3).floor, Some(Version(9)));
    }

    #[test]
    fn released_pins_and_drops_are_referred_to() {
        let mut both = named(document(9, &[("a", 20)], &[]), Some(document(5, &[("a", 19)], &[])));
        both.add_released(&document(7, &[("a", 20), ("brief", 2)], &[("a", 3)]));
        assert_eq!(both.references(&name("a"), 1).entries, [entry(20), entry(19), entry(3)]);
        assert_eq!(
            both.references(&name("brief"), 1),
            References { floor: Some(Version(0)), entries: vec![entry(2)] }
        );
    }

    #[test]
    fn what_changes_meanwhile_is_reported_and_stays_referred_to() {
        let mut both = named(document(9, &[("a", 20), ("b", 1), ("c", 1)], &[("c", 1)]), None);
        let changed = both.advance(document(10, &[("a", 21), ("b", 1), ("c", 1)], &[]));
        assert_eq!(changed, [name("a"), name("c")].into());
        assert_eq!(both.references(&name("c"), 1).entries, [entry(1), entry(1)]);
    }
}
