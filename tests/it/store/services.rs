//! Google Cloud Storage and Azure Blob Storage, by the binary and by the store itself: what differs from
//! S3 is how an object is created only where none is, how objects are listed, and what a refusal says.
//!
//! Google's is played by the server that plays S3, whose XML it speaks but for one header; Azure's by
//! Azurite.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use chrono::TimeDelta;
use larder::{
    catalog::{Catalog, HeadAnswer, Retention, RetentionRules},
    config::{Environment, Overrides, load_text},
    disk::SegmentDirectory,
    domain::manifest::SegmentKind,
    support::clock::Clock,
};
use tempfile::TempDir;

use crate::support::{
    azure::{self, Azure},
    catalog::{announcer, change, deployment, entry, manifest, name, open_catalog, publish, quick, segment},
    deployment::Deployment,
    process::{until, version},
    s3::{S3, gcs_section, section},
};

const PERSON: &str = "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
    [models.people]\nsource = \"warehouse\"\nsql = \"select * from people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nindexes = { id = \"id\" }\n";

/// `[storage]` of a new bucket at Google's, without a poll interval.
async fn google(directory: &Path) -> String {
    let bucket = S3::bucket().await;
    let section = gcs_section(S3::server().await.address(), directory);
    format!("{section}[storage]\nurl = \"gs://{bucket}/larder\"\n")
}

async fn microsoft() -> String {
    let container = Azure::container().await;
    let section = azure::section(Azure::server().await.address());
    format!("{section}[storage]\nurl = \"az://{container}/larder\"\n")
}

/// The store that a configuration names.
fn store(text: &str) -> Catalog {
    let config = load_text(text, Path::new("larder.toml"), &Environment::default(), &Overrides::default());
    open_catalog(&config.unwrap_or_else(|faults| panic!("{faults}")).storage.location)
}

/// Everything that is asked of a catalog, once.
async fn is_a_store(text: &str) {
    let [catalog, other] = [(); 2].map(|()| store(text));
    catalog.check_conditional_create().await.unwrap();

    // Two publishers with connections of their own race; no announcement is lost.
    let ours = deployment();
    let race = async |catalog: &Catalog, own: &str| {
        let running = announcer(catalog, Some(ours), quick());
        let mut last = None;
        for version in 1..=20 {
            let next = entry(version);
            running.handle.announce(change(&name(own), last.as_ref(), &next)).await.unwrap();
            last = Some(next);
        }
        running.end().await;
    };
    tokio::join!(race(&catalog, "one"), race(&other, "other"));
    let newest = catalog.newest(None).await.unwrap().unwrap();
    assert_eq!(newest.n, 40);
    assert!(newest.collections.values().all(|entry| entry.version.0 == 20), "{newest:?}");

    let HeadAnswer::Found { head, etag } = catalog.head_if_changed(None).await.unwrap() else {
        panic!("there is a head")
    };
    assert_eq!(head.n, 40);
    let again = catalog.head_if_changed(etag.as_deref()).await.unwrap();
    assert!(matches!(again, HeadAnswer::Unchanged), "{again:?}");

    // Two ranges, there and back; what nothing names any more is listed and deleted.
    let root = TempDir::new().unwrap();
    let local = SegmentDirectory::open(&root.path().join("a"), Clock::default()).unwrap();
    let content: Bytes = (0..5_000_001_u32).map(|at| (at / 7) as u8).collect::<Vec<_>>().into();
    let a = name("a");
    let one = segment(&catalog, &local, &a, SegmentKind::Base, 1, content.clone()).await;
    let two = segment(&catalog, &local, &a, SegmentKind::Base, 2, "two").await;
    let first = publish(&catalog, &manifest(&a, 1, vec![one.clone()])).await;
    let second = publish(&catalog, &manifest(&a, 2, vec![two.clone()])).await;
    let follower = SegmentDirectory::open(&root.path().join("b"), Clock::default()).unwrap();
    assert!(follower.load(catalog.store(), &one).await.unwrap().as_slice() == content);
    let running = announcer(&catalog, Some(ours), quick());
    running.handle.announce(change(&a, None, &first)).await.unwrap();
    running.handle.announce(change(&a, Some(&first), &second)).await.unwrap();
    running.end().await;
    let rules = RetentionRules { keep_versions: 1, grace: TimeDelta::zero(), ..RetentionRules::default() };
    let mut retention = Retention::new(catalog.clone());
    let deleted = retention.run(None, &rules, Duration::from_mins(1)).await.unwrap();
    assert_eq!((deleted.objects, deleted.collections_left), (2, 0), "manifest and segment of version 1");
    let empty = SegmentDirectory::open(&root.path().join("c"), Clock::default()).unwrap();
    assert_eq!(empty.load(catalog.store(), &one).await.unwrap_err().code(), "object_missing");
    assert!(empty.load(catalog.store(), &two).await.is_ok());
}

