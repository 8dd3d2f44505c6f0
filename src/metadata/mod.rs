//! The metadata database: keys, runs, rejected rows, audit log, leases.

mod settings;

pub use settings::Settings;
