//! How fresh collections are, as head says it. Pure.

use std::collections::BTreeMap;

use crate::domain::{catalog::Freshness, name::CollectionName};

/// Freshness by collection.
pub type Fresh = BTreeMap<CollectionName, Freshness>;

/// Remembers `new`: a higher version replaces a lower one, within one version the time only rises.
pub fn remember(fresh: &mut Fresh, name: &CollectionName, new: Freshness) {
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
    use crate::domain::manifest::Version;

    fn fresh(entries: &[(u64, i64)]) -> Fresh {
        let mut fresh = Fresh::new();
        for &(version, seconds) in entries {
            let data_as_of = DateTime::from_timestamp(seconds, 0).unwrap();
            let name = CollectionName::new("a").unwrap();
            remember(&mut fresh, &name, Freshness { version: Version(version), data_as_of });
        }
        fresh
    }

    #[test]
    fn time_only_rises_for_one_version() {
        assert_eq!(fresh(&[(1, 20), (1, 10)]), fresh(&[(1, 20)]));
        assert_eq!(fresh(&[(1, 20), (1, 30)]), fresh(&[(1, 30)]));
        assert_eq!(fresh(&[(2, 5), (1, 30)]), fresh(&[(2, 5)]));
        assert_eq!(fresh(&[(1, 30), (2, 5)]), fresh(&[(2, 5)]), "a new version begins anew");
    }
}
