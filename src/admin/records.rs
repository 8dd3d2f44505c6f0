//! Looking up one record for an operator, in the memory of a node.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::{IndexValue, Principal, Publisher, error::Error, listed};
use crate::{
    cache::{Cache, Collection, Inspection, Lookup, Slot},
    domain::{
        CollectionName, IndexDefinition, RegionName, Version,
        hash::{IndexHash, ValueHasher},
    },
};

/// The records that this node serves. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Records(Cache);

/// What a look-up has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordView {
    /// The version that the node serves.
    pub version: Version,
    /// When the source had its content.
    pub data_as_of: DateTime<Utc>,
    /// The record as JSON; `None` when no record holds the value.
    pub body: Option<String>,
    /// The values of the record under all indexes.
    pub values: Vec<IndexValue>,
}

impl Records {
    /// The records of `cache`.
    pub fn new(cache: Cache) -> Self {
        Self(cache)
    }

    /// Looks `value` up under `index`. If the index has hashes, the hash of the value is looked up. The audit log
    /// records the principal and the index, never the value.
    ///
    /// # Errors
    /// [`Error::NoRecordsHere`], [`Error::NotLoaded`], [`Error::ServedElsewhere`], [`Error::UnknownIndex`],
    /// [`Error::HashSecretMissing`].
    pub async fn find(
        &self,
        publisher: &Publisher,
        name: &CollectionName,
        index: &str,
        value: &str,
        principal: &Principal,
    ) -> Result<RecordView, Error> {
        let collection = match self.0.collection(name.as_str()) {
            Slot::Loaded(collection) => collection,
            Slot::Loading => return Err(Error::NotLoaded(name.clone())),
            Slot::Unknown => return Err(Error::NoRecordsHere(name.clone())),
            Slot::OtherRegion(regions) => {
                let regions = listed(regions.iter().map(RegionName::as_str));
                return Err(Error::ServedElsewhere { collection: name.clone(), regions });
            }
        };
        let manifest = collection.state().manifest.clone();
        let mut looked_up = manifest.indexes.iter().filter(|index| !index.is_order);
        let Some(definition) = looked_up.clone().find(|known| known.name.as_str() == index) else {
            let known = listed(looked_up.by_ref().map(|index| index.name.as_str()));
            return Err(Error::UnknownIndex { collection: name.clone(), index: index.to_owned(), known });
        };
        let text = text_to_look_up(publisher, name, definition, value)?;
        let act = async { view(&collection, index, &text) };
        let describe = |view: &RecordView| {
            let outcome = if view.body.is_some() { "found" } else { "not found" };
            format!("by {index}: {outcome}")
        };
        publisher.audited(principal, "record.show", name, act, describe).await
    }
}

fn view(collection: &Collection, index: &str, text: &str) -> Result<RecordView, Error> {
    let Inspection { served, lookup, body, values } = collection.inspect(index, text);
    let body = match lookup {
        Lookup::Hit { .. } => Some(String::from_utf8_lossy(&body).into_owned()),
        Lookup::Miss | Lookup::UnknownIndex => None,
        Lookup::Unreadable(error) => return Err(error.into()),
    };
    Ok(RecordView { version: served.manifest.version, data_as_of: served.data_as_of, body, values })
}

/// The text by which `value` is looked up: its hash, of an index with hashes.
fn text_to_look_up<'a>(
    publisher: &Publisher,
    name: &CollectionName,
    definition: &IndexDefinition,
    value: &'a str,
) -> Result<Cow<'a, str>, Error> {
    let Some(hash) = &definition.hash else { return Ok(Cow::Borrowed(value)) };
    match hasher(publisher, name, hash) {
        // A value that no record can have is no hash.
        Some(hasher) => {
            Ok(definition.normalized(value).map_or_else(String::new, |value| hasher.hash(&value)).into())
        }
        None if definition.requested(value).is_some() => Ok(Cow::Borrowed(value)),
        None => Err(Error::HashSecretMissing { index: definition.name.clone() }),
    }
}

/// The hasher of an index: that of SHA-256, or one with the secret of the sync.
fn hasher(publisher: &Publisher, name: &CollectionName, hash: &IndexHash) -> Option<ValueHasher> {
    let of_sync = || {
        let sync = publisher.registry.find(name.as_str()).ok()?;
        let hashers = sync.spec.mapping.indexes.into_iter().filter_map(|index| index.hash);
        hashers.into_iter().find(|hasher| hasher.definition() == *hash)
    };
    ValueHasher::of(hash, &[]).or_else(of_sync)
}
