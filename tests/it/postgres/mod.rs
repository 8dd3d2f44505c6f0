//! Connections to Postgres as sources and metadata make them: certificates, poolers, silent networks, secrets.

mod certificates;
mod poolers;
mod secrets;
mod silence;

use std::path::Path;

use larder::{
    metadata::Settings,
    postgres::{Parameters, relative_to},
    source::Source,
};

use crate::support::source::open;

/// The URL as a source.
fn source(url: &str) -> Source {
    open(&format!("type = \"postgres\"\nurl = {url:?}\n"))
}

/// The URL as that of the metadata database.
fn metadata(url: &str) -> Settings {
    let parameters = Parameters::parse(url, &relative_to(Path::new(""))).unwrap();
    Settings::Postgres(Box::new(parameters))
}
