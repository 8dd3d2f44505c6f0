//! Damaged and missing files in the store and on the node. A wrong record is never served.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use larder::domain::limits::DOCUMENT_BYTES_MAX;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::http::Client;
use crate::support::reader::Reader;
use crate::support::{
    deployment::{Deployment, NodeDirectory, files, has_suffix},
    process::{Process, until, version, wait_until},
};

const ROWS: &str = "create table people (id integer primary key, name text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 40)
    insert into people select i, 'first ' || i from n;";
const IDS: [u32; 3] = [1, 17, 40];

const SECTIONS: &str = "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
    [models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Flip,
    Truncate,
    Remove,
}

const DAMAGES: [Damage; 3] = [Damage::Flip, Damage::Truncate, Damage::Remove];

impl Damage {
    fn apply(self, path: &Path) {
        self.apply_at(path, fs::metadata(path).unwrap().len() as usize / 2);
    }

    fn apply_at(self, path: &Path, flipped: usize) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Self::Flip => {
                bytes[flipped] ^= 1;
                fs::write(path, bytes).unwrap();
            }
            Self::Truncate => fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
            Self::Remove => fs::remove_file(path).unwrap(),
        }
    }
}

/// A deployment with one announced version. Commands publish on one node; the other node follows.
async fn announced() -> (Deployment, NodeDirectory, NodeDirectory, String) {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let (publisher, follower) =
        (deployment.node("publisher", SECTIONS), deployment.node("follower", SECTIONS));
    let key = publisher.key().await;
    publisher.output(&["sync", "person"]).await;
    (deployment, publisher, follower, key)
}

async fn follow(node: &NodeDirectory) -> Process {
    node.serve_with(&[("LARDER_ROLES", "replica")]).await
}

/// Changes some rows and announces them.
async fn change(deployment: &Deployment, publisher: &NodeDirectory, word: &str) {
    deployment
        .execute("warehouse.db", &format!("update people set name = '{word} ' || id where id < 5 or id = 17"))
        .await;
    publisher.output(&["sync", "person"]).await;
}

/// Asserts that the served record contains `word` and has version `served`.
async fn check(server: &Process, key: &str, served: u64, word: &str) {
    for id in IDS {
        let answer = server.get(key, "person", id).await;
        let word = if id == 40 { "first" } else { word };
        assert_eq!((answer.status, version(&answer)), (200, served), "{answer:?}");
        assert_eq!(answer.text(), format!("{{\"id\":{id},\"name\":\"{word} {id}\"}}"));
    }
}

async fn await_version(server: &Process, key: &str, wanted: u64) {
    until("the version", async || {
        let answer = server.get(key, "person", 1).await;
        (answer.status == 200 && version(&answer) == wanted).then_some(())
    })
    .await;
}

/// All files of a node except its lock.
fn local_files(deployment: &Deployment) -> Vec<PathBuf> {
    let names = ["segments", "manifests", "state"];
    let all = names.iter().flat_map(|name| files(&deployment.path("follower").join(name)));
    all.filter(|path| !has_suffix(path, ".tmp")).collect()
}

/// Asserts that the node has an intact copy of every segment of the newest manifest.
fn are_segments_whole(deployment: &Deployment) -> bool {
    let manifest = deployment.manifest("person");
    manifest["segments"].as_array().unwrap().iter().all(|segment| {
        let name = format!("follower/segments/{}.arrow", segment["sha256"].as_str().unwrap());
        let object = fs::read(deployment.path("store").join(segment["object"].as_str().unwrap())).unwrap();
        fs::read(deployment.path(&name)).is_ok_and(|local| local == object)
    })
}

