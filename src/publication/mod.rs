//! The object store: segments, manifests and the catalog; publishing, announcing, retention.
//!
//! Everything that touches the store goes through [`Store`]. What is visible is decided by numbered
//! catalog documents alone; [`Announcer`] creates them, a follower reads them. Nothing found in the
//! store is used before its SHA-256 and its shape are checked, and no text found there is ever used
//! as an address.

mod announce;
mod backend;
mod buffer;
mod catalog;
mod decode;
mod directory;
mod error;
mod files;
mod fleet;
mod freshness;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod paths;
mod probe;
mod publish;
mod refusal;
pub mod retention;
mod room;
mod seal;
mod settings;
mod settle;
mod store;
mod transfer;
mod versions;

pub use announce::{AnnounceError, Announced, Announcer, AnnouncerHandle, CHANGES_WAITING_MAX, Change, Pace};
pub use buffer::Buffer;
pub use catalog::HeadAnswer;
pub use decode::{key_set as decode_key_set, manifest as decode_manifest};
pub use directory::SegmentDirectory;
pub use error::Error;
pub use files::ContentDirectory;
pub use fleet::{Ages, Fleet, FleetNode, NODES_MAX, STATUS_BYTES_MAX, StatusStore};
pub use freshness::{Fresh, remember};
pub use publish::{Content, SegmentDraft, publish_key_set, publish_manifest, publish_segment};
pub use room::Need;
pub use seal::{Seal, VerifyKey};
pub use settings::{Bucket, Location, Service, Settings};
pub use settle::Settled;
pub use store::Store;
