//! The SQL Server source against a server of its protocol: every type, errors, snapshots, TLS, ends of queries.

use larder::{
    domain::row::{
        CellKind::{self, self as Cell},
        ColumnKind::{self, Any, Boolean, Integer, Number, Text, Uuid},
        RowBatch,
    },
    source::Query,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::{
    node::{Node, Warehouse},
    process::wait_until,
    source::{open, open_within, read, read_query},
    tds::{PASSWORD, Reply, TOKEN, Tds, USER, plp_value, us_value, utf16_bytes},
    tls::tls_before,
};

/// The collation `SQL_Latin1_General_CP1_CI_AS`.
const COLLATION: [u8; 5] = [9, 4, 0xd0, 0, 0x34];

fn with_collation(head: &[u8]) -> Vec<u8> {
    [head, &COLLATION].concat()
}

fn integer(bytes: u8) -> Vec<u8> {
    vec![0x26, bytes]
}

fn sized(value: &[u8]) -> Vec<u8> {
    [&[u8::try_from(value.len()).unwrap()], value].concat()
}

fn long(value: &[u8]) -> Vec<u8> {
    [&u16::try_from(value.len()).unwrap().to_le_bytes(), value].concat()
}

fn decimal(is_negative: bool, value: u128) -> Vec<u8> {
    [&[17, u8::from(!is_negative)][..], &value.to_le_bytes()].concat()
}

/// Each type with its `TYPE_INFO`, a value and null on the wire, and what is served.
type Case = (&'static str, Vec<u8>, Vec<u8>, Vec<u8>, ColumnKind, CellKind, &'static str);

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let null = || vec![0];
    let long_null = || vec![0xff, 0xff];
    let plp_null = || vec![0xff; 8];
    let nvarchar = || with_collation(&[0xe7, 100, 0]);
    let nvarchar_max = || with_collation(&[0xe7, 0xff, 0xff]);
    let datetime2 = |time: u64, days: u32| {
        [&time.to_le_bytes()[..5], &days.to_le_bytes()[..3]].concat()
    };
    let offset = |time: u64, days: u32, minutes: i16| {
        [datetime2(time, days), minutes.to_le_bytes().to_vec()].concat()
    };
    let money = |scaled: i64| {
        // The higher half comes first.
        let bytes = scaled.to_le_bytes();
        [&bytes[4..], &bytes[..4]].concat()
    };
    let guid = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF];
    vec![
        ("bit", vec![0x68, 1], vec![1, 1], null(), Boolean, Cell::Boolean, "true"),
        ("tinyint", integer(1), sized(&[255]), null(), Integer, Cell::Integer, "255"),
        ("smallint", integer(2), sized(&i16::MIN.to_le_bytes()), null(), Integer, Cell::Integer, "-32768"),
        ("int", integer(4), sized(&i32::MIN.to_le_bytes()), null(), Integer, Cell::Integer, "-2147483648"),
        ("bigint", integer(8), sized(&i64::MIN.to_le_bytes()), null(), Integer, Cell::Integer, "-9223372036854775808"),
        ("real", vec![0x6d, 4], sized(&1.1_f32.to_le_bytes()), null(), Number, Cell::Number, "1.1"),
        ("float", vec![0x6d, 8], sized(&1e300_f64.to_le_bytes()), null(), Number, Cell::Number, "1e+300"),
        ("decimal(38,10)", vec![0x6a, 17, 38, 10], decimal(true, 10_u128.pow(38) - 1), null(), Number, Cell::Number,
            "-9999999999999999999999999999.9999999999"),
        ("numeric(38,0)", vec![0x6c, 17, 38, 0], decimal(false, 10_u128.pow(38) - 1), null(), Integer, Cell::Integer,
            "99999999999999999999999999999999999999"),
        ("decimal(5,2)", vec![0x6a, 5, 5, 2], [&[5, 1][..], &1250_u32.to_le_bytes()].concat(), null(), Number,
            Cell::Number, "12.50"),
        ("money", vec![0x6e, 8], sized(&money(-12_345_678_901)), null(), Number, Cell::Number, "-1234567.8901"),
        ("money", vec![0x6e, 8], sized(&money(i64::MAX)), null(), Number, Cell::Invalid, "invalid_value"),
        ("smallmoney", vec![0x6e, 4], sized(&i32::MAX.to_le_bytes()), null(), Number, Cell::Number, "214748.3647"),
        ("date", vec![0x28], sized(&[0, 0, 0]), null(), Text, Cell::Text, "0001-01-01"),
        ("date", vec![0x28], sized(&3_652_058_u32.to_le_bytes()[..3]), null(), Text, Cell::Text, "9999-12-31"),
        ("time(7)", vec![0x29, 7], sized(&863_999_999_999_u64.to_le_bytes()[..5]), null(), Text, Cell::Text,
            "23:59:59.9999999"),
        ("time(0)", vec![0x29, 0], sized(&60_u32.to_le_bytes()[..3]), null(), Text, Cell::Text, "00:01:00"),
        ("datetime2(7)", vec![0x2a, 7], sized(&datetime2(1, 719_162)), null(), Text, Cell::Text,
            "1970-01-01T00:00:00.0000001"),
        ("datetimeoffset(7)", vec![0x2b, 7], sized(&offset(10_000_000, 719_162, 120)), null(), Text, Cell::Text,
            "1970-01-01T00:00:01Z"),
        ("datetime", vec![0x6f, 8], sized(&[&25_567_i32.to_le_bytes()[..], &301_u32.to_le_bytes()].concat()), null(),
            Text, Cell::Text, "1970-01-01T00:00:01.003"),
        ("datetime", vec![0x6f, 8], sized(&[&(-53_690_i32).to_le_bytes()[..], &25_919_999_u32.to_le_bytes()].concat()),
            null(), Text, Cell::Text, "1753-01-01T23:59:59.997"),
        ("smalldatetime", vec![0x6f, 4], sized(&[&25_567_u16.to_le_bytes()[..], &61_u16.to_le_bytes()].concat()),
            null(), Text, Cell::Text, "1970-01-01T01:01:00"),
        ("uniqueidentifier", vec![0x24, 16], sized(&guid), null(), Uuid, Cell::Text,
            "00112233-4455-6677-8899-aabbccddeeff"),
        ("nvarchar(50)", nvarchar(), us_value("é \" 😀 \u{2028}"), long_null(), Text, Cell::Text, "é \" 😀 \u{2028}"),
        ("nvarchar(50)", nvarchar(), us_value(""), long_null(), Text, Cell::Text, ""),
        ("nvarchar(50)", nvarchar(), us_value("a\0b"), long_null(), Text, Cell::Invalid, "invalid_text"),
        ("nvarchar(50)", nvarchar(), long(&[0x3d, 0xd8]), long_null(), Text, Cell::Invalid, "invalid_text"),
        ("nvarchar(max)", nvarchar_max(), plp_value(&utf16_bytes("långt")), plp_null(), Text, Cell::Text, "långt"),
        ("nvarchar(max)", nvarchar_max(), plp_value(&utf16_bytes(&"x".repeat(4_000_002))), plp_null(), Text,
            Cell::Invalid, "record_too_large"),
        ("varchar(50)", with_collation(&[0xa7, 50, 0]), long(b"\xe9\x80"), long_null(), Text, Cell::Text, "é€"),
        ("char(3)", with_collation(&[0xaf, 3, 0]), long(b"a  "), long_null(), Text, Cell::Text, "a  "),
        ("varbinary(8)", vec![0xa5, 8, 0], long(b"\xfb\xff\xfe"), long_null(), Text, Cell::Text, "+//+"),
        ("varbinary(max)", vec![0xa5, 0xff, 0xff], plp_value(b"1234"), plp_null(), Text, Cell::Text, "MTIzNA=="),
        ("xml", vec![0xf1, 0], plp_value(&utf16_bytes("<a b=\"ü\"/>")), plp_null(), Text, Cell::Text, "<a b=\"ü\"/>"),
        ("json", nvarchar_max(), plp_value(&utf16_bytes("{\"a\": 1.50}")), plp_null(), ColumnKind::Json, Cell::Json,
            "{\"a\":1.50}"),
        ("sql_variant", vec![0x62, 0x49, 0x1f, 0, 0], [&[6, 0, 0, 0, 0x38, 0][..], &42_i32.to_le_bytes()].concat(),
            vec![0; 4], Any, Cell::Integer, "42"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_exact() {
    let server = Tds::start().await;
    let cases = cases();
    let named = |(at, case): (usize, &Case)| (format!("c{at}"), case.0.to_owned(), case.1.clone());
    let values = cases.iter().flat_map(|case| case.2.clone()).collect();
    let nulls = cases.iter().flat_map(|case| case.3.clone()).collect();
    let columns = cases.iter().enumerate().map(named).collect();
    server.answer(
        "select * from \"sales\".\"every\"",
        Reply { columns, rows: vec![values, nulls], ..Reply::default() },
    );
    let query = Query::Table { name: "sales.every".into(), columns: None };
    let table = read_query(&open(&server.section()), &query, None).await.unwrap();
    let rows = table.rows();
    assert_eq!(rows.len(), 2);
    for ((column, cell), (type_name, .., kind, cell_kind, text)) in
        table.columns.iter().zip(&rows[0]).zip(&cases)
    {
        assert_eq!((column.kind, cell), (*kind, &(*cell_kind, (*text).to_owned())), "{type_name}");
    }
    assert!(rows[1].iter().all(|cell| *cell == (Cell::Null, String::new())), "{:?}", rows[1]);
    assert_eq!(table.nulled(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_every_size_is_exact_where_a_query_can_be_nested() {
    let server = Tds::start().await;
    let money = |scaled: i64| {
        let bytes = scaled.to_le_bytes();
        sized(&[&bytes[4..], &bytes[..4]].concat())
    };
    let amounts = [i64::MAX, i64::MIN, 2_251_799_813_685_249, -1];
    let columns = |type_name: &str, info: &[u8]| {
        let id = ("id".to_owned(), "int".to_owned(), integer(4));
        vec![id, ("a\"b".to_owned(), type_name.to_owned(), info.to_vec())]
    };
    let row = |value: Vec<u8>| [sized(&1_i32.to_le_bytes()), value].concat();
    let plain = Reply {
        columns: columns("money", &[0x6e, 8]),
        rows: amounts.iter().map(|amount| row(money(*amount))).collect(),
        ..Reply::default()
    };
    let exact = |amount: &i64| decimal(*amount < 0, u128::from(amount.unsigned_abs()));
    let nested = Reply {
        columns: columns("decimal(19,4)", &[0x6a, 17, 19, 4]),
        rows: amounts.iter().map(|amount| row(exact(amount))).collect(),
        ..Reply::default()
    };
    server.answer("select * from t", plain.clone());
    server.answer(
        "select \"id\", cast(\"a\"\"b\" as decimal(19, 4)) as \"a\"\"b\" from (\nselect * from t\n) larder_model",
        nested.clone(),
    );
    let source = open(&server.section());
    let table = read(&source, "select * from t").await.unwrap();
    assert_eq!(table.columns[1].type_name, "money");
    let found: Vec<_> = table.rows().into_iter().map(|row| row[1].clone()).collect();
    let texts = ["922337203685477.5807", "-922337203685477.5808", "225179981368.5249", "-0.0001"];
    assert_eq!(found, texts.map(|text| (Cell::Number, text.to_owned())));

    // A subquery neither begins with `with` nor ends with `order by`.
    let sql = "with u as (select * from t) select * from u order by id";
    server.answer(sql, plain.clone());
    server.answer(
        "with u as (select * from t) , larder_model as (\nselect * from u order by id\noffset 0 rows\n)\n\
         select \"id\", cast(\"a\"\"b\" as decimal(19, 4)) as \"a\"\"b\" from larder_model",
        nested,
    );
    assert_eq!(read(&source, sql).await.unwrap().rows()[0][1].1, texts[0]);

    // The server refuses to nest this one.
    let sql = "select * from t option (recompile)";
    server.answer(sql, plain);
    let table = read(&source, sql).await.unwrap();
    let found: Vec<_> = table.rows().into_iter().map(|row| row[1].clone()).collect();
    let rejected = || (Cell::Invalid, "invalid_value".to_owned());
    assert_eq!(found, [rejected(), rejected(), rejected(), (Cell::Number, "-0.0001".to_owned())]);
    wait_until("connections to end", async || server.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_an_ordered_query_are_counted() {
    let server = Tds::start().await;
    let sql = "select id, name from people order by id";
    server.answer(sql, people(3));
    let counts = ["all_rows", "null_rows", "repeated_values"];
    let columns = counts.map(|name| (name.to_owned(), "int".to_owned(), integer(4))).to_vec();
    let row = [3_i32, 0, 1].map(|count| sized(&count.to_le_bytes())).concat();
    server.answer(
        &format!(
            "select sum(occurrences) as all_rows, \
             sum(case when key_value is null then occurrences else 0 end) as null_rows, \
             sum(case when key_value is not null and occurrences > 1 then 1 else 0 end) as repeated_values \
             from (select key_value, count(*) as occurrences \
             from (select cast(\"id\" as varbinary(8000)) as key_value from (\n{sql}\noffset 0 rows\n) larder_model) \
             larder_keys group by key_value) larder_counts"
        ),
        Reply { columns, rows: vec![row], ..Reply::default() },
    );
    let counts = open(&server.section()).key_counts(&Query::Sql(sql.to_owned()), "id").await.unwrap();
    assert_eq!((counts.rows, counts.nulls, counts.repeated), (3, 0, 1));
}

fn people(count: i32) -> Reply {
    let row = |id: i32| [sized(&id.to_le_bytes()), us_value(&format!("Jané {id}"))].concat();
    Reply {
        columns: vec![
            ("id".into(), "int".into(), integer(4)),
            ("name".into(), "nvarchar(50)".into(), with_collation(&[0xe7, 100, 0])),
        ],
        rows: (0..count).map(row).collect(),
        ..Reply::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_in_a_snapshot_that_is_never_committed() {
    let server = Tds::start().await;
    server.answer("select * from people -- it's", people(100_000));
    let source = open(&server.section());
    let table = read(&source, "select * from people -- it's").await.unwrap();
    let rows = table.rows();
    assert!(rows.iter().map(|row| row[1].1.clone()).eq((0..100_000).map(|id| format!("Jané {id}"))));
    for limit in [0, 3, 70_000] {
        let query = Query::Sql("select * from people -- it's".into());
        assert_eq!(read_query(&source, &query, Some(limit)).await.unwrap().rows().len() as u64, limit);
    }
    let batches = server.batches();
    let begin = "set transaction isolation level snapshot; begin transaction";
    assert!(batches.iter().any(|sql| sql == begin), "{batches:?}");
    assert!(batches.iter().any(|sql| sql.contains("set rowcount 0")), "{batches:?}");
    assert!(batches.iter().all(|sql| !sql.starts_with("commit")));
    wait_until("connections to end", async || server.open() == 0).await;

    server.set_isolation("read committed");
    read(&source, "select * from people -- it's").await.unwrap();
    assert!(
        server.batches().iter().any(|sql| sql.starts_with("set transaction isolation level read committed"))
    );
    server.set_isolation("");
    let error = read(&source, "select * from people -- it's").await.unwrap_err();
    assert_eq!(error.code(), "source_snapshot_off");
    let lax = open(&format!("{}isolation = \"read_committed\"\n", server.section()));
    read(&lax, "select * from people -- it's").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_happened_without_a_value() {
    let server = Tds::start().await;
    let failing =
        |number: u32, words: &str| Reply { error: Some((number, words.to_owned())), ..Reply::default() };
    server.answer("select nope", failing(207, "Invalid column name 'nope'."));
    server.answer("selec 1", failing(102, "Incorrect syntax near 'selec'."));
    server.answer("select denied", failing(229, "The SELECT permission was denied on the object 't'."));
    let data = Reply { error: Some((245, "Conversion failed of 'hush'.".into())), ..people(5) };
    server.answer("select cast(name as int) from t", data);
    let deadlock = Reply { error: Some((1205, "deadlocked, 'hush'".into())), ..people(5) };
    server.answer("select deadlock", deadlock);
    server.answer("select 1 select 2", Reply { is_double: true, ..people(5) });
    let mut nameless = people(1);
    nameless.columns[1].0 = String::new();
    server.answer("select id, upper(name) from t", nameless);
    let section = server.section();
    let source = open(&section);
    for (sql, code, part) in [
        ("select * from nothere", "source_unknown_table", "nothere"),
        ("select nope", "source_unknown_column", "nope"),
        ("selec 1", "source_syntax_error", "selec"),
        ("select denied", "source_permission_denied", "'t'"),
        ("select cast(name as int) from t", "source_query_failed", "245"),
        ("select deadlock", "source_conflict", "1205"),
        ("select 1 select 2", "source_several_statements", "one select"),
        ("select 1; select 2", "source_several_statements", "line 1"),
        ("select id, upper(name) from t", "source_query_failed", "column 2"),
    ] {
        let error = read(&source, sql).await.unwrap_err();
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    for (section, code) in [
        (section.replace(PASSWORD, "wrong"), "source_wrong_password"),
        (section.replace(USER, "nobody"), "source_wrong_password"),
        (section.replace("\"shop\"", "\"noshop\""), "source_unknown_database"),
        (section.replace("127.0.0.1", "nowhere.invalid"), "source_host_unknown"),
        (section.replace(&format!("port = {}", server.address.port()), "port = 1"), "source_unreachable"),
        (section.replace("encryption = \"off\"", "encryption = \"required\""), "source_tls_refused"),
    ] {
        let error = open(&section).check().await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(!format!("{source:?}").contains("secret"));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("port = {}", silent.local_addr().unwrap().port());
    let silent_section = section.replace(&format!("port = {}", server.address.port()), &port);
    let error = open_within(&silent_section, "5s", "300ms").check().await.unwrap_err();
    assert_eq!(error.code(), "source_connect_timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_tls_proves_the_server_and_tokens_log_in() {
    let server = Tds::start().await;
    server.answer("select * from people", people(1));
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("ca.pem");
    let address = tls_before(server.address, "sql.example.com", &file).await;
    let section = format!(
        "type = \"sqlserver\"\nhost = \"127.0.0.1\"\nport = {}\ntoken = \"{TOKEN}\"\nencryption = \"strict\"\n",
        address.port()
    );
    let trusted = format!("{section}ca_file = {:?}\n", file.display().to_string());
    let named = format!("{trusted}certificate_name = \"sql.example.com\"\n");
    assert_eq!(read(&open(&named), "select * from people").await.unwrap().rows().len(), 1);
    for refused in [&section, &trusted, &named.replace(TOKEN, "another").replace("strict", "required")] {
        let error = open(refused).check().await.unwrap_err();
        assert!(
            ["source_tls_refused", "source_answer_malformed", "source_unreachable"].contains(&error.code()),
            "{error}"
        );
        assert!(!error.to_string().contains("signature"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_sent_on_once() {
    let (gateway, server) = (Tds::start().await, Tds::start().await);
    gateway.redirect(server.address);
    server.answer("select * from people", people(1));
    assert_eq!(read(&open(&gateway.section()), "select * from people").await.unwrap().rows().len(), 1);
    server.redirect(gateway.address);
    let error = open(&gateway.section()).check().await.unwrap_err();
    assert_eq!(error.code(), "source_unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_columns_are_noticed_and_a_query_without_a_reader_is_ended() {
    let server = Tds::start().await;
    server.answer("select * from people", people(100_000));
    let source = open(&server.section());
    let query = Query::Sql("select * from people".into());
    let columns = source.describe(&query).await.unwrap();
    wait_until("connections to end", async || server.open() == 0).await;
    let (rows, mut batches) = mpsc::channel::<RowBatch>(1);
    let receive = async {
        batches.recv().await.unwrap();
        drop(batches);
    };
    let (ended, ()) = tokio::join!(source.stream(&query, rows, &columns, None), receive);
    ended.unwrap();
    wait_until("the connection to end", async || server.open() == 0).await;

    let mut changed = people(1);
    changed.columns[0].1 = "bigint".into();
    server.answer("select * from people", changed);
    let (rows, _batches) = mpsc::channel::<RowBatch>(1);
    assert_eq!(source.stream(&query, rows, &columns, None).await.unwrap_err().code(), "columns_changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn table_is_synced_and_its_changes_are_served() {
    let server = Tds::start().await;
    server.answer("select * from \"people\"", people(3));
    let sections = format!(
        "[sources.erp]\n{}[models.people]\nsource = \"erp\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.people]\nmodel = \"people\"\nindexes = {{ id = \"id\" }}\n",
        server.section()
    );
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, &sections).await;
    node.sync("people").await;
    let record = serde_json::json!({"id": 2, "name": "Jané 2"});
    assert_eq!(node.record("people", "id", "2").await, Some(record));
    server.answer("select * from \"people\"", people(2));
    node.sync_with("people", true, false).await;
    assert_eq!(node.record("people", "id", "2").await, None);
}
