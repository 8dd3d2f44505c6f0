//! Keys created, revoked and expired by commands while a server runs.

use std::fs;

use larder::{
    admin::{Error, NewKey},
    domain::keyset::{KeyLimits, Scope},
};
use rustix::process::Signal;
use tempfile::TempDir;

use super::disk::Small;
use crate::support::{
    deployment::Deployment,
    node::{Node, Warehouse, tester},
    process::until,
};

const ROWS: &str = "create table people (id integer primary key, name text);
    insert into people values (1, 'Ann');";
const SECTIONS: &str = "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
    [models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n\
    [syncs.human]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";

#[tokio::test(flavor = "multi_thread")]
async fn created_and_revoked_keys_take_effect_on_a_running_server() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("data", SECTIONS);
    // The server starts without any key, and is ready.
    let server = node.serve().await;
    for sync in ["person", "human"] {
        node.output(&["sync", sync]).await;
    }
    let create = async |more: &[&str]| {
        let mut arguments = vec!["keys", "create", "--name", "test"];
        arguments.extend(more);
        node.output(&arguments).await.trim().to_owned()
    };
    let all = create(&["--all-collections"]).await;
    let person = create(&["--collection", "person"]).await;
    let brief = create(&["--collection", "person", "--expires", "1s"]).await;
    for (key, expected) in [(&all, 200), (&person, 200)] {
        until("a new key", async || (server.get(key, "person", 1).await.status == expected).then_some(()))
            .await;
    }
    // The last key came with the latest document. Once it is known, all keys are.
    let expired = until("the expiry", async || {
        let answer = server.get(&brief, "person", 1).await;
        let code = if answer.status == 200 { String::new() } else { answer.code() };
        assert!(["", "key_unknown", "key_expired"].contains(&code.as_str()), "{answer:?}");
        (code == "key_expired").then_some(answer)
    })
    .await;
    assert_eq!((expired.status, expired.header("www-authenticate").is_some()), (401, true));

    // The same refusal for what is not granted and what does not exist.
    for collection in ["human", "nothing"] {
        let answer = server.get(&person, collection, 1).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{collection}");
    }
    until("the other collection", async || (server.get(&all, "human", 1).await.status == 200).then_some(()))
        .await;
    assert_eq!(server.get(&all, "nothing", 1).await.code(), "collection_not_found");

    node.output(&["keys", "revoke", &person]).await;
    let refused = until("the refusal of a revoked key", async || {
        let answer = server.get(&person, "person", 1).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "key_unknown"));
    assert_eq!(server.get(&all, "person", 1).await.status, 200, "another key");

    // A restart revives nothing, with or without the store.
    server.kill();
    for gone in [false, true] {
        if gone {
            fs::rename(deployment.path("store"), deployment.path("store.gone")).unwrap();
        }
        let server = node.serve().await;
        assert_eq!(server.get(&person, "person", 1).await.status, 401, "store gone: {gone}");
        assert_eq!(server.get(&brief, "person", 1).await.status, 401, "store gone: {gone}");
        assert_eq!(server.get(&all, "person", 1).await.status, 200, "store gone: {gone}");
        // A graceful stop, so that its keys are on disk.
        server.signal(Signal::TERM);
        assert_eq!(server.wait().await.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_metadata_backup_revives_no_key() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("data", SECTIONS);
    let (kept, revoked) = (node.key().await, node.key().await);
    node.output(&["sync", "person"]).await;
    fs::copy(deployment.path("metadata.db"), deployment.path("backup.db")).unwrap();
    node.output(&["keys", "revoke", &revoked]).await;
    for beside in ["metadata.db-wal", "metadata.db-shm"] {
        let _ = fs::remove_file(deployment.path(beside));
    }
    fs::rename(deployment.path("backup.db"), deployment.path("metadata.db")).unwrap();

    let server = node.serve().await;
    let fresh = node.key().await;
    until("a key made after it", async || {
        (server.get(&fresh, "person", 1).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(server.get(&kept, "person", 1).await.status, 200);
    assert_eq!(server.get(&revoked, "person", 1).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn store_behind_a_link_to_nowhere_is_named_and_works_once_it_is_mounted() {
    let deployment = Deployment::new();
    let mounted = deployment.path("mounted");
    std::os::unix::fs::symlink(&mounted, deployment.path("store")).unwrap();
    let node = deployment.node("data", SECTIONS);
    let refused = node.run(&["serve"]).expect(1);
    assert!(
        refused.stderr.contains("mounted?") && refused.stderr.contains("code: local_file"),
        "{refused:?}"
    );
    fs::create_dir(&mounted).unwrap();
    node.serve().await;
}

/// The new key set cannot be written. The node refuses the revoked key after a kill, also without the store; until the
/// store is back it refuses the others, too.
async fn revocation_that_cannot_be_saved_outlasts_a_restart(
    deployment: &Deployment,
    obstruct: impl FnOnce(),
    clear: impl FnOnce(),
) {
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("data", SECTIONS);
    let (kept, revoked) = (node.key().await, node.key().await);
    node.output(&["sync", "person"]).await;
    let mut server = node.serve().await;
    let id = revoked.split('_').nth(1).unwrap();
    let saved = deployment.path("data/state/keys.json");
    until("the saved keys", async || fs::read_to_string(&saved).ok().filter(|text| text.contains(id))).await;
    obstruct();
    node.output(&["keys", "revoke", &revoked]).await;
    until("the refusal", async || (server.get(&revoked, "person", 1).await.status == 401).then_some(()))
        .await;
    until("the problem", async || {
        let status = server.status().await;
        (status["problem"]["code"] == "state_unwritable").then_some(())
    })
    .await;
    server.kill();
    let (store, gone) = (deployment.path("store"), deployment.path("store.gone"));
    fs::rename(&store, &gone).unwrap();
    let mut server = node.spawn(&["serve"]);
    server.listening().await;
    assert_ne!(server.get(&revoked, "person", 1).await.status, 200);
    assert_ne!(server.get(&kept, "person", 1).await.status, 200);
    server.kill();

    // The server has begun an empty directory.
    fs::remove_dir_all(&store).unwrap();
    fs::rename(&gone, &store).unwrap();
    clear();
    let server = node.serve().await;
    until("the other key", async || (server.get(&kept, "person", 1).await.status == 200).then_some(())).await;
    assert_eq!(server.get(&revoked, "person", 1).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_outlasts_a_restart_although_the_file_of_keys_cannot_be_written() {
    let deployment = Deployment::new();
    let obstacle = deployment.path("data/state/keys.json.tmp");
    let obstruct = || fs::create_dir(&obstacle).unwrap();
    let clear = || fs::remove_dir_all(&obstacle).unwrap();
    revocation_that_cannot_be_saved_outlasts_a_restart(&deployment, obstruct, clear).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_outlasts_a_restart_although_the_disk_is_full() {
    let deployment = Deployment::new();
    let Some(small) = Small::mount(&deployment.path("data"), 8) else { return };
    let clear = || small.clear();
    revocation_that_cannot_be_saved_outlasts_a_restart(&deployment, || small.fill(), clear).await;
}

/// A key that nobody has received must not work: not now, and not once a later announcement takes metadata's keys along.
#[tokio::test(flavor = "multi_thread")]
async fn key_whose_creation_failed_never_works() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, "").await;
    let publisher = node.publisher().await;
    let metadata = Warehouse::Sqlite(node.directory.path().join("data/metadata.db"));
    let breaks =
        "create trigger breaks before update of announced on key_set when new.announced > old.announced
        begin select raise(abort, 'a fault injected by a test'); end";
    metadata.execute(breaks).await;
    let new = |name: &str| NewKey {
        name: name.to_owned(),
        grant: Scope::AllCollections,
        expires_at: None,
        limits: KeyLimits::default(),
    };
    let error = publisher.create_key(new("lost"), &tester()).await.unwrap_err();
    assert!(matches!(error, Error::Metadata(_)), "{error}");

    metadata.execute("drop trigger breaks").await;
    publisher.create_key(new("found"), &tester()).await.unwrap();
    let newest = publisher.catalog.newest(None).await.unwrap().unwrap();
    let set = publisher.catalog.key_set(&newest.keys.unwrap()).await.unwrap();
    let names: Vec<_> = set.keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["test", "found"]);
}
