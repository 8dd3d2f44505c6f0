//! Several metadata databases on one store: one of them publishes, and the catalog remembers what operators decided.

use std::fs;

use larder::{
    admin::{Error, SyncRequest},
    app::PublisherProcess,
    config::{self, Environment, Overrides},
    domain::run::RunStatus,
    engine::Progress,
    support::{clock::Clock, shutdown::Shutdown},
};
use serde_json::Value;

use crate::support::{
    catalog::name,
    deployment::{Deployment, NodeDirectory},
    node::tester,
    postgres::Postgres,
    process::{Process, until},
};

fn sections(source: &str, schedule: &str) -> String {
    let of = |sync: &str, table: &str| {
        format!(
            "[models.{table}]\nsource = \"warehouse\"\nsql = \"select * from {table}\"\nprimary_key = \"id\"\n\
             [syncs.{sync}]\nmodel = \"{table}\"\nschedule = \"{schedule}\"\nindexes = {{ id = \"id\" }}\n"
        )
    };
    format!("[sources.warehouse]\n{source}{}{}", of("person", "people"), of("tick", "ticks"))
}

/// A node with a metadata database and a SQLite warehouse of its own.
async fn node(deployment: &Deployment, of: &str, schedule: &str) -> NodeDirectory {
    let (warehouse, metadata) = (format!("{of}-warehouse.db"), format!("sqlite:./{of}-metadata.db"));
    let rows = format!(
        "create table people (id integer primary key, name text); insert into people values (1, '{of} 1');
         create table ticks (id integer primary key, count integer); insert into ticks values (1, 0);"
    );
    deployment.execute(&warehouse, &rows).await;
    let source = format!("type = \"sqlite\"\npath = \"{warehouse}\"\n");
    deployment.node_with_metadata(of, &metadata, &sections(&source, schedule))
}

async fn rename(deployment: &Deployment, of: &str, to: &str) {
    let update = format!("update people set name = '{to}'");
    deployment.execute(&format!("{of}-warehouse.db"), &update).await;
}

async fn await_text(server: &Process, key: &str, text: &str) {
    until(text, async || server.get(key, "person", 1).await.text().contains(text).then_some(())).await;
}

/// Waits until the other sync of a server has run again and again.
async fn await_ticks(deployment: &Deployment, of: &str, server: &Process, key: &str, from: u64) {
    for count in from..from + 4 {
        let update = format!("update ticks set count = {count}");
        deployment.execute(&format!("{of}-warehouse.db"), &update).await;
        let expected = format!("\"count\":{count}");
        until("a tick", async || server.get(key, "tick", 1).await.text().contains(&expected).then_some(()))
            .await;
    }
}

async fn publishing_problem(server: &mut Process, code: Option<&str>) {
    until("the state of the publishing side", async || {
        let status = server.status().await;
        let publisher = &status["publisher"];
        let is = publisher["problem"]["code"].as_str() == code && publisher["up"] == code.is_none();
        is.then_some(())
    })
    .await;
}

