//! The follower: polls the catalog, fetches new content and applies it to what is served.
//!
//! It needs only the object store. Without the store it serves its local state, also after a restart.
//! Key sets never wait for collections. A collection never waits for another collection's download.

mod cache_target;
mod error;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod identity;
mod local;
mod pace;
mod plan;
mod poll;
mod readiness;
mod reporter;
mod service;
mod settings;
mod target;
mod tracked;

pub use cache_target::CacheTarget;
pub use error::Error;
pub use identity::node_id;
pub use local::{kept_document, kept_manifests};
pub use pace::Pace;
pub use plan::{Plan, plan};
pub use reporter::{ReportPace, Reporter};
pub use service::{Replica, ReplicaHandle};
pub use settings::Settings;
pub(crate) use settings::read_poll_interval;
pub use target::{Exchange, Refusal, Target};