/// Its syncs are due every second and fail. On a node that serves nothing, only the status can show that.
#[tokio::test(flavor = "multi_thread")]
async fn publisher_without_newest_document_reports_it_until_it_announces_again() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("publisher", &format!("{SECTIONS}schedule = \"every 1s\"\n"));
    let mut publisher = node.serve_with(&[("LARDER_ROLES", "publisher")]).await;
    until("the first version", async || deployment.announced("person")).await;
    let newest =
        files(&deployment.path("store/catalog")).into_iter().filter(|path| has_suffix(path, ".json")).max();
    let newest = newest.unwrap();
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, "damaged").unwrap();
    let stands = until("a problem", async || {
        let stands = publisher.status().await["publisher"].clone();
        stands["problem"].is_object().then_some(stands)
    })
    .await;
    assert_eq!(
        (&stands["up"], &stands["problem"]["code"]),
        (&true.into(), &"document_malformed".into()),
        "{stands}"
    );
    let mut admin = Client::connect(publisher.admin().await).await;
    let mut metric = async || {
        let metrics = admin.ask("GET", "/metrics", "").await.text().to_owned();
        metrics.contains(r#"larder_problem{part="publisher",code="document_malformed"} 1"#)
    };
    assert!(metric().await);

    fs::write(&newest, whole).unwrap();
    until("no problem", async || publisher.status().await["publisher"]["problem"].is_null().then_some(()))
        .await;
    assert!(!metric().await);
}

