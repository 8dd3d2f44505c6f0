//! Snowflake's own driver against an emulator of Snowflake.

use serde_json::json;
use tempfile::TempDir;

use super::python_driver;
use crate::support::{
    node::{Node, Warehouse},
    process::larder,
    service::{Service, installed},
};

/// Columns: name, type, expression in the first row, and its value.
const COLUMNS: &[(&str, &str, &str, &str)] = &[
    ("ID", "int", "1", "1"),
    ("NAME", "varchar", "'Zoë \"q\" 😀'", "\"Zoë \\\"q\\\" 😀\""),
    ("PRICE", "number(12, 2)", "-0.50", "-0.50"),
    (
        "EXACT",
        "number(38, 10)",
        "'1234567890123456789012345678.0123456789'",
        "1234567890123456789012345678.0123456789",
    ),
    ("LARGE", "number(38, 0)", "9007199254740993", "9007199254740993"),
    ("SHARE", "float", "0.1", "0.1"),
    ("FLAG", "boolean", "true", "true"),
    ("BORN", "date", "'2024-02-29'", "\"2024-02-29\""),
    ("SEEN", "timestamp_ntz", "'2024-01-02 03:04:05.250'", "\"2024-01-02T03:04:05.25\""),
    ("DETAIL", "variant", "parse_json('{\"a\": [1, null, \"x\"]}')", "{\"a\":[1,null,\"x\"]}"),
    ("NOTHING", "varchar", "null", "null"),
];

