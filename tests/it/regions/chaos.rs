//! Two regions, two publishers, one bucket: processes are killed at random while rows change and
//! readers read. Afterwards every region serves exactly the warehouse.

use std::{collections::BTreeSet, net::SocketAddr};

use larder::support::random;

use super::fixture::Fixture;
use crate::support::{
    deployment::NodeDirectory,
    http::Client,
    process::{Process, until},
};

const ROWS: u32 = 300;
/// Kills in all; each waits until a change made after it is seen somewhere.
const KILLS: u64 = 12;

/// A node and its process, which is not there while it is down.
struct Node {
    node: NodeDirectory,
    process: Process,
}

impl Node {
    async fn start(node: NodeDirectory) -> Self {
        let process = node.serve().await;
        Self { node, process }
    }

    async fn kill_and_restart(self) -> Self {
        self.process.kill();
        Self::start(self.node).await
    }
}

/// Every note that one node serves, by person; none where there is no record.
async fn all_notes(address: SocketAddr, key: &str) -> Vec<Option<u64>> {
    let mut client = Client::connect(address).await;
    let bearer = format!("Authorization: Bearer {key}\r\n");
    let mut notes = Vec::new();
    for id in 1..=ROWS + 1 {
        let answer = client.ask("GET", format!("/v1/collections/person/records/id/{id}"), &bearer).await;
        notes.push(match answer.status {
            200 => Some(answer.json()["note"].as_u64().unwrap()),
            404 => None,
            _ => panic!("{answer:?}"),
        });
    }
    notes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_region_serves_exactly_the_warehouse_after_random_kills() {
    let seed = random::seed();
    println!("seed {seed}");
    let mut dice = seed;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    let fixture = Fixture::new(ROWS).await;
    let store = fixture.store().await;
    let key = fixture.publisher("key", store, "manual").key().await;
    let mut publishers = Vec::new();
    for name in ["a", "b"] {
        publishers.push(Node::start(fixture.publisher(name, store, "every 1s")).await);
    }
    let mut replicas = Vec::new();
    for region in ["eu", "us"] {
        replicas.push(Node::start(fixture.replica(region, region, store)).await);
    }
    let mut written = BTreeSet::from([0]);
    for kill in 1..=KILLS {
        // One person changes, one leaves or returns, and one process is killed.
        let (person, other) = (roll(u64::from(ROWS)) + 1, roll(u64::from(ROWS)) + 1);
        let changes = format!(
            "update people set note = {kill} where id = {person}; \
             delete from people where id = {other} and id <> {person}; \
             insert into people values ({}, {kill}) on conflict do nothing",
            roll(u64::from(ROWS)) + 1
        );
        fixture.warehouse.execute(&changes).await;
        written.insert(kill);
        let nodes = if roll(2) == 0 { &mut publishers } else { &mut replicas };
        let victim = nodes.swap_remove(roll(2) as usize);
        nodes.push(victim.kill_and_restart().await);
        for replica in &replicas {
            let notes = all_notes(replica.process.public().unwrap(), &key).await;
            let known = notes.iter().flatten().all(|note| written.contains(note));
            assert!(known, "seed {seed}: a record that nobody wrote");
        }
    }
    let rows = fixture.warehouse.texts("select id::text, note::text from people order by id").await;
    let mut expected = vec![None; ROWS as usize + 1];
    for row in rows {
        let number = |at: usize| -> u64 { row[at].as_ref().unwrap().parse().unwrap() };
        expected[number(0) as usize - 1] = Some(number(1));
    }
    for replica in &replicas {
        let address = replica.process.public().unwrap();
        // A killed holder's lease lasts 12 s.
        let same = async {
            loop {
                if all_notes(address, &key).await == expected {
                    return;
                }
            }
        };
        let same = tokio::time::timeout(std::time::Duration::from_mins(1), same).await;
        assert!(same.is_ok(), "seed {seed}: a region does not serve the warehouse");
    }
    let documents = until("the catalog", async || {
        let text = publishers[0].node.output(&["status", "--json"]).await;
        serde_json::from_str::<serde_json::Value>(&text).ok()
    })
    .await;
    assert!(documents["catalog"].as_u64().unwrap() > 1);
}
