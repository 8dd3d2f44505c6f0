//! What is visible: numbered catalog documents, and the manifests and key sets that they name.
//!
//! What is visible is decided by catalog documents alone; [`Announcer`] creates them, a follower reads them.
//! Nothing found in the store is used before its SHA-256 and its shape are checked.

mod announce;
mod decode;
mod fleet;
mod freshness;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod publish;
mod read;
mod reconcile;
pub mod retention;
mod versions;

pub use announce::{AnnounceError, Announced, Announcer, AnnouncerHandle, CHANGES_WAITING_MAX, Change, Pace};
pub use decode::{key_set as decode_key_set, manifest as decode_manifest};
pub use fleet::{Ages, Fleet, FleetNode, NODES_MAX, STATUS_BYTES_MAX, StatusStore};
pub use freshness::{Fresh, remember};
pub use publish::{Content, SegmentDraft, publish_key_set, publish_manifest, publish_segment};
pub use read::HeadAnswer;
pub use reconcile::Settled;
