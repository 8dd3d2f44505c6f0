//! Contested index values over several runs. Every served record claims its values, also one that stays without
//! a row (kept, cleared, or kept on rejection), and run and node count the same conflicts.

use larder::{domain::run::RunStatus, engine::RunOutcome};
use tempfile::TempDir;

use crate::support::{
    http::Client,
    node::{Node, Warehouse},
    process::wait_until,
};

const ROWS: &str = "
    create table people (id integer primary key, email text, name text, tags json);
    insert into people values (1, 'a@x', 'Ann', '[]'), (2, 'A@x', 'Bob', '[]'), (4, 'd@x', 'Dan', '[]');
";

fn sections(on_delete: &str) -> String {
    format!(
        "[models.people]\nsource = \"warehouse\"\nsql = \"select * from people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\non_delete = \"{on_delete}\"\n\
         [syncs.person.indexes]\nid = \"id\"\n\
         email = {{ column = \"email\", normalize = \"lowercase\" }}\n"
    )
}

/// Another index: the next run writes a new base.
const NEW_INDEX: &str = "name = \"name\"\n";

async fn node(on_delete: &str) -> Node {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(ROWS).await;
    Node::start(directory, warehouse, &sections(on_delete)).await
}

/// The keys that a run lists as losers, in order.
fn losers(outcome: &RunOutcome) -> Vec<&str> {
    let conflicts = outcome.rejected.iter().filter(|row| row.reason == "index_conflict");
    let mut keys: Vec<&str> = conflicts.filter_map(|row| row.primary_key.as_deref()).collect();
    keys.sort_unstable();
    keys
}

/// The conflicts in the node's metric, once it has one.
async fn counted_by_the_node(node: &Node) -> Option<u64> {
    let mut client = Client::connect(node.server().admin_address()).await;
    let answer = client.ask("GET", "/metrics", "").await;
    let line = answer.text().lines().find(|line| line.starts_with("larder_collection_conflicts{"))?;
    line.rsplit(' ').next().unwrap().parse().ok()
}

/// Runs the sync and checks that run, listing and node agree on the losers.
async fn sync_expecting(node: &Node, status: RunStatus, expected: &[&str]) {
    let ended = node.sync_with("person", true, false).await;
    assert_eq!(ended.record.status, status);
    assert_eq!(losers(&ended), expected);
    assert_eq!(ended.record.counts.conflicts, expected.len() as u64);
    wait_until("the node's count", async || counted_by_the_node(node).await == Some(expected.len() as u64))
        .await;
}

async fn a_record_without_a_row_keeps_its_claims(on_delete: &str) {
    let node = node(on_delete).await;
    sync_expecting(&node, RunStatus::Announced, &["2"]).await;
    node.warehouse.execute("delete from people where id = 2").await;
    sync_expecting(&node, RunStatus::Announced, &["2"]).await;
    sync_expecting(&node, RunStatus::Unchanged, &["2"]).await;
    // A retained record also holds a value when its key is the lowest.
    node.warehouse.execute("insert into people values (3, 'a@x', 'Cy', '[]')").await;
    sync_expecting(&node, RunStatus::Announced, &["2", "3"]).await;
    node.warehouse.execute("update people set email = 'other@x' where id = 1").await;
    sync_expecting(&node, RunStatus::Announced, &["3"]).await;
    // A new base copies retained records and counts them as before.
    let text = sections(on_delete) + NEW_INDEX;
    node.configure(&text);
    sync_expecting(&node, RunStatus::Announced, &["3"]).await;
    // A changed `on_delete` removes records that left earlier.
    node.configure(&text.replace(on_delete, "delete"));
    sync_expecting(&node, RunStatus::Announced, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_record_keeps_its_claims() {
    a_record_without_a_row_keeps_its_claims("keep").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleared_record_keeps_its_claims() {
    a_record_without_a_row_keeps_its_claims("clear").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_record_claims_nothing() {
    let node = node("delete").await;
    sync_expecting(&node, RunStatus::Announced, &["2"]).await;
    node.warehouse.execute("delete from people where id = 2").await;
    sync_expecting(&node, RunStatus::Announced, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_a_rejected_row_keeps_its_claims() {
    let node = node("delete").await;
    sync_expecting(&node, RunStatus::Announced, &["2"]).await;
    // The row is broken and claims another value: the served record claims as before.
    node.warehouse.execute("update people set tags = '[', email = 'd@x' where id = 2").await;
    sync_expecting(&node, RunStatus::Unchanged, &["2"]).await;
    // The same in a new base.
    node.configure(&(sections("delete") + NEW_INDEX));
    sync_expecting(&node, RunStatus::Announced, &["2"]).await;
    node.warehouse.execute("update people set tags = '[]' where id = 2").await;
    sync_expecting(&node, RunStatus::Announced, &["4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_duplicate_key_claim_nothing_and_their_served_record_keeps_its_claims() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse
        .execute(
            "create table people (id integer, email text, name text, tags json);
             insert into people values (1, 'a@x', 'Ann', '[]'), (2, 'a@x', 'Bob', '[]'), (4, 'd@x', 'Dan', '[]');",
        )
        .await;
    let node = Node::start(directory, warehouse, &sections("delete")).await;
    sync_expecting(&node, RunStatus::Announced, &["2"]).await;
    node.warehouse
        .execute(
            "delete from people where id = 2;
             insert into people values (2, 'd@x', 'B', '[]'), (2, 'd@x', 'B', '[]'), (5, 'd@x', 'E', '[]'), (5, 'd@x', 'E', '[]');",
        )
        .await;
    sync_expecting(&node, RunStatus::Unchanged, &["2"]).await;
}
