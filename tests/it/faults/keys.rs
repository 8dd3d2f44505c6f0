//! Keys created, revoked and expired by commands while a server runs.

use rustix::process::Signal;

use crate::support::{deployment::Deployment, process::until};

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
            std::fs::rename(deployment.path("store"), deployment.path("store.gone")).unwrap();
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
    std::fs::copy(deployment.path("metadata.db"), deployment.path("backup.db")).unwrap();
    node.output(&["keys", "revoke", &revoked]).await;
    for beside in ["metadata.db-wal", "metadata.db-shm"] {
        let _ = std::fs::remove_file(deployment.path(beside));
    }
    std::fs::rename(deployment.path("backup.db"), deployment.path("metadata.db")).unwrap();

    let server = node.serve().await;
    let fresh = node.key().await;
    until("a key made after it", async || {
        (server.get(&fresh, "person", 1).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(server.get(&kept, "person", 1).await.status, 200);
    assert_eq!(server.get(&revoked, "person", 1).await.status, 401);
}

/// The new key set cannot be written, as on a full disk. The node refuses the revoked key after a kill, also without
/// the store; until the store is back it refuses the others, too.
#[tokio::test(flavor = "multi_thread")]
async fn revoked_key_is_refused_after_a_restart_although_the_revocation_could_not_be_saved() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("data", SECTIONS);
    let (kept, revoked) = (node.key().await, node.key().await);
    node.output(&["sync", "person"]).await;
    let mut server = node.serve().await;
    let (saved, obstacle) =
        (deployment.path("data/state/keys.json"), deployment.path("data/state/keys.json.tmp"));
    until("the saved keys", async || {
        let is_served = server.get(&revoked, "person", 1).await.status == 200;
        (is_served && saved.exists() && !obstacle.exists()).then_some(())
    })
    .await;
    std::fs::create_dir(&obstacle).unwrap();
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
    std::fs::rename(&store, &gone).unwrap();
    let mut server = node.spawn(&["serve"]);
    server.listening().await;
    assert_ne!(server.get(&revoked, "person", 1).await.status, 200);
    assert_ne!(server.get(&kept, "person", 1).await.status, 200);
    server.kill();

    // The server has begun an empty directory.
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&gone, &store).unwrap();
    std::fs::remove_dir_all(&obstacle).unwrap();
    let server = node.serve().await;
    until("the other key", async || (server.get(&kept, "person", 1).await.status == 200).then_some(())).await;
    assert_eq!(server.get(&revoked, "person", 1).await.status, 401);
}
