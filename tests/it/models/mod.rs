//! Models that come from dbt, Looker and Sigma: real projects of dbt over Postgres and DuckDB, and services of our own.

mod after_dbt;
mod dbt;
mod dbt_cloud;
mod dbt_duckdb;
mod looker;
mod project;
mod sigma;

use larder::{domain::run::RunError, engine::RunOutcome};

use crate::support::node::{Node, Warehouse};

/// A node over a SQLite warehouse with one table `people`.
async fn node_with_people(sections: &str) -> Node {
    let directory = tempfile::TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse
        .execute("create table people (id integer primary key, name text); insert into people values (1, 'Ann'), (2, 'Bob')")
        .await;
    Node::start(directory, warehouse, sections).await
}

/// The error of a run that failed.
#[track_caller]
fn failed(outcome: &RunOutcome) -> RunError {
    outcome.record.error.clone().unwrap_or_else(|| panic!("{outcome:?}"))
}
