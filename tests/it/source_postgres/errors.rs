//! What is said when something is wrong, and TLS.

use larder::{
    domain::{error::ErrorKind, row::RowBatch},
    source::{Error, Query, Source},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

use super::{section, sql};
use crate::support::{
    postgres::Postgres,
    process::wait_until,
    source::{open, open_within, read, read_query},
};

async fn failure(source: &Source, query: &Query) -> Error {
    read_query(source, query, None).await.unwrap_err()
}

#[tokio::test]
async fn errors_say_what_happened_and_what_to_do() {
    let database = Postgres::database().await;
    database
        .execute("create table secrets (id int); create table t (id int, \"Name\" text); insert into t values (0, 'x')")
        .await;
    database.execute("grant select on t to locked; revoke all on secrets from public").await;
    let source = open(&section(&database.url()));
    let locked = open(&section(&database.url_of("locked:secret")));
    for (source, query, code, part) in [
        (&source, sql("select * from nowhere"), "source_unknown_table", "nowhere"),
        (&source, sql("select * from no.t"), "source_unknown_table", "no.t"),
        (&source, Query::Table { name: "T".into(), columns: None }, "source_unknown_table", "\"T\""),
        (&source, sql("select id,\n  nmae from t"), "source_unknown_column", "line 2, column 3"),
        (&source, sql("select id form t where"), "source_syntax_error", "line 1"),
        (&source, sql("select * from"), "source_syntax_error", "end of input"),
        (&source, sql("select 1) to stdout --"), "source_syntax_error", "\")\""),
        (&source, sql("select 1; drop table t"), "source_several_statements", "line 1"),
        (&source, sql(" "), "source_query_empty", "empty"),
        (&source, sql("select 1 as a, 2 as a"), "source_duplicate_column", "`a`"),
        (&source, sql("select from t"), "source_no_columns", "select"),
        (&source, sql("delete from t returning id"), "source_no_columns", "select"),
        (&source, sql("select nextval('s') from (select 1) x"), "source_unknown_table", "\"s\""),
        (&source, sql("select 1 / id as x from t"), "source_query_failed", "22012"),
        (&source, sql("select \"Name\"::int as x from t"), "source_query_failed", "22P02"),
        (&source, sql("select $1::int as x"), "source_query_failed", "$1"),
        (&locked, sql("select * from secrets"), "source_permission_denied", "secrets"),
    ] {
        let error = failure(source, &query).await;
        let text = error.to_string();
        assert_eq!(error.code(), code, "{query:?}: {text}");
        assert!(text.contains(part), "{query:?}: {text}");
    }
    // A value that a conversion complains about is not repeated.
    let secret = failure(&source, &sql("select ('hush' || id)::int as x from t")).await;
    assert!(!format!("{secret} {secret:?}").contains("hush"), "{secret:?}");
}

#[tokio::test]
async fn a_value_is_never_in_the_words_of_an_error() {
    let database = Postgres::database().await;
    database
        .execute(
            "create table t (v text); insert into t values ('hush'); create sequence hush;
             create function fail(code text, v text) returns text language plpgsql as
             $$ begin raise exception using errcode = code, message = v, table = v, column = v, constraint = v; end $$;
             create function constant() returns text immutable language plpgsql as $$ begin return (select v from t); end $$",
        )
        .await;
    let source = open(&section(&database.url()));
    for (query, code) in [
        ("select (v || 'x')::regclass::text as x from t", "source_unknown_table"),
        ("select v::regnamespace::text as x from t", "source_unknown_table"),
        ("select v::regtype::text as x from t", "source_query_failed"),
        ("select to_tsquery('simple', v || ' &')::text as x from t", "source_syntax_error"),
        ("select repeat(v, 600)::tsquery::text as x from t", "source_query_failed"),
        ("select date_trunc(v, now()) as x from t", "source_query_failed"),
        ("select current_setting(v) as x from t", "source_query_failed"),
        ("select currval(v) as x from t", "source_query_failed"),
        ("select pg_read_file(v) as x from t", "source_query_failed"),
        // A code of logins, raised by a function.
        ("select pg_database_size(v) as x from t", "source_query_failed"),
        // The planner runs it, before a row is read.
        ("select constant()::int as x", "source_query_failed"),
        ("select ('1 ' || constant())::interval::text as x", "source_query_failed"),
        ("select fail('57014', v) as x from t", "source_query_cancelled"),
        ("select fail('42P01', v) as x from t", "source_unknown_table"),
        ("select fail('40001', v) as x from t", "source_conflict"),
        ("select fail('08006', v) as x from t", "source_connection_lost"),
        ("select fail('U0001', v) as x from t", "source_query_failed"),
    ] {
        let error = failure(&source, &sql(query)).await;
        assert_eq!(error.code(), code, "{query}: {error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{query}: {error:?}");
    }
}

#[tokio::test]
async fn the_servers_words_are_shown_where_no_value_can_be_in_them() {
    let database = Postgres::database().await;
    let url = |login: &str, parameters: &str| format!("{}{parameters}", database.url_of(login));
    database.execute("create table t (id int); insert into t values (0); create materialized view m as select 1 as x with no data").await;
    database.execute("create role hurried login; alter role hurried set lock_timeout = '50ms'; grant select on t to hurried").await;
    database.execute("create role refused login connection limit 0").await;
    for (login, query, code, part) in [
        (
            "postgres",
            "with d as (delete from t returning id) select id from d",
            "source_query_failed",
            "WITH",
        ),
        ("postgres", "select 'x'::int as x", "source_query_failed", "integer"),
        ("postgres", "select no_function(id) as x from t", "source_query_failed", "no_function(integer)"),
        ("postgres", "select x from m", "source_query_failed", "refresh materialized view"),
        ("postgres", "select 1 / id as x from t", "source_query_failed", "division by zero"),
        (
            "postgres",
            "select (select 1 from generate_series(id, 2)) as x from t",
            "source_query_failed",
            "more than one row",
        ),
        ("refused", "select 1 as x", "source_unavailable", "too many connections"),
    ] {
        let error = failure(&open(&section(&url(login, ""))), &sql(query)).await;
        assert_eq!(error.code(), code, "{query}: {error}");
        assert!(error.to_string().contains(part), "{query}: {error}");
    }
    let options = url("postgres", "?options=-c%20no_such_setting%3D1");
    let error = failure(&open(&section(&options)), &sql("select 1 as id")).await;
    assert_eq!(error.code(), "source_login_refused", "{error}");
    // A name that the server does not know is a part of the URL alone.
    let text = error.to_string();
    assert!(text.contains("unrecognized configuration parameter") && !text.contains("no_such"), "{text}");
    let known = url("postgres", "?options=-c%20work_mem%3Dhuge");
    let error = failure(&open(&section(&known)), &sql("select 1 as id")).await;
    assert!(error.to_string().contains("work_mem") && !error.to_string().contains("huge"), "{error}");

    let _locked = database.lock("t").await;
    let error = failure(&open(&section(&url("hurried", ""))), &sql("select id from t")).await;
    assert_eq!(error.code(), "source_locked", "{error}");
    assert!(error.to_string().contains("lock timeout"), "{error}");
}

#[tokio::test]
async fn a_query_that_somebody_ends_says_who_did() {
    let database = Postgres::database().await;
    let source = open_within(&section(&database.url()), "1h", "30s");
    for (end, code, part) in [
        ("pg_cancel_backend", "source_query_cancelled", "user request"),
        ("pg_terminate_backend", "source_connection_lost", "administrator command (code 57P01)"),
    ] {
        let query = sql("select pg_sleep(3600)::text as x");
        let columns = source.describe(&query).await.unwrap();
        let (sender, _receiver) = mpsc::channel::<RowBatch>(1);
        let running = "from pg_stat_activity where datname = current_database() and state = 'active' \
                       and query like 'copy%pg_sleep%'";
        let end = async {
            wait_until("the query runs", async || {
                database.value(&format!("select count(*) {running}")).await.as_deref() == Some("1")
            })
            .await;
            database.value(&format!("select {end}(pid) {running}")).await;
        };
        let (result, ()) = tokio::join!(source.stream(&query, sender, &columns, None), end);
        let error = result.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_query_that_a_standby_cancels_for_its_recovery_is_in_conflict() {
    let database = Postgres::own_server().await;
    database.execute("create table t as select i as id from generate_series(1, 1000) i").await;
    let standby = database.standby().await;
    let source = open_within(&section(&standby.url()), "1h", "30s");
    let query = sql("select id, pg_sleep(1)::text as s from t");
    let columns = source.describe(&query).await.unwrap();
    let (sender, _receiver) = mpsc::channel::<RowBatch>(1);
    let conflict = async {
        let running =
            "select count(*) from pg_stat_activity where state = 'active' and query like 'copy%pg_sleep%'";
        wait_until("the query runs", async || standby.value(running).await.as_deref() == Some("1")).await;
        // The query still sees the rows that the vacuum removes.
        database.execute("delete from t").await;
        database.execute("vacuum t").await;
    };
    let (result, ()) = tokio::join!(source.stream(&query, sender, &columns, None), conflict);
    let error = result.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("source_conflict", ErrorKind::Unavailable), "{error}");
    let text = error.to_string();
    assert!(text.contains("canceling statement due to conflict with recovery"), "{text}");
    assert!(format!("{:?}", error.hint()).contains("hot_standby_feedback"), "{error:?}");
}

#[tokio::test]
async fn models_cannot_write() {
    let database = Postgres::database().await;
    database.execute("create table t (id int); create sequence s").await;
    database
        .execute(
            "create function put() returns int language plpgsql as
             $$ begin insert into t values (1); return 1; end $$",
        )
        .await;
    let source = open(&section(&database.url()));
    for query in ["select nextval('s') as x", "select put() as x"] {
        let error = failure(&source, &sql(query)).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("25006"), "{error}");
    }
    assert_eq!(database.value("select count(*) from t").await.as_deref(), Some("0"));
}

/// The port of a server that answers the request for TLS with no, as Postgres without TLS does.
async fn server_without_tls() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        client.read_exact(&mut request).await.unwrap();
        client.write_all(b"N").await.unwrap();
    });
    port
}

