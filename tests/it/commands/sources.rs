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
    assert!(run(&["query", "files", "select 1"]).expect(1).stderr.contains("source_sql_unsupported"));
    assert!(
        run(&["query", "mysql", "select nosuch from people"])
            .expect(1)
            .stderr
            .contains("source_unknown_column")
    );
    assert!(run(&["check", "nosuch"]).expect(2).stderr.contains("unknown_source"));
    run(&["query", "mysql"]).expect(2);
}
