//! MySQL sources against a real MariaDB: every type, whole tables, errors, and a sync from beginning to end.

use std::fmt::Write as _;

use larder::{
    domain::row::{CellKind, ColumnKind, RowBatch},
    source::Query,
};
use tokio::sync::mpsc;

use crate::support::{
    mysql::MySql,
    process::wait_until,
    proxy::{NetworkFault, Proxy},
    source::{open, open_within, read, read_query},
};

/// A type, an expression of a value of it, and the cell that it becomes.
type Case = (&'static str, &'static str, CellKind, &'static str);

const CASES: [Case; 47] = [
    ("tinyint", "-128", CellKind::Integer, "-128"),
    ("tinyint unsigned", "255", CellKind::Integer, "255"),
    ("tinyint(1)", "1", CellKind::Boolean, "true"),
    ("boolean", "false", CellKind::Boolean, "false"),
    ("tinyint(1)", "2", CellKind::Integer, "2"),
    ("smallint", "-32768", CellKind::Integer, "-32768"),
    ("mediumint unsigned", "16777215", CellKind::Integer, "16777215"),
    ("int", "-2147483648", CellKind::Integer, "-2147483648"),
    ("int(6) zerofill", "42", CellKind::Integer, "42"),
    ("bigint", "-9223372036854775808", CellKind::Integer, "-9223372036854775808"),
    ("bigint unsigned", "18446744073709551615", CellKind::Integer, "18446744073709551615"),
    (
        "decimal(65, 30)",
        "-12345678901234567890123456789012345.5",
        CellKind::Number,
        "-12345678901234567890123456789012345.500000000000000000000000000000",
    ),
    ("decimal(10, 2)", "0", CellKind::Number, "0.00"),
    ("decimal(10, 0)", "7", CellKind::Number, "7"),
    ("float", "1.1", CellKind::Number, "1.1"),
    ("float", "-0.0", CellKind::Number, "0"),
    ("double", "0.1", CellKind::Number, "0.1"),
    ("double", "1.7976931348623157e308", CellKind::Number, "1.7976931348623157e+308"),
    ("double", "1e20", CellKind::Number, "100000000000000000000"),
    ("bit(1)", "b'1'", CellKind::Integer, "1"),
    ("bit(64)", "18446744073709551615", CellKind::Integer, "18446744073709551615"),
    ("year", "2155", CellKind::Integer, "2155"),
    ("date", "'1000-01-01'", CellKind::Text, "1000-01-01"),
    ("date", "'9999-12-31'", CellKind::Text, "9999-12-31"),
    ("datetime", "'2026-11-23 22:10:52'", CellKind::Text, "2026-11-23T22:10:52"),
    ("datetime(6)", "'9999-12-31 23:59:59.999999'", CellKind::Text, "9999-12-31T23:59:59.999999"),
    ("datetime(3)", "'2026-11-23 22:10:52.004'", CellKind::Text, "2026-11-23T22:10:52.004"),
    ("timestamp(6) null", "'2026-11-23 22:10:52.1'", CellKind::Text, "2026-11-23T16:40:52.1Z"),
    ("time(6)", "'-838:59:59'", CellKind::Text, "-838:59:59"),
    ("time(2)", "'10:11:12.5'", CellKind::Text, "10:11:12.5"),
    ("char(5)", "'ab'", CellKind::Text, "ab"),
    ("varchar(100)", "'Ærø \u{1f34b} \"q\" \n'", CellKind::Text, "Ærø \u{1f34b} \"q\" \n"),
    ("varchar(20) collate utf8mb4_bin", "'Straße'", CellKind::Text, "Straße"),
    ("varchar(20) character set latin1", "'é'", CellKind::Text, "é"),
    ("tinytext", "''", CellKind::Text, ""),
    ("text collate utf8mb4_bin", "'x'", CellKind::Text, "x"),
    ("mediumtext", "'x'", CellKind::Text, "x"),
    ("longtext", "'x'", CellKind::Text, "x"),
    ("enum('a', 'é')", "'é'", CellKind::Text, "é"),
    ("set('a', 'b', 'c')", "'c,a'", CellKind::Text, "a,c"),
    ("binary(3)", "x'fbff'", CellKind::Text, "+/8A"),
    ("varbinary(10)", "x'fbfffe'", CellKind::Text, "+//+"),
    ("blob", "x'00'", CellKind::Text, "AA=="),
    ("longblob", "''", CellKind::Text, ""),
    ("json", "'{\"a\": [1, 2.50]}'", CellKind::Text, "{\"a\": [1, 2.50]}"),
    ("point", "point(1, 2)", CellKind::Text, "AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA=="),
    (
        "uuid",
        "'AB456789-0123-4567-89ab-0123456789AB'",
        CellKind::Text,
        "ab456789-0123-4567-89ab-0123456789ab",
    ),
];

#[tokio::test]
async fn every_type_keeps_its_value() {
    let database = MySql::database().await;
    let (mut columns, mut values, mut nulls) = (String::new(), String::new(), String::new());
    for (at, (declared, value, ..)) in CASES.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(columns, "{comma}c{at} {declared}").unwrap();
        write!(values, "{comma}{value}").unwrap();
        write!(nulls, "{comma}null").unwrap();
    }
    database
        .execute(&format!(
            "set time_zone = '+05:30', sql_mode = ''; create table t ({columns}) character set utf8mb4; \
             insert into t values ({values}); insert into t values ({nulls})"
        ))
        .await;
    let table = read(&open(&database.section()), "select * from t").await.unwrap();
    let rows = table.rows();
    for (at, (declared, value, kind, text)) in CASES.iter().enumerate() {
        assert_eq!(rows[0][at], (*kind, (*text).to_owned()), "{declared} {value}: {:?}", table.columns[at]);
        assert_eq!(rows[1][at], (CellKind::Null, String::new()), "{declared}");
    }
    let kind = |at: usize| table.columns[at].kind;
    assert_eq!(
        [kind(0), kind(2), kind(11), kind(31)],
        [ColumnKind::Integer, ColumnKind::Boolean, ColumnKind::Number, ColumnKind::Text]
    );
    assert_eq!(table.columns[32].type_name, "varchar");
}

