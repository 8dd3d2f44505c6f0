//! `larder repair`, `larder status` on a store that has lost objects, and `larder housekeeping`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use larder::support::clock::Clock;
use serde_json::Value;

use crate::support::{
    deployment::{Deployment, NodeDirectory, files, has_suffix},
    process::{Process, until, version},
};

const ROWS: &str = "create table people (id integer primary key, name text);
    insert into people values (1, 'first');";
const SECTIONS: &str = "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
    [models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n\
    [syncs.human]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";

/// A server with two collections and two keys. It publishes nothing: commands do.
struct Served {
    deployment: Deployment,
    node: NodeDirectory,
    server: Process,
    kept: String,
    revoked: String,
}

impl Served {
    async fn start() -> Self {
        let deployment = Deployment::new();
        deployment.execute("warehouse.db", ROWS).await;
        let node = deployment.node("data", SECTIONS);
        let (kept, revoked) = (node.key().await, node.key().await);
        for sync in ["person", "human"] {
            node.output(&["sync", sync]).await;
        }
        let server = node.serve_with(&[("LARDER_ROLES", "replica")]).await;
        let served = Self { deployment, node, server, kept, revoked };
        served.serves("first").await;
        let newest = served.newest();
        let copy = |folder: &str, object: &Value, suffix: &str| {
            let name = format!("data/{folder}/{}.{suffix}", object["sha256"].as_str().unwrap());
            served.deployment.path(&name)
        };
        let copies = ["person", "human"].map(|name| {
            let segment = &served.deployment.manifest(name)["segments"][0];
            let manifest = &newest["collections"][name];
            [copy("manifests", manifest, "json"), copy("segments", segment, "arrow")]
        });
        until("the saved state and the local copies", async || {
            let saved = fs::read(served.deployment.path("data/state/catalog.json")).ok()?;
            let saved: Value = serde_json::from_slice(&saved).ok()?;
            let is_saved = saved["state"]["document"]["n"] == newest["n"];
            (is_saved && copies.iter().flatten().all(|copy| copy.exists())).then_some(())
        })
        .await;
        served
    }

    async fn serves(&self, name: &str) {
        until("the record", async || {
            let answer = self.server.get(&self.kept, "person", 1).await;
            (answer.status == 200 && answer.json()["name"] == name).then_some(())
        })
        .await;
    }

    fn newest(&self) -> Value {
        self.deployment.catalog().pop().unwrap()
    }

    fn document(&self, n: &Value) -> PathBuf {
        self.deployment.path(&format!("store/catalog/{:020}.json", n.as_u64().unwrap()))
    }

    /// Asserts that a change and a revocation arrive.
    async fn works(self) {
        self.deployment.execute("warehouse.db", "update people set name = 'second'").await;
        self.node.output(&["sync", "person"]).await;
        self.serves("second").await;
        self.node.output(&["keys", "revoke", &self.revoked]).await;
        until("the revocation", async || {
            (self.server.get(&self.revoked, "person", 1).await.status == 401).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_manifest_is_a_problem_of_its_collection_and_is_restored() {
    let served = Served::start().await;
    let lost = served.newest()["collections"]["person"]["manifest"].as_str().unwrap().to_owned();
    let lost = served.deployment.path("store").join(lost);
    let segment = served.deployment.manifest("person")["segments"][0]["object"].as_str().unwrap().to_owned();
    let segment = served.deployment.path("store").join(segment);
    let whole = [fs::read(&lost).unwrap(), fs::read(&segment).unwrap()];
    fs::remove_file(&lost).unwrap();
    fs::write(&segment, "damaged").unwrap();

    let status: Value = serde_json::from_str(&served.node.output(&["status", "--json"]).await).unwrap();
    let code = |at: usize| status["collections"][at]["problem"]["code"].as_str().map(str::to_owned);
    assert_eq!((code(0), code(1)), (None, Some("object_missing".to_owned())), "{status}");
    assert_eq!(status["collections"][0]["records"], 1);
    assert!(served.node.output(&["status"]).await.contains("object_missing"));
    let failed = served.node.run(&["sync", "person"]);
    assert_eq!(failed.code, Some(1));

    let repaired: Value = serde_json::from_str(&served.node.output(&["repair", "--json"]).await).unwrap();
    assert_eq!(repaired["versions"][0]["restored"], true, "{repaired}");
    assert_eq!([fs::read(&lost).unwrap(), fs::read(&segment).unwrap()], whole);
    served.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn version_without_a_copy_is_reported_with_what_to_do() {
    let served = Served::start().await;
    served.deployment.execute("warehouse.db", "update people set name = 'lost'").await;
    served.node.output(&["sync", "person"]).await;
    served.serves("lost").await;
    let lost = served.newest()["collections"]["person"]["manifest"].as_str().unwrap().to_owned();
    fs::remove_file(served.deployment.path("store").join(lost)).unwrap();
    // A node without copies.
    let other = served.deployment.node("other", SECTIONS);
    let repaired = other.run(&["repair"]);
    assert_eq!(repaired.code, Some(1));
    assert!(repaired.stderr.contains("larder rollback person --to"), "{repaired:?}");
    other.output(&["rollback", "person", "--to", "1"]).await;
    served.serves("first").await;
    served.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_manifest_of_the_only_version_is_replaced_by_an_accepted_run() {
    let served = Served::start().await;
    let entry = || served.newest()["collections"]["person"].clone();
    let lost = entry();
    fs::remove_file(served.deployment.path("store").join(lost["manifest"].as_str().unwrap())).unwrap();
    served.deployment.execute("warehouse.db", "update people set name = 'anew'").await;
    let failed = served.node.run(&["sync", "person"]);
    assert!(failed.code == Some(1) && failed.stderr.contains("object_missing"), "{failed:?}");
    assert_eq!(entry(), lost);
    served.node.output(&["sync", "person", "--accept"]).await;
    assert_eq!(entry()["version"].as_u64(), lost["version"].as_u64().map(|version| version + 1));
    served.serves("anew").await;
    served.works().await;
}

/// A revocation does not wait for an operator who repairs the store.
#[tokio::test(flavor = "multi_thread")]
async fn lost_document_is_put_back_by_the_command_that_announces() {
    let served = Served::start().await;
    let path = served.document(&served.newest()["n"]);
    let before = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    // A node without a copy can announce nothing.
    let other = served.deployment.node("other", SECTIONS);
    let refused = other.run(&["keys", "create", "--name", "x", "--all-collections"]);
    assert!(refused.stderr.contains("keys_not_announced"), "{refused:?}");
    assert!(!path.exists());
    served.node.output(&["keys", "revoke", &served.revoked]).await;
    assert_eq!(fs::read(&path).unwrap(), before);
    until("the revocation", async || {
        (served.server.get(&served.revoked, "person", 1).await.status == 401).then_some(())
    })
    .await;
}

/// What was announced since has everything that the lost document had.
#[tokio::test(flavor = "multi_thread")]
async fn lost_document_before_the_newest_one_stops_nothing() {
    let served = Served::start().await;
    let head = served.deployment.path("store/catalog/head");
    let (stale, lost) = (fs::read(&head).unwrap(), served.document(&served.newest()["n"]));
    served.deployment.execute("warehouse.db", "update people set name = 'second'").await;
    served.node.output(&["sync", "person"]).await;
    fs::write(head, stale).unwrap();
    fs::remove_file(&lost).unwrap();
    let other = served.deployment.node("other", SECTIONS);
    other.output(&["keys", "revoke", &served.revoked]).await;
    assert!(!lost.exists());
    until("the revocation", async || {
        (served.server.get(&served.revoked, "person", 1).await.status == 401).then_some(())
    })
    .await;
}

/// An announcement under the lost number would be behind newer documents, which do not have it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_announced_into_a_gap_behind_an_old_head() {
    let served = Served::start().await;
    let head = served.deployment.path("store/catalog/head");
    let (stale, n) = (fs::read(&head).unwrap(), served.newest()["n"].as_u64().unwrap());
    for name in ["second", "third"] {
        served.deployment.execute("warehouse.db", &format!("update people set name = '{name}'")).await;
        served.node.output(&["sync", "person"]).await;
    }
    let lost = served.document(&Value::from(n + 1));
    fs::remove_file(&lost).unwrap();
    fs::write(&head, &stale).unwrap();
    let other = served.deployment.node("other", SECTIONS);
    other.output(&["keys", "revoke", &served.revoked]).await;
    let newest = served.newest()["n"].as_u64().unwrap();
    assert!(!lost.exists() && newest > n + 2, "{newest}");
    fs::write(&head, &stale).unwrap();
    served.deployment.execute("warehouse.db", "update people set name = 'last'").await;
    other.output(&["sync", "person"]).await;
    assert!(!lost.exists() && served.newest()["n"].as_u64().unwrap() > newest, "{}", served.newest());
    served.serves("last").await;
    until("the revocation", async || {
        (served.server.get(&served.revoked, "person", 1).await.status == 401).then_some(())
    })
    .await;
    served.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_old_and_missing_heads_are_written_again() {
    let served = Served::start().await;
    let path = served.deployment.path("store/catalog/head");
    let mut old: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    old["n"] = Value::from(1);
    for damage in [Some(b"garbage".to_vec()), Some(Vec::new()), Some(serde_json::to_vec(&old).unwrap()), None]
    {
        match &damage {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let is_malformed = damage.as_ref().is_some_and(|bytes| bytes.len() < 10);
        let checked = served.node.run(&["check", "--connect"]);
        assert_eq!(checked.stdout.contains("FAIL  store"), is_malformed, "{checked:?}");
        let repaired: Value = serde_json::from_str(&served.node.output(&["repair", "--json"]).await).unwrap();
        let newest = served.newest()["n"].clone();
        assert_eq!(repaired["catalog"]["head_rewritten"]["catalog"], newest, "{repaired}");
        let head: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(head["n"], newest);
    }
    served.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_document_is_put_back_from_the_nodes_copy() {
    let served = Served::start().await;
    let newest = served.newest();
    let path = served.document(&newest["n"]);
    let before: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    let repaired: Value = serde_json::from_str(&served.node.output(&["repair", "--json"]).await).unwrap();
    assert_eq!(repaired["catalog"]["document_restored"]["catalog"], newest["n"], "{repaired}");
    let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(after, before);
    served.works().await;
}

/// The last documents are lost and no node has them: what metadata knows is announced again, above all numbers that
/// nodes may have seen.
#[tokio::test(flavor = "multi_thread")]
async fn lost_documents_without_a_copy_are_announced_again() {
    let served = Served::start().await;
    let newest = served.newest()["n"].clone();
    fs::remove_file(served.document(&newest)).unwrap();
    let other = served.deployment.node("other", SECTIONS);
    let repaired: Value = serde_json::from_str(&other.output(&["repair", "--json"]).await).unwrap();
    let announced = repaired["catalog"]["announced_again"]["catalog"].as_u64().unwrap();
    assert_eq!(announced, newest.as_u64().unwrap() + 1, "{repaired}");
    assert_eq!(repaired["catalog"]["announced_again"]["to_repeat"], serde_json::json!([]));
    assert_eq!(served.newest()["collections"]["human"]["version"], 1, "its only document was the lost one");
    served.works().await;
}

/// Pins, drops and the like of lost documents are nowhere else: the repair lists them, and an operator must repeat them.
#[tokio::test(flavor = "multi_thread")]
async fn actions_of_lost_documents_are_named_to_be_repeated() {
    let served = Served::start().await;
    served.node.output(&["pin", "person", "--region", "local", "--to", "1"]).await;
    served.node.output(&["drop", "human"]).await;
    let newest = served.newest();
    assert!(newest["pins"]["local"]["person"].is_object() && newest["dropped"]["human"] == 1, "{newest}");
    let n = newest["n"].as_u64().unwrap();
    for lost in [n, n - 1] {
        fs::remove_file(served.document(&Value::from(lost))).unwrap();
    }
    let other = served.deployment.node("other", SECTIONS);
    let repaired = other.run(&["repair"]).expect(0);
    for named in ["collection.pin of person", "collection.drop of human"] {
        assert!(repaired.stderr.contains(named), "{named}: {repaired:?}");
    }
    let newest = served.newest();
    assert_eq!(newest["n"], n + 1, "{newest}");
    assert!(newest["pins"].as_object().is_none_or(serde_json::Map::is_empty), "{newest}");
    assert_eq!(newest["collections"]["human"]["version"], 1, "it is served again until the drop is repeated");
    other.output(&["drop", "human"]).await;
    served.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_of_no_use_is_written_again_and_readers_notice_nothing() {
    for (member, value, kind) in [
        ("n", Value::from(1_000), "announced_again"),
        ("deployment", Value::from(format!("dep_{:032x}", 7)), "head_rewritten"),
    ] {
        let mut served = Served::start().await;
        let path = served.deployment.path("store/catalog/head");
        let mut head: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        head[member] = value;
        fs::write(&path, serde_json::to_vec(&head).unwrap()).unwrap();
        until("the problem", async || (!served.server.status().await["problem"].is_null()).then_some(()))
            .await;
        served.serves("first").await;
        let status: Value = serde_json::from_str(&served.node.output(&["status", "--json"]).await).unwrap();
        assert!(status["problem"]["code"].is_string(), "{status}");
        assert_eq!(status["collections"][1]["version"], 1, "{status}");
        let repaired: Value = serde_json::from_str(&served.node.output(&["repair", "--json"]).await).unwrap();
        assert!(repaired["catalog"][kind].is_object(), "{member}: {repaired}");
        until("no problem", async || served.server.status().await["problem"].is_null().then_some(())).await;
        served.works().await;
    }
}

/// All files below a directory.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = files(directory);
    for entry in fs::read_dir(directory).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        found.extend(below(&entry.path()));
    }
    found
}

/// Makes every object of the store older.
fn age(deployment: &Deployment, hours: u64) {
    let written = SystemTime::from(Clock::default().now()) - Duration::from_hours(hours);
    for path in below(&deployment.path("store")) {
        File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn housekeeping_deletes_without_a_server() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("data", SECTIONS);
    node.output(&["sync", "person"]).await;
    age(&deployment, 100);
    for name in ["second", "third"] {
        deployment.execute("warehouse.db", &format!("update people set name = '{name}'")).await;
        node.output(&["sync", "person"]).await;
    }
    let old_manifests = || {
        let manifests = below(&deployment.path("store/collections"));
        let manifests = manifests.into_iter().filter(|path| has_suffix(path, "manifest.json"));
        let versions = manifests.map(|path| {
            let manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            manifest["version"].as_u64().unwrap()
        });
        versions.filter(|version| *version < 3).count()
    };
    let delete = async || {
        let printed = node.output(&["housekeeping", "--json", "--set", "storage.keep_versions=1"]).await;
        let round: Value = serde_json::from_str(&printed).unwrap();
        round["objects"].as_u64().unwrap()
    };
    assert_eq!(delete().await, 0, "version 1 was in force within the last day");
    age(&deployment, 25);
    assert!(delete().await > 0);
    assert_eq!(old_manifests(), 0);
    let server = node.serve().await;
    let key = node.key().await;
    until("the last version", async || {
        let answer = server.get(&key, "person", 1).await;
        (answer.status == 200 && version(&answer) == 3).then_some(())
    })
    .await;
}
