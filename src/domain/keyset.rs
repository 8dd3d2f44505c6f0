//! API keys as nodes know them: the digest of a key and what it grants, never the key itself.

use std::{collections::BTreeMap, num::NonZeroU32};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    bounded::{list, list_or_null, map},
    digest::Digest,
    fields::FieldLimit,
    limits::{COLLECTION_LIMITS_MAX, COLLECTIONS_MAX, INDEXES_MAX, KEYS_MAX, NETWORKS_MAX},
    name::{CollectionName, IndexName},
    network::Network,
};

/// The collections that a key grants access to.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every collection, present and future.
    AllCollections,
    /// These collections only.
    Collections(#[serde(deserialize_with = "list::<_, _, COLLECTIONS_MAX>")] Vec<CollectionName>),
}

impl Scope {
    /// Whether the key grants access to `collection`.
    pub fn opens(&self, collection: &str) -> bool {
        match self {
            Self::AllCollections => true,
            Self::Collections(names) => names.iter().any(|name| name.as_str() == collection),
        }
    }
}

/// Requests of a key on one node.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a second.
    #[schema(value_type = u32, minimum = 1)]
    pub per_second: NonZeroU32,
    /// Requests at once, after a pause.
    #[schema(value_type = u32, minimum = 1)]
    pub burst: NonZeroU32,
}

/// What limits a key beside its collections. `None` is no limit. A node refuses a key with a limit that it does not
/// know.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyLimits {
    /// The indexes that the key may look values up in.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "list_or_null::<_, _, { 1 + INDEXES_MAX }>"
    )]
    pub indexes: Option<Vec<IndexName>>,
    /// The fields of records that the key may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<FieldLimit>,
    /// The fields of the records of some collections, in place of `fields`.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "map::<_, _, _, COLLECTION_LIMITS_MAX>"
    )]
    pub collection_fields: BTreeMap<CollectionName, FieldLimit>,
    /// The networks that requests may come from.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "list_or_null::<_, _, NETWORKS_MAX>"
    )]
    pub networks: Option<Vec<Network>>,
    /// A rate of its own, instead of the node's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateLimit>,
    /// A request over the rate is answered like a miss instead of 429.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_throttle_status: bool,
}

impl KeyLimits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The secret that a key had before its rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviousSecret {
    /// SHA-256 of the key's whole text with that secret.
    pub sha256: Digest,
    /// When it ends to work.
    pub expires_at: DateTime<Utc>,
}

/// One API key. A node refuses an entry with an unknown member: a restriction that this build does not
/// know must not be ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// The 12 characters after `lrd_`.
    pub id: String,
    /// SHA-256 of the key's whole text.
    pub sha256: Digest,
    /// The operator's name for it.
    pub name: String,
    /// The collections that it grants access to.
    pub grant: Scope,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it expires; `None` means never.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    /// What limits it further.
    #[serde(default, skip_serializing_if = "KeyLimits::is_empty")]
    pub limits: KeyLimits,
    /// Its secret before the last rotation, which works on for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousSecret>,
}

/// The key set object. Entries are raw JSON, so that one entry that cannot be read does not invalidate the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeySetDocument {
    /// Format number.
    pub format: u32,
    /// Increases with every change.
    pub revision: u64,
    /// Valid keys; revoked ones are absent.
    #[serde(deserialize_with = "list::<_, _, KEYS_MAX>")]
    pub keys: Vec<serde_json::Value>,
}

/// A key set as read: the entries that this build understands, and the number of refused entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySet {
    /// Its revision; 0 means that no key set has been announced.
    pub revision: u64,
    /// Entries that this build understands completely.
    pub keys: Vec<KeyEntry>,
    /// Entries refused because of an unknown member or an invalid value.
    pub refused: usize,
}

impl KeyEntry {
    /// What the key opens, for people.
    pub fn opens(&self) -> String {
        opens(&self.grant, &self.limits)
    }
}

/// What a key with this grant and these limits opens, for people.
pub fn opens(grant: &Scope, limits: &KeyLimits) -> String {
    let mut text = match grant {
        Scope::AllCollections => "all collections".to_owned(),
        Scope::Collections(names) => joined(names),
    };
    let KeyLimits { indexes, fields, collection_fields, networks, rate, never_throttle_status } = limits;
    if let Some(indexes) = indexes {
        text += &format!("; indexes {}", joined(indexes));
    }
    if let Some(fields) = fields {
        text += &format!("; {}", in_words(fields));
    }
    for (collection, fields) in collection_fields {
        text += &format!("; {collection}: {}", in_words(fields));
    }
    if let Some(networks) = networks {
        text += &format!("; from {}", joined(networks));
    }
    if let Some(RateLimit { per_second, burst }) = rate {
        text += &format!("; {per_second}/s, burst {burst}");
    }
    if *never_throttle_status {
        text += "; never 429";
    }
    text
}

fn in_words(fields: &FieldLimit) -> String {
    match fields {
        FieldLimit::Only(paths) => format!("fields {}", joined(paths)),
        FieldLimit::Without(paths) => format!("without {}", joined(paths)),
    }
}

fn joined(names: &[impl ToString]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl From<KeySetDocument> for KeySet {
    fn from(document: KeySetDocument) -> Self {
        let total = document.keys.len();
        let keys: Vec<KeyEntry> =
            document.keys.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect();
        Self { revision: document.revision, refused: total - keys.len(), keys }
    }
}

impl KeySetDocument {
    /// The document of `keys` at `revision`.
    pub fn new(revision: u64, keys: &[KeyEntry]) -> Self {
        let keys =
            keys.iter().map(|key| serde_json::to_value(key).expect("a key entry is plain JSON")).collect();
        Self { format: super::limits::FORMAT, revision, keys }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_an_unknown_member_is_refused_and_the_others_stay() {
        let text = r#"{"format":1,"revision":3,"keys":[
            {"id":"a","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","name":"n",
             "grant":"all_collections","created_at":"2026-01-01T00:00:00Z"},
            {"id":"b","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","name":"n",
             "grant":{"collections":["c"]},"created_at":"2026-01-01T00:00:00Z","ip_range":"10.0.0.0/8"},
            {"id":"c","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","name":"n",
             "grant":"all_collections","created_at":"2026-01-01T00:00:00Z","limits":{"hours":"9-17"}}]}"#;
        let set: KeySet = serde_json::from_str::<KeySetDocument>(text).unwrap().into();
        assert_eq!((set.revision, set.keys.len(), set.refused), (3, 1, 2));
        let again: KeySet = KeySetDocument::new(3, &set.keys).into();
        assert_eq!(again.keys, set.keys);
    }

    #[test]
    fn limits_are_members_of_an_entry_only_where_they_are_set() {
        let text = r#"{"id":"a","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","name":"n","grant":"all_collections","created_at":"2026-01-01T00:00:00Z","expires_at":null}"#;
        let mut entry: KeyEntry = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), text, "earlier builds know it");
        let limits = r#"{"indexes":["id"],"fields":{"without":["ssn","a.b"]},"collection_fields":{"customer":{"only":["name"]}},"networks":["10.0.0.0/8"],"rate":{"per_second":10,"burst":20},"never_throttle_status":true}"#;
        entry.limits = serde_json::from_str(limits).unwrap();
        entry.previous = Some(PreviousSecret { sha256: entry.sha256, expires_at: entry.created_at });
        let again = serde_json::to_string(&entry).unwrap();
        assert!(again.contains(&format!(r#""limits":{limits}"#)), "{again}");
        assert_eq!(serde_json::from_str::<KeyEntry>(&again).unwrap(), entry);
    }
}