/// What a query may have in place of the column `C`.
const FORMS: [&str; 13] = [
    "C",
    "coalesce(C, C)",
    "ifnull(C, C)",
    "case when id > 0 then C end",
    "if(id, C, C)",
    "nullif(C, '')",
    "greatest(C, C)",
    "max(C)",
    "min(C) over ()",
    "first_value(C) over (order by id)",
    "last_value(C) over (order by id)",
    "(select C from flags i where i.id = o.id)",
    "any_part.C",
];

#[tokio::test]
async fn bits_are_numbers_in_every_expression() {
    let database = MySql::database().await;
    database
        .execute(
            "create table flags (id int primary key, bit1 bit(1), bit8 bit(8), bit16 bit(16), bit24 bit(24), bit64 bit(64));
             insert into flags values (1, 1, 53, 300, 3354672, 18446744073709551615);
             create view seen as select id, coalesce(bit16, bit16) as bit16 from flags",
        )
        .await;
    let source = open(&database.section());
    let expected = [
        ("bit1", "1"),
        ("bit8", "53"),
        ("bit16", "300"),
        ("bit24", "3354672"),
        ("bit64", "18446744073709551615"),
    ];
    for form in FORMS {
        for (column, value) in expected {
            let expression = form.replace('C', column);
            let from =
                "from flags o join (select * from flags union select * from flags) any_part using (id)";
            let plain = if form == "any_part.C" { from } else { "from flags o" };
            for (distinct, order) in [("", ""), ("distinct", "order by found")] {
                let sql = format!("select {distinct} {expression} as found {plain} {order}");
                let table = read(&source, &sql).await.unwrap();
                assert_eq!(table.rows(), [[(CellKind::Integer, value.to_owned())]], "{sql}");
            }
        }
    }
    let table = Query::Table { name: "seen".to_owned(), columns: None };
    assert_eq!(read_query(&source, &table, None).await.unwrap().rows()[0][1].1, "300");
}

#[tokio::test]
async fn dates_that_are_none_become_null_and_are_counted() {
    let database = MySql::database().await;
    database
        .execute(
            "set sql_mode = 'ALLOW_INVALID_DATES'; create table t (d date, m datetime, n date); \
             insert into t values ('0000-00-00', '2026-00-10 10:00:00', '2026-02-30')",
        )
        .await;
    let table = read(&open(&database.section()), "select * from t").await.unwrap();
    assert!(table.rows()[0].iter().all(|cell| *cell == (CellKind::Null, String::new())), "{table:?}");
    assert_eq!(table.nulled(), 3);
}

#[tokio::test]
async fn values_do_not_depend_on_settings_of_the_server() {
    let database = MySql::database().await;
    database
        .execute("create table t (a int, s varchar(20)); insert into t values (1, 'one'), (2, 'two')")
        .await;
    let sql = "select group_concat(s order by a separator \", \") as names, 'it\\'s' as quoted, 1 || 0 as either, \
               @@session.time_zone as zone from t # a comment";
    let rows = read(&open(&database.section()), sql).await.unwrap().rows();
    let texts: Vec<_> = rows[0].iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["one, two", "it's", "1", "+00:00"]);

    let sql = "select week('2026-01-01') as week, 'a b' regexp 'a b' as spaced, 1 / 3 as third, \
               monthname('2026-03-01') as month, year(cast(time'10:00:00' as datetime)) > 0 as dated, \
               (with recursive c as (select 1 as n union all select n + 1 from c where n < 2000) select max(n) from c) as last, \
               (select right(s, 1) from (select concat(repeat('x', 70), a) as s from t union select repeat('x', 71)) u \
               order by s limit 1) as first from t";
    let rows = read(&open(&database.section()), sql).await.unwrap().rows();
    assert_eq!(rows.len(), 2, "sql_select_limit");
    let texts: Vec<_> = rows[0].iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["0", "1", "0.3333", "March", "1", "2000", "1"]);
}

