//! Sources and metadata behind a real `PgBouncer`.

use larder::{metadata::Metadata, support::clock::Clock};
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgConnectOptions, raw_sql};

use super::{metadata, source};
use crate::support::{pgbouncer::PgBouncer, postgres::Postgres, source::read};

/// Settings that a session of another client has.
const SESSION: &str = "select name || '=' || setting from pg_settings where source = 'session' \
    and name not in ('client_encoding', 'DateStyle', 'TimeZone', 'application_name', 'standard_conforming_strings') \
    union all select 'prepared ' || name from pg_prepared_statements";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_and_metadata_work_behind_pgbouncer() {
    let database = Postgres::database().await;
    database.execute("create table t as select i as id, i * 1.1::float8 as x, array[i] as a from generate_series(1, 5000) i").await;
    let direct = read(&source(&database.url()), "select * from t order by id").await.unwrap().rows();
    for pool_mode in ["session", "transaction"] {
        let own = Postgres::database().await;
        let pooler = PgBouncer::start(&own, pool_mode, "").await;
        let settings = metadata(&pooler.url());
        Metadata::migrate(&settings).await.unwrap();
        Metadata::migrate(&settings).await.unwrap();
        crate::metadata::story(&settings).await;
        // Fewer connections than clients, so that clients share them.
        let pooler = PgBouncer::start(&database, pool_mode, "default_pool_size = 2\n").await;
        let pooled = source(&pooler.url());
        let reads = (0..5).map(|_| read(&pooled, "select * from t order by id"));
        for rows in futures::future::join_all(reads).await {
            assert_eq!(rows.unwrap().rows(), direct, "{pool_mode}");
        }
        assert!(read(&pooled, "select 1 / (id - 3) as x from t").await.is_err());

        let options: PgConnectOptions = pooler.url().parse().unwrap();
        let mut client = PgConnection::connect_with(&options.extra_float_digits(None)).await.unwrap();
        let left = raw_sql(SESSION).fetch_all(&mut client).await.unwrap();
        let left: Vec<String> = left.iter().map(|row| row.get(0)).collect();
        assert_eq!(left, Vec::<String>::new(), "{pool_mode}");
    }
}

#[tokio::test]
async fn statement_pooling_is_refused_by_name() {
    let database = Postgres::database().await;
    let pooler = PgBouncer::start(&database, "statement", "").await;
    let error = read(&source(&pooler.url()), "select 1 as id").await.unwrap_err();
    assert_eq!(error.code(), "source_statement_pooling", "{error}");
    let settings = metadata(&pooler.url());
    let error = Metadata::migrate(&settings).await.unwrap_err();
    assert_eq!(error.code(), "metadata_statement_pooling", "{error}");
    let error = Metadata::open(&settings, Clock::default()).await.unwrap_err();
    assert_eq!(error.code(), "metadata_statement_pooling", "{error}");
}
