//! The collections of a node by name.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashMap;

use super::Collection;
use crate::domain::name::{CollectionName, RegionName};

/// What a node has under a collection's name.
#[derive(Debug, Clone, Default)]
pub enum Slot {
    /// The catalog names no such collection.
    #[default]
    Unknown,
    /// Named, and not loaded yet.
    Loading,
    /// Served in these regions, not in this one.
    OtherRegion(Arc<[RegionName]>),
    /// Ready to be read.
    Loaded(Arc<Collection>),
}

/// The collections of a node; a cheap handle. Reads take no lock.
#[derive(Debug, Clone, Default)]
pub struct Cache(Arc<ArcSwap<HashMap<CollectionName, Slot>>>);

impl Cache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// What stands under `name`.
    pub fn collection(&self, name: &str) -> Slot {
        self.0.load().get(name).cloned().unwrap_or_default()
    }

    /// Puts `slot` under `name`. Whoever reads the collection that stood there before goes on with
    /// it until they let go. [`Slot::Unknown`] is the same as [`Cache::remove`].
    #[expect(clippy::needless_pass_by_value, reason = "the caller hands the collection over")]
    pub fn replace(&self, name: &CollectionName, slot: Slot) {
        if matches!(slot, Slot::Unknown) {
            return self.remove(name.as_str());
        }
        self.0.rcu(|slots| {
            let mut slots = HashMap::clone(slots);
            slots.insert(name.clone(), slot.clone());
            slots
        });
    }

    /// Forgets `name`.
    pub fn remove(&self, name: &str) {
        self.0.rcu(|slots| {
            let mut slots = HashMap::clone(slots);
            slots.remove(name);
            slots
        });
    }

    /// All names, ordered.
    pub fn names(&self) -> Vec<CollectionName> {
        let mut names: Vec<_> = self.0.load().keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_and_go() {
        let cache = Cache::new();
        let name = CollectionName::new("customer").unwrap();
        assert!(matches!(cache.collection("customer"), Slot::Unknown));
        cache.replace(&name, Slot::Loading);
        let other = cache.clone();
        assert!(matches!(other.collection("customer"), Slot::Loading));
        let regions: Arc<[_]> = [RegionName::new("eu").unwrap()].into();
        other.replace(&name, Slot::OtherRegion(regions));
        assert!(matches!(cache.collection("customer"), Slot::OtherRegion(regions) if regions.len() == 1));
        cache.replace(&CollectionName::new("a").unwrap(), Slot::Loading);
        assert_eq!(cache.names().iter().map(CollectionName::as_str).collect::<Vec<_>>(), ["a", "customer"]);
        cache.remove("a");
        cache.replace(&name, Slot::Unknown);
        assert!(cache.names().is_empty());
    }
}
