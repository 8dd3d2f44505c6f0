//! Use-cases shared by commands and the admin API.

mod check;
mod error;
pub mod fleet;
mod keys;
mod preview;
mod publisher;
mod status;
mod sync;

pub use check::{Checked, check_sync};
pub use error::Error;
pub use keys::NewKey;
pub use preview::preview;
pub use publisher::{Publisher, settle_deployment};
pub use status::{CollectionStatus, Status};
