//! HTTP: the read contract, health, metrics.

mod settings;

pub use settings::Settings;
