//! Reads `[secrets]`.

use std::path::Path;

use super::SecretKeys;
use crate::settings::{Declaration, Section, read_bounded};

/// The section.
pub(crate) const SECTION: Declaration = Declaration::reloadable("secrets");

/// Largest file of keys: hundreds of them.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The keys; a relative path is from `dir`. A file that does not exist has no key: what is encrypted with it has a fault
/// of its own.
pub(crate) fn read(section: &Section<'_>, dir: &Path) -> Option<SecretKeys> {
    section
        .read("key_file", |item| {
            let path = item.file_path(dir)?;
            match read_bounded(&path, FILE_BYTES_MAX) {
                Ok(text) => SecretKeys::parse(&text).map_or_else(|why| item.fail(why, None), Some),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(SecretKeys::default()),
                Err(error) => item.fail(format!("cannot be read: {error}"), None),
            }
        })
        .zip(section.read("key", |item| {
            SecretKeys::parse(item.string()?).map_or_else(|why| item.fail(why, None), Some)
        }))
        .and_then(|keys| match keys {
            (Some(_), Some(_)) => section.fail("has key and key_file", "keep one of them".to_owned()),
            (file, key) => Some(file.or(key).unwrap_or_default()),
        })
}
