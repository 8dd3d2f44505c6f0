//! A rollback that is killed before or after its announcement.

use larder::{
    catalog::Change,
    domain::{
        catalog::{CollectionEntry, Pause},
        manifest::{Manifest, Version},
        run::{RunCounts, RunRecord, RunStatus},
    },
    engine::Trigger,
    metadata::{AUDIT_UNFINISHED, LeaseOutcome},
    store::Location,
};
use rustix::process::Signal;
use tokio::time::Duration;

use super::{
    runs::{node, pause_of, start},
    story::{ROWS, Reader, key, metadata, sync},
};
use crate::support::{
    catalog::{name, open_catalog, run_id},
    deployment::NodeDirectory,
    node::tester,
    process::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_was_never_announced_leaves_no_pause() {
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "every 1s")).await;
    node.run(&["sync", "person"]).expect(0);
    node.execute("update people set name = 'Second'").await;
    node.run(&["sync", "person"]).expect(0);

    // The rollback reads the present manifest before it announces. Opening a pipe waits for its writer.
    let catalog = open_catalog(&Location::Directory(node.path().join("data/store")));
    let newest = catalog.newest(None).await.unwrap().unwrap();
    let manifest = node.path().join("data/store").join(&newest.collections["person"].manifest);
    let aside = node.path().join("manifest.json");
    std::fs::rename(&manifest, &aside).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&manifest).status().unwrap().success());
    let rollback = node.spawn(&["rollback", "person", "--to", "1"]);
    let books = metadata(&node).await;
    until("the audit entry", async || {
        let log = books.audit_log(Some("person"), 1).await.unwrap();
        (log[0].action == "collection.rollback").then_some(())
    })
    .await;
    rollback.signal(Signal::KILL);
    rollback.wait().await;
    std::fs::remove_file(&manifest).unwrap();
    std::fs::rename(&aside, &manifest).unwrap();

    let status = node.run(&["status", "--json"]).expect(0).json();
    assert!(status["collections"][0]["paused"].is_null(), "{status}");
    node.execute("update people set name = 'Third'").await;
    let mut server = node.spawn(&["serve"]);
    let reader = Reader::new(&mut server, &key(&node)).await;
    assert_eq!(reader.until("person", "Third", 3).await, 3, "it runs by its schedule");

    let log = books.audit_log(Some("person"), 100).await.unwrap();
    let undone: Vec<_> = log.iter().filter(|entry| entry.action != "sync.run").collect();
    assert_eq!(undone.len(), 1, "{undone:?}");
    assert_eq!(
        (undone[0].action.as_str(), undone[0].detail.as_deref()),
        ("collection.rollback", Some(AUDIT_UNFINISHED))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_rollback_is_reconciled_and_a_live_one_is_left_alone() {
    let node = node(false).await;
    let publisher = node.publisher().await;
    let (engine, metadata, person) = (&publisher.engine, &publisher.metadata, name("person"));
    node.sync("person").await;
    node.warehouse.execute("update people set name = 'Second'").await;
    node.sync("person").await;
    let open = async || {
        let record = RunRecord {
            id: run_id(),
            sync: person.clone(),
            status: RunStatus::Announcing,
            trigger: Trigger::Rollback.as_str().to_owned(),
            started_at: publisher.clock.now(),
            finished_at: None,
            data_as_of: None,
            version: Some(Version(3)),
            counts: RunCounts::default(),
            error: None,
        };
        metadata.insert_run(&record).await.unwrap();
        record.id
    };
    let status = async |id| metadata.run(id).await.unwrap().unwrap().status;

    // A live rollback is left alone, and there is one at a time. Runs do not wait for it.
    let held = metadata.acquire_lease("rollback:person", "somebody", Duration::from_mins(1)).await.unwrap();
    let LeaseOutcome::Held(lease) = held else { panic!("it is free") };
    let live = open().await;
    let ran = start(&node, Trigger::Schedule).await.await.unwrap().unwrap();
    assert_eq!((ran.record.status, status(live).await), (RunStatus::Unchanged, RunStatus::Announcing));
    let second = publisher.rollback(&person, Version(1), &tester()).await;
    assert_eq!(second.unwrap_err().code(), "rollback_under_way");
    metadata.release_lease(&lease).await.unwrap();

    // Killed before its announcement: the next run reconciles it.
    start(&node, Trigger::Schedule).await.await.unwrap().unwrap();
    assert_eq!((status(live).await, pause_of(&publisher).await), (RunStatus::Interrupted, None));

    // Killed after its announcement: the pause is there, and the run is announced.
    let killed = open().await;
    let newest = publisher.catalog.newest(None).await.unwrap().unwrap();
    let present = &newest.collections[&person];
    let manifest = publisher.catalog.manifest(&person, present).await.unwrap();
    let manifest = Manifest { run_id: killed, version: Version(3), ..manifest };
    let (object, sha256) = publisher.catalog.publish_manifest(&manifest).await.unwrap();
    let entry =
        CollectionEntry { version: Version(3), run_id: killed, regions: None, manifest: object, sha256 };
    let pause = Pause { at: publisher.clock.now(), by: "test".into(), why: "rolled back to 1".into() };
    let change = Change::Collection {
        name: person.clone(),
        from: Some(present.sha256),
        entry,
        data_as_of: manifest.data_as_of,
        pause: Some(pause.clone()),
    };
    publisher.announcer.announce(change).await.unwrap();
    engine.reconcile_abandoned_runs().await.unwrap();
    assert_eq!((status(killed).await, pause_of(&publisher).await), (RunStatus::Announced, Some(pause)));
    let refused = start(&node, Trigger::Schedule).await.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), "sync_paused");
}