/// Rows of many kinds of values, as many as `rows`.
fn fill(rows: u64) -> String {
    format!(
        "create table t (id bigint unsigned primary key, amount decimal(20, 4), ratio double, at datetime(6), \
         name varchar(100), flag tinyint, note text) character set utf8mb4; \
         insert into t select seq * 3, seq * 1000003 / 7, seq / 7.0e0, \
         '2000-01-01' + interval seq * 1237 second + interval seq microsecond, \
         concat('Ærø ', conv(seq, 10, 36), char(128512 + seq % 60 using utf8mb4)), cast(seq % 256 as signed) - 128, \
         if(seq % 3 = 0, null, concat('tab\\t line\\n back\\\\ ', seq)) from seq_1_to_{rows}"
    )
}

#[tokio::test]
async fn two_hundred_thousand_rows_are_what_the_client_prints() {
    const ROWS: u64 = 200_000;
    let database = MySql::database().await;
    database.execute(&format!("set sql_mode = ''; {}", fill(ROWS))).await;
    let table = read(&open(&database.section()), "select * from t order by id").await.unwrap();
    let printed = database.client("select * from t order by id");
    let mut compared = 0;
    for (row, line) in table.rows().iter().zip(printed.lines()) {
        for (at, ((kind, text), field)) in row.iter().zip(line.split('\t')).enumerate() {
            let field = field.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\");
            match (kind, at) {
                (CellKind::Null, _) => assert_eq!(field, "NULL"),
                (_, 3) => {
                    let short = if field.contains('.') {
                        field.trim_end_matches('0').trim_end_matches('.')
                    } else {
                        &field
                    };
                    assert_eq!(text, &short.replace(' ', "T"));
                }
                (_, 2) => assert_eq!(
                    text.parse::<f64>().unwrap().to_bits(),
                    field.parse::<f64>().unwrap().to_bits()
                ),
                _ => assert_eq!(text, &field),
            }
        }
        compared += 1;
    }
    assert_eq!(compared, ROWS);
}

#[tokio::test]
async fn tables_are_quoted_and_a_limit_ends_the_read() {
    let database = MySql::database().await;
    database.execute("set sql_mode = ''; create table `Odd table` (id int, `a b` text); insert into `Odd table` select seq, 'x' from seq_1_to_10000").await;
    let source = open(&database.section());
    let table = |name: String, columns: &[&str]| Query::Table {
        name,
        columns: Some(columns.iter().map(ToString::to_string).collect()),
    };
    let query = table(format!("{}.Odd table", database.name()), &["a b", "id"]);
    assert_eq!(read_query(&source, &query, Some(3)).await.unwrap().rows().len(), 3);
    assert_eq!(read_query(&source, &query, None).await.unwrap().rows().len(), 10_000);
    assert_eq!(read(&source, "select * from `Odd table` where id < 0").await.unwrap().columns.len(), 2);
}

#[tokio::test]
async fn rows_that_come_while_a_table_is_read_are_not_seen() {
    let database = MySql::database().await;
    database.execute(&format!("set sql_mode = ''; {}", fill(50_000))).await;
    let source = open(&database.section());
    let query = Query::Sql("select id from t union all select id + 1000000 from t".to_owned());
    let columns = source.describe(&query).await.unwrap();
    let (sender, mut batches) = mpsc::channel::<RowBatch>(1);
    let receive = async {
        let mut rows = batches.recv().await.unwrap().rows();
        database.execute("delete from t where id % 2 = 0; insert into t (id) values (999999999)").await;
        while let Some(batch) = batches.recv().await {
            rows += batch.rows();
        }
        rows
    };
    let (read, rows) = tokio::join!(source.stream(&query, sender, &columns, None), receive);
    read.unwrap();
    assert_eq!(rows, 100_000);
}

