//! A CSV file on its way to a reader: configured, synced, changed, served.

use std::fs;

use larder::{
    config::{self, Environment, Overrides},
    domain::run::RunStatus,
};
use serde_json::json;
use tempfile::TempDir;

use crate::support::node::{Node, Warehouse};

const SECTIONS: &str = r#"
    [sources.files]
    type = "csv"
    path = "exports"
    [models.customers]
    source = "files"
    table = "customers.csv"
    columns = ["user_id", "name", "city"]
    primary_key = "user_id"
    [syncs.customer]
    model = "customers"
    indexes = { id = "user_id", city = "city" }
"#;

#[tokio::test]
async fn csv_file_is_synced_and_its_change_is_served() {
    let directory = TempDir::new().unwrap();
    let exports = directory.path().join("exports");
    fs::create_dir(&exports).unwrap();
    let file = exports.join("customers.csv");
    fs::write(&file, "user_id,email,name,city\n007,a@x,\"Doe, Jane\",Oslo\n8,,Bøb,\n").unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, SECTIONS).await;

    let first = node.sync("customer").await;
    assert_eq!(first.record.status, RunStatus::Announced);
    let jane = json!({"user_id": "007", "name": "Doe, Jane", "city": "Oslo"});
    assert_eq!(node.record("customer", "id", "007").await, Some(jane.clone()));
    assert_eq!(node.record("customer", "city", "Oslo").await, Some(jane));
    let bob = json!({"user_id": "8", "name": "Bøb", "city": ""});
    assert_eq!(node.record("customer", "id", "8").await, Some(bob));

    let changed = exports.join("customers.unfinished");
    fs::write(&changed, "user_id,email,name,city\n007,a@x,Jane Roe,Bergen\n8,,Bøb,\n").unwrap();
    fs::rename(&changed, &file).unwrap();
    node.sync("customer").await;
    let jane = json!({"user_id": "007", "name": "Jane Roe", "city": "Bergen"});
    assert_eq!(node.record("customer", "city", "Bergen").await, Some(jane));
    assert_eq!(node.record("customer", "city", "Oslo").await, None);

    assert_eq!(node.sync("customer").await.record.status, RunStatus::Unchanged);
}

#[test]
fn model_with_sql_is_refused_when_the_configuration_is_read() {
    let load = |query: &str| {
        let text = SECTIONS.replace("table = \"customers.csv\"", query).replace("columns =", "# columns =");
        config::load_text(&text, "larder.toml".as_ref(), &Environment::default(), &Overrides::default())
    };
    load("table = \"customers.csv\"").unwrap();
    for (query, key) in [
        ("sql = \"select * from customers\"", "models.customers.sql"),
        ("table = \"../customers.csv\"", "models.customers.table"),
        ("table = \"/customers.csv\"", "models.customers.table"),
    ] {
        let faults = load(query).unwrap_err();
        let [fault] = faults.as_slice() else { panic!("{query}: {faults}") };
        assert_eq!(fault.key, key, "{query}");
        assert!(fault.place.to_string().starts_with("larder.toml:7:"), "{query}: {}", fault.place);
    }
}
