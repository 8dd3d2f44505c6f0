//! Values of a secondary index that several records have.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    http::Client,
    node::{Node, Warehouse},
    process::wait_until,
};

fn syncs() -> String {
    let sync = |name: &str, shared: &str| {
        format!(
            "[syncs.{name}]\nmodel = \"people\"\n[syncs.{name}.indexes]\nid = \"id\"\n\
             city = {{ column = \"city\", {shared} }}\n"
        )
    };
    format!(
        "[models.people]\nsource = \"warehouse\"\nsql = \"select * from people\"\nprimary_key = \"id\"\n{}{}{}",
        sync("lowest", "shared = \"lowest_key\""),
        sync("nobody", "shared = \"reject\""),
        sync("newest", "shared = { newest = \"updated_at\" }"),
    )
}

/// Who holds each city, by the rule: the id, or null.
async fn holders(node: &Node, collection: &str) -> [Value; 3] {
    let mut found = [Value::Null, Value::Null, Value::Null];
    for (at, city) in ["Oslo", "Rome", "Lima"].into_iter().enumerate() {
        if let Some(record) = node.record(collection, "city", city).await {
            found[at] = record["id"].clone();
        }
    }
    found
}

/// The ids of a run's losers.
async fn losers(node: &Node, collection: &str) -> Vec<String> {
    let ended = node.sync(collection).await;
    let listed = ended.rejected.iter().filter(|row| row.reason == "index_conflict");
    let mut ids: Vec<_> = listed.map(|row| row.primary_key.clone().unwrap()).collect();
    assert_eq!(ended.record.counts.conflicts as usize, ids.len());
    ids.sort();
    ids
}

/// Waits until the node's metric of `collection` has this many losers.
async fn counts(node: &Node, collection: &str, losers: usize) {
    let line = format!("larder_collection_conflicts{{collection=\"{collection}\"}} {losers}\n");
    wait_until(&line, async || {
        let mut client = Client::connect(node.server().admin_address()).await;
        client.ask("GET", "/metrics", "").await.text().contains(&line)
    })
    .await;
}

async fn expect(node: &Node, expected: [(&str, [i64; 3], &[&str]); 3]) {
    for (collection, ids, lost) in expected {
        assert_eq!(losers(node, collection).await, lost, "{collection}");
        counts(node, collection, lost.len()).await;
        let ids = ids.map(|id| if id == 0 { Value::Null } else { id.into() });
        assert_eq!(holders(node, collection).await, ids, "{collection}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_value_is_held_by_the_rule_of_its_index() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse
        .execute(
            "create table people (id integer primary key, city text, updated_at text);
             insert into people values (1, 'Oslo', '2026-01-01'), (2, 'Oslo', '2026-03-01T00:00:00Z'),
                (3, 'Oslo', null), (4, 'Rome', '2026-01-01'), (5, 'Lima', '2026-01-01'), (6, 'Lima', '2026-01-01')",
        )
        .await;
    let node = Node::start(directory, warehouse, &syncs()).await;
    expect(
        &node,
        [
            ("lowest", [1, 4, 5], &["2", "3", "6"]),
            ("nobody", [0, 4, 0], &["1", "2", "3", "5", "6"]),
            ("newest", [2, 4, 5], &["1", "3", "6"]),
        ],
    )
    .await;
    // Applied as changes: one record becomes the newest, one leaves its city, one comes.
    node.warehouse
        .execute(
            "update people set updated_at = '2026-03-01 00:00:00.5' where id = 3;
             update people set city = 'Rome', updated_at = '2025-12-31' where id = 6;
             update people set updated_at = '2026-02-01' where id = 2",
        )
        .await;
    expect(
        &node,
        [
            ("lowest", [1, 4, 5], &["2", "3", "6"]),
            ("nobody", [0, 0, 5], &["1", "2", "3", "4", "6"]),
            ("newest", [3, 4, 5], &["1", "2", "6"]),
        ],
    )
    .await;
    node.warehouse
        .execute("delete from people where id in (3, 4); update people set city = 'Lima' where id = 1")
        .await;
    for collection in ["lowest", "nobody", "newest"] {
        node.sync_with(collection, true, false).await;
    }
    let found =
        [holders(&node, "lowest").await, holders(&node, "nobody").await, holders(&node, "newest").await];
    assert_eq!(json!(found), json!([[2, 6, 1], [2, 6, null], [2, 6, 1]]));
    // The order of records is no look-up path.
    let answer = node.get("newest", "order-1", "s").await;
    assert_eq!(answer.code(), "index_not_found");
}
