//! Requests a second.

use std::{collections::HashMap, time::Duration};

use super::name::CollectionName;

/// How many requests a second a node answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestRates {
    /// The time that the rates are over.
    pub over: Duration,
    /// The rate of each collection that has been requested.
    pub by_collection: HashMap<CollectionName, f64>,
}

impl RequestRates {
    /// The rate of a collection.
    pub fn of(&self, collection: &CollectionName) -> f64 {
        self.by_collection.get(collection).copied().unwrap_or_default()
    }

    /// The rate of all collections.
    pub fn total(&self) -> f64 {
        self.by_collection.values().sum()
    }
}
