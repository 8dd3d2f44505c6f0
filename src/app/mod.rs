//! Composition root: roles, listeners, tasks, shutdown order. Only this module starts long-lived
//! tasks.

mod check;
mod descriptors;
mod housekeeping;
mod parts;
mod process;
mod publisher;
mod publishing;
mod server;
mod signals;

pub use check::{check_metadata, check_read_store, check_signing_key, check_statuses, check_store};
pub use descriptors::provide as provide_descriptors;
pub use parts::{open_known_store, open_metadata, open_statuses};
pub use process::PublisherProcess;
pub use server::Server;
pub use signals::Signals;