fn publishing(deployment: &Deployment) -> Value {
    deployment.catalog().pop().unwrap()["metadata"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_database_is_refused_until_an_operator_takes_over() {
    let deployment = Deployment::new();
    let (one, two) = (node(&deployment, "one", "every 1s").await, node(&deployment, "two", "every 1s").await);
    let mut first = one.serve().await;
    let key = one.key().await;
    await_text(&first, &key, "one 1").await;
    let publishes = publishing(&deployment);
    assert!(publishes.as_str().unwrap().starts_with("meta_"));

    let mut second = two.serve().await;
    publishing_problem(&mut second, Some("foreign_metadata")).await;
    await_text(&second, &key, "one 1").await;
    for command in [
        &["sync", "person"][..],
        &["sync", "person", "--accept"],
        &["rollback", "person", "--to", "1"],
        &["resume", "person"],
        &["drop", "person"],
        &["pin", "person", "--region", "local", "--to", "1"],
        &["unpin", "person", "--region", "local"],
        &["approve", "run_01a20a5eec7f7d81806d1cda2d2b4382"],
        &["keys", "create", "--name", "test", "--all-collections"],
        &["keys", "revoke", &key],
    ] {
        let refused = two.spawn(command).wait().await.expect(4);
        assert!(refused.stderr.contains("code: foreign_metadata"), "{refused:?}");
        assert_eq!(refused.stdout, "", "{refused:?}");
    }
    let audit: Value = serde_json::from_str(&two.output(&["audit", "--json"]).await).unwrap();
    assert_eq!(audit, serde_json::json!([]), "nothing was done");
    let status = two.output(&["status"]).await;
    assert!(status.contains(publishes.as_str().unwrap()), "{status}");
    rename(&deployment, "one", "one 2").await;
    await_text(&second, &key, "one 2").await;
    assert_eq!(publishing(&deployment), publishes);

    let taken: Value = serde_json::from_str(&two.output(&["takeover", "--json"]).await).unwrap();
    assert_eq!((&taken["from"], &taken["to"]), (&publishes, &publishing(&deployment)));
    await_text(&first, &key, "two 1").await;
    publishing_problem(&mut second, None).await;
    publishing_problem(&mut first, Some("foreign_metadata")).await;
    rename(&deployment, "one", "one 3").await;
    rename(&deployment, "two", "two 2").await;
    await_text(&first, &key, "two 2").await;
    await_ticks(&deployment, "two", &second, &key, 1).await;
    let catalog = deployment.catalog();
    let from = catalog.iter().position(|document| document["metadata"] == taken["to"]).unwrap();
    assert!(catalog[from..].iter().all(|document| document["metadata"] == taken["to"]), "{catalog:?}");
    assert!(first.get(&key, "person", 1).await.text().contains("two 2"), "nothing came from the first");

    // The command does nothing a second time, and the first database can take over again.
    assert!(two.output(&["takeover"]).await.contains("publishes already"));
    let audit: Value = serde_json::from_str(&two.output(&["audit", "--json"]).await).unwrap();
    let taken: Vec<_> =
        audit.as_array().unwrap().iter().filter(|it| it["action"] == "catalog.takeover").collect();
    assert_eq!(taken.len(), 1, "{audit}");
    one.output(&["takeover"]).await;
    await_text(&second, &key, "one 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_in_a_restored_and_in_a_new_database() {
    let deployment = Deployment::new();
    let node = node(&deployment, "one", "every 1s").await;
    let server = node.serve().await;
    let key = node.key().await;
    await_text(&server, &key, "one 1").await;
    rename(&deployment, "one", "bad").await;
    await_text(&server, &key, "bad").await;
    server.signal(rustix::process::Signal::TERM);
    server.wait().await;
    fs::copy(deployment.path("one-metadata.db"), deployment.path("backup.db")).unwrap();
    node.output(&["rollback", "person", "--to", "1"]).await;

    let (mut ticks, mut running) = (1, None);
    for restored in [true, false] {
        for beside in ["one-metadata.db-wal", "one-metadata.db-shm", "one-metadata.db"] {
            let _ = fs::remove_file(deployment.path(beside));
        }
        if restored {
            fs::rename(deployment.path("backup.db"), deployment.path("one-metadata.db")).unwrap();
        } else {
            let refused = node.spawn(&["sync", "person"]).wait().await.expect(4);
            assert!(refused.stderr.contains("code: foreign_metadata"), "{refused:?}");
            node.output(&["takeover"]).await;
        }
        let server = node.serve().await;
        await_ticks(&deployment, "one", &server, &key, ticks).await;
        ticks += 4;
        assert!(server.get(&key, "person", 1).await.text().contains("one 1"), "restored: {restored}");
        let status = node.output(&["status"]).await;
        assert!(status.contains("paused: rolled back to 1"), "{status}");
        if restored {
            server.kill();
        } else {
            running = Some(server);
        }
    }
    let server = running.unwrap();
    node.output(&["resume", "person"]).await;
    await_text(&server, &key, "bad").await;
}

/// Two copies of one database have the same id, and publish in turn until one meets a version of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_database_beside_its_original_is_noticed() {
    let deployment = Deployment::new();
    let (one, two) = (node(&deployment, "one", "manual").await, node(&deployment, "two", "manual").await);
    one.output(&["sync", "person"]).await;
    fs::copy(deployment.path("one-metadata.db"), deployment.path("two-metadata.db")).unwrap();
    two.output(&["sync", "person"]).await;
    assert_eq!(deployment.announced("person"), Some(2));

    let refused = async |node: &NodeDirectory| {
        let announced = deployment.announced("person");
        for command in [&["sync", "person"][..], &["sync", "person", "--accept"]] {
            let refused = node.spawn(command).wait().await;
            assert!(refused.code != Some(0) && refused.stderr.contains("metadata_copied"), "{refused:?}");
        }
        assert_eq!(deployment.announced("person"), announced);
    };
    rename(&deployment, "one", "one 2").await;
    refused(&one).await;
    // The start of a server is an operator's decision. It records the versions that it finds.
    let server = one.serve().await;
    one.output(&["sync", "person"]).await;
    assert_eq!(deployment.announced("person"), Some(3));
    let versions: Value = serde_json::from_str(&one.output(&["versions", "person", "--json"]).await).unwrap();
    let origins: Vec<_> = versions.as_array().unwrap().iter().map(|one| one["origin"].clone()).collect();
    assert_eq!(origins, ["operator", "takeover", "operator"]);
    server.kill();

    refused(&two).await;
    assert!(two.output(&["takeover"]).await.contains("publishes already"));
    rename(&deployment, "two", "two 2").await;
    two.output(&["sync", "person"]).await;
    assert_eq!(deployment.announced("person"), Some(4));
    refused(&one).await;
}

/// Keys and pins are operators' commands, which a copy may give: each is applied to what is announced.
#[tokio::test(flavor = "multi_thread")]
async fn keys_and_pins_of_a_copy_undo_nothing() {
    let deployment = Deployment::new();
    let (one, two) = (node(&deployment, "one", "manual").await, node(&deployment, "two", "manual").await);
    one.output(&["sync", "person"]).await;
    let (kept, revoked) = (one.key().await, one.key().await);
    fs::copy(deployment.path("one-metadata.db"), deployment.path("two-metadata.db")).unwrap();
    one.output(&["keys", "revoke", &revoked[4..16]]).await;
    rename(&deployment, "one", "one 2").await;
    one.output(&["sync", "person"]).await;
    one.output(&["pin", "person", "--region", "eu", "--to", "1"]).await;

    let of_copy = two.key().await;
    two.output(&["pin", "person", "--region", "us", "--to", "1"]).await;
    let later = one.key().await;
    two.output(&["keys", "revoke", &of_copy[4..16]]).await;
    let last = deployment.catalog().pop().unwrap();
    assert_eq!(last["pins"].as_object().unwrap().keys().collect::<Vec<_>>(), ["eu", "us"], "{last}");
    assert_eq!(last["collections"]["person"]["version"], 2);
    let server = one.serve().await;
    for (key, status) in [(&kept, 200), (&later, 200), (&revoked, 401), (&of_copy, 401)] {
        until("the keys in force", async || {
            (server.get(key, "person", 1).await.status == status).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_new_databases_on_an_empty_store_the_first_to_announce_publishes() {
    let deployment = Deployment::new();
    let (one, two) = (node(&deployment, "one", "manual").await, node(&deployment, "two", "manual").await);
    let start = async |of: &str| {
        let path = deployment.path(&format!("{of}.toml"));
        let config = config::load(Some(&path), &Environment::default(), &Overrides::default()).unwrap();
        PublisherProcess::start(&config, Clock::default(), false).await.unwrap()
    };
    // Both have found the store empty.
    let (first, second) = (start("one").await, start("two").await);
    let (person, progress, cancel, by) = (name("person"), Progress::default(), Shutdown::new(), tester());
    let run = async |process: &PublisherProcess| {
        let request = SyncRequest {
            sync: &person,
            accept: false,
            full: false,
            dry_run: false,
            progress: &progress,
            cancel: &cancel,
        };
        Box::pin(process.publisher.sync(request, &by)).await
    };
    assert_eq!(run(&first).await.unwrap().ended.record.status, RunStatus::Announced);
    let lost = run(&second).await.map(|done| done.ended.record);
    assert!(!lost.as_ref().is_ok_and(|record| record.status != RunStatus::Failed), "{lost:?}");
    assert!(!matches!(lost, Err(Error::Metadata(_))), "{lost:?}");
    first.stop().await;
    second.stop().await;
    assert_eq!(deployment.catalog().len(), 1);

    let refused = two.spawn(&["sync", "person"]).wait().await.expect(4);
    assert!(refused.stderr.contains("code: foreign_metadata"), "{refused:?}");
    two.output(&["takeover"]).await;
    two.output(&["sync", "person"]).await;
    assert_eq!(deployment.announced("person"), Some(2));
    let refused = one.spawn(&["sync", "person"]).wait().await.expect(4);
    assert!(refused.stderr.contains("code: foreign_metadata"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_takeover_overtakes_announces_nothing() {
    let (deployment, database) = (Deployment::new(), Postgres::database().await);
    let rows =
        "create table people (id integer primary key, name text); insert into people values (1, 'Ann');
                create table ticks (id integer primary key)";
    database.execute(rows).await;
    let source = format!("type = \"postgres\"\nurl = \"{}\"\n", database.url());
    let of = |of: &str| {
        deployment.node_with_metadata(of, &format!("sqlite:./{of}.db"), &sections(&source, "manual"))
    };
    let (one, two) = (of("one"), of("two"));
    one.output(&["sync", "person"]).await;
    let locked = database.lock("people").await;
    let running = one.spawn(&["sync", "person", "--json"]);
    until("a run under way", async || one.runs().await.into_iter().find(|run| run["status"] == "running"))
        .await;
    two.output(&["takeover"]).await;
    drop(locked);
    database.execute("update people set name = 'Bob'").await;
    let ended = running.wait().await;
    assert!(ended.code != Some(0) || ended.json()["status"] == "unchanged", "{ended:?}");
    let last = one.runs().await.remove(0);
    assert_eq!((&last["status"], &last["error"]["code"]), (&"failed".into(), &"foreign_metadata".into()));
    assert_eq!(deployment.announced("person"), Some(1));
    two.output(&["sync", "person"]).await;
    assert_eq!(deployment.announced("person"), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_collection_comes_back_only_when_an_operator_runs_its_sync() {
    let deployment = Deployment::new();
    let node = node(&deployment, "one", "every 1s").await;
    let server = node.serve().await;
    let key = node.key().await;
    await_text(&server, &key, "one 1").await;
    // The command knows no sync, and the server still has it.
    let text = fs::read_to_string(node.path().join("one.toml")).unwrap();
    node.write("without.toml", text.split("[sources.warehouse]").next().unwrap());
    let dropped = async |config: &[&str]| {
        until("a free lease", async || {
            let done = node.spawn(&[&["drop", "person"], config].concat()).wait().await;
            assert!(done.code == Some(0) || done.stderr.contains("code: lease_held"), "{done:?}");
            (done.code == Some(0)).then_some(())
        })
        .await;
        until("the end of the collection", async || {
            (server.get(&key, "person", 1).await.status == 404).then_some(())
        })
        .await;
    };
    dropped(&["-c", "without.toml"]).await;
    rename(&deployment, "one", "one 2").await;
    await_ticks(&deployment, "one", &server, &key, 1).await;
    assert_eq!(server.get(&key, "person", 1).await.status, 404, "no scheduled run brought it back");
    let status = node.output(&["status"]).await;
    assert!(status.contains("dropped at 1"), "{status}");

    node.output(&["sync", "person"]).await;
    await_text(&server, &key, "one 2").await;
    rename(&deployment, "one", "one 3").await;
    await_text(&server, &key, "one 3").await;
    // Also with the sync in the configuration of the command.
    dropped(&[]).await;
    await_ticks(&deployment, "one", &server, &key, 5).await;
    assert_eq!(server.get(&key, "person", 1).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_without_the_store_and_are_announced_when_it_is_back() {
    let deployment = Deployment::new();
    let node = node(&deployment, "one", "manual").await;
    node.output(&["sync", "person"]).await;
    let (kept, revoked) = (node.key().await, node.key().await);
    fs::rename(deployment.path("store"), deployment.path("store.gone")).unwrap();
    let pending = node.spawn(&["keys", "revoke", &revoked]).wait().await.expect(1);
    assert!(pending.stderr.contains("code: keys_not_announced"), "{pending:?}");
    let made = node.spawn(&["keys", "create", "--name", "late", "--all-collections"]).wait().await.expect(1);
    assert!(made.stderr.contains("code: keys_not_announced"), "{made:?}");
    let late = made.stdout.trim();
    assert!(late.starts_with("lrd_"), "{made:?}");
    let listed = node.spawn(&["keys", "list", "--json"]).wait().await.expect(0);
    assert!(listed.stderr.contains("not announced yet"), "{listed:?}");
    let listed = listed.json();
    let listed: Vec<bool> =
        listed.as_array().unwrap().iter().map(|key| key["revoked_at"].is_string()).collect();
    assert_eq!(listed, [false, true, false]);

    fs::rename(deployment.path("store.gone"), deployment.path("store")).unwrap();
    let server = node.serve().await;
    until("the new key", async || (server.get(late, "person", 1).await.status == 200).then_some(())).await;
    assert_eq!(server.get(&kept, "person", 1).await.status, 200);
    assert_eq!(server.get(&revoked, "person", 1).await.status, 401);
    let listed = node.spawn(&["keys", "list"]).wait().await.expect(0);
    assert_eq!(listed.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_brings_no_revoked_key_back() {
    let deployment = Deployment::new();
    let (one, two) = (node(&deployment, "one", "manual").await, node(&deployment, "two", "manual").await);
    one.output(&["sync", "person"]).await;
    let (kept, revoked) = (one.key().await, one.key().await);
    two.output(&["takeover"]).await;
    two.output(&["keys", "revoke", &revoked]).await;
    // Both databases have made a revision with this number.
    fs::rename(deployment.path("store"), deployment.path("store.gone")).unwrap();
    let late = one.spawn(&["keys", "create", "--name", "late", "--all-collections"]).wait().await.expect(1);
    fs::rename(deployment.path("store.gone"), deployment.path("store")).unwrap();
    one.output(&["takeover"]).await;
    let last = one.key().await;
    let server = one.serve().await;
    for (key, status) in [(kept.as_str(), 200), (late.stdout.trim(), 200), (&last, 200), (&revoked, 401)] {
        until("the keys in force", async || {
            (server.get(key, "person", 1).await.status == status).then_some(())
        })
        .await;
    }
}
