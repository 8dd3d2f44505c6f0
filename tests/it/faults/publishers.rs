//! Several processes on one store: one run at a time, no fork, no lost version.

use std::{
    collections::BTreeMap,
    fs::File,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use larder::support::clock::Clock;
use serde_json::Value;

use crate::support::postgres::{Database, Postgres};
use crate::support::reader::Reader;
use crate::support::{
    deployment::{Deployment, NodeDirectory},
    process::{CommandOutput, Process, until},
};

const ROWS: &str = "create table people (id integer primary key, name text);
    insert into people values (1, 'Ann'), (2, 'Bob');";

fn sections(warehouse: &str, schedule: &str, syncs: &[&str]) -> String {
    let of = |sync: &&str| {
        format!(
            "[syncs.{sync}]\nmodel = \"people\"\nschedule = \"{schedule}\"\nindexes = {{ id = \"id\" }}\n"
        )
    };
    let syncs: Vec<String> = syncs.iter().map(of).collect();
    let model =
        "[models.people]\nsource = \"warehouse\"\nsql = \"select * from people\"\nprimary_key = \"id\"\n";
    format!("{warehouse}{model}{}", syncs.concat())
}

const SQLITE: &str = "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n";

fn postgres(database: &Database) -> String {
    format!("[sources.warehouse]\ntype = \"postgres\"\nurl = \"{}\"\n", database.url())
}

async fn open_run(node: &NodeDirectory) -> Value {
    until("a run under way", async || node.runs().await.into_iter().find(|run| run["status"] == "running"))
        .await
}

/// Checks that the versions of every collection rise by one: no fork, no lost version.
fn check_catalog(deployment: &Deployment) -> BTreeMap<String, u64> {
    let mut newest = BTreeMap::new();
    for (at, document) in deployment.catalog().iter().enumerate() {
        assert_eq!(document["n"].as_u64(), Some(at as u64 + 1));
        let collections = document["collections"].as_object().unwrap();
        for (name, entry) in collections {
            let version = entry["version"].as_u64().unwrap();
            let before = newest.insert(name.clone(), version).unwrap_or(0);
            assert!(version == before || version == before + 1, "{name}: {version} after {before}");
        }
        assert_eq!(collections.len(), newest.len(), "a collection was lost");
    }
    newest
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_commands_for_one_sync_follows_the_first() {
    let (deployment, database, books) =
        (Deployment::new(), Postgres::database().await, Postgres::database().await);
    database.execute(ROWS).await;
    let node = deployment.node_with_metadata(
        "data",
        &books.url(),
        &sections(&postgres(&database), "manual", &["person"]),
    );
    node.output(&["migrate"]).await;
    let locked = database.lock("people").await;
    let first = node.spawn(&["sync", "person", "--json"]);
    let run = open_run(&node).await;
    let second = node.spawn(&["sync", "person", "--json"]);
    // It polls the run by its id, which no other process does.
    until("following", async || {
        let following = "select 1 from pg_stat_activity where datname = current_database() \
             and query like 'select id, sync, %from runs where id = $1%'";
        books.value(following).await
    })
    .await;
    drop(locked);
    for process in [first, second] {
        let done = process.wait().await;
        assert_eq!(done.code, Some(0), "{done:?}");
        let printed: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!((&printed["id"], printed["status"].as_str()), (&run["id"], Some("announced")));
    }
    assert_eq!(node.runs().await.len(), 1);
    assert_eq!(check_catalog(&deployment)["person"], 1);
}

/// A command does not take the run of another configuration for its own.
#[tokio::test(flavor = "multi_thread")]
async fn command_that_followed_a_run_of_another_configuration_says_so_or_runs_itself() {
    let (deployment, database, books) =
        (Deployment::new(), Postgres::database().await, Postgres::database().await);
    database.execute(ROWS).await;
    let old = sections(&postgres(&database), "manual", &["person"]);
    let new = old.replace("select * from people", "select id, 'new ' || name as name from people");
    let older = deployment.node_with_metadata("older", &books.url(), &old);
    let newer = deployment.node_with_metadata("newer", &books.url(), &new);
    let file = File::options().append(true).open(older.path().join("older.toml")).unwrap();
    file.set_modified(SystemTime::from(Clock::default().now()) - Duration::from_mins(1)).unwrap();
    older.output(&["migrate"]).await;
    let follow = async |first: &NodeDirectory, second: &NodeDirectory| {
        let locked = database.lock("people").await;
        let running = first.spawn(&["sync", "person"]);
        open_run(first).await;
        let following = second.spawn(&["sync", "person"]);
        until("following", async || {
            let polled = "select 1 from pg_stat_activity where datname = current_database() \
                 and query like 'select id, sync, %from runs where id = $1%'";
            books.value(polled).await
        })
        .await;
        drop(locked);
        running.wait().await.expect(0);
        following.wait().await
    };
    let done = follow(&older, &newer).await.expect(0);
    assert!(done.stdout.contains("announced version 2"), "{done:?}");
    database.execute("update people set name = 'Cleo' where id = 1").await;
    let refused = follow(&newer, &older).await.expect(4);
    assert!(refused.stderr.contains("code: configuration_outdated"), "{refused:?}");
    assert_eq!(refused.stdout, "");
    assert_eq!(deployment.announced("person"), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_for_different_syncs_do_not_disturb_each_other() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let syncs = ["one", "two", "three"];
    let node = deployment.node("data", &sections(SQLITE, "manual", &syncs));
    for round in 1..=4 {
        deployment
            .execute("warehouse.db", &format!("update people set name = 'Ann {round}' where id = 1"))
            .await;
        let mut processes = Vec::from(syncs.map(|sync| node.spawn(&["sync", sync])));
        // Keys are announced in the same documents.
        processes.push(node.spawn(&["keys", "create", "--name", "test", "--all-collections"]));
        for process in processes {
            let done = process.wait().await;
            assert_eq!(done.code, Some(0), "{done:?}");
        }
        assert_eq!(check_catalog(&deployment).into_values().collect::<Vec<_>>(), [round; 3]);
        assert_eq!(deployment.catalog().pop().unwrap()["keys"]["revision"].as_u64(), Some(round));
    }
    let runs = node.runs().await;
    assert_eq!(runs.len(), 12);
    assert!(runs.iter().all(|run| run["status"] == "announced"), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_syncs_and_one_takes_over_from_the_killed_one() {
    let (deployment, database) = (Deployment::new(), Postgres::database().await);
    database.execute(ROWS).await;
    let sections = sections(&postgres(&database), "every 1s", &["person"]);
    let nodes = ["a", "b"].map(|name| deployment.node(name, &sections));
    let key = nodes[0].key().await;
    let mut servers = vec![nodes[0].serve().await, nodes[1].serve().await];
    let node = &nodes[0];
    until("some runs", async || (node.runs().await.len() >= 4).then_some(())).await;
    let mut readers = Vec::new();
    for server in &servers {
        until("the first version", async || {
            (server.get(&key, "person", 1).await.status == 200).then_some(())
        })
        .await;
        readers.push(Reader::start(server, &key));
    }

    let runs = node.runs().await;
    let time = |run: &Value, field: &str| -> DateTime<Utc> { run[field].as_str().unwrap().parse().unwrap() };
    for pair in runs.windows(2).filter(|pair| pair[1]["finished_at"].is_string()) {
        assert!(time(&pair[1], "finished_at") <= time(&pair[0], "started_at"), "runs overlap: {pair:?}");
    }

    // The lease holder is killed during a run, which waits for the lock: the one before it may have read already.
    let locked = database.lock("people").await;
    let waiting = "select count(*)::text from pg_locks where relation = 'people'::regclass and not granted";
    until("a run that waits", async || (database.value(waiting).await.as_deref() == Some("1")).then_some(()))
        .await;
    let run = open_run(node).await;
    let holder =
        deployment.text("metadata.db", "select holder from leases where name = 'sync:person'").await.unwrap();
    let position = servers.iter().position(|server| holder.starts_with(&format!("pid-{}-", server.id())));
    let position = position.unwrap();
    readers.remove(position).end(&BTreeMap::from([(1, "Ann")])).await;
    servers.remove(position).kill();
    drop(locked);
    database.execute("update people set name = 'Anna' where id = 1").await;
    let survivor = &servers[0];
    until("the survivor's run", async || {
        (survivor.get(&key, "person", 1).await.json()["name"] == "Anna").then_some(())
    })
    .await;
    let runs = node.runs().await;
    let killed = runs.iter().find(|known| known["id"] == run["id"]).unwrap();
    assert_eq!(killed["status"], "interrupted");
    assert_eq!(check_catalog(&deployment)["person"], 2);
    readers.remove(0).end(&BTreeMap::from([(1, "Ann"), (2, "Anna")])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_of_one_directory_is_refused() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("data", &sections(SQLITE, "manual", &["person"]));
    let key = node.key().await;
    node.output(&["sync", "person"]).await;
    let first = node.serve().await;
    let done = node.spawn(&["serve"]).wait().await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("code: data_dir_locked"), "{done:?}");
    assert!(done.stderr.contains(&format!("(process {})", first.id())), "{done:?}");
    assert_eq!(first.get(&key, "person", 1).await.status, 200);
    // The directory is free as soon as the first is killed.
    first.kill();
    let second = node.serve().await;
    assert_eq!(second.get(&key, "person", 1).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_reconciles_the_run_of_a_killed_command() {
    let (deployment, database) = (Deployment::new(), Postgres::database().await);
    database.execute(ROWS).await;
    let node = deployment.node("data", &sections(&postgres(&database), "manual", &["person"]));
    let locked = database.lock("people").await;
    let command = node.spawn(&["sync", "person"]);
    let run = open_run(&node).await;
    command.kill();
    drop(locked);
    let _server = node.serve().await;
    until("a reconciled run", async || {
        let runs = node.runs().await;
        let known = runs.iter().find(|known| known["id"] == run["id"]).unwrap();
        (known["status"] == "interrupted" && known["finished_at"].is_string()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waited_for_its_permit_is_skipped_after_another_process_ran_it() {
    let (deployment, database) = (Deployment::new(), Postgres::database().await);
    let mut text = vec![postgres(&database), "[engine]\nmax_concurrent_runs = 1\n".to_owned()];
    let mut locks = BTreeMap::new();
    for (sync, schedule) in [("one", "every 1h"), ("two", "every 1h"), ("clock", "every 1s")] {
        let table = format!("create table {sync} (id integer primary key); insert into {sync} values (1)");
        database.execute(&table).await;
        text.push(format!(
            "[models.{sync}]\nsource = \"warehouse\"\ntable = \"{sync}\"\nprimary_key = \"id\"\n\
             [syncs.{sync}]\nmodel = \"{sync}\"\nschedule = \"{schedule}\"\nindexes = {{ id = \"id\" }}\n"
        ));
        locks.insert(sync, database.lock(sync).await);
    }
    let node = deployment.node("data", &text.concat());
    let _server = node.serve().await;
    // One run has the only permit, the others wait for it.
    let first = open_run(&node).await;
    let waiting = ["one", "two"].into_iter().find(|sync| first["sync"] != *sync).unwrap();
    locks.remove(waiting);
    node.output(&["sync", waiting]).await;
    drop(locks);
    // Permits are granted in order: before the second run of `clock` every sync had one.
    let runs_of = async |sync: &str| {
        let runs = node.runs().await;
        runs.iter().filter(|run| run["sync"] == sync && run["finished_at"].is_string()).count()
    };
    until("two runs of the clock", async || (runs_of("clock").await >= 2).then_some(())).await;
    assert_eq!(runs_of(waiting).await, 1);
}

/// Files that one tool deploys to both publishers may have one time.
#[tokio::test(flavor = "multi_thread")]
async fn two_configurations_of_the_same_time_do_not_take_turns() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let time = SystemTime::from(Clock::default().now());
    let node = |of: &str| {
        let sections = sections(SQLITE, "manual", &["person"]);
        let query = format!("select id, '{of} ' || name as name from people");
        let node = deployment.node(of, &sections.replace("select * from people", &query));
        let file = File::options().append(true).open(node.path().join(format!("{of}.toml"))).unwrap();
        file.set_modified(time).unwrap();
        node
    };
    let nodes = [node("one"), node("two")];
    // Whoever begins.
    nodes[0].output(&["sync", "person"]).await;
    let second = nodes[1].spawn(&["sync", "person"]).wait().await;
    let (first, winner) = if second.code == Some(0) { (0, 1) } else { (1, 0) };
    let refused =
        |done: &CommandOutput| done.code == Some(4) && done.stderr.contains("configuration_outdated");
    assert!(second.code == Some(0) || refused(&second), "{second:?}");
    for _ in 0..2 {
        nodes[winner].output(&["sync", "person"]).await;
        let done = nodes[first].spawn(&["sync", "person"]).wait().await;
        assert!(refused(&done), "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_configurations_of_a_sync_the_newer_one_wins() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let old = sections(SQLITE, "every 1s", &["person"]);
    let new = old.replace("select * from people", "select id, 'new ' || name as name from people");
    let outdated = async |server: &mut Process, expected: bool| {
        until("the problem of the older configuration", async || {
            let status = server.status().await;
            let is_outdated = status["tasks"]["configuration.person"]["code"] == "configuration_outdated";
            (is_outdated == expected).then_some(())
        })
        .await;
    };
    let older = deployment.node("older", &old);
    let mut first = older.serve().await;
    let key = older.key().await;
    let shows = async |server: &Process, text: &str| {
        let text = format!("\"name\":\"{text}\"");
        until(&text, async || server.get(&key, "person", 1).await.text().contains(&text).then_some(())).await;
    };
    shows(&first, "Ann").await;
    let newer = deployment.node("newer", &new);
    let second = newer.serve().await;
    shows(&first, "new Ann").await;
    // Alone, the older one is due at every tick.
    second.kill();
    outdated(&mut first, true).await;
    let second = newer.serve().await;
    for name in ["one", "two", "three"] {
        let update = format!("update people set name = '{name}' where id = 1");
        deployment.execute("warehouse.db", &update).await;
        shows(&first, &format!("new {name}")).await;
    }
    assert_eq!(deployment.announced("person"), Some(5), "the configurations did not take turns");
    let refused = older.spawn(&["sync", "person", "--accept"]).wait().await.expect(4);
    assert!(refused.stderr.contains("code: configuration_outdated"), "{refused:?}");

    // A higher revision wins, also of an older file.
    let file = older.path().join("older.toml");
    let changed = std::fs::metadata(&file).unwrap().modified().unwrap();
    older.configure(&old.replace("model = \"people\"", "model = \"people\"\nrevision = 1"));
    std::fs::File::options().append(true).open(&file).unwrap().set_modified(changed).unwrap();
    first.signal(rustix::process::Signal::HUP);
    shows(&second, "three").await;
    outdated(&mut first, false).await;
    let refused = newer.spawn(&["sync", "person", "--accept"]).wait().await.expect(4);
    assert!(refused.stderr.contains("code: configuration_outdated"), "{refused:?}");
}