/// A node's life, by its commands.
async fn is_served(deployment: &Deployment, text: &str) {
    deployment.execute("warehouse.db", "create table people (id integer primary key, name text)").await;
    deployment.execute("warehouse.db", "insert into people values (1, 'Ann')").await;
    let frame = format!(
        "[node]\ndata_dir = \"node\"\n[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
         [metadata]\nurl = \"sqlite:./metadata.db\"\n[log]\nformat = \"json\"\n{text}poll_interval = \"50ms\"\n"
    );
    let node = deployment.node_from("node", frame, PERSON);
    let found = node.output(&["check", "--connect"]).await;
    assert!(found.contains("ok    store: reachable, nothing announced yet"), "{found}");
    assert!(found.contains("ok    statuses: no node has reported yet, and this node may"), "{found}");
    node.output(&["sync", "person"]).await;
    let key = node.key().await;
    let server = node.serve().await;
    assert_eq!(server.get(&key, "person", 1).await.json()["name"], "Ann");
    deployment.execute("warehouse.db", "update people set name = 'Bob'").await;
    let reported = node.output(&["sync", "person", "--wait", "20s"]).await;
    assert!(reported.contains("version 2 is served by 1 node in 1 region"), "{reported}");
    assert_eq!(server.get(&key, "person", 1).await.json()["name"], "Bob");
    node.output(&["rollback", "person", "--to", "1"]).await;
    let answer = until("the rollback", async || {
        let answer = server.get(&key, "person", 1).await;
        (version(&answer) == 3).then_some(answer)
    })
    .await;
    assert_eq!(answer.json()["name"], "Ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn google_cloud_storage() {
    let deployment = Deployment::new();
    is_a_store(&google(&deployment.path("")).await).await;
    is_served(&deployment, &google(&deployment.path("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_blob_storage() {
    is_a_store(&microsoft().await).await;
    is_served(&Deployment::new(), &microsoft().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_bucket_is_named_in_the_error() {
    let (server, deployment) = (S3::server().await.address(), Deployment::new());
    let azurite = azure::section(Azure::server().await.address());
    for (section, url, noun) in [
        (section(server), "s3://no-such-bucket/larder", "bucket"),
        (gcs_section(server, &deployment.path("")), "gs://no-such-bucket/larder", "bucket"),
        (azurite, "az://no-such-bucket/larder", "container"),
    ] {
        let catalog = store(&format!("{section}[storage]\nurl = \"{url}\"\n"));
        let read = catalog.newest(None).await.unwrap_err();
        let written = catalog.check_conditional_create().await.unwrap_err();
        for error in [read, written] {
            assert_eq!(error.code(), "store_no_bucket", "{error}");
            let words = format!("there is no {noun} `no-such-bucket` ({url}); create it, or");
            assert!(error.to_string().starts_with(&words), "{error}");
        }
    }
}
