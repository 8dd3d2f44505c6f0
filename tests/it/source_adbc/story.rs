//! A file of DuckDB that is synced, changed, emptied and guarded, while a server serves it.

use serde_json::json;
use tempfile::TempDir;

use super::duckdb;
use crate::support::{
    node::{Node, Warehouse},
    process::larder,
};

#[tokio::test(flavor = "multi_thread")]
async fn table_of_duckdb_is_synced_and_its_changes_are_served() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let driver = duckdb();
    let path = directory.path().join("shop.duckdb");
    let writer = format!(
        "[sources.writer]\ntype = \"adbc\"\ndriver = {driver:?}\nentrypoint = \"duckdb_adbc_init\"\n\
         options = {{ path = {path:?} }}\n"
    );
    let sections = format!(
        "[sources.shop]\ntype = \"duckdb\"\ndriver = {driver:?}\npath = {path:?}\n\
         [models.customers]\nsource = \"shop\"\ntable = \"main.customers\"\nprimary_key = \"id\"\n\
         [syncs.customer]\nmodel = \"customers\"\nindexes = {{ id = \"id\" }}\n"
    );
    let root = directory.path().to_owned();
    let write = |sql: &str| {
        let config = format!("[storage]\nurl = \"file:./store\"\n{writer}setup = [{sql:?}]\n");
        std::fs::write(root.join("write.toml"), config).unwrap();
        larder(&root, &["source", "check", "writer", "--config", "write.toml"]).expect(0);
    };
    write(
        "create table customers as select range as id, 'n' || range as name, [range, null] as tags from range(1000)",
    );
    let node = Node::start(directory, warehouse, &sections).await;
    let at = node.directory.path();
    larder(at, &["sync", "customer"]).expect(0);
    node.await_version("customer", 1).await;
    assert_eq!(
        node.record("customer", "id", "7").await,
        Some(json!({"id": 7, "name": "n7", "tags": [7, null]}))
    );
    write("update customers set name = 'Zoë' where id = 8");
    write("delete from customers where id = 7");
    larder(at, &["sync", "customer"]).expect(0);
    node.await_version("customer", 2).await;
    assert_eq!(node.record("customer", "id", "7").await, None);
    assert_eq!(
        node.record("customer", "id", "8").await,
        Some(json!({"id": 8, "name": "Zoë", "tags": [8, null]}))
    );
    write("delete from customers where id < 900");
    larder(at, &["sync", "customer"]).expect(3);
    assert_eq!(
        node.record("customer", "id", "9").await,
        Some(json!({"id": 9, "name": "n9", "tags": [9, null]}))
    );
    larder(at, &["source", "query", "shop", "delete from customers returning id"]).expect(1);
}
