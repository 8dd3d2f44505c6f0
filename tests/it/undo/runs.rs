//! Runs beside a rollback, and runs that are approved.

use chrono::{DateTime, TimeDelta, Utc};
use larder::{
    admin::{Approved, Error, Publisher},
    domain::{
        catalog::Pause,
        error::ErrorKind,
        id::RunId,
        manifest::Version,
        run::{RunRecord, RunStatus},
    },
    engine::{self, RunOutcome, Trigger},
    support::{random, shutdown::Shutdown},
};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::{
    catalog::name,
    http::{Answer, soon},
    node::{Node, Warehouse, tester},
    process::{until, wait_until},
};

const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\nsql = \"select * from people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";

pub(super) async fn node(postgres: bool) -> Node {
    let directory = TempDir::new().unwrap();
    let warehouse = if postgres { Warehouse::postgres().await } else { Warehouse::sqlite(directory.path()) };
    warehouse
        .execute(
            "create table people (id integer primary key, name text);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 40)
             insert into people select i, 'Good' from n;",
        )
        .await;
    Node::start(directory, warehouse, SECTIONS).await
}

/// A run as the scheduler or an operator starts it.
pub(super) async fn start(node: &Node, trigger: Trigger) -> JoinHandle<Result<RunOutcome, engine::Error>> {
    let (engine, request) = (node.publisher().await.engine, node.run_request("person", trigger));
    tokio::spawn(async move { engine.run(&request).await })
}

/// Why the sync is paused.
pub(super) async fn pause_of(publisher: &Publisher) -> Option<Pause> {
    publisher.catalog.newest(None).await.unwrap().unwrap().pauses.remove("person")
}

/// The last run that read rows.
async fn last_run(publisher: &Publisher) -> RunId {
    let runs = publisher.metadata.runs(Some(&name("person")), 10).await.unwrap();
    runs.iter().find(|run| run.trigger != Trigger::Rollback.as_str()).unwrap().id
}

async fn open_run(node: &Node) -> RunRecord {
    let metadata = node.publisher().await.metadata;
    until("a run under way", async || metadata.open_runs(&name("person")).await.unwrap().pop()).await
}

/// Waits until head names the newest document; gives its number.
async fn await_head(publisher: &Publisher) -> u64 {
    let newest = publisher.catalog.newest(None).await.unwrap().unwrap().n;
    wait_until("head at the newest document", async || {
        publisher.catalog.head().await.unwrap().is_some_and(|head| head.n >= newest)
    })
    .await;
    newest
}

