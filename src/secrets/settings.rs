//! Reads `[secrets]`.

use std::path::Path;

use super::SecretKeys;
use crate::settings::{Declaration, Section, read_bounded};

/// The section.
pub(crate) const SECTION: Declaration = Declaration::reloadable("secrets");

/// Largest file of keys: hundreds of them.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The keys; a relative path is from `dir`. A file that cannot be read, and a malformed key, are no fault of the
/// configuration: what is encrypted with a missing key has a fault of its own.
pub(crate) fn read(section: &Section<'_>, dir: &Path) -> Option<SecretKeys> {
    let file = section.read("key_file", |item| {
        let path = item.file_path(dir)?;
        Some(match read_bounded(&path, FILE_BYTES_MAX) {
            Ok(text) => SecretKeys::parse(&text),
            Err(error) => SecretKeys::unusable(&format!("{} cannot be read: {error}", path.display())),
        })
    });
    let key = section.read("key", |item| item.string().map(SecretKeys::parse));
    match (file?, key?) {
        (Some(_), Some(_)) => section.fail("has key and key_file", "keep one of them".to_owned()),
        (file, key) => Some(file.or(key).unwrap_or_default()),
    }
}
