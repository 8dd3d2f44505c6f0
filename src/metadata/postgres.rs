//! The Postgres database: migrated by command, opened only at exactly this build's schema.
//!
//! The migrator of sqlx is not used: its prepared statements and its lock belong to a session, and a pooler gives
//! each transaction another one.

use std::time::Duration;

use sqlx::{Row as _, migrate::AppliedMigration, query, raw_sql};

use super::{
    Error, Metadata,
    database::{Connections, Database, answer},
    pool::{self, Pool},
    schema,
};
use crate::{
    postgres::{Connection, Parameters},
    support::clock::Clock,
};

/// Makes processes that migrate at once wait for one another. Any number that no other program uses.
const MIGRATION_LOCK: &str = "select pg_catalog.pg_advisory_xact_lock(7810766372001)";
/// The table of applied migrations, as sqlx has it.
const MIGRATIONS_TABLE: &str = "create table if not exists _sqlx_migrations (
    version bigint primary key,
    description text not null,
    installed_on timestamptz not null default now(),
    success boolean not null,
    checksum bytea not null,
    execution_time bigint not null
)";
const RECORD: &str = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
    values ($1, $2, true, $3, -1)";

/// Applies the missing migrations, all or none, within `limit`.
pub(super) async fn migrate(parameters: &Parameters, limit: Duration) -> Result<(), Error> {
    let migrated = tokio::time::timeout(limit, Box::pin(apply(parameters))).await;
    migrated.unwrap_or(Err(Error::TimedOut { doing: "migrating", limit }))
}

async fn apply(parameters: &Parameters) -> Result<(), Error> {
    let mut connection = pool::connect(parameters).await?;
    pool::run(
        &mut connection,
        format!("begin; {MIGRATION_LOCK}; set local client_min_messages = warning; {MIGRATIONS_TABLE}"),
    )
    .await?;
    let applied = applied(&mut connection).await?;
    match schema::compare(&schema::POSTGRES, &applied) {
        Err(Error::NotMigrated { .. }) => {}
        done => return done,
    }
    let is_missing = |version: i64| applied.iter().all(|one| one.version != version);
    for migration in schema::POSTGRES.iter().filter(|one| is_missing(one.version)) {
        raw_sql(migration.sql.clone()).execute(&mut *connection).await?;
        let record = query(RECORD)
            .bind(migration.version)
            .bind(migration.description.as_ref())
            .bind(migration.checksum.as_ref());
        record.persistent(false).execute(&mut *connection).await?;
    }
    pool::run(&mut connection, "commit".to_owned()).await?;
    connection.close().await.map_err(Error::from)
}

/// Opens the database, whose schema must be this build's.
pub(super) async fn open(parameters: &Parameters, clock: Clock) -> Result<Metadata, Error> {
    let mut connection = pool::connect(parameters).await?;
    answer(async {
        pool::run(&mut connection, "begin read only".to_owned()).await?;
        let exists = raw_sql("select pg_catalog.to_regclass('_sqlx_migrations') is not null");
        let exists = exists.fetch_one(&mut *connection).await?.try_get::<bool, _>(0)?;
        let applied = if exists { applied(&mut connection).await? } else { Vec::new() };
        pool::run(&mut connection, "rollback".to_owned()).await?;
        schema::compare(&schema::POSTGRES, &applied)
    })
    .await?;
    connection.close().await?;
    let database = Database::new(Connections::Postgres(Pool::new(parameters.clone())));
    Ok(Metadata { database, clock, locks: None })
}

async fn applied(connection: &mut Connection) -> Result<Vec<AppliedMigration>, Error> {
    let rows = raw_sql("select version, checksum from _sqlx_migrations order by version");
    let rows = rows.fetch_all(&mut **connection).await?;
    let migration = |row: &sqlx::postgres::PgRow| -> Result<_, Error> {
        let checksum: Vec<u8> = row.try_get(1)?;
        Ok(AppliedMigration { version: row.try_get(0)?, checksum: checksum.into() })
    };
    rows.iter().map(migration).collect()
}
