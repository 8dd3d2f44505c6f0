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
        (database.url_of("locked:wrong-password"), "source_wrong_password", "locked"),
        (format!("postgres://postgres@127.0.0.1:{port}/nowhere"), "source_unknown_database", "nowhere"),
        (database.url_of("nobody-here"), "source_login_refused", "nobody-here"),
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
        let error = source.check().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert_eq!(error.code(), code, "{text}");
        assert!(text.contains(part), "{text}");
        assert!(!text.contains("wrong-password") && !text.contains(":pw@"), "{text}");
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