#[tokio::test]
async fn tls_is_used_as_the_url_says() {
    let database = Postgres::database().await;
    let used = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()";
    let root = format!("sslrootcert={}", database.certificate().display());
    for (parameters, expected) in [
        (String::new(), "true"),
        ("?sslmode=disable".into(), "false"),
        ("?sslmode=prefer".into(), "true"),
        ("?sslmode=require".into(), "true"),
        (format!("?sslmode=verify-ca&{root}"), "true"),
        (format!("?sslmode=verify-full&{root}"), "true"),
    ] {
        let source = open(&section(&format!("{}{parameters}", database.url())));
        let rows = read(&source, used).await.unwrap().rows();
        assert_eq!(rows[0][0].1, expected, "{parameters}");
    }
}

#[tokio::test]
async fn refused_connections_say_why() {
    let database = Postgres::database().await;
    let port = database.port();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed_port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let silent_port = other.local_addr().unwrap().port();
    let plain_port = server_without_tls().await;
    for (url, code, part) in [
        (database.url_of("locked:wrong-password"), "source_wrong_password", "28P01"),
        (format!("postgres://postgres@127.0.0.1:{port}/nowhere"), "source_unknown_database", "nowhere"),
        (database.url_of("nobody-here"), "source_login_refused", "does not exist"),
        (format!("postgres://u:pw@127.0.0.1:{closed_port}/d"), "source_unreachable", "127.0.0.1"),
        (format!("{}?sslmode=verify-full", database.url()), "source_tls_refused", "sslrootcert"),
        (
            format!("postgres://u:pw@127.0.0.1:{plain_port}/d?sslmode=require"),
            "source_tls_refused",
            "sslmode",
        ),
        ("postgres://u:pw@no-such-host.invalid/d".into(), "source_host_unknown", "no-such-host.invalid"),
        (format!("postgres://u:pw@127.0.0.1:{silent_port}/d"), "source_connect_timeout", "127.0.0.1"),
        ("postgres:///d?host=/no/such/directory".into(), "source_unreachable", "/no/such/directory"),
    ] {
        // Only the silent port waits for the bound.
        let bound = if code == "source_connect_timeout" { "100ms" } else { "30s" };
        let source = open_within(&section(&url), "30s", bound);
        let error = failure(&source, &sql("select 1 as id")).await;
        let text = format!("{error} {error:?}");
        assert_eq!(error.code(), code, "{text}");
        assert!(text.contains(part), "{text}");
        for secret in ["wrong-password", ":pw@", "nobody-here", "\"locked\""] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn a_slow_query_ends_at_its_timeout() {
    let database = Postgres::database().await;
    let source = open_within(&section(&database.url()), "1s", "30s");
    let query = sql("select pg_sleep(3600)::text as x");
    let columns = source.describe(&query).await.unwrap();
    let (sender, _receiver) = mpsc::channel::<RowBatch>(1);
    let error = source.stream(&query, sender, &columns, None).await.unwrap_err();
    assert_eq!(error.code(), "source_statement_timeout");
    assert!(error.to_string().contains("1000 ms"), "{error}");
}

#[tokio::test]
async fn changed_columns_are_noticed_before_a_row_is_sent() {
    let database = Postgres::database().await;
    database.execute("create table t (id int, name text); insert into t values (1, 'a')").await;
    let source = open(&section(&database.url()));
    let query = Query::Table { name: "t".into(), columns: None };
    let columns = source.describe(&query).await.unwrap();
    for (change, part) in [
        ("alter table t alter id type int8", "`id` is now int8, not int4"),
        ("alter table t alter id type int4, add extra bool", "`extra` is now bool, not absent"),
        ("alter table t drop extra, drop name", "`name` is now absent, not text"),
    ] {
        database.execute(change).await;
        let (sender, mut receiver) = mpsc::channel::<RowBatch>(1);
        let error = source.stream(&query, sender, &columns, None).await.unwrap_err();
        assert_eq!(error.code(), "columns_changed");
        assert!(error.to_string().contains(part), "{error}");
        assert!(receiver.recv().await.is_none());
    }
}
