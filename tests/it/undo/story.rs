//! The commands by the real binary, beside servers that serve what they do.

use std::{net::SocketAddr, path::PathBuf};

use chrono::{DateTime, Utc};
use larder::{
    metadata::{LeaseOutcome, Metadata, Settings},
    support::clock::Clock,
};
use serde_json::{Value, json};
use tokio::time::{Duration, interval};

use crate::support::{
    deployment::NodeDirectory,
    http::{Answer, Client, soon},
    process::{Process, until, wait_until},
};

pub(super) const ROWS: &str = "create table people (id integer primary key, name text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 40)
    insert into people select i, 'Good' from n;
    create table ticks (id integer primary key, count integer); insert into ticks values (1, 0);";

pub(super) fn sync(name: &str, table: &str, schedule: &str) -> String {
    format!(
        "[models.{table}]\nsource = \"warehouse\"\nsql = \"select * from {table}\"\nprimary_key = \"id\"\n\
         [syncs.{name}]\nmodel = \"{table}\"\nschedule = \"{schedule}\"\nindexes = {{ id = \"id\" }}\n"
    )
}

pub(super) async fn metadata(node: &NodeDirectory) -> Metadata {
    let settings = Settings::Sqlite { path: node.path().join("data/metadata.db") };
    Metadata::open(&settings, Clock::default()).await.unwrap()
}

pub(super) fn key(node: &NodeDirectory) -> String {
    let created = node.run(&["keys", "create", "--name", "test", "--all-collections"]).expect(0);
    created.stdout.trim().to_owned()
}

/// A reader of one node.
pub(super) struct Reader {
    address: SocketAddr,
    key: String,
}

impl Reader {
    pub(super) async fn new(server: &mut Process, key: &str) -> Self {
        Self { address: server.listening().await, key: key.to_owned() }
    }

    async fn get(&self, collection: &str) -> Answer {
        let target = format!("/v1/collections/{collection}/records/id/1");
        let header = format!("Authorization: Bearer {}\r\n", self.key);
        Client::connect(self.address).await.ask("GET", target, &header).await
    }

    /// The record's text and the version that it is of.
    async fn sees(&self, collection: &str) -> (String, u64) {
        let answer = self.get(collection).await;
        let version = answer.header("x-data-version").and_then(|version| version.parse().ok());
        (answer.text().to_owned(), version.unwrap_or(0))
    }

    /// When the source had what is served.
    async fn as_of(&self, collection: &str) -> DateTime<Utc> {
        self.get(collection).await.header("x-data-as-of").unwrap().parse().unwrap()
    }

