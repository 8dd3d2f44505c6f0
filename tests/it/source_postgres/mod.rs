//! The Postgres source against a real server.

mod errors;
mod streams;
mod types;

use larder::source::{Query, SourceKind};

fn kind(url: String) -> SourceKind {
    SourceKind::Postgres { url: url.into() }
}

fn sql(text: &str) -> Query {
    Query::Sql(text.into())
}
