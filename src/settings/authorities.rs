//! Certificates of authorities that a client trusts beside those of the machine.

use std::{fs, io, path::Path};

use reqwest::Certificate;

use super::item::Item;

/// Reads the PEM file at `path`, which the value of `item` names.
pub(crate) fn read_authorities(item: &Item<'_>, path: &Path) -> Option<Vec<Certificate>> {
    certificates(&fs::read(path)).map_or_else(|fault| item.fail(fault, None), Some)
}

/// All certificates of a file in PEM form, at least one, or what is wrong with it.
pub(crate) fn certificates(content: &io::Result<Vec<u8>>) -> Result<Vec<Certificate>, String> {
    let pem = content.as_ref().map_err(|error| format!("cannot be read: {error}"))?;
    let found = Certificate::from_pem_bundle(pem).unwrap_or_default();
    if found.is_empty() { Err("holds no certificate in PEM form".to_owned()) } else { Ok(found) }
}
