//! A rollback that is killed between its two steps, the pause and the announcement.

use larder::{
    domain::id::RunId,
    engine::Trigger,
    metadata::{AUDIT_UNFINISHED, LeaseOutcome, Pause},
    store::Location,
    support::random,
};
use rustix::process::Signal;
use tokio::time::Duration;

use super::{
    runs::{node, start},
    story::{ROWS, Reader, key, metadata, sync},
};
use crate::support::{
    catalog::{name, open_catalog},
    deployment::NodeDirectory,
    node::tester,
    process::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_pause_of_a_rollback_that_was_never_announced_ends_by_itself() {
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "every 1s")).await;
    node.run(&["sync", "person"]).expect(0);
    node.execute("update people set name = 'Second'").await;
    node.run(&["sync", "person"]).expect(0);

    // The rollback reads the present manifest after the pause. Opening a pipe waits for its writer.
    let catalog = open_catalog(&Location::Directory(node.path().join("data/store")));
    let newest = catalog.newest(None).await.unwrap().unwrap();
    let manifest = node.path().join("data/store").join(&newest.collections["person"].manifest);
    let aside = node.path().join("manifest.json");
    std::fs::rename(&manifest, &aside).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&manifest).status().unwrap().success());
    let rollback = node.spawn(&["rollback", "person", "--to", "1"]);
    let books = metadata(&node).await;
    let pause = until("the pause", async || books.pause(&name("person")).await.unwrap()).await;
    assert!(pause.pending.is_some());
    rollback.signal(Signal::KILL);
    rollback.wait().await;
    std::fs::remove_file(&manifest).unwrap();
    std::fs::rename(&aside, &manifest).unwrap();

    let status = node.run(&["status"]).expect(0).stdout;
    assert!(status.contains("paused: rolled back to 1, not announced yet at 2"), "{status}");
    node.execute("update people set name = 'Third'").await;
    let mut server = node.spawn(&["serve"]);
    let reader = Reader::new(&mut server, &key(&node)).await;
    assert_eq!(reader.until("person", "Third", 3).await, 3, "it runs by its schedule again");
    assert_eq!(books.pause(&name("person")).await.unwrap(), None);

    let log = books.audit_log(Some("person"), 100).await.unwrap();
    let told: Vec<_> = log.iter().rev().filter(|entry| entry.action != "sync.run").collect();
    let told: Vec<_> = told
        .iter()
        .map(|entry| (entry.actor == "larder", entry.action.as_str(), entry.detail.as_deref().unwrap()))
        .collect();
    let expected = [
        (false, "collection.rollback", AUDIT_UNFINISHED),
        (false, "sync.pause", "rolled back to 1"),
        (true, "sync.resume", "rolled back to 1: it was never announced"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_rollback_is_reconciled_and_a_live_one_is_left_alone() {
    let node = node(false).await;
    let publisher = node.publisher().await;
    let (engine, metadata, person) = (&publisher.engine, &publisher.metadata, name("person"));
    node.sync("person").await;
    node.warehouse.execute("update people set name = 'Second'").await;
    node.sync("person").await;
    let pause = async |pending| {
        let why = "rolled back to 1".to_owned();
        let pause = Pause { at: publisher.clock.now(), by: "test".to_owned(), why, pending: Some(pending) };
        metadata.pause_sync(&person, &pause).await.unwrap();
    };
    let never = || RunId::from_uuid(random::uuid());

    // A live rollback is left alone, and there is one at a time.
    let held = metadata.acquire_lease("rollback:person", "somebody", Duration::from_mins(1)).await.unwrap();
    let LeaseOutcome::Held(lease) = held else { panic!("it is free") };
    pause(never()).await;
    engine.reconcile_rollback(&person).await.unwrap();
    assert!(metadata.pause(&person).await.unwrap().unwrap().pending.is_some());
    let second = publisher.rollback(&person, larder::domain::manifest::Version(1), &tester()).await;
    assert_eq!(second.unwrap_err().code(), "rollback_under_way");
    let refused = start(&node, Trigger::Schedule).await.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("paused (rolled back to 1, not announced yet)"), "{refused}");
    metadata.release_lease(&lease).await.unwrap();

    // The next run reconciles it, and so does the next rollback.
    start(&node, Trigger::Schedule).await.await.unwrap().unwrap();
    assert_eq!(metadata.pause(&person).await.unwrap(), None);
    pause(never()).await;
    let done = publisher.rollback(&person, larder::domain::manifest::Version(1), &tester()).await.unwrap();
    let kept = metadata.pause(&person).await.unwrap().unwrap();
    assert_eq!((kept.why.as_str(), kept.pending), ("rolled back to 1", None));

    // Killed after the announcement: an ordinary pause.
    let newest = publisher.catalog.newest(None).await.unwrap().unwrap();
    pause(newest.collections["person"].run_id).await;
    engine.reconcile_abandoned_runs().await.unwrap();
    assert_eq!(metadata.pause(&person).await.unwrap().unwrap().pending, None);
    let refused = start(&node, Trigger::Schedule).await.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), "sync_paused");
    let log = metadata.audit_log(Some("person"), 1).await.unwrap();
    assert_eq!((log[0].actor.as_str(), log[0].action.as_str()), ("larder", "collection.rollback"));
    let told = format!("it was announced as {}, and its process ended", done.version);
    assert_eq!(log[0].detail.as_ref(), Some(&told));
}
