//! Composition root: roles, listeners, tasks, shutdown order. Only this module starts long-lived
//! tasks.

mod check;
mod code;
mod descriptors;
mod housekeeping;
mod key_usage;
mod parts;
mod process;
mod publisher;
mod publishing;
mod repair;
mod server;
mod signals;
mod stored;
mod supervisor;
mod syncs;

pub use check::{Checked, Fault, check_configuration, check_files};
pub use code::code_of;
pub use descriptors::provide as provide_descriptors;
pub use parts::{migrate_metadata, open_admin, open_overview, open_registry};
pub use process::PublisherProcess;
pub use repair::{housekeeping, repair};
pub use server::Server;
pub use signals::Signals;
pub use stored::{open_layered, without_stored};
pub use supervisor::{Supervision, TASK_FAILED, TaskFault, TaskFaults};
