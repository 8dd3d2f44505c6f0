//! The story on a real Postgres, and what only a server has: migrations by command, refusals.

use std::time::Duration;

use larder::{
    domain::{error::ErrorKind, keyset::Scope},
    metadata::{Error, Metadata, Settings},
};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions, raw_sql};

use super::{clock, keys::key, story};
use crate::support::{
    node::tester,
    postgres::{Database, Postgres, metadata_settings as settings},
    proxy::{NetworkFault, Proxy},
};

async fn migrated() -> (Database, Settings) {
    let database = Postgres::database().await;
    let settings = settings(&database.url());
    Metadata::migrate(&settings).await.unwrap();
    (database, settings)
}

async fn refusal(url: String) -> Error {
    Metadata::open(&settings(&url), clock()).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_on_postgres() {
    let (_database, settings) = migrated().await;
    story(&settings).await;
}

#[tokio::test]
async fn a_migration_without_an_answer_ends() {
    let database = Postgres::database().await;
    let settings = settings(&database.url());
    // Another process that migrates hangs.
    let options: PgConnectOptions = database.url().parse().unwrap();
    let mut other = PgConnection::connect_with(&options).await.unwrap();
    raw_sql("begin; select pg_advisory_xact_lock(7810766372001)").execute(&mut other).await.unwrap();
    let error = Metadata::migrate_within(&settings, Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "metadata_unavailable"), "{error}");
    assert!(error.to_string().contains("within 1 s (migrating)"), "{error}");
    // Nothing of it stays.
    other.close().await.unwrap();
    Metadata::migrate(&settings).await.unwrap();
}

#[tokio::test]
async fn a_database_is_migrated_by_command_only() {
    let database = Postgres::database().await;
    let settings = settings(&database.url());
    let error = Metadata::open(&settings, clock()).await.unwrap_err();
    assert!(matches!(error, Error::NotMigrated { found: 0, .. }), "{error}");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "metadata_not_migrated"));
    assert!(error.to_string().contains("larder migrate"), "{error}");
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(database.value(tables).await.as_deref(), Some("0"), "opening leaves no trace");

    let (one, two) = tokio::join!(Metadata::migrate(&settings), Metadata::migrate(&settings));
    one.unwrap();
    two.unwrap();
    Metadata::open(&settings, clock()).await.unwrap().deployment().await.unwrap();
    Metadata::migrate(&settings).await.unwrap();

    database
        .execute(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'later', true, '', 0)",
        )
        .await;
    let error = Metadata::open(&settings, clock()).await.unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found: 9999, .. }), "{error}");
    let error = Metadata::migrate(&settings).await.unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found: 9999, .. }), "{error}");

    database
        .execute(
            "delete from _sqlx_migrations where version = 9999; update _sqlx_migrations set checksum = 'x'",
        )
        .await;
    let error = Metadata::open(&settings, clock()).await.unwrap_err();
    assert!(matches!(error, Error::ForeignMigration(1)), "{error}");
}

