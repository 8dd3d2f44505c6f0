//! What a node serves is what Postgres has: a table of everything awkward, synced by configuration
//! alone, compared field by field with what Postgres itself says of its rows.

mod columns;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use larder::domain::run::RunStatus;
use serde_json::Value;
use tempfile::TempDir;

use self::columns::{Column, Expected, FLOAT, columns};
use crate::support::{
    http::Answer,
    node::{Node, Warehouse},
    postgres::Database,
};

const ROWS: usize = 20_000;
/// Records that are compared in every field.
const COMPARED: usize = 2000;
/// Settings that a database's owner may have made and that change what Postgres prints.
const SETTINGS: &str = "
    alter database {} set timezone = 'Asia/Kolkata';
    alter database {} set datestyle = 'SQL, DMY';
    alter database {} set extra_float_digits = -3;
    alter database {} set bytea_output = 'escape';
";
/// JSON that Postgres takes and nobody else does; its row has no record.
const BAD_JSON: &str = r#"'"\u0000"'::json"#;

/// The indexes: name, column, what follows the column in the configuration.
const INDEXES: [(&str, &str, &str); 5] = [
    ("id", "id", ""),
    ("email", "email", ", normalize = [\"trim\", \"lowercase\"]"),
    ("tag", "tags", ", each = true"),
    ("number", "numbers", ", each = true"),
    ("big", "big", ""),
];

/// The table and the columns that this Postgres can have.
struct Awkward {
    columns: Vec<Column>,
    node: Node,
}

/// What a row must be found by and what its record must be.
struct Row {
    id: String,
    /// In the order of [`INDEXES`]; several for `each`.
    values: Vec<Vec<String>>,
}

impl Awkward {
    async fn start(rows: usize, sections: &str) -> Self {
        let Warehouse::Postgres(database) = Warehouse::postgres().await else { unreachable!() };
        let columns = available(&database).await;
        let name = database.value("select current_database()").await.unwrap();
        database.execute(&SETTINGS.replace("{}", &name)).await;
        database.execute(columns::PREPARE).await;
        let fields: Vec<_> =
            columns.iter().map(|column| format!("{} {}", quoted(column.name), column.sql_type)).collect();
        database.execute(&format!("create table \"Awkward table\" ({})", fields.join(", "))).await;
        let table = Self::put(&columns, &format!("select n, n as v from generate_series(1, {rows}) n"));
        database.execute(&table).await;
        database
            .execute(&format!(
                "update \"Awkward table\" set \"verbatim json\" = {BAD_JSON} where n % 997 = 5"
            ))
            .await;
        let node = Node::start(TempDir::new().unwrap(), Warehouse::Postgres(database), sections).await;
        Self { columns, node }
    }

    /// Inserts a row for each `n` and `v`.
    fn put(columns: &[Column], numbers: &str) -> String {
        let columns: Vec<_> = columns.iter().filter(|column| !column.value.is_empty()).collect();
        let names: Vec<_> = columns.iter().map(|column| quoted(column.name)).collect();
        let values: Vec<_> = columns.iter().map(|column| column.value).collect();
        format!(
            "insert into \"Awkward table\" ({}) select {} from ({numbers}) as numbers",
            names.join(", "),
            values.join(", ")
        )
    }

    fn database(&self) -> &Database {
        let Warehouse::Postgres(database) = &self.node.warehouse else { unreachable!() };
        database
    }

    /// What Postgres says: of some rows each field's JSON, by id.
    async fn expected(&self, which: &str) -> HashMap<String, Vec<String>> {
        let fields: Vec<_> = self.columns.iter().map(expected).collect();
        let sql = format!(
            "set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 1; \
             select id::text, {} from \"Awkward table\" where {which}",
            fields.join(", ")
        );
        let rows = self.database().texts(&sql).await;
        let mut found = HashMap::new();
        for row in rows {
            let mut fields = row.into_iter().map(|field| field.unwrap_or_else(|| "null".to_owned()));
            found.insert(fields.next().unwrap(), fields.collect());
        }
        found
    }

