//! Models as people write them, right and wrong: what `preview`, `check --connect` and `sync` say,
//! and their exit codes.

use std::{fmt::Write as _, fs};

use tempfile::TempDir;

use crate::support::{
    postgres::{Database, Postgres},
    process::larder,
};

const TABLES: &str = r#"
    create table people (id int primary key, name text, joined date);
    insert into people values (1, 'Ann', '2024-02-29'), (2, 'Bøb', null);
    create schema "Shop";
    create table "Shop"."People" as select id, name as "Full Name" from people;
    create table empty (id int);
    create table secrets (id int);
    grant select on people to locked;
"#;

/// A model, and the sync over it that has its name.
struct Model {
    name: &'static str,
    source: &'static str,
    /// The keys of the model but its source and primary key.
    query: &'static str,
    primary_key: &'static str,
    /// The keys of the sync but model and primary index.
    more: &'static str,
}

impl Model {
    const fn new(name: &'static str, query: &'static str) -> Self {
        Self { name, source: "warehouse", query, primary_key: "id", more: "" }
    }
}

fn sources(database: &Database) -> String {
    let closed_port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let urls = [
        ("warehouse", database.url()),
        ("locked", database.url_of("locked:secret")),
        ("wrong_password", database.url_of("locked:hush-hush")),
        ("wrong_user", database.url_of("nobody-here:hush-hush")),
        ("wrong_database", format!("postgres://postgres:hush-hush@127.0.0.1:{}/nowhere", database.port())),
        ("wrong_host", "postgres://u:hush-hush@no-such-host.invalid/d".to_owned()),
        ("wrong_port", format!("postgres://u:hush-hush@127.0.0.1:{closed_port}/d")),
    ];
    let mut text = String::new();
    for (name, url) in urls {
        writeln!(text, "[sources.{name}]\ntype = \"postgres\"\nurl = \"{url}\"").unwrap();
    }
    text.push_str("[sources.no_file]\ntype = \"sqlite\"\npath = \"nowhere.db\"\n");
    text.push_str("[sources.other_type]\ntype = \"sqlite\"\npath = \"people.sql\"\n");
    text
}

fn configuration<'a>(database: &Database, models: impl Iterator<Item = &'a Model>) -> String {
    let mut text = sources(database);
    for Model { name, source, query, primary_key, more } in models {
        writeln!(
            text,
            "[models.{name}]\nsource = \"{source}\"\n{query}\nprimary_key = \"{primary_key}\"\n\
             [syncs.{name}]\nmodel = \"{name}\"\nindexes.id = \"{primary_key}\"\n{more}"
        )
        .unwrap();
    }
    text
}

