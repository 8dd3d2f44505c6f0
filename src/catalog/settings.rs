//! Settings of the catalog.

use std::path::PathBuf;

use super::VerifyKey;

/// How a node signs, verifies and retains.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number of versions of a collection whose manifest and segments are retained (10).
    pub keep_versions: usize,
    /// The key that this node signs announcements with.
    pub signing_key_file: Option<PathBuf>,
    /// The keys whose announcements this node accepts. If empty, it accepts all announcements.
    pub verify_keys: Vec<VerifyKey>,
}