    /// Compares records with what is expected of them, field by field.
    async fn compare(&self, expected: &HashMap<String, Vec<String>>) {
        let ids: Vec<_> = expected.keys().cloned().collect();
        let answers = self.node.get_many("awkward", "id", &ids).await;
        let mut differences = BTreeMap::new();
        for (id, answer) in ids.iter().zip(&answers) {
            assert_eq!(answer.status, 200, "{id}: {answer:?}");
            let record = answer.json();
            assert_eq!(record.to_string(), answer.text(), "{id} is not compact");
            let record = record.as_object().unwrap();
            let names: Vec<_> = self.columns.iter().map(|column| column.name).collect();
            assert_eq!(record.keys().collect::<Vec<_>>(), names, "{id}");
            for (column, text) in self.columns.iter().zip(&expected[id]) {
                let served = &record[column.name];
                if !agree(column, served, text) {
                    let difference = (format!("served {served}, expected {text}"), id);
                    differences.entry(column.name).or_insert(difference);
                }
            }
        }
        assert!(differences.is_empty(), "{differences:#?}");
    }

    /// Every row that has a record, as Postgres has it.
    async fn rows(&self, which: &str) -> Vec<Row> {
        let fields = INDEXES.map(|(_, column, _)| format!("to_json({})::text", quoted(column)));
        let sql = format!(
            "set timezone = 'UTC'; select {} from \"Awkward table\" where {which}",
            fields.join(", ")
        );
        let values = |field: Option<String>| match field.map(|text| serde_json::from_str(&text).unwrap()) {
            Some(Value::Array(elements)) => elements.iter().filter_map(plain).collect(),
            Some(value) => plain(&value).into_iter().collect::<Vec<_>>(),
            None => Vec::new(),
        };
        let rows = self.database().texts(&sql).await.into_iter();
        rows.map(|row| {
            let values: Vec<_> = row.into_iter().map(values).collect();
            Row { id: values[0][0].clone(), values }
        })
        .collect()
    }

    /// Looks every value of every index up, those of rows that `left` too.
    async fn look_up(&self, rows: &[Row], left: &[Row]) {
        for (at, (index, ..)) in INDEXES.iter().enumerate() {
            // Of several that claim a value the lowest key holds it.
            let mut holders = BTreeMap::new();
            for row in rows {
                for value in row.values[at].iter().filter_map(|value| normal(index, value)) {
                    let holder = holders.entry(value).or_insert(row.id.as_str());
                    *holder = row.id.as_str().min(*holder);
                }
            }
            let asked: BTreeSet<_> = rows.iter().chain(left).flat_map(|row| &row.values[at]).collect();
            // An empty value is another path.
            let asked: Vec<_> = asked.into_iter().filter(|value| !value.is_empty()).cloned().collect();
            let answers = self.node.get_many("awkward", index, &asked).await;
            for (value, answer) in asked.iter().zip(&answers) {
                let holder = normal(index, value).and_then(|value| holders.get(&value).copied());
                assert_eq!(id_of(answer), holder, "{index} {value:?}");
            }
        }
    }
}

/// The columns that this server has types for; their extensions are created.
async fn available(database: &Database) -> Vec<Column> {
    let version: u32 =
        database.value("select current_setting('server_version_num')").await.unwrap().parse().unwrap();
    let mut found = Vec::new();
    for column in columns().into_iter().filter(|column| column.since <= version) {
        if let Some(extension) = column.extension {
            let known = format!("select 1 from pg_available_extensions where name = '{extension}'");
            if database.value(&known).await.is_none() {
                continue;
            }
            database.execute(&format!("create extension {extension}")).await;
        }
        found.push(column);
    }
    found
}