    /// Waits until the record has `part`, at `version` or a later one.
    pub(super) async fn until(&self, collection: &str, part: &str, version: u64) -> u64 {
        until(&format!("{part} at version {version}"), async || {
            let (text, seen) = self.sees(collection).await;
            (text.contains(part) && seen >= version).then_some(seen)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rolled_back_data_stays_away_until_the_sync_is_resumed() {
    let sections = sync("person", "people", "every 1s") + &sync("tick", "ticks", "every 1s");
    let node = NodeDirectory::new(ROWS, &sections).await;
    let mut server = node.spawn(&["serve"]);
    let reader = Reader::new(&mut server, &key(&node)).await;
    assert_eq!(reader.until("person", "Good", 1).await, 1);
    node.execute("update people set name = 'Bad'").await;
    assert_eq!(reader.until("person", "Bad", 2).await, 2);
    let bad_as_of = reader.as_of("person").await;

    let unknown = node.run(&["rollback", "person", "--to", "9"]).expect(2);
    assert!(
        unknown
            .stderr
            .contains("person has no version 9 to go back to; there are, with the time of their data: 2 ("),
        "{unknown:?}"
    );
    let done = node.run(&["rollback", "person", "--to", "1"]).expect(0);
    assert!(
        done.stdout.starts_with("person: rolled back from version 2 to 1, announced as version 3\n"),
        "{done:?}"
    );
    assert!(done.stderr.contains("larder resume person"), "{done:?}");
    assert_eq!(reader.until("person", "Good", 3).await, 3);
    assert!(reader.as_of("person").await < bad_as_of, "as old as what is served");

    // Another sync of the same server goes on running; the paused one does not.
    for round in 1..=4 {
        node.execute(&format!("update ticks set count = {round}")).await;
        reader.until("tick", &format!("\"count\":{round}"), 1).await;
    }
    assert_eq!(reader.sees("person").await.1, 3);
    assert!(reader.sees("person").await.0.contains("Good"));
    let status = node.run(&["status"]).expect(0).stdout;
    assert!(status.contains("paused: rolled back to 1 at 2"), "{status}");
    let status = node.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["collections"][0]["paused"]["why"], "rolled back to 1");

    // A requested run starts, with a warning, and can be rolled back as well.
    let ran = node.run(&["sync", "person"]).expect(0);
    assert!(ran.stdout.starts_with("person: announced version 4 "), "{ran:?}");
    assert!(ran.stderr.contains("warning: person stays paused (rolled back to 1)"), "{ran:?}");
    reader.until("person", "Bad", 4).await;
    let done = node.run(&["rollback", "person", "--to", "3", "--json"]).expect(0).json();
    assert_eq!((&done["from"], &done["to"], &done["version"]), (&json!(4), &json!(3), &json!(5)));
    assert_eq!(reader.until("person", "Good", 5).await, 5);

    node.execute("update people set name = 'Mended'").await;
    let resumed = node.run(&["resume", "person"]).expect(0);
    assert!(resumed.stdout.contains("rolled back to 3"), "{resumed:?}");
    assert_eq!(reader.until("person", "Mended", 6).await, 6);
    assert!(node.run(&["resume", "person"]).expect(0).stdout.contains("not paused"));
    node.run(&["resume", "nosuch"]).expect(2);

    let mut log = metadata(&node).await.audit_log(None, 100).await.unwrap();
    // A publisher that starts first makes an admin key.
    log.retain(|entry| entry.action != "admin_key.create");
    let reported: Vec<_> = log
        .iter()
        .rev()
        .filter(|entry| entry.action != "sync.run" && !entry.action.starts_with("key"))
        .map(|entry| (entry.action.as_str(), entry.detail.as_deref().unwrap_or("")))
        .collect();
    let expected = [
        ("collection.rollback", "from 2 to 1 as 3"),
        ("sync.pause", "rolled back to 1"),
        ("collection.rollback", "from 4 to 3 as 5"),
        ("sync.pause", "rolled back to 3"),
        ("sync.resume", "rolled back to 3"),
    ];
    assert_eq!(reported, expected);
    assert!(log.iter().all(|entry| entry.actor.starts_with("cli:uid-")), "{log:?}");
}

pub(super) fn held(node: &NodeDirectory) -> String {
    let held = node.run(&["sync", "person", "--json"]).expect(3).json();
    held["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_is_approved() {
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "manual")).await;
    let mut server = node.spawn(&["serve"]);
    let reader = Reader::new(&mut server, &key(&node)).await;
    node.run(&["sync", "person"]).expect(0);
    node.execute("delete from people where id > 20; update people set name = 'Held'").await;
    let run = held(&node);
    let approved = node.run(&["approve", &run]).expect(0);
    let expected = format!(
        "person: announced version 2, exactly what {run} had made\n  20 rows: 0 added, 20 changed, 20 removed, 0 rejected; 20 records\n"
    );
    assert_eq!((approved.stdout, approved.stderr.as_str()), (expected, ""));
    reader.until("person", "Held", 2).await;
    let reported = node.run(&["runs", &run, "--json"]).expect(0).json();
    assert_eq!((&reported["run"]["status"], &reported["run"]["version"]), (&json!("announced"), &json!(2)));
    assert_eq!(reported["run"]["error"], Value::Null);
    let status = node.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["collections"][0]["held_run"], Value::Null);
    let first = run;

    // When the collection has changed since, approving announces nothing.
    node.execute("delete from people where id > 5").await;
    let run = held(&node);
    node.run(&["rollback", "person", "--to", "1"]).expect(0);
    let refused = node.run(&["approve", &run]).expect(4);
    assert!(refused.stderr.contains(&run), "{refused:?}");
    assert!(refused.stderr.ends_with("  code: held_run_outdated\n"), "{refused:?}");
    assert_eq!(reader.until("person", "Good", 3).await, 3, "nothing ran");
    node.run(&["resume", "person"]).expect(0);
    node.run(&["approve", &run]).expect(4);
    let again = node.run(&["sync", "person", "--accept"]).expect(0);
    assert!(again.stdout.starts_with("person: announced version 4 in "), "{again:?}");
    let runs = node.run(&["runs", "person", "--json"]).expect(0).json();
    let last = runs[0]["id"].as_str().unwrap();

    for (run, code, message) in [
        (
            run.as_str(),
            4,
            format!(
                "run {run} is not held: it is superseded; {last}, which is announced, came after it\n  \
                 code: run_not_held\n"
            ),
        ),
        ("run_01a20a5eec7f7d81806d1cda2d2b4382", 2, "no run has the id run_01a20a5eec7f7d81806d1cda2d2b4382; `larder runs` shows the last ones\n  code: unknown_run\n".to_owned()),
        ("person", 2, "\"person\" is not a run's id (run_...); larder status shows held runs\n".to_owned()),
    ] {
        let ran = node.run(&["approve", run]).expect(code);
        assert_eq!((ran.stdout.as_str(), ran.stderr), ("", message));
    }
    let log = metadata(&node).await.audit_log(Some("person"), 100).await.unwrap();
    let approvals: Vec<_> = log.iter().rev().filter(|entry| entry.action == "run.approve").collect();
    let details: Vec<_> = approvals.iter().filter_map(|entry| entry.detail.as_deref()).collect();
    let expected = [
        format!("{first} as 2"),
        "failed: held_run_outdated".to_owned(),
        "failed: held_run_outdated".to_owned(),
    ];
    assert_eq!(details, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_region_is_pinned_and_a_collection_dropped() {
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "manual")).await;
    let mut here = node.spawn(&["serve", "--region", "us"]);
    let key = key(&node);
    let here = Reader::new(&mut here, &key).await;
    let mut there = node.spawn(&["serve", "--region", "eu", "--roles", "replica", "--data-dir", "eu"]);
    let there = Reader::new(&mut there, &key).await;
    node.run(&["sync", "person"]).expect(0);
    node.execute("update people set name = 'Second'").await;
    node.run(&["sync", "person"]).expect(0);
    for reader in [&here, &there] {
        reader.until("person", "Second", 2).await;
    }

    let pinned = node.run(&["pin", "person", "--region", "eu", "--to", "1"]).expect(0);
    assert!(pinned.stdout.starts_with("person: region eu is pinned at version 1, data as of "), "{pinned:?}");
    assert!(pinned.stdout.ends_with("; the newest is 2\n"), "{pinned:?}");
    assert_eq!(there.until("person", "Good", 1).await, 1);
    node.execute("update people set name = 'Third'").await;
    node.run(&["sync", "person"]).expect(0);
    here.until("person", "Third", 3).await;
    assert_eq!(there.sees("person").await.1, 1);
    let status = node.run(&["status"]).expect(0).stdout;
    assert!(status.contains("pinned: eu at 1"), "{status}");
    let status = node.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["collections"][0]["pins"], json!({"eu": 1}));
    // A rollback warns of pinned regions, which do not follow.
    let done = node.run(&["rollback", "person", "--to", "2"]).expect(0);
    assert!(done.stderr.contains("warning: region eu is pinned and does not follow"), "{done:?}");
    here.until("person", "Second", 4).await;

