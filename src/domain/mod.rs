//! Nouns, pure: names, ids, rows, documents. No clock, no randomness, no files, no async.

/// Implements serde for a type by its text: `Display` writes it, `FromStr` reads it.
macro_rules! serde_by_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub mod admin_key;
pub(crate) mod bounded;
pub mod catalog;
pub mod compound;
pub mod cursor;
pub mod digest;
pub mod duration;
pub mod error;
pub mod fields;
pub mod hash;
pub mod id;
pub mod index;
pub mod json;
pub mod keyset;
pub mod label;
pub mod limits;
pub mod manifest;
pub mod name;
pub mod network;
pub(crate) mod object;
pub mod principal;
pub mod rates;
pub mod record;
pub mod reject;
pub mod row;
pub mod run;
pub mod session;
pub mod sortable;
pub mod stored;

pub use admin_key::{AdminKeyEntry, AdminRole};
pub use catalog::{CatalogDocument, CollectionEntry, Freshness, Head, KeySetReference, Pause};
pub use digest::{Digest, Hasher};
pub use error::ErrorKind;
pub(crate) use error::codes;
pub use id::{AnnouncementId, DeploymentId, InvalidId, MetadataId, NodeId, OperationId, RunId};
pub use index::{IndexDefinition, NormalForm};
pub use keyset::{KeyEntry, KeySet, KeySetDocument, Scope};
pub use label::{InvalidLabel, Label};
pub use manifest::{
    Configuration, Manifest, OnMiss, SegmentKind, SegmentReference, ServingSettings, Version,
};
pub use name::{CollectionName, IndexName, InvalidName, RegionName};
pub(crate) use object::Object;
pub use principal::Principal;
pub use rates::RequestRates;
pub use record::{IndexValues, Record, RecordFlags};
pub use reject::{RejectReason, Rejection};
pub use row::{CellKind, Column, ColumnKind, RowBatch};
pub use run::{RejectedRow, RunCounts, RunError, RunProgress, RunRecord, RunStatus};
pub use session::{LoginLinkEntry, SessionEntry};
pub use stored::{StoredName, StoredSection};
