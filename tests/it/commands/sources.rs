//! `larder source`: whether a source answers, its tables, their columns, rows of a query.

use std::fs;

use tempfile::TempDir;

use crate::support::{mysql::MySql, node::Warehouse, postgres::Postgres, process::larder};

const TABLE: &str = "create table people (id integer, name varchar(20)); \
                     insert into people values (1, 'Ann'), (2, null), (3, 'Bob')";

/// A directory with a source of each type, whose names are their types.
async fn sources() -> TempDir {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let (postgres, mysql) = (Postgres::database().await, MySql::database().await);
    let sqlite = Warehouse::sqlite(path);
    postgres.execute(TABLE).await;
    mysql.execute(TABLE).await;
    sqlite.execute(TABLE).await;
    fs::create_dir(path.join("exports")).unwrap();
    fs::write(
        path.join("exports/people.jsonl"),
        "{\"id\":1,\"name\":\"Ann\"}\n{\"id\":2}\n{\"id\":3,\"name\":\"Bob\"}\n",
    )
    .unwrap();
    let text = format!(
        "{}[sources.mysql]\n{}[sources.postgres]\ntype = \"postgres\"\nurl = \"{}\"\n\
         [sources.files]\ntype = \"files\"\npath = \"exports\"\n",
        sqlite.section().replace("sources.warehouse", "sources.sqlite"),
        mysql.section(),
        postgres.url()
    );
    fs::write(path.join("larder.toml"), text).unwrap();
    directory
}

#[tokio::test]
async fn sources_show_their_tables_columns_and_rows() {
    let directory = sources().await;
    let run = |arguments: &[&str]| larder(directory.path(), &[&["source"], arguments].concat());
    for (name, version) in
        [("postgres", "PostgreSQL"), ("mysql", "MariaDB"), ("sqlite", "3."), ("files", "ms")]
    {
        let checked = run(&["check", name]).expect(0);
        assert!(checked.stdout.starts_with(&format!("ok    {name}: answered within ")), "{checked:?}");
        assert!(checked.stdout.contains(version), "{checked:?}");

        let tables = run(&["tables", name, "PEO"]).expect(0).stdout;
        let table = tables.lines().find(|table| table.ends_with("people") || table.ends_with("people.jsonl"));
        let table = table.unwrap_or_else(|| panic!("{name}: {tables}"));
        assert_eq!(run(&["tables", name, "nosuch"]).expect(0).stdout, "");

        let columns = run(&["columns", name, table]).expect(0).stdout;
        let words: Vec<Vec<&str>> = columns.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["COLUMN", "TYPE", "KIND"]);
        assert_eq!((words[1][0], words[2][0]), ("id", "name"), "{name}: {columns}");

        let rows = run(&["query", name, "--table", table, "--limit", "2"]).expect(0).stdout;
        assert_eq!(rows, "{\"id\":1,\"name\":\"Ann\"}\n{\"id\":2,\"name\":null}\n", "{name}");
        if name != "files" {
            let rows = run(&["query", name, "select count(*) as n from people"]).expect(0).stdout;
            assert_eq!(rows, "{\"n\":3}\n", "{name}");
        }
    }
    let without_sql = run(&["query", "files", "select 1"]).expect(1).stderr;
    assert!(
        without_sql.contains("source_sql_unsupported") && without_sql.contains("--table"),
        "{without_sql}"
    );
    let empty = run(&["query", "sqlite", ""]).expect(1).stderr;
    assert!(empty.contains("source_query_empty") && !empty.contains("model"), "{empty}");
    assert!(
        run(&["query", "mysql", "select nosuch from people"])
            .expect(1)
            .stderr
            .contains("source_unknown_column")
    );
    assert!(run(&["check", "nosuch"]).expect(2).stderr.contains("unknown_source"));
    run(&["query", "mysql"]).expect(2);
}

/// A table that is listed can be read by its name.
#[tokio::test]
async fn tables_that_cannot_be_named_are_not_listed() {
    let directory = TempDir::new().unwrap();
    let (postgres, sqlite) = (Postgres::database().await, Warehouse::sqlite(directory.path()));
    postgres
        .execute(
            "create table \"a.b\" (id int); create table \"c d\" (id int); create table \"q\"\"q\" (id int)",
        )
        .await;
    sqlite
        .execute(
            "create table \"a.b\" (id int); create table \"c d\" (id int); create table \"q`q\" (id int)",
        )
        .await;
    fs::create_dir(directory.path().join("exports")).unwrap();
    fs::write(directory.path().join("exports/people.csv"), "id\n1\n").unwrap();
    fs::write(directory.path().join("exports/read me.txt"), "no rows").unwrap();
    let text = format!(
        "{}[sources.postgres]\ntype = \"postgres\"\nurl = \"{}\"\n\
         [sources.files]\ntype = \"files\"\npath = \"exports\"\n",
        sqlite.section().replace("sources.warehouse", "sources.sqlite"),
        postgres.url()
    );
    fs::write(directory.path().join("larder.toml"), text).unwrap();
    let run = |arguments: &[&str]| larder(directory.path(), &[&["source"], arguments].concat());
    for (name, table) in [("postgres", "public.c d"), ("sqlite", "c d"), ("files", "people.csv")] {
        assert_eq!(run(&["tables", name]).expect(0).stdout, format!("{table}\n"), "{name}");
        run(&["columns", name, table]).expect(0);
    }
    let refused = run(&["columns", "postgres", "public.a.b"]).expect(1).stderr;
    assert!(refused.contains("source_table_name_invalid") && refused.contains("use `sql`"), "{refused}");
}

#[tokio::test]
async fn rejected_values_are_no_texts() {
    let directory = sources().await;
    let query = ["source", "query", "sqlite", "select 1 as id, cast(x'ff' as text) as name"];
    let rows = larder(directory.path(), &query).expect(0).stdout;
    assert_eq!(rows, "{\"id\":1,\"name\":{\"rejected\":\"invalid_text\"}}\n");
}

#[tokio::test]
async fn check_asks_for_the_columns_of_the_models() {
    let directory = TempDir::new().unwrap();
    let database = Postgres::database().await;
    database.execute(TABLE).await;
    let text = |model: &str| {
        format!(
            "[sources.crm]\ntype = \"postgres\"\nurl = \"{}\"\n\
             [models.people]\nsource = \"crm\"\ntable = \"people\"\nprimary_key = \"id\"\n{model}",
            database.url()
        )
    };
    let check = |model: &str, arguments: &[&str]| {
        fs::write(directory.path().join("larder.toml"), text(model)).unwrap();
        larder(directory.path(), &[&["source", "check", "crm"], arguments].concat())
    };
    let sound = check("", &[]).expect(0).stdout;
    assert!(sound.ends_with("\nok    model people: 2 columns\n"), "{sound}");
    let broken = "[models.orders]\nsource = \"crm\"\ntable = \"orders\"\nprimary_key = \"id\"\n";
    let refused = check(broken, &[]).expect(1).stdout;
    assert!(
        refused.contains("\nFAIL  model orders: ") && refused.contains("source_unknown_table"),
        "{refused}"
    );
    let json = check(broken, &["--json"]).expect(1).json();
    assert!(json["version"].as_str().unwrap().starts_with("PostgreSQL"), "{json}");
    assert_eq!(json["models"][0]["error"]["code"], "source_unknown_table");
    assert_eq!(json["models"][1]["columns"], 2);
}
