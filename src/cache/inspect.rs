//! A record with the values by which it is found, for operators.

use std::sync::Arc;

use super::{
    Collection, Lookup, Served,
    index::{Index, Located},
};
use crate::domain::name::IndexName;

/// Most values of one index that are shown of a record: an index over an array has as many as the array.
const VALUES_MAX: usize = 100;

/// A value that a record has under an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexValue {
    /// The index.
    pub index: IndexName,
    /// The normalised value; its hash under an index with hashes.
    pub value: String,
    /// Whether a look-up of it finds this record. Another one may hold the value.
    pub finds: bool,
}

/// The outcome of a look-up, with the values of the record that it found.
#[derive(Debug)]
pub struct Inspection {
    /// The state in which the record was read.
    pub served: Arc<Served>,
    /// The outcome.
    pub lookup: Lookup,
    /// The record as JSON, after a hit.
    pub body: Vec<u8>,
    /// Its values under all indexes, at most `VALUES_MAX` of each.
    pub values: Vec<IndexValue>,
}

impl Collection {
    /// Looks `value` up as [`Collection::lookup`] does, and the record's values under all indexes.
    pub fn inspect(&self, index: &str, value: &str) -> Inspection {
        self.read_at_once(|served| {
            let mut body = Vec::new();
            let lookup = self.lookup(index, value, &mut body);
            let is_hit = matches!(lookup, Lookup::Hit { .. });
            let values = if is_hit { self.values_of(index, value) } else { Vec::new() };
            Inspection { served: Arc::clone(served), lookup, body, values }
        })
    }

    /// The values of the record that holds `value` under `index`.
    fn values_of(&self, index: &str, value: &str) -> Vec<IndexValue> {
        let segments = self.segments.load();
        let Some(number) = self.number_of(index) else { return Vec::new() };
        let Some(requested) = self.definitions()[number].requested(value) else { return Vec::new() };
        let Located::At(at) = self.indexes[number].locate(&segments, &requested) else { return Vec::new() };
        let looked_up =
            self.definitions().iter().zip(&self.indexes).filter(|(_, index)| index.is_looked_up());
        let values_of = |index: &Index| index.values_at(&segments, at).into_iter().flatten().take(VALUES_MAX);
        let shown = looked_up.flat_map(|(definition, index)| {
            values_of(index).map(|value| IndexValue {
                index: definition.name.clone(),
                value: value.to_owned(),
                finds: index.locate(&segments, value) == Located::At(at),
            })
        });
        shown.collect()
    }
}
