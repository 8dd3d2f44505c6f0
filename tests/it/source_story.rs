//! One story over every source that can be run here: a first sync, a statement that writes, changes, deletes, a guard, a
//! killed run, and a table that is gone. After each step every record is compared.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    source_adbc::{duckdb, python_driver},
    support::{
        clickhouse::ClickHouse,
        flight_sql::FlightSql,
        http::Answer,
        mysql::{MySql, MySqlDatabase},
        node::{Node, Warehouse},
        postgres::{Database, Postgres},
        process::{Process, command, larder, until},
        service::{Service, installed},
    },
};

const ROWS: u32 = 300;

/// The name of each row by its key.
type Rows = BTreeMap<u32, String>;

/// Where the rows are.
enum Source {
    Postgres(Database),
    Sqlite,
    MySql(MySqlDatabase),
    ClickHouse(ClickHouse),
    DuckDb,
    FlightSql(FlightSql),
    /// A file that DuckDB writes.
    Parquet,
    /// The port of an emulator.
    Snowflake(u16, #[expect(dead_code, reason = "ends with the test")] Service),
}

struct Story {
    source: Source,
    directory: PathBuf,
    node: Node,
}

impl Source {
    /// The keys of `[sources.shop]`, and those of the model.
    fn sections(&self, directory: &TempDir) -> (String, String) {
        let at = |name: &str| directory.path().join(name);
        let people = "table = \"people\"".to_owned();
        match self {
            Self::Postgres(database) => {
                (format!("type = \"postgres\"\nurl = {:?}\n", database.url()), people)
            }
            Self::Sqlite => (format!("type = \"sqlite\"\npath = {:?}\n", at("warehouse.db")), people),
            Self::MySql(database) => (database.section(), people),
            Self::ClickHouse(database) => (database.section(), people),
            Self::DuckDb => {
                let path = at("shop.duckdb");
                (format!("type = \"duckdb\"\ndriver = {:?}\npath = {path:?}\n", duckdb()), people)
            }
            Self::FlightSql(server) => (server.section(), people),
            Self::Parquet => {
                let path = directory.path();
                (format!("type = \"files\"\npath = {path:?}\n"), "table = \"people.parquet\"".to_owned())
            }
            Self::Snowflake(port, _) => {
                let login = format!(
                    "type = \"snowflake\"\ndriver = {:?}\naccount = \"emulated\"\nuser = \"reader\"\n\
                     password = \"hunter2\"\nhost = \"localhost\"\nport = {port}\nprotocol = \"http\"\n\
                     database = \"SHOP\"\nschema = \"STORE\"\n",
                    python_driver("snowflake")
                );
                (login, "sql = \"select * from SHOP.STORE.\\\"people\\\"\"".to_owned())
            }
        }
    }

    /// The section of a driver that writes, for databases that only a driver reaches.
    fn writer(&self, directory: &Path) -> String {
        if let Self::FlightSql(server) = self {
            return server.writer();
        }
        let (driver, rest, options) = match self {
            Self::DuckDb => {
                let path = directory.join("shop.duckdb");
                (duckdb(), "entrypoint = \"duckdb_adbc_init\"\n", format!("path = {path:?}"))
            }
            Self::Snowflake(port, _) => {
                let name = |name| format!("\"adbc.snowflake.sql.{name}\"");
                let options = [
                    ("username".to_owned(), "reader"),
                    ("password".to_owned(), "hunter2"),
                    (name("account"), "emulated"),
                    (name("uri.host"), "localhost"),
                    (name("uri.port"), &port.to_string()),
                    (name("uri.protocol"), "http"),
                    (name("db"), "SHOP"),
                    (name("schema"), "STORE"),
                ];
                let options = options.map(|(name, value)| format!("{name} = {value:?}"));
                (python_driver("snowflake"), "", options.join(", "))
            }
            _ => (duckdb(), "entrypoint = \"duckdb_adbc_init\"\n", String::new()),
        };
        format!("type = \"adbc\"\ndriver = {driver:?}\n{rest}options = {{ {options} }}\n")
    }
}

impl Story {
    async fn start(source: Source) -> Self {
        let directory = TempDir::new().unwrap();
        let (section, model) = source.sections(&directory);
        let sections = format!(
            "[sources.shop]\n{section}[models.people]\nsource = \"shop\"\n{model}\nprimary_key = \"id\"\n\
             [syncs.person]\nmodel = \"people\"\nindexes = {{ id = \"id\", name = \"name\" }}\n"
        );
        let warehouse = Warehouse::sqlite(directory.path());
        let path = directory.path().to_owned();
        if let Source::DuckDb = source {
            // A path that does not exist is refused.
            write(&path, &source, &[]);
        }
        Self { source, directory: path, node: Node::start(directory, warehouse, &sections).await }
    }

