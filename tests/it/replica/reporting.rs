//! A node writes its status, and other nodes read it.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use larder::{
    catalog::{Ages, Fleet, FleetNode, STATUS_BYTES_MAX, StatusStore},
    domain::{id::NodeId, label::Label, name::RegionName},
    replica::{ReportPace, Reporter},
    status::{Board, Identity, NodeStatus},
    store::Location,
    support::{clock::Clock, random, shutdown::Shutdown},
    telemetry::Metrics,
};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use tokio::{task::JoinHandle, time::timeout};

use super::fixture::{Fixture, Node, rows};
use crate::support::{
    aged_store::AgedStore,
    catalog::{DEADLINE, catalog_over, open_catalog},
    faulty_store::{Fault, Request},
    process::{until, wait_until},
};

const LONG: Duration = Duration::from_hours(1);

/// Writes significant changes at once, and no heartbeats.
fn eager() -> ReportPace {
    let retry = (Duration::from_millis(5), Duration::from_millis(20));
    ReportPace { interval_min: Duration::from_millis(1), heartbeat: LONG, retry }
}

struct Reporting {
    statuses: StatusStore,
    metrics: Metrics,
    board: Board,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Reporting {
    /// Reports for `node` through the faults of `fixture`.
    fn start(fixture: &Fixture, node: &Node, pace: ReportPace) -> Self {
        let catalog = catalog_over(Arc::clone(&fixture.faulty) as Arc<dyn ObjectStore>);
        let statuses = StatusStore::within(catalog.store().clone());
        let (metrics, board) = (Metrics::new(), node.board.clone());
        let reporter =
            Reporter::new(board.clone(), statuses.clone(), metrics.clone(), Clock::default(), pace);
        let shutdown = Shutdown::new();
        let task = tokio::spawn(reporter.run(shutdown.clone()));
        Self { statuses, metrics, board, shutdown, task }
    }

    async fn read(&self) -> Vec<FleetNode> {
        Fleet::read(&self.statuses, Clock::default().now(), Ages::default()).await.unwrap().nodes
    }

    /// Waits until the one node's status is as asked.
    async fn until(&self, what: &str, reached: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        until(what, async || {
            let status = self.read().await.pop().and_then(|node| node.status.ok());
            status.filter(|status| reached(status))
        })
        .await
    }

    async fn end(self) {
        self.shutdown.cancel();
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }
}

fn served(status: &NodeStatus, collection: &str) -> Option<u64> {
    let one = status.collections.iter().find(|(name, _)| name.as_str() == collection);
    one.and_then(|(_, one)| one.served).map(|version| version.0)
}

#[tokio::test]
async fn significant_changes_are_written_at_once() {
    let mut fixture = Fixture::in_memory();
    let node = fixture.node("a");
    let reporting = Reporting::start(&fixture, &node, eager());
    reporting.until("ready", |status| status.ready).await;
    for version in 1..=3 {
        fixture.base("person", &rows(&[("1", Some(version))])).await;
        let status =
            reporting.until("served", |status| served(status, "person") == Some(version.into())).await;
        let (_, one) = status.collections.first_key_value().unwrap();
        assert_eq!((one.records, one.behind_since, &one.problem), (1, None, &None), "{status:?}");
        assert!(one.bytes > 0 && one.data_as_of.is_some() && status.polled_at.is_some(), "{status:?}");
    }
    fixture.keys().await;
    reporting.until("keys", |status| status.keys_revision == 1).await;

    // An unreadable segment is a problem. Its code is reported and stays as the last error.
    fixture.faulty.next(Request::Get, "segment", Fault::Corrupt, usize::MAX);
    fixture.base("person", &rows(&[("1", Some(4))])).await;
    let ill = |status: &NodeStatus| status.collections.values().any(|one| one.problem.is_some());
    let status = reporting.until("a problem", ill).await;
    let (_, one) = status.collections.first_key_value().unwrap();
    assert_eq!(one.problem.as_ref().unwrap().code.as_str(), "object_corrupt");
    assert!(one.behind_since.is_some() && one.served.unwrap() < one.wanted, "{status:?}");
    fixture.faulty.heal();
    let status =
        reporting.until("health", |status| served(status, "person") == Some(4) && !ill(status)).await;
    let last = status.last_error.unwrap();
    assert_eq!((last.code.as_str(), last.collection.unwrap().as_str()), ("object_corrupt", "person"));

    reporting.board.update(|status| status.draining = true);
    reporting.until("draining", |status| status.draining).await;
    reporting.end().await;
    node.stop().await;
}

#[tokio::test]
async fn last_status_is_draining_without_a_drain_signal() {
    let fixture = Fixture::in_memory();
    let node = fixture.node("a");
    let reporting = Reporting::start(&fixture, &node, eager());
    reporting.until("ready", |status| status.ready).await;
    let statuses = reporting.statuses.clone();
    reporting.end().await;
    let fleet = Fleet::read(&statuses, Clock::default().now(), Ages::default()).await.unwrap();
    assert!(fleet.nodes[0].status.as_ref().unwrap().draining);
    node.stop().await;
}

#[tokio::test]
async fn heartbeat_is_written_without_changes_and_minimum_interval_is_kept() {
    let mut fixture = Fixture::in_memory();
    let node = fixture.node("a");
    let pace = ReportPace { heartbeat: Duration::from_millis(10), ..eager() };
    let reporting = Reporting::start(&fixture, &node, pace);
    let first = reporting.until("ready", |status| status.ready).await;
    reporting.until("a later one", |status| status.written_at > first.written_at).await;
    reporting.end().await;

    let before = fixture.faulty.count(Request::Put, "status/");
    let rare = ReportPace { interval_min: LONG, ..eager() };
    let reporting = Reporting::start(&fixture, &node, rare);
    reporting.until("the first one", |_| fixture.faulty.count(Request::Put, "status/") > before).await;
    fixture.base("person", &rows(&[("1", Some(1))])).await;
    node.caught_up(&fixture).await;
    fixture.base("person", &rows(&[("1", Some(2))])).await;
    node.caught_up(&fixture).await;
    assert_eq!(fixture.faulty.count(Request::Put, "status/"), before + 1);
    reporting.end().await;
    node.stop().await;
}

#[tokio::test]
async fn node_that_may_not_write_its_status_keeps_serving_and_retries() {
    let mut fixture = Fixture::in_memory();
    fixture.faulty.decide(|request, path| {
        let is_status = request == Request::Put && path.as_ref().starts_with("status/");
        if is_status { Fault::Fail } else { Fault::None }
    });
    let node = fixture.node("a");
    let reporting = Reporting::start(&fixture, &node, eager());
    fixture.base("person", &rows(&[("1", Some(1))])).await;
    node.caught_up(&fixture).await;
    wait_until("three attempts", async || fixture.faulty.count(Request::Put, "status/") >= 3).await;
    assert_eq!(reporting.read().await, []);
    let text = reporting.metrics.encode(&reporting.board.read(), Clock::default().now());
    assert!(text.contains(r#"larder_status_writes_total{outcome="written"} 0"#), "{text}");
    assert!(!text.contains(r#"larder_status_writes_total{outcome="failed"} 0"#), "{text}");
    fixture.faulty.heal();
    reporting.until("the version", |status| served(status, "person") == Some(1)).await;
    reporting.end().await;
    node.stop().await;
}

fn status(node: NodeId, region: &str) -> NodeStatus {
    let identity = Identity {
        node,
        name: Label::fitted("host"),
        region: RegionName::new(region).unwrap(),
        roles: Vec::new(),
    };
    NodeStatus { ready: true, catalog: 1, ..NodeStatus::new(identity, Clock::default().now()) }
}

#[tokio::test]
async fn age_of_status_comes_from_the_store() {
    let objects = Arc::new(AgedStore::new(Arc::new(InMemory::new())));
    let statuses = StatusStore::within(catalog_over(Arc::clone(&objects) as _).store().clone());
    let id = NodeId::from_uuid(random::uuid());
    // The node's own clock is wrong, which does not matter.
    let mut reported = status(id, "us");
    reported.written_at -= TimeDelta::days(400);
    statuses.write(&reported).await.unwrap();
    let now = objects.clock.now();
    let ages = Ages::default();
    for (passed, expected) in [
        (TimeDelta::seconds(-3600), Some(false)), // a reader whose clock is behind
        (TimeDelta::seconds(80), Some(false)),
        (TimeDelta::seconds(100), Some(true)),
        (TimeDelta::hours(23), Some(true)),
        (TimeDelta::hours(25), None),
    ] {
        let fleet = Fleet::read(&statuses, now + passed, ages).await.unwrap();
        assert_eq!(fleet.nodes.first().map(|node| node.is_silent), expected, "{passed}");
        assert!(fleet.nodes.iter().all(|node| node.age >= TimeDelta::zero()));
    }
    let objects_left = async || {
        use futures::StreamExt;
        objects.list(None).count().await
    };
    // An object that is not a status is kept, whatever its age.
    objects.put(&Path::from("status/us/notes.txt"), "mine".into()).await.unwrap();
    // The newest status shows the time, whatever the clock of the publisher.
    for (days, deleted) in [(0, 0), (6, 0), (2, 2)] {
        objects.advance_hours(days * 24);
        statuses.write(&status(NodeId::from_uuid(random::uuid()), "us")).await.unwrap();
        assert_eq!(statuses.collect().await.unwrap(), deleted, "{days}");
    }
    assert_eq!(objects_left().await, 1 + 2);
}

#[tokio::test]
async fn missing_store_directory_is_not_created_again() {
    let root = tempfile::tempdir().unwrap();
    let (path, away) = (root.path().join("store"), root.path().join("away"));
    let location = Location::Directory(path.clone());
    let catalog = open_catalog(&location);
    let status = status(NodeId::from_uuid(uuid(1)), "us");
    for statuses in [StatusStore::within(catalog.store().clone()), StatusStore::at(location)] {
        statuses.write(&status).await.unwrap();
        std::fs::rename(&path, &away).unwrap();
        assert_eq!(statuses.write(&status).await.unwrap_err().code(), "local_file");
        assert!(!path.exists());
        std::fs::rename(&away, &path).unwrap();
        statuses.write(&status).await.unwrap();
    }
}

#[tokio::test]
async fn unreadable_status_is_shown_as_unreadable() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let statuses = StatusStore::within(catalog_over(Arc::clone(&objects)).store().clone());
    let good = status(NodeId::from_uuid(uuid(1)), "us");
    let mut plain = serde_json::to_value(&good).unwrap();
    plain["a_later_member"] = serde_json::json!({ "deep": [1] });
    let newer = serde_json::to_vec(&serde_json::json!({ "format": 99 })).unwrap();
    let huge = vec![b' '; usize::try_from(STATUS_BYTES_MAX).unwrap() + 1];
    let own = |number: u128| format!("status/us/{}.json", NodeId::from_uuid(uuid(number)));
    for (path, bytes) in [
        (own(1), serde_json::to_vec(&plain).unwrap()),
        (own(2), b"{".to_vec()),
        (own(3), newer),
        (own(4), huge),
        // Of another node than its name says.
        (own(5), serde_json::to_vec(&good).unwrap()),
        ("status/us/x.json".to_owned(), b"{}".to_vec()),
        ("status/x.json".to_owned(), b"{}".to_vec()),
    ] {
        objects.put(&Path::from(path), bytes.into()).await.unwrap();
    }
    let fleet = Fleet::read(&statuses, Clock::default().now(), Ages::default()).await.unwrap();
    let read: Vec<Result<&str, &str>> = fleet
        .nodes
        .iter()
        .map(|node| node.status.as_ref().map(|status| status.name.as_str()).map_err(|code| *code))
        .collect();
    assert_eq!(
        read,
        [
            Ok("host"),
            Err("document_malformed"),
            Err("newer_format"),
            Err("object_too_large"),
            Err("object_corrupt")
        ]
    );
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}
