//! API keys as nodes know them: the digest of a key and the collections that it grants, never the key itself.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    bounded::list,
    digest::Digest,
    limits::{COLLECTIONS_MAX, KEYS_MAX},
    name::CollectionName,
};

/// The collections that a key grants access to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// Every collection, present and future.
    AllCollections,
    /// These collections only.
    Collections(#[serde(deserialize_with = "list::<_, _, COLLECTIONS_MAX>")] Vec<CollectionName>),
}

impl Grant {
    /// Whether the key grants access to `collection`.
    pub fn opens(&self, collection: &str) -> bool {
        match self {
            Self::AllCollections => true,
            Self::Collections(names) => names.iter().any(|name| name.as_str() == collection),
        }
    }
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
    pub grant: Grant,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it expires; `None` means never.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
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
             "grant":{"collections":["c"]},"created_at":"2026-01-01T00:00:00Z","ip_range":"10.0.0.0/8"}]}"#;
        let set: KeySet = serde_json::from_str::<KeySetDocument>(text).unwrap().into();
        assert_eq!((set.revision, set.keys.len(), set.refused), (3, 1, 1));
        let again: KeySet = KeySetDocument::new(3, &set.keys).into();
        assert_eq!(again.keys, set.keys);
    }
}