    /// Runs statements where the rows are.
    async fn execute(&self, statements: &[String]) {
        match &self.source {
            Source::Postgres(database) => database.execute(&statements.join(";")).await,
            Source::Sqlite => self.node.warehouse.execute(&statements.join(";")).await,
            Source::MySql(database) => database.execute(&statements.join(";")).await,
            Source::ClickHouse(database) => {
                for statement in statements {
                    database.run(statement).await;
                }
            }
            source => write(&self.directory, source, statements),
        }
    }

    /// Puts `rows` in the place of all rows.
    async fn replace(&self, rows: &Rows) {
        let values: Vec<_> = rows.iter().map(|(id, name)| format!("({id}, '{name}', {id}.25)")).collect();
        let values = values.join(", ");
        let (table, columns) = match self.source {
            Source::Snowflake(..) => {
                ("SHOP.STORE.\"people\"", "\"id\" int, \"name\" varchar(50), \"amount\" number(10, 2)")
            }
            Source::ClickHouse(_) => ("people", "id Int32, name String, amount Decimal(10, 2)"),
            Source::MySql(_) => {
                ("people", "id int, name varchar(50) character set utf8mb4, amount decimal(10, 2)")
            }
            _ => ("people", "id int, name varchar(50), amount decimal(10, 2)"),
        };
        let engine = match self.source {
            Source::ClickHouse(_) => " engine = MergeTree order by id",
            _ => "",
        };
        if let Source::Parquet = self.source {
            let path = self.directory.join("people.parquet");
            let typed = format!(
                "copy (select id, name, amount::decimal(10, 2) as amount from (values {values}) t(id, name, amount)) \
                 to '{}' (format parquet)",
                path.display()
            );
            return self.execute(&[typed]).await;
        }
        self.execute(&[
            format!("drop table if exists {table}"),
            format!("create table {table} ({columns}){engine}"),
            format!("insert into {table} values {values}"),
        ])
        .await;
    }

    /// Takes the rows' place away.
    async fn remove(&self) {
        match self.source {
            Source::Parquet => fs::remove_file(self.directory.join("people.parquet")).unwrap(),
            Source::Snowflake(..) => self.execute(&["drop table SHOP.STORE.\"people\"".to_owned()]).await,
            _ => self.execute(&["drop table people".to_owned()]).await,
        }
    }

    /// Runs the sync by command, which ends with `code`; returns the run.
    async fn sync(&self, code: i32) -> Value {
        let run = larder(&self.directory, &["sync", "person", "--json"]).expect(code).json();
        if let Some(version) = run["version"].as_u64() {
            self.node.await_version("person", version).await;
        }
        run
    }

    /// Compares every record, by both indexes, with `rows`.
    async fn check(&self, rows: &Rows) {
        self.check_records(rows).await;
        let names: Vec<String> = rows.values().cloned().collect();
        for (name, answer) in names.iter().zip(self.node.get_many("person", "name", &names).await) {
            assert_eq!(answer.json()["name"], name.as_str());
        }
    }

    /// Compares every record with `rows`.
    async fn check_records(&self, rows: &Rows) {
        for (id, answer) in self.records().await {
            assert_eq!(record(&answer), expected(rows, id));
        }
    }

    /// Checks that every record is that of one of two versions, and of the newer one when the answer names it. While
    /// a node applies changes, a record may be ahead of the version in its answer, never behind it.
    async fn check_either(&self, (version, before): (u64, &Rows), after: &Rows) {
        for (id, answer) in self.records().await {
            let named: u64 = answer.header("x-data-version").unwrap().parse().unwrap();
            let is_after = record(&answer) == expected(after, id);
            assert!(is_after || (named == version && record(&answer) == expected(before, id)), "{answer:?}");
        }
    }

