//! Which adapters of dbt write to which types of sources.

use crate::model::error::Error;

/// Adapters of each source type beside the one of its own name. A source of any driver may be any database.
const ADAPTERS: [(&str, &[&str]); 7] = [
    (
        "postgres",
        &["redshift", "materialize", "risingwave", "greenplum", "cratedb", "timescaledb", "yellowbrick"],
    ),
    ("mysql", &["mysql5", "mariadb", "tidb", "singlestore", "starrocks", "doris"]),
    ("mssql", &["sqlserver", "synapse", "fabric"]),
    ("sqlserver", &["mssql", "synapse", "fabric"]),
    ("flightsql", &["dremio", "starrocks", "doris"]),
    ("databricks", &["spark"]),
    ("trino", &["starburst", "presto"]),
];

/// Refuses a project whose adapter writes to another kind of database than the source's.
pub(super) fn check(project: &str, adapter: &str, source_type: &str) -> Result<(), Error> {
    let more = ADAPTERS.iter().find(|(name, _)| *name == source_type).map_or(&[][..], |(_, more)| *more);
    if adapter == source_type || source_type == "adbc" || more.contains(&adapter) {
        return Ok(());
    }
    Err(Error::DbtAdapterMismatch {
        project: project.to_owned(),
        adapter: adapter.to_owned(),
        source_type: source_type.to_owned(),
    })
}