/// It has no follower, and so no file with a copy.
#[tokio::test(flavor = "multi_thread")]
async fn publisher_puts_the_newest_document_back_and_announces_on() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("publisher", &format!("{SECTIONS}schedule = \"every 1s\"\n"));
    let _publisher = node.serve_with(&[("LARDER_ROLES", "publisher")]).await;
    until("the first version", async || deployment.announced("person")).await;
    let documents = || {
        let mut documents = files(&deployment.path("store/catalog"));
        documents.retain(|path| has_suffix(path, ".json"));
        documents.sort();
        documents
    };
    let newest = documents().pop().unwrap();
    let whole = fs::read(&newest).unwrap();
    fs::remove_file(&newest).unwrap();
    wait_until("the document", async || newest.exists()).await;
    assert_eq!(fs::read(&newest).unwrap(), whole);
    deployment.execute("warehouse.db", "insert into people values (99, 'more')").await;
    wait_until("the next version", async || deployment.announced("person") == Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_damage_is_repaired_from_the_store_and_never_served() {
    let (deployment, publisher, follower, key) = announced().await;
    let mut server = follow(&follower).await;
    change(&deployment, &publisher, "second").await;
    await_version(&server, &key, 2).await;
    // Its state is on the disk when it ends in order.
    server.signal(Signal::TERM);
    assert_eq!(server.wait().await.code, Some(0));
    let whole = local_files(&deployment);
    assert!(whole.len() >= 5, "segments, manifest, keys, state: {whole:?}");
    for damage in DAMAGES {
        // While it is down, each file by itself ...
        for path in local_files(&deployment) {
            damage.apply(&path);
            server = follow(&follower).await;
            check(&server, &key, 2, "second").await;
            until(&format!("copies whole after {damage:?}"), async || {
                are_segments_whole(&deployment).then_some(())
            })
            .await;
            server.kill();
        }
        // ... and while it runs, all together.
        server = follow(&follower).await;
        let reader = Reader::start(&server, &key);
        for path in local_files(&deployment) {
            damage.apply(&path);
        }
        check(&server, &key, 2, "second").await;
        reader.end(&BTreeMap::from([(2, "second 1")])).await;
        server.kill();
        server = follow(&follower).await;
        check(&server, &key, 2, "second").await;
        until(&format!("copies whole after {damage:?}"), async || {
            are_segments_whole(&deployment).then_some(())
        })
        .await;
        // An unreferenced file may stay damaged.
        server.signal(Signal::TERM);
        assert_eq!(server.wait().await.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_segment_is_not_served_without_the_store() {
    let (deployment, _publisher, follower, key) = announced().await;
    for damage in DAMAGES {
        let server = follow(&follower).await;
        check(&server, &key, 1, "first").await;
        server.signal(Signal::TERM);
        assert_eq!(server.wait().await.code, Some(0));
        for path in files(&deployment.path("follower/segments")) {
            damage.apply(&path);
        }
        fs::rename(deployment.path("store"), deployment.path("away")).unwrap();
        let mut server = follower.spawn_with(&["serve"], &[("LARDER_ROLES", "replica")]);
        server.logged("larder serves").await;
        until("a problem", async || {
            let status = server.status().await;
            (!status["collections"]["person"]["problem"].is_null()).then_some(())
        })
        .await;
        let answer = server.get(&key, "person", 1).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "collection_loading"), "{damage:?}");
        assert_eq!(server.ask("/readyz").await.status, 503);
        // The store is restored next to the directory that the node has created.
        fs::remove_dir_all(deployment.path("store")).unwrap();
        fs::rename(deployment.path("away"), deployment.path("store")).unwrap();
        await_version(&server, &key, 1).await;
        check(&server, &key, 1, "first").await;
        server.ready().await;
        server.kill();
    }
}

/// A damaged object of an announcement, and the expected code.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Segment,
    Manifest,
    Document,
    Head,
}

impl Victim {
    fn path(self, deployment: &Deployment) -> PathBuf {
        let store = deployment.path("store");
        let object = |text: &Value| store.join(text.as_str().unwrap());
        match self {
            Self::Segment => {
                let manifest = deployment.manifest("person");
                object(&manifest["segments"].as_array().unwrap().last().unwrap()["object"])
            }
            Self::Manifest => {
                object(&deployment.catalog().pop().unwrap()["collections"]["person"]["manifest"])
            }
            Self::Document => files(&store.join("catalog"))
                .into_iter()
                .filter(|path| has_suffix(path, ".json"))
                .max()
                .unwrap(),
            Self::Head => store.join("catalog/head"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_store_keeps_last_good_version_until_repaired() {
    let (deployment, publisher, follower, key) = announced().await;
    let mut server = follow(&follower).await;
    check(&server, &key, 1, "first").await;
    let (mut served, mut word) = (1, "first".to_owned());
    let (reader, mut announced) = (Reader::start(&server, &key), BTreeMap::from([(1, "first 1".to_owned())]));
    for victim in [Victim::Segment, Victim::Manifest, Victim::Document, Victim::Head] {
        for damage in DAMAGES {
            if matches!((victim, damage), (Victim::Head, Damage::Remove)) {
                // A missing head is no damage: documents are found without it.
                continue;
            }
            // Stopped, it cannot fetch before the damage is done.
            server.signal(Signal::STOP);
            let next = format!("{victim:?} {damage:?}");
            change(&deployment, &publisher, &next).await;
            let path = victim.path(&deployment);
            let good = fs::read(&path).unwrap();
            match victim {
                Victim::Segment | Victim::Manifest => damage.apply(&path),
                // Documents are not named by a digest. The damage shows only as invalid JSON.
                Victim::Document | Victim::Head => damage.apply_at(&path, 0),
            }
            server.signal(Signal::CONT);
            let (of_collection, of_node) = until(&format!("problem of {next}"), async || {
                let status = server.status().await;
                let codes = (
                    status["collections"]["person"]["problem"]["code"].as_str().map(str::to_owned),
                    status["problem"]["code"].as_str().map(str::to_owned),
                );
                (codes != (None, None)).then_some(codes)
            })
            .await;
            match victim {
                Victim::Segment | Victim::Manifest => assert!(of_collection.is_some(), "{next}"),
                Victim::Document | Victim::Head => assert!(of_node.is_some(), "{next}"),
            }
            match victim {
                // The next document is found without head.
                Victim::Head => await_version(&server, &key, served + 1).await,
                _ => check(&server, &key, served, &word).await,
            }
            assert_eq!(server.ask("/readyz").await.status, 200, "{next}");
            fs::write(&path, good).unwrap();
            (served, word) = (served + 1, next);
            announced.insert(served, format!("{word} 1"));
            await_version(&server, &key, served).await;
            check(&server, &key, served, &word).await;
            until("no problem", async || (!has_problem(&mut server).await).then_some(())).await;
        }
    }
    reader.end(&announced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_key_set_in_the_store_keeps_last_keys_in_force() {
    let (deployment, publisher, follower, key) = announced().await;
    let mut server = follow(&follower).await;
    let reader = Reader::start(&server, &key);
    for damage in DAMAGES {
        server.signal(Signal::STOP);
        let fresh = publisher.key().await;
        let object = deployment.catalog().pop().unwrap()["keys"]["object"].as_str().unwrap().to_owned();
        let path = deployment.path("store").join(object);
        let good = fs::read(&path).unwrap();
        damage.apply(&path);
        server.signal(Signal::CONT);
        until("a problem", async || (!server.status().await["problem"].is_null()).then_some(())).await;
        check(&server, &key, 1, "first").await;
        assert_eq!(server.get(&fresh, "person", 1).await.status, 401, "{damage:?}");
        fs::write(&path, good).unwrap();
        until("the new key", async || (server.get(&fresh, "person", 1).await.status == 200).then_some(()))
            .await;
    }
    reader.end(&BTreeMap::from([(1, "first 1")])).await;
}

/// Hostile content from a writer of the bucket: the entry of a collection in the next document.
fn hostile_entries(entry: &Value) -> Vec<(&'static str, Value)> {
    let with = |member: &str, value: Value| {
        let mut entry = entry.clone();
        entry["run_id"] = "00000000-0000-7000-8000-000000000000".into();
        entry[member] = value;
        entry
    };
    vec![
        ("another place", with("manifest", "../../../etc/passwd".into())),
        ("an address", with("manifest", "http://127.0.0.1:9/collections/person/x/manifest.json".into())),
        ("no path", with("manifest", "/etc/passwd\u{0}".into())),
        (
            "another object",
            with(
                "manifest",
                entry["manifest"].as_str().unwrap().replace("manifest.json", "segment-00000.arrow").into(),
            ),
        ),
        ("another digest", with("sha256", "0".repeat(64).into())),
        ("no version", with("version", (-1).into())),
        ("no entry", Value::Array(Vec::new())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_documents_in_the_store_do_not_affect_readers() {
    let (deployment, publisher, follower, key) = announced().await;
    let mut server = follow(&follower).await;
    let reader = Reader::start(&server, &key);
    let good = deployment.catalog().pop().unwrap();
    let mut texts = vec![
        ("no JSON", b"\0\xff\xfe{".to_vec()),
        ("too deep", b"[".repeat(100_000)),
        ("too long", vec![b' '; DOCUMENT_BYTES_MAX as usize + 1]),
    ];
    for (what, entry) in hostile_entries(&good["collections"]["person"]) {
        let mut document = good.clone();
        document["collections"]["person"] = entry;
        texts.push((what, serde_json::to_vec(&document).unwrap()));
    }
    for (what, text) in texts {
        announce(&deployment, text);
        until(&format!("a problem with {what}"), async || has_problem(&mut server).await.then_some(())).await;
        check(&server, &key, 1, "first").await;
        assert_eq!(server.ask("/readyz").await.status, 200, "{what}");
        announce(&deployment, serde_json::to_vec(&good).unwrap());
        until("no problem", async || (!has_problem(&mut server).await).then_some(())).await;
    }
    change(&deployment, &publisher, "second").await;
    await_version(&server, &key, 2).await;
    reader.end(&BTreeMap::from([(1, "first 1"), (2, "second 1")])).await;
}

async fn has_problem(server: &mut Process) -> bool {
    let status = server.status().await;
    !status["problem"].is_null() || !status["collections"]["person"]["problem"].is_null()
}

/// Writes the next catalog document and a head that names it, as publishers do.
fn announce(deployment: &Deployment, mut text: Vec<u8>) {
    let path = deployment.path("store/catalog/head");
    let mut head: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let n = head["n"].as_u64().unwrap() + 1;
    if let Ok(mut document) = serde_json::from_slice::<Value>(&text) {
        document["n"] = n.into();
        text = serde_json::to_vec(&document).unwrap();
    }
    fs::write(deployment.path(&format!("store/catalog/{n:020}.json")), text).unwrap();
    head["n"] = n.into();
    fs::write(&path, serde_json::to_vec(&head).unwrap()).unwrap();
}
