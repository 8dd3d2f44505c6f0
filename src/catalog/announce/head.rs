//! The content of head. Pure.

use chrono::{DateTime, Utc};

use crate::catalog::FreshnessByCollection;
use crate::domain::{CatalogDocument, Freshness, Head, limits::FORMAT};

/// The head for `newest`, from the stored head and what this process knows: for every collection, the latest time
/// known for exactly the document's version. A time after `until` comes from a fast clock and counts as `until`, so
/// that it does not outlast later ones.
pub(super) fn merge(
    newest: &CatalogDocument,
    stored: Option<&Head>,
    known: &FreshnessByCollection,
    until: DateTime<Utc>,
) -> Head {
    let stored = stored.map(|head| &head.data_as_of);
    let data_as_of = newest
        .collections
        .iter()
        .filter_map(|(name, entry)| {
            [stored.and_then(|stored| stored.get(name)), known.get(name)]
                .into_iter()
                .flatten()
                .filter(|fresh| fresh.version == entry.version)
                .map(|fresh| fresh.data_as_of.min(until))
                .max()
                .map(|data_as_of| (name.clone(), Freshness { version: entry.version, data_as_of }))
        })
        .collect();
    Head { format: FORMAT, deployment: newest.deployment, n: newest.n, data_as_of }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::catalog::record_freshness;
    use crate::domain::{
        AnnouncementId, CollectionEntry, CollectionName, DeploymentId, Digest, RunId, Version,
    };

    fn name(text: &str) -> CollectionName {
        CollectionName::new(text).unwrap()
    }

    fn fresh(entries: &[(&str, u64, i64)]) -> FreshnessByCollection {
        let mut fresh = FreshnessByCollection::new();
        for &(collection, version, seconds) in entries {
            let data_as_of = DateTime::from_timestamp(seconds, 0).unwrap();
            record_freshness(
                &mut fresh,
                &name(collection),
                Freshness { version: Version(version), data_as_of },
            );
        }
        fresh
    }

    #[test]
    fn head_has_the_freshness_of_the_announced_versions() {
        let entry = |version| CollectionEntry {
            version: Version(version),
            run_id: RunId::from_uuid(Uuid::from_u128(1)),
            regions: None,
            manifest: String::new(),
            sha256: Digest::of(b""),
        };
        let newest = CatalogDocument {
            format: FORMAT,
            deployment: DeploymentId::from_uuid(Uuid::from_u128(1)),
            metadata: None,
            n: 7,
            announced_by: AnnouncementId::from_uuid(Uuid::from_u128(1)),
            keys: None,
            collections: [("a", 2), ("b", 5), ("c", 1), ("silent", 1)]
                .map(|(text, version)| (name(text), entry(version)))
                .into(),
            pins: std::collections::BTreeMap::new(),
            dropped: std::collections::BTreeMap::new(),
            pauses: std::collections::BTreeMap::new(),
            last_release: 0,
        };
        let stored = Head {
            format: FORMAT,
            deployment: newest.deployment,
            n: 6,
            data_as_of: fresh(&[("a", 1, 99), ("b", 5, 50), ("c", 1, 10), ("removed", 1, 1)]),
        };
        let known = fresh(&[("a", 2, 20), ("b", 5, 40), ("c", 1, 30)]);
        let until = DateTime::from_timestamp(60, 0).unwrap();
        let head = merge(&newest, Some(&stored), &known, until);
        assert_eq!(head.n, 7);
        assert_eq!(head.data_as_of, fresh(&[("a", 2, 20), ("b", 5, 50), ("c", 1, 30)]));
        assert_eq!(merge(&newest, Some(&head), &known, until), head, "merging again changes nothing");
        let until = DateTime::from_timestamp(45, 0).unwrap();
        let head = merge(&newest, Some(&stored), &known, until);
        assert_eq!(head.data_as_of["b"], fresh(&[("b", 5, 45)])["b"], "no time is in the future");
    }
}