async fn name_of(node: &Node) -> String {
    node.record("person", "id", "1").await.unwrap()["name"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_supersedes_a_run_in_progress_without_waiting() {
    let node = node(true).await;
    let publisher = node.publisher().await;
    node.sync("person").await;
    for (round, trigger) in [(0, Trigger::Schedule), (1, Trigger::Operator)] {
        node.warehouse.execute(&format!("update people set name = 'Bad {round}'")).await;
        let bad = node.sync("person").await.record.version.unwrap();
        assert_eq!(name_of(&node).await, format!("Bad {round}"));

        // The run waits for its rows until the rollback is done.
        let Warehouse::Postgres(database) = &node.warehouse else { panic!("Postgres") };
        let mut locked = PgConnection::connect(&database.url()).await.unwrap();
        sqlx::raw_sql("begin; lock table people in access exclusive mode; update people set name = 'Worse'")
            .execute(&mut locked)
            .await
            .unwrap();
        let running = start(&node, trigger).await;
        let open = open_run(&node).await;
        let person = name("person");
        let by = tester();
        let rollback = Box::pin(publisher.rollback(&person, Version(1), &by));
        let done = soon("rollback", rollback).await.unwrap();
        assert_eq!((done.from, done.version), (bad, Version(bad.0 + 1)));
        node.await_version("person", done.version.0).await;
        assert_eq!(name_of(&node).await, "Good");
        let still = publisher.metadata.run(open.id).await.unwrap().unwrap();
        assert!(still.status.is_open(), "it was not waited for: {still:?}");
        sqlx::raw_sql("commit").execute(&mut locked).await.unwrap();
        drop(locked);

        let ended = soon("end of the run", running).await.unwrap().unwrap();
        assert_eq!((ended.record.id, ended.record.status), (open.id, RunStatus::Superseded), "{ended:?}");
        assert_eq!(ended.record.error.unwrap().code, "sync_paused");
        assert_eq!(last_run(&publisher).await, open.id, "it did not start again");
        assert_eq!(
            (name_of(&node).await.as_str(), node.version("person").await),
            ("Good", Some(done.version.0))
        );

        // No scheduled run starts. A requested run does, and the sync stays paused.
        let refused = start(&node, Trigger::Schedule).await.await.unwrap().unwrap_err();
        assert_eq!(refused.code(), "sync_paused");
        assert_eq!(last_run(&publisher).await, open.id);
        let asked = node.sync("person").await.record;
        assert_eq!((asked.status, asked.version), (RunStatus::Announced, Some(Version(done.version.0 + 1))));
        assert_eq!(name_of(&node).await, "Worse");
        assert!(pause_of(&publisher).await.is_some());

        publisher.resume(&name("person"), &tester()).await.unwrap();
        let ended = start(&node, Trigger::Schedule).await.await.unwrap().unwrap();
        assert_eq!(ended.record.status, RunStatus::Unchanged);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_keeps_serving_settings_and_lists_existing_versions() {
    let node = node(false).await;
    let publisher = node.publisher().await;
    node.sync("person").await;
    node.configure(&SECTIONS.replace("model = \"people\"", "model = \"people\"\non_miss = \"empty\""));
    node.warehouse.execute("update people set name = 'Bad'").await;
    node.sync("person").await;
    let as_of = |answer: Answer| answer.header("x-data-as-of").unwrap().parse::<DateTime<Utc>>().unwrap();
    let bad = as_of(node.get("person", "id", "1").await);
    let [second, first] = &publisher.metadata.runs(None, 2).await.unwrap()[..] else { panic!("two runs") };
    let at = |run: &RunRecord| run.data_as_of.unwrap().format("%Y-%m-%dT%H:%MZ").to_string();
    let unknown = format!(
        "person has no version 7 to go back to; there are, with the time of their data: 2 ({}), 1 ({})",
        at(second),
        at(first)
    );

    let person = name("person");
    let rollback = async |to| publisher.rollback(&person, Version(to), &tester()).await;
    for (to, message) in [(7, unknown.as_str()), (2, "person is at version 2; roll back to an earlier one")] {
        assert_eq!(rollback(to).await.unwrap_err().to_string(), message);
        assert_eq!(pause_of(&publisher).await, None, "nothing was paused");
    }
    let none = publisher.rollback(&name("nosuch"), Version(1), &tester()).await.unwrap_err();
    assert_eq!(none.to_string(), "no collection is named \"nosuch\"; announced are: person");

    let done = rollback(1).await.unwrap();
    node.await_version("person", 3).await;
    assert_eq!(name_of(&node).await, "Good");
    assert_eq!(node.get("person", "id", "99").await.text(), "{}", "on_miss is the present one");
    let back = as_of(node.get("person", "id", "1").await);
    assert!(back < bad, "{back:?} {bad:?}");
    await_head(&publisher).await;
    let head = publisher.catalog.head().await.unwrap().unwrap();
    let fresh = &head.data_as_of[&person];
    assert_eq!((fresh.version, fresh.data_as_of), (Version(3), done.data_as_of));
    let pause = pause_of(&publisher).await.unwrap();
    assert_eq!((pause.by.as_str(), pause.why.as_str()), ("test", "rolled back to 1"));
    let log = publisher.metadata.audit_log(None, 10).await.unwrap();
    let rollback = log.iter().find(|entry| entry.action == "collection.rollback").unwrap();
    assert_eq!((rollback.subject.as_str(), rollback.detail.as_deref()), ("person", Some("from 2 to 1 as 3")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_documents_are_deleted_is_found_by_its_run() {
    let node = node(false).await;
    let publisher = node.publisher().await;
    node.sync("person").await;
    for text in ["Second", "Third"] {
        node.warehouse.execute(&format!("update people set name = '{text}'")).await;
        node.sync("person").await;
    }
    let newest = await_head(&publisher).await;
    // A month later the documents are deleted.
    for n in 1..newest {
        let document = format!("data/store/catalog/{n:020}.json");
        std::fs::remove_file(node.directory.path().join(document)).unwrap();
    }
    let done = publisher.rollback(&name("person"), Version(1), &tester()).await.unwrap();
    assert_eq!((done.version, done.records), (Version(4), 40));
    node.await_version("person", 4).await;
    assert_eq!(name_of(&node).await, "Good");

    // After thousands of runs that announced nothing, and then some that did.
    let soon = done.data_as_of + TimeDelta::days(1);
    assert_eq!(publisher.metadata.prune_runs(1, 4, soon).await.unwrap(), 0);
    assert_eq!(publisher.metadata.prune_runs(1, 1, soon).await.unwrap(), 3);
    let listed = publisher.catalog.listed_versions(&name("person"), Version(4), 64).await.unwrap();
    assert_eq!(listed, [4, 3, 2, 1].map(Version), "their manifests are there");
    let gone = publisher.rollback(&name("person"), Version(1), &tester()).await.unwrap_err().to_string();
    let (_, named) = gone.split_once("data: ").unwrap();
    let named: Vec<_> = named.split(", ").map(|one| one.split_once(" (").unwrap().0).collect();
    assert_eq!(named, ["4", "3"], "{gone}");
}

async fn approve(publisher: &Publisher, run: RunId) -> Result<Approved, Error> {
    let (cancel, by) = (Shutdown::new(), tester());
    soon("approval", Box::pin(publisher.approve(run, &by, &cancel))).await
}

async fn held(node: &Node, sql: &str) -> RunId {
    node.warehouse.execute(sql).await;
    let ended = node.sync("person").await;
    assert_eq!(ended.record.status, RunStatus::Held);
    ended.record.id
}

#[tokio::test(flavor = "multi_thread")]
async fn approving_announces_exactly_the_held_result() {
    let node = node(false).await;
    let publisher = node.publisher().await;
    node.sync("person").await;
    let run = held(&node, "delete from people where id > 20").await;
    // Later changes of the model do not matter.
    node.warehouse.execute("delete from people where id > 10; update people set name = 'Later'").await;
    let manifest = publisher.metadata.held_run_by_id(run).await.unwrap().unwrap().manifest;
    let record = approve(&publisher, run).await.unwrap().record;
    assert_eq!((record.id, record.status, record.version), (run, RunStatus::Announced, Some(Version(2))));
    assert_eq!(publisher.metadata.run(run).await.unwrap(), Some(record));
    assert_eq!(publisher.metadata.held_run(&name("person")).await.unwrap(), None);
    node.await_version("person", 2).await;
    assert_eq!(name_of(&node).await, "Good");
    assert!(node.record("person", "id", "20").await.is_some());
    assert_eq!(node.record("person", "id", "21").await, None);
    let newest = publisher.catalog.newest(None).await.unwrap().unwrap();
    assert_eq!(
        (newest.collections["person"].run_id, &newest.collections["person"].manifest),
        (run, &manifest)
    );

    // A run is approved once.
    let again = approve(&publisher, run).await.unwrap_err();
    assert_eq!((again.code(), again.kind()), ("run_not_held", ErrorKind::Invalid));
    let announced = (RunStatus::Announced, Some(Version(2)));
    assert!(matches!(again, Error::NotHeld { status, version, .. } if (status, version) == announced));
    let unknown = approve(&publisher, RunId::from_uuid(random::uuid())).await.unwrap_err();
    assert!(matches!(unknown, Error::UnknownRun(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_result_is_not_announced_on_a_changed_collection() {
    let node = node(false).await;
    let publisher = node.publisher().await;
    node.sync("person").await;
    node.warehouse.execute("update people set name = 'Second' where id = 1").await;
    node.sync("person").await;
    let run = held(&node, "delete from people where id > 20").await;
    let held_run = publisher.metadata.held_run_by_id(run).await.unwrap();
    publisher.rollback(&name("person"), Version(1), &tester()).await.unwrap();
    // Neither while the sync is paused nor later, whatever the warehouse has meanwhile.
    node.warehouse.execute("create table kept as select * from people; delete from people").await;
    for _ in 0..2 {
        let refused = approve(&publisher, run).await.unwrap_err();
        assert_eq!((refused.code(), refused.kind()), ("held_run_outdated", ErrorKind::Conflict));
        assert_eq!(publisher.metadata.held_run_by_id(run).await.unwrap(), held_run, "it is held on");
        assert_eq!(
            publisher.catalog.newest(None).await.unwrap().unwrap().collections["person"].version,
            Version(3)
        );
        publisher.resume(&name("person"), &tester()).await.unwrap();
    }
    node.warehouse.execute("insert into people select * from kept").await;
    // The run that took its place: the one that is held now, or the one that passed.
    let successor = async |run| match approve(&publisher, run).await.unwrap_err() {
        error @ Error::HeldRunSuperseded { by, .. } => {
            assert_eq!((error.code(), error.kind()), ("run_not_held", ErrorKind::Conflict));
            by
        }
        error => panic!("{error}"),
    };
    let later = held(&node, "update people set name = 'Third'").await;
    assert_eq!(successor(run).await, Some((later, RunStatus::Held)));
    publisher.rollback(&name("person"), Version(2), &tester()).await.unwrap();
    publisher.resume(&name("person"), &tester()).await.unwrap();
    assert_eq!(approve(&publisher, later).await.unwrap_err().code(), "held_run_outdated");
    let ended = node.sync_with("person", true, false).await;
    assert_eq!((ended.record.status, ended.record.version), (RunStatus::Announced, Some(Version(5))));
    node.await_version("person", 5).await;
    assert_eq!(name_of(&node).await, "Third");
    assert_eq!(successor(run).await, Some((ended.record.id, RunStatus::Announced)));
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_waits_for_the_run_in_progress() {
    let node = node(true).await;
    let publisher = node.publisher().await;
    node.sync("person").await;
    let run = held(&node, "delete from people where id > 20").await;
    let Warehouse::Postgres(database) = &node.warehouse else { panic!("Postgres") };
    let mut locked = PgConnection::connect(&database.url()).await.unwrap();
    let lock = "begin; lock table people in access exclusive mode";
    sqlx::raw_sql(lock).execute(&mut locked).await.unwrap();
    let running = start(&node, Trigger::Schedule).await;
    let open = open_run(&node).await;
    let unlock = async {
        // The approval has begun once its audit entry is there.
        wait_until("the audit entry", async || {
            let log = publisher.metadata.audit_log(None, 10).await.unwrap();
            log.iter().any(|entry| entry.action == "run.approve")
        })
        .await;
        assert!(publisher.metadata.run(open.id).await.unwrap().unwrap().status.is_open());
        sqlx::raw_sql("commit").execute(&mut locked).await.unwrap();
        running.await.unwrap().unwrap().record
    };
    let (approved, ended) = tokio::join!(approve(&publisher, run), soon("end of the run", unlock));
    assert_eq!((ended.id, ended.status), (run, RunStatus::Held));
    let record = approved.unwrap().record;
    assert_eq!((record.id, record.status, record.version), (run, RunStatus::Announced, Some(Version(2))));

    // An interrupt ends the wait.
    let run = held(&node, "delete from people where id > 5").await;
    let lease = publisher.engine.acquire_lease(&name("person")).await.unwrap();
    let cancel = Shutdown::new();
    cancel.cancel();
    let cancelled = publisher.approve(run, &tester(), &cancel).await.unwrap_err();
    assert!(cancelled.is_cancelled(), "{cancelled}");
    lease.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_collection_begins_anew_with_a_higher_version() {
    let node = node(false).await;
    let publisher = node.publisher().await;
    let person = name("person");
    node.sync("person").await;
    node.warehouse.execute("update people set name = 'Second'").await;
    node.sync("person").await;
    let run = held(&node, "delete from people where id > 20").await;
    publisher.rollback(&person, Version(1), &tester()).await.unwrap();
    let removed = publisher.drop_collection(&person, &tester()).await.unwrap();
    assert_eq!((removed.version, removed.records), (Version(3), Some(40)));
    let pause = pause_of(&publisher).await.expect("a pause survives a drop");
    assert_eq!(pause.why, "rolled back to 1");
    wait_until("the end of the collection", async || node.get("person", "id", "1").await.status == 404).await;
    assert_eq!(node.get("person", "id", "1").await.code(), "collection_not_found");
    let unknown = publisher.drop_collection(&person, &tester()).await.unwrap_err();
    assert_eq!(
        (unknown.code(), unknown.to_string().contains("announced are: none")),
        ("unknown_collection", true)
    );
    assert_eq!(approve(&publisher, run).await.unwrap_err().code(), "run_not_held");

    // Only an operator brings it back; the schedule does not, also after the pause.
    let refused = async || start(&node, Trigger::Schedule).await.await.unwrap().unwrap_err();
    assert_eq!(refused().await.code(), "sync_paused");
    assert!(publisher.resume(&person, &tester()).await.unwrap().is_some());
    assert_eq!(refused().await.code(), "sync_dropped");
    let ended = node.sync("person").await;
    assert_eq!((ended.record.status, ended.record.version), (RunStatus::Announced, Some(Version(4))));
    start(&node, Trigger::Schedule).await.await.unwrap().unwrap();
    assert_eq!(node.version("person").await, Some(4));
    node.warehouse.execute("update people set name = 'Fifth'").await;
    assert_eq!(node.sync("person").await.record.version, Some(Version(5)));
}
