//! Connections to Postgres as sources and metadata make them: certificates, poolers, silent networks, secrets.

mod certificates;
mod poolers;
mod secrets;
mod silence;

use larder::source::Source;

pub(super) use crate::support::postgres::metadata_settings as metadata;
use crate::support::source::open;

/// The URL as a source.
fn source(url: &str) -> Source {
    open(&format!("type = \"postgres\"\nurl = {url:?}\n"))
}