#[tokio::test]
async fn errors_have_a_cause_and_no_value() {
    let database = MySql::database().await;
    database
        .execute("set sql_mode = ''; create table t (id int, secret text); insert into t values (1, 'hush')")
        .await;
    database
        .execute(
            "create function fail(v text) returns text deterministic begin
             signal sqlstate '40001' set mysql_errno = 1213, message_text = v; return v; end",
        )
        .await;
    let source = open(&database.section());
    for (sql, code) in [
        ("select fail(secret) as x from t", "source_conflict"),
        ("select * from missing", "source_unknown_table"),
        ("select missing from t", "source_unknown_column"),
        ("selec 1", "source_syntax_error"),
        ("select 1; select 2", "source_several_statements"),
        ("select 1 /*! ; delete from t */", "source_syntax_error"),
        ("delete from t", "source_query_failed"),
        ("select id, id from t", "source_duplicate_column"),
        ("select (select id from t union all select 2) as a", "source_query_failed"),
    ] {
        let error = read(&source, sql).await.unwrap_err();
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    let count = read(&source, "select count(*) from t").await.unwrap();
    assert_eq!(count.rows()[0][0].1, "1", "nothing was deleted");
    for (url, code) in [
        (database.url_of("locked:hush"), "source_wrong_password"),
        (database.url_of("locked:secret"), "source_login_refused"),
        (database.url().replace(database.name(), "missing"), "source_unknown_database"),
        ("mysql://root@127.0.0.1:1/x".to_owned(), "source_unreachable"),
        ("mysql://root@larder.invalid/x".to_owned(), "source_host_unknown"),
        (format!("{}?ssl-mode=REQUIRED", database.url_of("root")), "source_tls_refused"),
    ] {
        let error = open(&format!("type = \"mysql\"\nurl = \"{url}\"\n")).check().await.unwrap_err();
        assert_eq!(error.code(), code, "{url}: {error}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}

#[tokio::test]
async fn slow_and_killed_queries_end_with_a_cause() {
    let database = MySql::database().await;
    let source = open_within(&database.section(), "1s", "10s");
    let error = read(&source, "select sleep(60) as s").await.unwrap_err();
    assert_eq!(error.code(), "source_statement_timeout", "{error}");

    let source = open(&database.section());
    let sql = "select sleep(60) as victim";
    let kill = async {
        let find = "select cast(id as unsigned) from information_schema.processlist where info like 'select sleep(60) as victim%' and state <> 'Init'";
        let id = crate::support::process::until("the query runs", async || database.number(find).await);
        let id = id.await;
        database.execute(&format!("kill connection {id}")).await;
    };
    let (read, ()) = tokio::join!(read(&source, sql), kill);
    let code = read.unwrap_err().code();
    assert!(["source_connection_lost", "source_query_cancelled"].contains(&code), "{code}");
}

#[tokio::test]
async fn a_query_without_a_reader_is_ended_on_the_server() {
    let database = MySql::database().await;
    let source = open(&database.section());
    // The server computes this for longer than any test lasts, and has no row to send until then.
    let query = Query::Sql("select benchmark(100000000000, md5('x')) as victim".to_owned());
    let columns = source.describe(&query).await.unwrap();
    let running = "select cast(count(*) as unsigned) from information_schema.processlist where info like 'select benchmark(%'";
    let (rows, batches) = mpsc::channel::<RowBatch>(1);
    let give_up = async {
        wait_until("the query to run", async || database.number(running).await == Some(1)).await;
        drop(batches);
    };
    let (ended, ()) = tokio::join!(source.stream(&query, rows, &columns, None), give_up);
    ended.unwrap();
    wait_until("the query to end", async || database.number(running).await == Some(0)).await;
}

/// As of Postgres: a connection that went silent is given up whatever the statement timeout, and a slow query is not.
#[tokio::test]
async fn a_connection_that_went_silent_is_lost() {
    let database = MySql::database().await;
    database
        .execute(
            "create table t (id integer primary key, v varchar(200));
             insert into t select seq, repeat('x', 100) from seq_1_to_100000",
        )
        .await;
    let direct = database.url_of("root");
    let address = direct.split(['@', '/']).nth(3).unwrap();
    let proxy = Proxy::start(address.parse().unwrap()).await;
    let url = direct.replace(address, &proxy.address().to_string());
    let section = format!("type = \"mysql\"\nurl = \"{url}?keepalives_idle=1&keepalives_interval=1\"\n");
    let source = open_within(&section, "1h", "5s");
    assert_eq!(read(&source, "select * from t").await.unwrap().rows().len(), 100_000);
    // The server has sent everything, or is blocked because nobody reads.
    for sql in ["select * from t limit 10000", "select * from t"] {
        proxy.set(NetworkFault::Swallow(500_000));
        let error = read(&source, sql).await.unwrap_err();
        assert_eq!(error.code(), "source_connection_lost", "{sql}: {error}");
    }
    proxy.set(NetworkFault::None);
    assert_eq!(read(&source, "select 1 as id, sleep(6) as slept").await.unwrap().rows().len(), 1);
    // Silent from the first byte.
    proxy.set(NetworkFault::Silent);
    let error = read(&open_within(&section, "1h", "100ms"), "select 1 as id").await.unwrap_err();
    assert_eq!(error.code(), "source_connect_timeout", "{error}");
}
