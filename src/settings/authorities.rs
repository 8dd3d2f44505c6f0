//! Certificates of authorities that a client trusts beside those of the machine.

use std::{fs, path::Path};

use reqwest::Certificate;

use super::item::Item;

/// Reads the PEM file at `path`, which the value of `item` names.
pub(crate) fn read_authorities(item: &Item<'_>, path: &Path) -> Option<Vec<Certificate>> {
    match fs::read(path).map(|pem| Certificate::from_pem_bundle(&pem)) {
        Ok(Ok(found)) if !found.is_empty() => Some(found),
        Ok(_) => item.fail("holds no certificate in PEM form", None),
        Err(error) => item.fail(format!("cannot be read: {error}"), None),
    }
}
