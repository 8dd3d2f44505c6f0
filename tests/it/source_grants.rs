//! The SQL under **Grants** in `docs/sources.md` is enough for a sync, and gives no more than that.

use std::{fs, path::Path};

use larder::domain::run::RunStatus;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, raw_sql};
use tempfile::TempDir;

use crate::support::{
    mysql::MySql,
    node::{Node, Warehouse},
    postgres::Postgres,
};

/// What no user with these grants may do.
const FORBIDDEN: [&str; 7] = [
    "select * from others",
    "insert into customers values (3, 'Cyd')",
    "update customers set name = 'Cyd'",
    "delete from customers",
    "drop table customers",
    "alter table customers add column more int",
    "create table made (id int)",
];

/// The first block of SQL under **Grants** of a section, for another database and user than the page's.
fn grants(section: &str, database: &str, user: &str) -> String {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sources.md")).unwrap();
    let section = docs.split("\n## ").find(|part| part.starts_with(&format!("{section}\n"))).unwrap();
    let (_, grants) = section.split_once("**Grants.**").unwrap();
    let lines = grants.lines().skip_while(|line| !line.starts_with("    "));
    let lines = lines.map_while(|line| line.strip_prefix("    "));
    let sql: Vec<String> = lines.map(|line| line.replace("larder", user).replace("shop", database)).collect();
    assert!(sql.iter().all(|line| line.ends_with(';')) && !sql.is_empty(), "{sql:?}");
    sql.concat().replace("'...'", "'secret'")
}

/// Syncs `customers` from a source with these keys; then `others`, which its user may not read.
async fn expect_syncs_one_table(keys: &str, schema: &str) {
    let model = |name: &str| {
        format!(
            "[models.{name}]\nsource = \"shop\"\ntable = \"{schema}.{name}\"\nprimary_key = \"id\"\n\
             [syncs.{name}]\nmodel = \"{name}\"\nschedule = \"manual\"\nindexes = {{ id = \"id\" }}\n"
        )
    };
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let sections = format!("[sources.shop]\n{keys}\n{}{}", model("customers"), model("others"));
    let node = Node::start(directory, warehouse, &sections).await;
    let synced = node.sync("customers").await;
    assert_eq!(synced.record.status, RunStatus::Announced, "{synced:?}");
    assert_eq!(node.record("customers", "id", "2").await.unwrap()["name"], "Bob");
    let refused = node.sync("others").await.record.error.unwrap();
    assert_eq!(refused.code, "source_permission_denied", "{refused:?}");
}

const TABLES: &str = "create table customers (id int primary key, name varchar(10)); \
    insert into customers values (1, 'Ann'), (2, 'Bob'); create table others (id int primary key)";

#[tokio::test(flavor = "multi_thread")]
async fn grants_of_postgres_let_a_user_read_one_table() {
    let database = Postgres::database().await;
    let user = format!("reader_of_{}", database.name());
    database.execute(TABLES).await;
    database.execute(&grants("Postgres", database.name(), &user)).await;
    let url = database.url_of(&user);
    expect_syncs_one_table(&format!("type = \"postgres\"\nurl = {url:?}"), "public").await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for sql in FORBIDDEN {
        let error = raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("42501"), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_of_mysql_let_a_user_read_one_table() {
    let database = MySql::database().await;
    let user = format!("reader_of_{}", database.name());
    database.execute(TABLES).await;
    database.execute(&grants("MySQL", database.name(), &user)).await;
    let url = database.url_of(&format!("{user}:secret"));
    expect_syncs_one_table(&format!("type = \"mysql\"\nurl = {url:?}"), database.name()).await;
    let mut connection = MySqlConnection::connect(&url).await.unwrap();
    for sql in FORBIDDEN {
        let error = raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_err();
        // ER_TABLEACCESS_DENIED_ERROR, as SQLSTATE.
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("42000"), "{sql}: {error}");
        assert!(error.to_string().contains("command denied to user"), "{sql}: {error}");
    }
}
