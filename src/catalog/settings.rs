//! Settings of the catalog.

use std::path::{Path, PathBuf};

use super::VerifyKey;
use crate::settings::{Declaration, Item, Section};

/// Most versions retained: each retains its segments.
const KEEP_VERSIONS_MAX: u64 = 10_000;

/// How a node signs, verifies and retains.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number of versions of a collection whose manifest and segments are retained (10).
    pub keep_versions: usize,
    /// The key that this node signs announcements with.
    pub signing_key_file: Option<PathBuf>,
    /// Whether this node may announce without a signature after a signed announcement.
    pub allows_unsigned: bool,
    /// The keys whose announcements this node accepts. If empty, it accepts all announcements.
    pub verify_keys: Vec<VerifyKey>,
}

impl Settings {
    /// The section of the signing settings.
    pub(crate) const SECTION: Declaration = Declaration::read_at_start("publication");

    /// Reads `keep_versions` of `[storage]`, and `[publication]`, whose relative paths are from `dir`.
    pub(crate) fn read(
        storage: &Section<'_>,
        publication: &Section<'_>,
        dir: &Path,
        is_publisher: bool,
    ) -> Option<Self> {
        let keep_versions = storage.set("keep_versions").and_then(|item| item.count(1..=KEEP_VERSIONS_MAX));
        let signing_key_file = publication.read("signing_key_file", |item| item.file_path(dir));
        let allows_unsigned = publication.read("allow_unsigned", Item::boolean);
        let verify_keys = publication.read("verify_key", |item| {
            let keys = item.list(|item| item.parsed("an Ed25519 public key", VerifyKey::parse))?;
            // An empty list would accept all, and looks as if it accepted none.
            if keys.is_empty() {
                return item.fail(
                    "names no key",
                    "leave it out to accept unsigned documents, or name a key".to_owned(),
                );
            }
            Some(keys)
        });
        if let (Some(None), Some(Some(_)), true) = (&signing_key_file, &verify_keys, is_publisher) {
            return publication.fail(
                "has verify_key without signing_key_file on a node that publishes",
                "it would refuse its own announcements; add signing_key_file".to_owned(),
            );
        }
        Some(Self {
            keep_versions: usize::try_from(keep_versions?).ok()?,
            signing_key_file: signing_key_file?,
            allows_unsigned: allows_unsigned?.unwrap_or(false),
            verify_keys: verify_keys?.unwrap_or_default(),
        })
    }
}
