//! A project of dbt over a file of DuckDB, whose models the source `duckdb` reads.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::project::Project;
use crate::{
    source_adbc::duckdb,
    support::{
        node::{Node, Warehouse},
        process::larder,
    },
};

/// A table with tests of its key, one with an alias, an ephemeral model and a disabled one.
const FILES: [(&str, &str); 6] = [
    ("seeds/people.csv", "id,name,amount\n1,Ann,1.50\n2,Bøb,\n3,Cyd,0\n"),
    (
        "models/customers.sql",
        "select id, name, amount::decimal(9, 2) as amount, {'tags': [name, null]} as detail from {{ ref('people') }}",
    ),
    (
        "models/clients.sql",
        "{{ config(alias = 'served clients') }}\nselect id, name from {{ ref('customers') }}",
    ),
    (
        "models/recent.sql",
        "{{ config(materialized = 'ephemeral') }}\nselect id, upper(name) as name from {{ ref('customers') }} where id > 1",
    ),
    ("models/off.sql", "{{ config(enabled = false) }}\nselect 1 as id"),
    (
        "models/schema.yml",
        "models:\n- name: customers\n  columns:\n  - name: id\n    data_tests: [unique, not_null]\n",
    ),
];

/// Runs a sync, which ends with `code`; returns the run.
fn sync(directory: &Path, name: &str, code: i32) -> Value {
    larder(directory, &["sync", name, "--json"]).expect(code).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_in_a_file_of_duckdb_are_read_as_dbt_has_built_them() {
    let files = TempDir::new().unwrap();
    let path = files.path().join("shop.duckdb");
    let project =
        Project::empty(&format!("{{type: duckdb, path: {}, schema: marts, threads: 1}}", path.display()));
    for (name, text) in FILES {
        project.write(name, text);
    }
    project.dbt(&["build"]);

    let model = |name: &str, key: &str| {
        format!(
            "[models.{name}]\nsource = \"shop\"\ndbt = \"{name}\"\n{key}\n[syncs.{name}]\nmodel = \"{name}\"\n\
             indexes = {{ id = \"id\" }}\n"
        )
    };
    let key = "primary_key = \"id\"";
    let sections = format!(
        "[sources.shop]\ntype = \"duckdb\"\ndriver = {:?}\npath = {path:?}\n{}{}{}{}{}{}",
        duckdb(),
        project.section(),
        model("customers", ""),
        model("clients", key),
        model("recent", key),
        model("off", key),
        model("keyless", "").replace("dbt = \"keyless\"", "dbt = \"clients\""),
    );
    let directory = TempDir::new().unwrap();
    let root = directory.path().to_owned();
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, &sections).await;
    for name in ["customers", "clients", "recent"] {
        let run = sync(&root, name, 0);
        assert_eq!(run["status"], "announced", "{run}");
        node.await_version(name, 1).await;
    }
    let text = node.get("customers", "id", "1").await.text().to_owned();
    assert_eq!(text, "{\"id\":1,\"name\":\"Ann\",\"amount\":1.50,\"detail\":{\"tags\":[\"Ann\",null]}}");
    assert_eq!(node.record("clients", "id", "2").await, Some(json!({"id": 2, "name": "Bøb"})));
    assert_eq!(node.record("recent", "id", "3").await, Some(json!({"id": 3, "name": "CYD"})));
    assert_eq!(node.record("recent", "id", "1").await, None);
    for (name, code) in [("off", "dbt_model_disabled"), ("keyless", "dbt_primary_key_unknown")] {
        let run = sync(&root, name, 1);
        assert_eq!(run["error"]["code"], code, "{run}");
    }

    // The documentation changes nothing; another build brings what has changed.
    project.dbt(&["docs", "generate"]);
    for name in ["customers", "clients", "recent"] {
        assert_eq!(sync(&root, name, 0)["status"], "unchanged", "{name}");
    }
    project.write("seeds/people.csv", "id,name,amount\n1,Anna,1.50\n2,Bøb,\n3,Cyd,0\n4,Dan,7\n");
    project.dbt(&["build"]);
    let run = sync(&root, "customers", 0);
    let counts = ["added", "changed", "removed"].map(|count| run["counts"][count].as_u64());
    assert_eq!(counts, [Some(1), Some(1), Some(0)], "{run}");
    node.await_version("customers", 2).await;

    // A renamed model leaves its old table behind, which is read no more.
    project.remove("models/schema.yml");
    project.remove("models/clients.sql");
    project.remove("models/recent.sql");
    project.remove("models/customers.sql");
    project.write("models/buyers.sql", FILES[1].1);
    project.dbt(&["run"]);
    let run = sync(&root, "customers", 1);
    assert_eq!(run["error"]["code"], "dbt_model_missing", "{run}");
    let message = run["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("no model, seed or snapshot \"customers\"") && message.contains("renamed"),
        "{run}"
    );
    assert_eq!(node.record("customers", "id", "1").await.unwrap()["name"], "Anna");
}