    async fn records(&self) -> impl Iterator<Item = (u32, Answer)> + use<> {
        let keys: Vec<String> = (0..=ROWS + 1).map(|id| id.to_string()).collect();
        (0..).zip(self.node.get_many("person", "id", &keys).await)
    }
}

/// The record in an answer, if there is one.
fn record(answer: &Answer) -> Option<String> {
    match answer.status {
        200 => Some(answer.text().to_owned()),
        404 => None,
        _ => panic!("{answer:?}"),
    }
}

/// The record of a row, if there is one.
fn expected(rows: &Rows, id: u32) -> Option<String> {
    let name = rows.get(&id)?;
    Some(format!("{{\"id\":{id},\"name\":\"{name}\",\"amount\":{id}.25}}"))
}

/// Runs statements by a driver.
fn write(directory: &Path, source: &Source, statements: &[String]) {
    let writer = source.writer(directory);
    let config =
        format!("[storage]\nurl = \"file:./written\"\n[sources.writer]\n{writer}setup = {statements:?}\n");
    fs::write(directory.join("write.toml"), config).unwrap();
    larder(directory, &["source", "check", "writer", "--config", "write.toml"]).expect(0);
}

fn counts(run: &Value) -> [u64; 4] {
    ["added", "changed", "removed", "records"].map(|count| run["counts"][count].as_u64().unwrap())
}

async fn tell(source: Source) {
    let story = Story::start(source).await;
    let mut rows: Rows = (1..=ROWS).map(|id| (id, format!("Zoë {id} 😀"))).collect();
    story.replace(&rows).await;
    let run = story.sync(0).await;
    assert_eq!((run["status"].as_str(), counts(&run)), (Some("announced"), [300, 0, 0, 300]));
    story.check(&rows).await;
    larder(&story.directory, &["source", "query", "shop", "delete from people returning id"]).expect(1);
    assert_eq!(story.sync(0).await["status"], "unchanged");

    rows.insert(7, "Bøb".to_owned());
    rows.insert(0, "new".to_owned());
    rows.remove(&8);
    story.replace(&rows).await;
    assert_eq!(counts(&story.sync(0).await), [1, 1, 1, 300]);
    story.check(&rows).await;

    let few: Rows = rows.clone().into_iter().take(50).collect();
    story.replace(&few).await;
    let held = story.sync(3).await;
    assert_eq!(
        (held["status"].as_str(), held["error"]["code"].as_str()),
        (Some("held"), Some("max_removed"))
    );
    story.check(&rows).await;

    // A run that is killed leaves the old records, or has announced all new ones.
    let renamed: Rows = rows.keys().map(|id| (*id, format!("renamed {id}"))).collect();
    story.replace(&renamed).await;
    let version = story.node.version("person").await.unwrap();
    let mut run = Process::spawn(command(&story.directory, &[], &["sync", "person"]));
    let ended = until("end of the sync", async || (!run.is_running()).then_some(()));
    let _ = tokio::time::timeout(Duration::from_millis(150), ended).await;
    run.kill();
    story.check_either((version, &rows), &renamed).await;
    story.sync(0).await;
    story.check(&renamed).await;

    story.remove().await;
    let failed = larder(&story.directory, &["sync", "person", "--json"]).json();
    assert_eq!(failed["status"], "failed", "{failed}");
    story.check(&renamed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_tells_the_story() {
    tell(Source::Postgres(Postgres::database().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_tells_the_story() {
    tell(Source::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_tells_the_story() {
    tell(Source::MySql(MySql::database().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_tells_the_story() {
    tell(Source::ClickHouse(ClickHouse::database().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_tells_the_story() {
    tell(Source::DuckDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flight_sql_tells_the_story() {
    tell(Source::FlightSql(FlightSql::start().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_tells_the_story() {
    tell(Source::Parquet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snowflake_tells_the_story() {
    let emulator = Service::start(&installed("adbc/bin/fakesnow"), |address| {
        ["-s", "-p", &address.port().to_string()].map(str::to_owned).to_vec()
    })
    .await;
    tell(Source::Snowflake(emulator.address.port(), emulator)).await;
}
