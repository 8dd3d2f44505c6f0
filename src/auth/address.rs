//! Addresses of services that credentials and keys come from or go to.

use std::net::IpAddr;

use reqwest::Url;

use crate::settings::{
    item::Item,
    url::{ENCODE_HINT, find_unencoded},
};

/// The address that the host of `url` is, if it is one.
pub(super) fn ip_address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether `url` is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let is_loopback = ip_address(url).is_some_and(|address| address.to_canonical().is_loopback());
    is_loopback || url.host_str() == Some("localhost")
}

/// Reads a URL of `https`, or of `http` to a loopback address, without a user.
pub(super) fn secure_url(item: &Item<'_>) -> Option<Url> {
    let text = item.url()?;
    if let Some(fault) = find_unencoded(text) {
        return item.fail(fault, ENCODE_HINT.to_owned());
    }
    let url = match Url::parse(text) {
        Ok(url) if url.username().is_empty() && url.password().is_none() => url,
        _ => return item.fail("is no URL", "write \"https://host/path\", without a user".to_owned()),
    };
    match url.scheme() {
        "https" => Some(url),
        "http" if is_loopback(&url) => Some(url),
        _ => item.fail("must be https, or http to a loopback address", None),
    }
}
