//! The Postgres source against a real server.

mod dialects;
mod errors;
mod settings;
mod streams;
mod types;

use larder::source::Query;

fn section(url: &str) -> String {
    format!("type = \"postgres\"\nurl = {url:?}\n")
}

fn sql(text: &str) -> Query {
    Query::Sql(text.into())
}