#[tokio::test(flavor = "multi_thread")]
async fn table_of_snowflake_is_synced_and_its_changes_are_served() {
    let emulator = Service::start(&installed("adbc/bin/fakesnow"), |address| {
        ["-s", "-p", &address.port().to_string()].map(str::to_owned).to_vec()
    })
    .await;
    // The emulator makes the database and the schema of a login.
    let login = format!(
        "type = \"snowflake\"\ndriver = {:?}\naccount = \"emulated\"\nuser = \"reader\"\npassword = \"hunter2\"\n\
         host = \"localhost\"\nport = {}\nprotocol = \"http\"\ndatabase = \"SHOP\"\nschema = \"STORE\"\n",
        python_driver("snowflake"),
        emulator.address.port()
    );
    // The same login by the driver's own names; nothing but `setup` is run.
    let names = [
        ("username", "reader"),
        ("password", "hunter2"),
        ("adbc.snowflake.sql.account", "emulated"),
        ("adbc.snowflake.sql.uri.host", "localhost"),
        ("adbc.snowflake.sql.uri.port", &emulator.address.port().to_string()),
        ("adbc.snowflake.sql.uri.protocol", "http"),
        ("adbc.snowflake.sql.db", "SHOP"),
        ("adbc.snowflake.sql.schema", "STORE"),
    ];
    let options: Vec<_> = names.iter().map(|(name, value)| format!("{name:?} = {value:?}")).collect();
    let writer = format!(
        "type = \"adbc\"\ndriver = {:?}\noptions = {{ {} }}\n",
        python_driver("snowflake"),
        options.join(", ")
    );
    let directory = TempDir::new().unwrap();
    let root = directory.path().to_owned();
    let write = |statements: &[&str]| {
        let config =
            format!("[storage]\nurl = \"file:./store\"\n[sources.writer]\n{writer}setup = {statements:?}\n");
        std::fs::write(root.join("write.toml"), config).unwrap();
        larder(&root, &["source", "check", "writer", "--config", "write.toml"]).expect(0);
    };
    let columns: Vec<_> = COLUMNS.iter().map(|(name, kind, ..)| format!("{name} {kind}")).collect();
    let values: Vec<_> = COLUMNS.iter().map(|(_, _, value, _)| *value).collect();
    write(&[
        &format!("create table SHOP.STORE.CUSTOMERS ({})", columns.join(", ")),
        &format!("insert into SHOP.STORE.CUSTOMERS select {}", values.join(", ")),
        "insert into SHOP.STORE.CUSTOMERS (ID, NAME) values (2, 'Bøb')",
    ]);
    let sections = format!(
        "[sources.snow]\n{login}\
         [models.customers]\nsource = \"snow\"\nsql = \"select * from CUSTOMERS // it's; no end\"\nprimary_key = \"ID\"\n\
         [syncs.customer]\nmodel = \"customers\"\nindexes = {{ id = \"ID\" }}\n"
    );
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, &sections).await;
    let tables = larder(&root, &["source", "tables", "snow"]).expect(0);
    assert_eq!(tables.stdout.trim(), "SHOP.STORE.CUSTOMERS");
    larder(&root, &["sync", "customer"]).expect(0);
    node.await_version("customer", 1).await;
    let expected: Vec<_> = COLUMNS.iter().map(|(name, _, _, text)| format!("\"{name}\":{text}")).collect();
    assert_eq!(node.get("customer", "id", "1").await.text(), format!("{{{}}}", expected.join(",")));
    write(&[
        "update SHOP.STORE.CUSTOMERS set NAME = 'Bob' where ID = 2",
        "delete from SHOP.STORE.CUSTOMERS where ID = 1",
    ]);
    larder(&root, &["sync", "customer", "--accept"]).expect(0);
    node.await_version("customer", 2).await;
    assert_eq!(node.record("customer", "id", "1").await, None);
    assert_eq!(node.record("customer", "id", "2").await.unwrap()["NAME"], json!("Bob"));
    let many = "create table SHOP.STORE.MANY as select seq4() as ID, \
         (seq4() * 1000003)::number(38, 4) as AMOUNT, seq4() / 8::float as RATIO, \
         'Ærø \"' || seq4() || '\" 🍋' as NAME, seq4() % 2 = 0 as FLAG from table(generator(rowcount => 200000))";
    write(&[many]);
    // A query prints half as many at most.
    let many: String = [0, 100_000]
        .map(|from| {
            let sql = format!("select * from SHOP.STORE.MANY order by ID limit 100000 offset {from}");
            larder(&root, &["source", "query", "snow", &sql, "--limit", "100000"]).expect(0).stdout
        })
        .concat();
    for (id, line) in many.lines().enumerate() {
        let expected = json!({"ID": id, "AMOUNT": id * 1_000_003, "RATIO": id as f64 / 8.0,
            "NAME": format!("Ærø \"{id}\" 🍋"), "FLAG": id % 2 == 0});
        let found: serde_json::Value = serde_json::from_str(line).unwrap();
        for (name, expected) in expected.as_object().unwrap() {
            let is_same = found[name] == *expected
                || expected.as_f64().is_some_and(|number| found[name].as_f64() == Some(number));
            assert!(is_same, "{name}: {line}");
        }
    }
    assert_eq!(many.lines().count(), 200_000);
    for (sql, code) in [
        ("select * from nothere", "source_unknown_table"),
        ("select 1; select 2", "source_several_statements"),
    ] {
        let output = larder(&root, &["source", "query", "snow", sql]).expect(1);
        assert!(output.stderr.contains(code), "{output:?}");
    }
}

#[test]
fn wrong_passphrase_is_a_fault_of_the_login() {
    let directory = TempDir::new().unwrap();
    let openssl = |arguments: &[&str]| {
        let mut command = std::process::Command::new("openssl");
        let done = command.args(arguments).current_dir(directory.path()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    openssl(&["genpkey", "-algorithm", "RSA", "-out", "key.pem"]);
    let encrypt = ["pkcs8", "-topk8", "-in", "key.pem", "-out", "key.p8", "-passout", "pass:hunter2"];
    openssl(&encrypt);
    let config = format!(
        "[sources.snow]\ntype = \"snowflake\"\ndriver = {:?}\naccount = \"a\"\nuser = \"u\"\nhost = \"127.0.0.1\"\n\
         port = 1\nprivate_key_file = \"key.p8\"\nprivate_key_passphrase = \"hunter3\"\n",
        python_driver("snowflake")
    );
    std::fs::write(directory.path().join("larder.toml"), config).unwrap();
    let checked = larder(directory.path(), &["source", "check", "snow"]).expect(1);
    assert!(checked.stderr.contains("code: source_login_refused"), "{checked:?}");
    assert!(!checked.text().contains("hunter"), "{checked:?}");
}