    wait_until("two nodes in the fleet", async || {
        node.run(&["status", "--json"]).expect(0).json()["fleet"]["nodes"].as_array().unwrap().len() >= 2
    })
    .await;
    // An unknown region may have nodes that are still to start.
    let unknown = node.run(&["pin", "person", "--region", "eu-wset", "--to", "1"]).expect(0);
    assert_eq!(
        unknown.stderr,
        "warning: no node has reported from region eu-wset within 24 hours, and no sync names it: the pin \
         waits for one; known regions: eu, us\n"
    );
    node.run(&["unpin", "person", "--region", "eu-wset"]).expect(0);
    let unpinned = node.run(&["unpin", "person", "--region", "eu"]).expect(0);
    assert_eq!(
        unpinned.stdout,
        "person: region eu leaves version 1 and follows the newest again, which is 4\n"
    );
    there.until("person", "Second", 4).await;
    let none = node.run(&["unpin", "person", "--region", "eu"]).expect(2);
    assert!(
        none.stderr.contains("person is not pinned in region eu; regions with a pin: none\n"),
        "{none:?}"
    );
    node.run(&["pin", "person", "--region", "eu", "--to", "1"]).expect(0);

    let books = metadata(&node).await;
    let held = books.acquire_lease("sync:person", "somebody", Duration::from_mins(1)).await.unwrap();
    let LeaseOutcome::Held(lease) = held else { panic!("it is free") };
    let refused = node.run(&["drop", "person"]).expect(4);
    assert!(refused.stderr.contains("held by somebody"), "{refused:?}");
    books.release_lease(&lease).await.unwrap();
    let dropped = node.run(&["drop", "person"]).expect(0);
    assert_eq!(dropped.stdout, "person: dropped version 4, 40 records\n");
    for reader in [&here, &there] {
        reader.until("person", "collection_not_found", 0).await;
    }
    let again = node.run(&["drop", "person"]).expect(2);
    assert!(again.stderr.contains("unknown_collection"), "{again:?}");

