//! The collections of a node by name.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashMap;

use super::Collection;
use crate::domain::name::{CollectionName, RegionName};

/// The state of a collection on a node.
#[derive(Debug, Clone, Default)]
pub enum Slot {
    /// The catalog has no such collection.
    #[default]
    Unknown,
    /// The catalog has it and it is not loaded yet.
    Loading,
    /// These regions serve it, not this one.
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

    /// The slot of `name`.
    pub fn collection(&self, name: &str) -> Slot {
        self.0.load().get(name).cloned().unwrap_or_default()
    }

    /// Replaces the slot of `name`. A reader of the previous collection keeps it until it is done.
    /// [`Slot::Unknown`] is the same as [`Cache::remove`].
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

    /// Removes the slot of `name`.
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
    fn slots_are_replaced_and_removed() {
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
