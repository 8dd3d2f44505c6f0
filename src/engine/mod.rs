//! The sync engine: stream, map, compare, guard, publish, announce.

mod settings;
mod spec;

pub use settings::Settings;
pub use spec::{Compression, GuardSettings, OnDelete, SyncSpec};
