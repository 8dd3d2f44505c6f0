//! The follower: polls the catalog, fetches what it lacks, applies it to the cache.

mod settings;

pub use settings::Settings;