async fn directory() -> (TempDir, Database) {
    let database = Postgres::database().await;
    database.execute(TABLES).await;
    let directory = TempDir::new().unwrap();
    let sql = "\u{feff}-- Everybody; really\r\nwith everybody as (\r\n  select * from people /* ; */\r\n)\r\n\
               select id, name\r\nfrom everybody\r\norder by id;\r\n-- the end";
    fs::write(directory.path().join("people.sql"), sql).unwrap();
    (directory, database)
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_every_form_are_read() {
    let both = "{\"id\":1,\"name\":\"Ann\"}\n{\"id\":2,\"name\":\"Bøb\"}\n";
    let all = "{\"id\":1,\"name\":\"Ann\",\"joined\":\"2024-02-29\"}\n{\"id\":2,\"name\":\"Bøb\",\"joined\":null}\n";
    let models = [
        (Model::new("sql", "sql = \"select * from people order by id\""), all),
        (Model::new("semicolon", "sql = \"select id, name from people order by 1 ; \""), both),
        (Model::new("comment", "sql = \"select id, name from people order by 1 -- the end\""), both),
        (Model::new("both", "sql = \"select id, name from people order by 1; -- the end;\""), both),
        (
            Model::new("lines", "sql = '''\n/* ; */ select id,\n  name -- its\nfrom people order by 1;\n'''"),
            both,
        ),
        (
            Model::new(
                "cte",
                "sql = \"with p as (select id, name from people) select * from p order by id\"",
            ),
            both,
        ),
        (
            Model::new(
                "recursive",
                "sql = \"with recursive n(id) as (select 1 union all select id + 1 from n where id < 3) select id from n;\"",
            ),
            "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n",
        ),
        (Model::new("file", "sql_file = \"people.sql\""), both),
        (Model::new("table", "table = \"people\""), all),
        (
            Model::new("columns", "table = \"Shop.People\"\ncolumns = [\"Full Name\", \"id\"]"),
            "{\"Full Name\":\"Ann\",\"id\":1}\n{\"Full Name\":\"Bøb\",\"id\":2}\n",
        ),
        (Model::new("union", "sql = \"select 1 as id union select 2 order by 1 limit 1\""), "{\"id\":1}\n"),
        (Model::new("empty", "table = \"empty\""), ""),
        (Model { source: "locked", ..Model::new("login", "sql = \"select id, name from people\"") }, both),
    ];
    let (directory, database) = directory().await;
    let text = configuration(&database, models.iter().map(|(model, _)| model));
    fs::write(directory.path().join("larder.toml"), text).unwrap();
    let checked = larder(directory.path(), &["check", "--connect"]);
    // Sources that no model of these reads are checked, too: they are all wrong.
    let failed: Vec<&str> = checked.stdout.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert!(
        checked.code == Some(1) && failed.iter().all(|line| line.starts_with("FAIL  source ")),
        "{checked:?}"
    );
    for (model, expected) in &models {
        let shown = larder(directory.path(), &["preview", model.name]);
        assert_eq!((shown.code, shown.stdout.as_str()), (Some(0), *expected), "{}", model.name);
        // A key with a space, and a model without rows.
        let has_warning = matches!(model.name, "columns" | "empty");
        assert_eq!(shown.stderr.starts_with("warning: "), has_warning, "{shown:?}");
    }
    let one = larder(directory.path(), &["preview", "sql", "--limit", "1"]);
    assert_eq!(one.stdout.lines().count(), 1);
    for (name, rows) in
        [("file", "2 rows: 2 added"), ("columns", "2 rows: 2 added"), ("recursive", "3 rows: 3 added")]
    {
        let synced = larder(directory.path(), &["sync", name]);
        assert_eq!(synced.code, Some(0), "{synced:?}");
        assert!(
            synced.stdout.contains(&format!("{name}: announced version 1")) && synced.stdout.contains(rows),
            "{synced:?}"
        );
    }
}

/// Each wrong model with the code and a part of what is said, and the exit code.
fn wrong_models() -> Vec<(Model, &'static str, &'static str, i32)> {
    let from = |source, name| Model { source, ..Model::new(name, "sql = \"select * from people\"") };
    vec![
        (Model::new("table", "table = \"peeple\""), "source_unknown_table", "\"peeple\"", 1),
        (Model::new("schema", "table = \"shop.people\""), "source_unknown_table", "\"shop.people\"", 1),
        (
            Model::new("column", "sql = '''\nselect id,\n  nmae\nfrom people'''"),
            "source_unknown_column",
            "\"nmae\" does not exist (code 42703) at line 2, column 3",
            1,
        ),
        (
            Model::new("table_column", "table = \"people\"\ncolumns = [\"id\", \"Name\"]"),
            "source_unknown_column",
            "\"Name\"",
            1,
        ),
        (
            Model::new("syntax", "sql = \"select id frm people p x\""),
            "source_syntax_error",
            "line 1, column",
            1,
        ),
        (
            Model::new(
                "twins",
                "sql = \"select p.id, p.name, q.name from people p join people q using (id)\"",
            ),
            "source_duplicate_column",
            "`name`",
            1,
        ),
        (
            Model::new("two", "sql = \"select 1 as id;\\nselect 2 as id\""),
            "source_several_statements",
            "line 2",
            1,
        ),
        (Model::new("write", "sql = \"delete from people returning id\""), "source_no_columns", "select", 1),
        (Model::new("comment", "sql = \"-- nothing\""), "source_query_empty", "empty", 1),
        (
            Model::new("division", "sql = \"select id / (id - 1) as id from people\""),
            "source_query_failed",
            "22012",
            1,
        ),
        (
            Model { source: "locked", ..Model::new("grant", "table = \"secrets\"") },
            "source_permission_denied",
            "secrets",
            1,
        ),
        (from("wrong_password", "password"), "source_wrong_password", "login", 1),
        (from("wrong_user", "user"), "source_login_refused", "login", 1),
        (from("wrong_database", "database"), "source_unknown_database", "nowhere", 1),
        (from("wrong_host", "host"), "source_host_unknown", "no-such-host.invalid", 1),
        (from("wrong_port", "port"), "source_unreachable", "127.0.0.1", 1),
        (from("no_file", "path"), "source_file_missing", "nowhere.db", 1),
        (from("other_type", "type"), "source_not_a_database", "people.sql", 1),
        (
            Model { primary_key: "idd", ..Model::new("key", "table = \"people\"") },
            "mapping_mismatch",
            "the model has no column `idd` (did you mean `id`?)",
            1,
        ),
        (
            Model { more: "fields.who = \"nme\"", ..Model::new("field", "table = \"people\"") },
            "mapping_mismatch",
            "fields.who: the model has no column `nme` (did you mean `name`?)",
            1,
        ),
        (
            Model {
                more: "indexes.name = { column = \"name\", each = true }",
                ..Model::new("each", "table = \"people\"")
            },
            "mapping_mismatch",
            "`each` needs a JSON array, and `name` is of type text",
            1,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_models_are_reported_with_what_to_do() {
    let (directory, database) = directory().await;
    let models = wrong_models();
    let text = configuration(&database, models.iter().map(|(model, ..)| model));
    fs::write(directory.path().join("larder.toml"), text).unwrap();
    let plain = larder(directory.path(), &["check"]);
    assert_eq!(plain.code, Some(0), "nothing is wrong without a connection: {plain:?}");

    let checked = larder(directory.path(), &["check", "--connect"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for (Model { name, .. }, code, part, exit) in &models {
        // A division shows when rows are read only.
        if *name != "division" {
            let failed = format!("FAIL  sync {name}: ");
            let reported =
                checked.stdout.split_once(&failed).unwrap_or_else(|| panic!("no {failed}: {checked:?}"));
            let reported = reported.1.split("  sync ").next().unwrap();
            assert!(reported.contains(part), "{name}: {reported}");
        }
        let shown = larder(directory.path(), &["preview", name]);
        assert!(
            shown.stderr.contains(part) && shown.stderr.contains(&format!("code: {code}")),
            "{name}: {shown:?}"
        );
        assert_eq!((shown.code, shown.stdout.as_str()), (Some(*exit), ""), "{name}: {shown:?}");
        let synced = larder(directory.path(), &["sync", name]);
        assert!(synced.stderr.contains(part) && synced.stderr.contains(code), "{name}: {synced:?}");
        assert_eq!(synced.code, Some(*exit), "{name}: {synced:?}");
        for outcome in [shown, synced] {
            assert!(!outcome.text().contains("hush-hush"), "{name}: {outcome:?}");
        }
    }
    assert!(!checked.text().contains("hush-hush"), "{checked:?}");
    let runs = larder(directory.path(), &["runs", "column"]);
    assert!(runs.stdout.contains("failed") && runs.stdout.contains("source_unknown_column"), "{runs:?}");
    assert_eq!(
        database.value("select count(*) from people").await.as_deref(),
        Some("2"),
        "nothing was deleted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_alone_shows_needs_no_connection() {
    let (directory, _database) = directory().await;
    let sync = "[syncs.person]\nmodel = \"people\"\nindexes.id = \"id\"\n";
    let postgres = "[sources.warehouse]\ntype = \"postgres\"\nurl = \"postgres://u@127.0.0.1/d\"\n";
    let model = |query: &str| {
        format!("{postgres}[models.people]\nsource = \"warehouse\"\n{query}\nprimary_key = \"id\"\n{sync}")
    };
    for (text, parts) in [
        (
            model("sql_file = \"nowhere.sql\""),
            ["larder.toml:6:12  models.people.sql_file: cannot be read", "No such file"],
        ),
        (model("sql = \" ; \""), ["larder.toml:6:7  models.people.sql: is empty", "select"]),
        (
            model("sql = \"select 1\"\ntable = \"people\""),
            ["models.people.table: conflicts with another query", "keep one of"],
        ),
        (model(""), ["models.people: has no query", "sql_file"]),
        (
            model("sql = \"select 1\"\ncolumns = [\"id\"]"),
            ["models.people.columns: goes with `table` only", "name the columns in the SQL"],
        ),
        (model("table = \"people\"\ncolumns = [\"name\"]"), ["models.people.primary_key", "\"id\""]),
        (model("table = '\"people\"'"), ["models.people.table", "without quotes"]),
        (
            model("table = \"people\"").replace("\"warehouse\"", "\"warhouse\""),
            ["models.people.source", "did you mean \"warehouse\"?"],
        ),
        (
            model("table = \"people\"").replace("type = \"postgres\"", "type = \"postgers\""),
            [
                "larder.toml:2:8  sources.warehouse.type: \"postgers\" is not one of",
                "did you mean \"postgres\"?",
            ],
        ),
        (
            model("table = \"people\"").replace("type = \"postgres\"", "type = \"sqlite\""),
            ["sources.warehouse.url: unknown key", "path"],
        ),
        (
            model("table = \"people\"").replace("postgres://u@", "mysql://u@"),
            ["sources.warehouse.url", "postgres://user:password@host"],
        ),
        (
            model("table = \"people\"").replace("model = \"people\"", "model = \"persons\""),
            ["syncs.person.model", "people"],
        ),
    ] {
        fs::write(directory.path().join("larder.toml"), &text).unwrap();
        for command in [&["check"][..], &["check", "--connect"], &["preview", "person"], &["sync", "person"]]
        {
            let reported = larder(directory.path(), command);
            assert_eq!((reported.code, reported.stdout.as_str()), (Some(2), ""), "{text}: {reported:?}");
            for part in parts {
                assert!(reported.stderr.contains(part), "{part} is not in {}", reported.stderr);
            }
        }
    }
    assert!(!directory.path().join("data").exists(), "a faulty configuration leaves no trace");
}
