//! The object store: segments, manifests and the catalog; publishing, announcing, retention.

mod settings;

pub use settings::{Location, Settings};