#[tokio::test]
async fn a_connection_error_names_the_cause_and_never_the_password() {
    let database = Postgres::database().await;
    let address = format!("127.0.0.1:{}", database.port());
    for (url, kind, code, words) in [
        (
            database.url_of("locked:hunter2"),
            ErrorKind::Invalid,
            "metadata_refused",
            "28P01: password authentication failed for user \"...\"",
        ),
        (
            format!("postgres://postgres:hunter2@{address}/nowhere"),
            ErrorKind::Invalid,
            "metadata_refused",
            "3D000: database \"nowhere\" does not exist",
        ),
        (
            // Port 1 of this machine: nothing listens there.
            "postgres://postgres:hunter2@127.0.0.1:1/postgres".to_owned(),
            ErrorKind::Unavailable,
            "metadata_unavailable",
            "Connection refused",
        ),
        (
            // RFC 6761: no name under `invalid` exists.
            "postgres://postgres:hunter2@larder.invalid/postgres?sslmode=disable".to_owned(),
            ErrorKind::Unavailable,
            "metadata_unavailable",
            "larder.invalid",
        ),
    ] {
        let error = refusal(url).await;
        assert_eq!((error.kind(), error.code()), (kind, code), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

/// SQLSTATE 25006, of a standby too.
#[tokio::test]
async fn a_database_that_takes_no_writes_is_named_with_what_to_do() {
    let (database, settings) = migrated().await;
    database.execute("do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$").await;
    let metadata = Metadata::open(&settings, clock()).await.unwrap();
    let error =
        metadata.create_key(&key("aaaaaaaaaaaa", Scope::AllCollections), &tester()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "metadata_unavailable"), "{error}");
    for words in ["25006", "read-only", "standby", "default_transaction_read_only", "[metadata]"] {
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

#[tokio::test]
async fn a_value_in_a_server_message_is_left_out() {
    let (database, settings) = migrated().await;
    let metadata = Metadata::open(&settings, clock()).await.unwrap();
    // Class 22: the server's message has the value in it.
    database
        .execute(
            "create function refuse() returns trigger language plpgsql as
                 $$ begin perform new.entry::int; return new; end $$;
             create trigger refuse before insert on api_keys for each row execute function refuse()",
        )
        .await;
    let error =
        metadata.create_key(&key("aaaaaaaaaaaa", Scope::AllCollections), &tester()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("22P02"), "{shown}");
    assert!(!shown.contains("aaaaaaaaaaaa"), "{shown}");

    // Class 42: the message names objects and is kept.
    database.execute("drop table leases").await;
    let error = metadata.acquire_lease("housekeeping", "test", super::MINUTE).await.unwrap_err();
    assert!(error.to_string().contains("42P01") && error.to_string().contains("\"leases\""), "{error}");
}

#[tokio::test]
async fn a_session_has_limits_and_a_cut_connection_is_replaced() {
    let (database, settings) = migrated().await;
    let metadata = Metadata::open(&settings, clock()).await.unwrap();
    metadata.deployment().await.unwrap();
    let mine = "from pg_stat_activity where datname = current_database() and application_name = 'larder'";
    assert_eq!(database.value(&format!("select count(*) > 0 {mine}")).await.as_deref(), Some("true"));
    database.value(&format!("select bool_and(pg_terminate_backend(pid, 10000)) {mine}")).await;
    metadata.deployment().await.unwrap();

    // A column default is evaluated in the session of the insert, so it shows the limit of that session.
    database
        .execute(
            "alter table deployment add column limit_seen text default current_setting('statement_timeout')",
        )
        .await;
    metadata.fix_deployment("dep_00000000000000000000000000000007".parse().unwrap()).await.unwrap();
    let seen = database.value("select limit_seen from deployment").await;
    assert_eq!(seen.as_deref(), Some("10s"));
}

/// A network that drops what it gets refuses nothing: neither a new connection nor a statement may wait for ever.
#[tokio::test]
async fn a_database_that_went_silent_is_given_up_and_found_again() {
    let (database, _) = migrated().await;
    let proxy = Proxy::start(format!("127.0.0.1:{}", database.port()).parse().unwrap()).await;
    let url = database.url().replace(&database.port().to_string(), &proxy.address().port().to_string());
    let metadata = Metadata::open(&settings(&format!("{url}?sslmode=disable")), clock()).await.unwrap();
    // From the first byte, and in the middle of a conversation.
    for fault in [NetworkFault::Silent, NetworkFault::Swallow(3_000)] {
        proxy.set(fault);
        let mut answers = 0;
        let error = loop {
            match metadata.deployment().await {
                Ok(_) => answers += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "metadata_unavailable"), "{error}");
        assert!(error.to_string().contains("within"), "{fault:?}: {error}");
        assert_eq!(answers > 0, fault != NetworkFault::Silent, "{answers}");
        proxy.set(NetworkFault::None);
        metadata.deployment().await.unwrap();
    }
}
