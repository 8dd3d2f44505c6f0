//! The Athena source against moto, which knows the service's requests and leaves results that a test writes down in S3.

use larder::{
    domain::row::{CellKind as Cell, ColumnKind as Kind},
    source::Query,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    node::{Node, Warehouse},
    s3::S3,
    source::{open, read, read_query},
};

/// A server in which nobody else has queries in `region`.
struct Athena {
    bucket: String,
    region: &'static str,
}

impl Athena {
    async fn start(region: &'static str) -> Self {
        Self { bucket: S3::bucket().await, region }
    }

    /// Lets the next query have this result.
    async fn answer(&self, columns: &[(&str, &str)], rows: &[Vec<Option<&str>>]) {
        let value =
            |text: Option<&str>| text.map_or_else(|| json!({}), |text| json!({ "VarCharValue": text }));
        let row =
            |row: &Vec<Option<&str>>| json!({ "Data": row.iter().copied().map(value).collect::<Vec<_>>() });
        let names = columns.iter().map(|(name, _)| Some(*name)).collect();
        let rows: Vec<Value> = std::iter::once(&names).chain(rows).map(row).collect();
        let info = columns.iter().map(|(name, kind)| {
            let (kind, arguments) = kind.split_once('(').unwrap_or((kind, "0,0)"));
            let numbers = arguments.trim_end_matches(')').split_once(',').unwrap_or(("0", "0"));
            let number = |text: &str| text.parse::<i64>().unwrap();
            json!({ "Name": name, "Type": kind, "Precision": number(numbers.0), "Scale": number(numbers.1) })
        });
        let result = json!({ "rows": rows, "column_info": info.collect::<Vec<_>>() });
        let body = json!({ "region": self.region, "results": [result] });
        let address = S3::server().await.address();
        let url = format!("http://{address}/moto-api/static/athena/query-results");
        let answer = reqwest::Client::new().post(url).body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// The result of a query that is described, then read.
    async fn answer_twice(&self, columns: &[(&str, &str)], rows: &[Vec<Option<&str>>]) {
        self.answer(columns, &[]).await;
        self.answer(columns, rows).await;
    }

    async fn section(&self) -> String {
        let address = S3::server().await.address();
        format!(
            "type = \"athena\"\nregion = \"{}\"\noutput = \"s3://{}/results\"\nurl = \"http://{address}\"\n\
             database = \"shop\"\ns3 = {{ endpoint = \"http://{address}\", region = \"{}\", path_style = true, \
             access_key_id = \"test\", secret_access_key = \"test\" }}\n",
            self.region, self.bucket, self.region
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_exact_and_null_is_not_empty() {
    let server = Athena::start("eu-central-1").await;
    // The type that is described, the type that is read as text, the text, what is served.
    let cases = [
        ("boolean", "boolean", "true", Kind::Boolean, Cell::Boolean, "true"),
        ("bigint", "bigint", "-9223372036854775808", Kind::Integer, Cell::Integer, "-9223372036854775808"),
        ("decimal(38,2)", "decimal(38,2)", "-0.50", Kind::Number, Cell::Number, "-0.50"),
        ("double", "double", "1.0E300", Kind::Number, Cell::Number, "1e+300"),
        ("float", "float", "1.1", Kind::Number, Cell::Number, "1.1"),
        ("double", "double", "NaN", Kind::Number, Cell::Null, ""),
        ("varchar", "varchar", "é, 😀\n", Kind::Text, Cell::Text, "é, 😀\n"),
        ("varchar", "varchar", "", Kind::Text, Cell::Text, ""),
        ("date", "date", "2024-02-29", Kind::Text, Cell::Text, "2024-02-29"),
        (
            "timestamp",
            "timestamp",
            "2024-07-01 12:00:00.500",
            Kind::Text,
            Cell::Text,
            "2024-07-01T12:00:00.5",
        ),
        (
            "timestamp with time zone",
            "timestamp with time zone",
            "2024-07-01 12:00:00.000 UTC",
            Kind::Text,
            Cell::Text,
            "2024-07-01T12:00:00Z",
        ),
        ("varbinary", "varchar", "+//+", Kind::Text, Cell::Text, "+//+"),
        ("array", "varchar", "[1,9007199254740993]", Kind::Json, Cell::Json, "[1,9007199254740993]"),
        ("row", "varchar", "{}", Kind::Json, Cell::Json, "{}"),
        ("json", "varchar", "[1.50]", Kind::Json, Cell::Json, "[1.50]"),
    ];
    let names: Vec<String> = (0..cases.len()).map(|at| format!("c{at}")).collect();
    let columns = |read: bool| -> Vec<(&str, &str)> {
        names.iter().zip(&cases).map(|(name, case)| (&**name, if read { case.1 } else { case.0 })).collect()
    };
    let rows = [cases.iter().map(|case| Some(case.2)).collect(), vec![None; cases.len()]];
    server.answer(&columns(false), &[]).await;
    server.answer(&columns(true), &rows).await;
    let query = Query::Table { name: "every".into(), columns: None };
    let table = read_query(&open(&server.section().await), &query, None).await.unwrap();
    let rows = table.rows();
    for ((column, cell), (type_name, .., kind, cell_kind, text)) in
        table.columns.iter().zip(&rows[0]).zip(cases)
    {
        assert_eq!((column.kind, cell), (kind, &(cell_kind, text.to_owned())), "{type_name}");
    }
    assert!(rows[1].iter().all(|cell| cell.0 == Cell::Null));
    assert_eq!((rows.len(), table.nulled()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_read_to_their_end_and_changes_are_noticed() {
    let server = Athena::start("eu-west-1").await;
    let source = open(&server.section().await);
    let columns = [("id", "integer"), ("name", "varchar")];
    let texts: Vec<(String, String)> = (0..20_000).map(|id| (id.to_string(), format!("Jané {id}"))).collect();
    let rows: Vec<Vec<Option<&str>>> =
        texts.iter().map(|(id, name)| vec![Some(id.as_str()), Some(name.as_str())]).collect();
    server.answer_twice(&columns, &rows).await;
    let found = read(&source, "select * from people;").await.unwrap().rows();
    assert!(found.iter().map(|row| &row[1].1).eq(texts.iter().map(|(_, name)| name)));

    server.answer(&columns, &[]).await;
    server.answer(&[("id", "bigint"), ("name", "varchar")], &rows[..3]).await;
    assert_eq!(read(&source, "select * from people").await.unwrap_err().code(), "columns_changed");
    let error = read(&source, "select 1; select 2").await.unwrap_err();
    assert_eq!(error.code(), "source_several_statements");
    let section = server.section().await;
    let address = S3::server().await.address();
    let nowhere = section.replace(&format!("url = \"http://{address}\""), "url = \"http://127.0.0.1:1\"");
    assert_eq!(open(&nowhere).check().await.unwrap_err().code(), "source_unreachable");
    assert!(!format!("{source:?}").contains("secret_access_key: \"test"), "{source:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn table_is_synced_and_its_changes_are_served() {
    let server = Athena::start("eu-north-1").await;
    let columns = [("id", "integer"), ("name", "varchar")];
    let sections = format!(
        "[sources.lake]\n{}[models.people]\nsource = \"lake\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.people]\nmodel = \"people\"\nindexes = {{ id = \"id\" }}\n",
        server.section().await
    );
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, &sections).await;
    server.answer_twice(&columns, &[vec![Some("1"), Some("Ann")], vec![Some("2"), Some("Bøb")]]).await;
    node.sync("people").await;
    assert_eq!(node.record("people", "id", "2").await, Some(json!({"id": 2, "name": "Bøb"})));
    server.answer_twice(&columns, &[vec![Some("1"), None]]).await;
    node.sync_with("people", true, false).await;
    assert_eq!(node.record("people", "id", "2").await, None);
    assert_eq!(node.record("people", "id", "1").await, Some(json!({"id": 1, "name": null})));
}
