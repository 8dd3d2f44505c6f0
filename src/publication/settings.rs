//! What the object store is told.

use std::path::PathBuf;

/// Where objects live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The store's location.
    pub location: Location,
    /// Versions of a collection whose manifest and segments are kept (10).
    pub keep_versions: usize,
}

/// A kind of store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A local directory, created 0700; every write is synced to disk.
    Directory(PathBuf),
}