    // The new collection has a higher version and no pin.
    let ran = node.run(&["sync", "person"]).expect(0);
    assert!(ran.stdout.starts_with("person: announced version 5 "), "{ran:?}");
    for reader in [&here, &there] {
        assert_eq!(reader.until("person", "Third", 5).await, 5);
    }
    let log = books.audit_log(None, 100).await.unwrap();
    let mut done: Vec<_> = log
        .iter()
        .filter_map(|entry| {
            let detail = entry.detail.as_deref()?;
            entry.action.strip_prefix("collection.").map(|action| (action, detail))
        })
        .collect();
    done.reverse();
    let expected = [
        ("pin", "eu at 1, the newest is 2"),
        ("rollback", "from 3 to 2 as 4"),
        ("pin", "eu-wset at 1, the newest is 4"),
        ("unpin", "eu-wset from 1, the newest is 4"),
        ("unpin", "eu from 1, the newest is 4"),
        ("pin", "eu at 1, the newest is 4"),
        ("drop", "failed: lease_held"),
        ("drop", "version 4, 40 records"),
    ];
    assert_eq!(done, expected);
}

#[tokio::test]
async fn a_region_is_pinned_only_where_the_collection_is_served() {
    let sections = sync("person", "people", "manual") + "regions = [\"us\", \"ap\"]\n";
    let node = NodeDirectory::new(ROWS, &sections).await;
    node.run(&["sync", "person"]).expect(0);
    let refused = node.run(&["pin", "person", "--region", "eu", "--to", "1"]).expect(2);
    assert_eq!(
        refused.stderr,
        "person is not served in region eu; it is served in: us, ap\n  code: region_not_served\n"
    );
    let known = node.run(&["pin", "person", "--region", "ap", "--to", "1"]).expect(0);
    assert_eq!(known.stderr, "");
    node.run(&["pin", "person", "--to", "1"]).expect(2);
    node.run_with(&["pin", "person", "--to", "1"], &[("LARDER_REGION", "ap")]).expect(2);
    node.run(&["unpin", "person"]).expect(2);
    for (command, meaning) in
        [("pin", "The region that stays at this version"), ("unpin", "The region that is")]
    {
        for flag in ["-h", "--help"] {
            let help = node.run(&[command, flag]).expect(0).stdout;
            assert!(help.contains("--region <NAME>") && help.contains(meaning), "{help}");
            assert_eq!(help.matches("Options:\n").count(), 1, "{help}");
        }
    }
    for command in [&["rollback", "person"][..], &["pin", "person", "--region", "ap"]] {
        for to in ["0", "first"] {
            let refused = node.run(&[command, &["--to", to]].concat()).expect(2);
            assert!(
                refused.stderr.contains("a version is a whole number from 1; `larder versions "),
                "{refused:?}"
            );
        }
    }
    for arguments in [
        &["rollback", "person", "--to", "1"][..],
        &["resume", "person"],
        &["drop", "person"],
        &["approve", "run_01a20a5eec7f7d81806d1cda2d2b4382"],
    ] {
        let ran = node.run(&[arguments, &["--roles", "replica"]].concat()).expect(2);
        assert!(ran.stderr.contains("has no metadata database"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_is_not_in_force_shows() {
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "manual")).await;
    let mut server = node.spawn(&["serve"]);
    let (reader, admin) = (Reader::new(&mut server, &key(&node)).await, server.admin().await);
    // The node copies segments of a local store after it serves them: a copy made later would bring version 1 back.
    let copies = |besides: &[PathBuf]| {
        let copies = node.files("data/segments").into_iter().map(|(path, _)| path);
        let copies = copies.filter(|path| path.extension().is_some_and(|end| end == "arrow"));
        let others: Vec<_> = copies.filter(|path| !besides.contains(path)).collect();
        (!others.is_empty()).then_some(others)
    };
    node.run(&["sync", "person"]).expect(0);
    let first = until("a local copy of version 1", async || copies(&[])).await;
    node.execute("update people set name = 'Second'").await;
    node.run(&["sync", "person"]).expect(0);
    reader.until("person", "Second", 2).await;
    until("a local copy of version 2", async || copies(&first)).await;
    // The segments of both versions are deleted locally and damaged in the store.
    for (path, bytes) in node.files("data") {
        if path.extension().is_some_and(|extension| extension == "arrow") {
            if path.starts_with(node.path().join("data/store")) {
                std::fs::write(path, vec![0; usize::try_from(bytes).unwrap()]).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    node.run(&["pin", "person", "--region", "local", "--to", "1"]).expect(0);

    let mut look = interval(Duration::from_millis(50));
    let status = soon("a pin that is not in force", async {
        loop {
            look.tick().await;
            let status = node.run(&["status"]).expect(0).stdout;
            if status.contains("not at its pin: 1 version above, since 2")
                && status.contains("object_corrupt")
            {
                return status;
            }
        }
    });
    status.await;
    assert_eq!(reader.sees("person").await.1, 2, "it serves on what it has");
    let status = node.run(&["status", "--json"]).expect(0).json();
    let one = &status["fleet"]["nodes"][0]["collections"]["person"];
    assert_eq!((&one["pinned_version"], &one["versions_above_pin"]), (&json!(1), &json!(1)), "{one}");
    let metric =
        |text: &str| text.contains("larder_collection_versions_above_pin{collection=\"person\"} 1\n");
    let metrics = Client::connect(admin).await.ask("GET", "/metrics", "").await;
    assert!(metric(metrics.text()), "{}", metrics.text());
}