fn sections() -> String {
    let indexes =
        INDEXES.map(|(index, column, more)| format!("{index} = {{ column = \"{column}\"{more} }}\n"));
    format!(
        "[models.awkward]\nsource = \"warehouse\"\ntable = \"Awkward table\"\nprimary_key = \"id\"\n\
         [syncs.awkward]\nmodel = \"awkward\"\n[syncs.awkward.indexes]\n{}",
        indexes.concat()
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The expression for what a column's field must be.
fn expected(column: &Column) -> String {
    let name = quoted(column.name);
    match column.expected {
        Expected::Same => format!("to_json({name})::text"),
        Expected::Positional | Expected::Unordered => format!("to_json({name})::jsonb::text"),
        Expected::Sql(expression) => format!("({})", expression.replace("{}", &name)),
        Expected::Double | Expected::Single => format!("({})", FLOAT.replace("{}", &name)),
    }
}

fn agree(column: &Column, served: &Value, expected: &str) -> bool {
    // Numbers keep their digits, objects their order.
    let expected: Value = serde_json::from_str(expected).unwrap();
    let (served_text, expected_text) = (served.to_string(), expected.to_string());
    match column.expected {
        _ if served_text == expected_text => true,
        Expected::Unordered => *served == expected,
        Expected::Double => {
            is_shorter(&served_text, &expected_text)
                && read::<f64>(&served_text) == read::<f64>(&expected_text)
        }
        Expected::Single => {
            is_shorter(&served_text, &expected_text)
                && read::<f32>(&served_text) == read::<f32>(&expected_text)
        }
        _ => false,
    }
}

/// Whether a number has fewer digits than another of the same form.
fn is_shorter(number: &str, other: &str) -> bool {
    let digits = |number: &str| number.split('e').next().unwrap().trim_end_matches('0').len();
    number.contains('e') == other.contains('e') && digits(number) < digits(other)
}

fn read<F: std::str::FromStr>(number: &str) -> Option<F> {
    number.parse().ok()
}

/// The plain text of a scalar.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// The text under which an index of the test compares a value; `None` when it is absent.
fn normal(index: &str, value: &str) -> Option<String> {
    let normal = match index {
        "email" => value.trim().to_lowercase(),
        _ => value.to_owned(),
    };
    (!normal.is_empty()).then_some(normal)
}

/// The id of the record that was answered.
fn id_of(answer: &Answer) -> Option<&str> {
    match answer.status {
        200 => answer.text().strip_prefix("{\"id\":\"").map(|rest| &rest[..36]),
        404 => {
            assert_eq!(answer.code(), "record_not_found");
            None
        }
        _ => panic!("{answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_what_postgres_has() {
    let awkward = Awkward::start(ROWS, &sections()).await;
    let node = &awkward.node;
    let ended = node.sync("awkward").await;
    assert_eq!(ended.record.status, RunStatus::Announced, "{:?}", ended.record);
    let rejected = (1..=ROWS).filter(|n| n % 997 == 5).count() as u64;
    let counts = ended.record.counts;
    assert_eq!((counts.rows, counts.rejected, counts.added), (ROWS as u64, rejected, ROWS as u64 - rejected));
    assert!(ended.rejected.iter().all(|row| row.reason.as_str() != "invalid_json" || row.field.as_deref() == Some("verbatim json")));

    let good = "n % 997 <> 5";
    let some = format!("{good} order by md5(n::text || 'first') limit {COMPARED}");
    awkward.compare(&awkward.expected(&some).await).await;
    let before = awkward.rows(good).await;
    // Changed rows take the values of others; a tenth leaves, as many come, and some go bad.
    let carried = "n % 10 = 6 and n % 7 = 1";
    let as_before = awkward.expected(&format!("{good} and {carried}")).await;
    let carried_rows = awkward.rows(&format!("{good} and {carried}")).await;
    let change = format!(
        "delete from \"Awkward table\" where n % 10 in (2, 3); {}; {}; \
         update \"Awkward table\" set \"verbatim json\" = {BAD_JSON}, email = 'changed' || n where {carried}",
        Awkward::put(
            &awkward.columns,
            &format!("select n, n + 50000 as v from generate_series(1, {ROWS}) n where n % 10 = 3")
        ),
        Awkward::put(
            &awkward.columns,
            &format!("select n, n as v from generate_series({ROWS} + 1, {ROWS} * 11 / 10) n")
        ),
    );
    node.warehouse.execute(&change).await;
    let ended = node.sync("awkward").await;
    assert_eq!(ended.record.status, RunStatus::Announced, "{:?}", ended.record);
    let good = format!("({good} or n % 10 = 3 or n > {ROWS})");
    let some = format!("{good} and not ({carried}) order by md5(n::text || 'second') limit {COMPARED}");
    awkward.compare(&awkward.expected(&some).await).await;
    let changed = format!("{good} and n % 10 = 3 order by n limit {}", COMPARED / 4);
    awkward.compare(&awkward.expected(&changed).await).await;
    // What went bad is served as it was.
    awkward.compare(&as_before).await;

    let mut rows = awkward.rows(&format!("{good} and not ({carried})")).await;
    rows.extend(carried_rows);
    let counts = ended.record.counts;
    assert_eq!((counts.records, counts.carried), (rows.len() as u64, as_before.len() as u64));
    awkward.look_up(&rows, &before).await;
    other_spellings(node, &rows[0]).await;
}

/// Columns of many types that can be a primary key.
const KEYS: [&str; 13] = [
    "n",
    "big",
    "exact",
    "whole",
    "RATIO",
    "date",
    "at random",
    "at zone random",
    "every character",
    "varchar",
    "interval",
    "oid",
    "shout",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_any_type_finds_its_row() {
    let syncs = KEYS.iter().enumerate().map(|(at, key)| {
        format!(
            "[models.by-{at}]\nsource = \"warehouse\"\nsql = 'select * from \"Awkward table\"'\nprimary_key = \"{key}\"\n\
             [syncs.by-{at}]\nmodel = \"by-{at}\"\nindexes.id = \"{key}\"\nfields.n = \"n\"\n"
        )
    });
    let awkward = Awkward::start(200, &syncs.collect::<Vec<_>>().concat()).await;
    for (at, key) in KEYS.iter().enumerate() {
        let name = format!("by-{at}");
        let ended = awkward.node.sync(&name).await;
        let counts = ended.record.counts;
        assert_eq!(
            (ended.record.status, counts.added, counts.rejected),
            (RunStatus::Announced, 200, 0),
            "{key}"
        );
        let column = awkward.columns.iter().find(|column| column.name == *key).unwrap();
        let sql =
            format!("set timezone = 'UTC'; select n::text, {} from \"Awkward table\"", expected(column));
        let (numbers, keys): (Vec<_>, Vec<_>) = awkward
            .database()
            .texts(&sql)
            .await
            .into_iter()
            .map(|row| {
                let key: Value = serde_json::from_str(row[1].as_deref().unwrap()).unwrap();
                (row[0].clone().unwrap(), plain(&key).unwrap())
            })
            .unzip();
        for (number, answer) in numbers.iter().zip(awkward.node.get_many(&name, "id", &keys).await) {
            assert_eq!(answer.text(), format!("{{\"n\":{number}}}"), "{key}");
        }
    }
}

/// A value is found however it is spelt, as far as its type says that the spellings are one.
async fn other_spellings(node: &Node, row: &Row) {
    let [id, email, big] = [0, 1, 4].map(|index| row.values[index][0].as_str());
    let padded = big.strip_prefix('-').map_or(format!("+000{big}"), |digits| format!("-000{digits}"));
    for (index, value) in [
        ("id", id.to_uppercase()),
        ("email", format!("\u{2003}{}\n", email.to_uppercase().to_lowercase())),
        ("big", padded),
        ("big", format!("{big}.00")),
        ("big", format!("{big}e0")),
    ] {
        let answer = &node.get_many("awkward", index, std::slice::from_ref(&value)).await[0];
        assert_eq!(id_of(answer), Some(id), "{index} {value:?}");
    }
    for (index, value) in [("big", format!("{big}.01")), ("id", id.replace('-', ""))] {
        let answer = &node.get_many("awkward", index, std::slice::from_ref(&value)).await[0];
        assert_eq!(id_of(answer), None, "{index} {value:?}");
    }
}
