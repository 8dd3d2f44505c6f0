//! The follower: polls the catalog, fetches what it lacks, applies it to what is served.
//!
//! It needs the object store and nothing else, and without it goes on with what it has, also after
//! a restart. Key sets never wait for collections, one collection never for another's download.

mod apply;
mod bring;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod identity;
mod local;
mod look;
mod pace;
mod plan;
mod readiness;
mod reporter;
mod service;
mod settings;
mod target;
mod tracked;

pub use apply::CacheTarget;
pub use error::Error;
pub use identity::node_id;
pub use pace::Pace;
pub use plan::{Plan, plan};
pub use reporter::{ReportPace, Reporter};
pub use service::{Replica, ReplicaHandle};
pub use settings::Settings;
pub(crate) use settings::read_poll_interval;
pub use target::{Refusal, Target};
