//! The catalog: numbered documents that decide what is visible, and the manifests and key sets they refer to.
//!
//! The [`Announcer`] creates documents, followers read them. Nothing found in the store is used before its
//! SHA-256 and its shape are checked, and no text found in the store is used as an address.

mod announce;
mod authority;
mod compression;
mod copies;
mod decode;
mod error;
mod fleet;
mod freshness;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod paths;
mod publish;
mod read;
mod reconcile;
mod repair;
mod retention;
mod settings;
mod signature;
mod versions;

pub use announce::{
    AnnounceError, Announced, Announcer, AnnouncerHandle, AnnouncerPace, CHANGES_WAITING_MAX, Change,
};
pub use authority::Authority;
pub use decode::{key_set as decode_key_set, manifest as decode_manifest};
pub use error::Error;
pub use fleet::{Ages, Fleet, FleetNode, NODES_MAX, STATUS_BYTES_MAX, StatusStore};
pub use freshness::{FreshnessByCollection, record_freshness};
pub use paths::reserved_directory;
pub use publish::SegmentDraft;
pub use read::{Catalog, HeadAnswer};
pub use reconcile::RunAnnouncement;
pub use repair::LastReadable;
pub use retention::{Deletions, Retention, RetentionRules, lowest_kept};
pub use settings::Settings;
pub use signature::{SigningKeys, VerifyKey};
