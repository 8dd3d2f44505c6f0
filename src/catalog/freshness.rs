//! Freshness of collections: the time up to which their data is known to be current. Pure.

use std::collections::BTreeMap;

use crate::domain::{CollectionName, Freshness};

/// Freshness by collection.
pub type FreshnessByCollection = BTreeMap<CollectionName, Freshness>;

/// Records `new`. A higher version replaces a lower one; within one version the time only rises.
pub fn record_freshness(fresh: &mut FreshnessByCollection, name: &CollectionName, new: Freshness) {
    match fresh.get_mut(name) {
        Some(known) if known.version > new.version => {}
        Some(known) if known.version == new.version => {
            known.data_as_of = known.data_as_of.max(new.data_as_of);
        }
        _ => drop(fresh.insert(name.clone(), new)),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::Version;

    fn fresh(entries: &[(u64, i64)]) -> FreshnessByCollection {
        let mut fresh = FreshnessByCollection::new();
        for &(version, seconds) in entries {
            let data_as_of = DateTime::from_timestamp(seconds, 0).unwrap();
            let name = CollectionName::new("a").unwrap();
            record_freshness(&mut fresh, &name, Freshness { version: Version(version), data_as_of });
        }
        fresh
    }

    #[test]
    fn time_of_one_version_only_rises() {
        assert_eq!(fresh(&[(1, 20), (1, 10)]), fresh(&[(1, 20)]));
        assert_eq!(fresh(&[(1, 20), (1, 30)]), fresh(&[(1, 30)]));
        assert_eq!(fresh(&[(2, 5), (1, 30)]), fresh(&[(2, 5)]));
        assert_eq!(fresh(&[(1, 30), (2, 5)]), fresh(&[(2, 5)]), "a new version starts again");
    }
}
