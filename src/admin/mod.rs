//! Use-cases shared by commands and the admin API.

mod approve;
mod audit;
mod check;
mod drop;
mod error;
pub mod fleet;
mod keys;
mod pin;
mod preview;
mod publisher;
mod rollback;
mod status;
mod sync;
mod versions;

pub use check::{Checked, check_sync};
pub use drop::Removed;
pub use error::Error;
pub use keys::NewKey;
pub use pin::{Pinned, Unpinned};
pub use preview::preview;
pub use publisher::{Publisher, settle_deployment};
pub use rollback::{RolledBack, resume};
pub use status::{CollectionStatus, Status};
