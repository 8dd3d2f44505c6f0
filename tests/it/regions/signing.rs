//! Signed announcements: a node accepts only those of a known key, whoever writes to the store.

use std::fs;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use crate::support::{
    deployment::{Deployment, NodeDirectory, files_below},
    process::{Process, until},
};

const ROWS: &str =
    "create table people (id integer primary key, note integer); insert into people values (1, 0)";
const SECTIONS: &str = "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
    [models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";

/// Writes a new key to the deployment's file `name`; its public half.
fn key(deployment: &Deployment, name: &str) -> String {
    let document = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let text = BASE64.encode(document.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    fs::write(deployment.path(name), pem).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    BASE64.encode(pair.public_key().as_ref())
}

/// The sections of a node that publishes nothing.
fn reader(name: &str) -> String {
    format!(
        "[node]\nroles = [\"replica\"]\ndata_dir = \"{name}\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
         admin_listen = \"127.0.0.1:0\"\n[storage]\nurl = \"file:./store\"\npoll_interval = \"50ms\"\n\
         [log]\nformat = \"json\"\n"
    )
}

async fn announce(deployment: &Deployment, publisher: &NodeDirectory, note: u64) {
    deployment.execute("warehouse.db", &format!("update people set note = {note}")).await;
    publisher.output(&["sync", "person"]).await;
}

async fn await_note(node: &Process, key: &str, note: u64) {
    until("a note", async || (node.get(key, "person", 1).await.json()["note"] == note).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_accepts_only_announcements_of_its_verify_keys() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let (old, new) = (key(&deployment, "old.pem"), key(&deployment, "new.pem"));
    let publisher = deployment.node("publisher", SECTIONS);
    let secret = publisher.key().await;
    announce(&deployment, &publisher, 1).await;

    // Nothing is signed yet: a node with a verify key has nothing to serve.
    let strict = format!("[publication]\nverify_key = \"{old}\"\n");
    let reading = deployment.node_from("strict", reader("strict"), &strict);
    let mut node = reading.spawn(&["serve"]);
    node.logged("larder serves").await;
    until("the refusal", async || {
        (node.status().await["problem"]["code"] == "catalog_untrusted").then_some(())
    })
    .await;
    assert_eq!(node.get(&secret, "person", 1).await.status, 503, "not even the key set is believed");

    let signing = |file: &str| format!("{SECTIONS}[publication]\nsigning_key_file = \"{file}\"\n");
    publisher.configure(&signing("old.pem"));
    assert!(publisher.output(&["check", "--connect"]).await.contains("verify_key = \"MCowBQYDK2VwAyEA"));
    announce(&deployment, &publisher, 2).await;
    until("the key", async || (node.get(&secret, "person", 1).await.status == 200).then_some(())).await;
    await_note(&node, &secret, 2).await;

    // A publisher without the key, as somebody with the bucket's credentials would be.
    publisher.configure(&format!("{SECTIONS}[publication]\nallow_unsigned = true\n"));
    announce(&deployment, &publisher, 3).await;
    until("the refusal", async || {
        (node.status().await["problem"]["code"] == "catalog_untrusted").then_some(())
    })
    .await;
    assert_eq!(node.get(&secret, "person", 1).await.json()["note"], 2);

    // Key rotation: nodes accept the old and the new key, then only the new one.
    node.kill();
    reading.configure(&format!("[publication]\nverify_key = [\"{old}\", \"{new}\"]\n"));
    publisher.configure(&signing("new.pem"));
    let node = reading.serve().await;
    assert_eq!(node.get(&secret, "person", 1).await.json()["note"], 2, "what it had");
    announce(&deployment, &publisher, 4).await;
    await_note(&node, &secret, 4).await;

    // A publisher that accepts only the new key can roll back only to versions signed with it.
    let strict = format!("{}verify_key = \"{new}\"\n", signing("new.pem"));
    publisher.configure(&strict);
    announce(&deployment, &publisher, 5).await;
    publisher.output(&["rollback", "person", "--to", "4"]).await;
    await_note(&node, &secret, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publisher_does_not_extend_an_untrusted_catalog() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let known = key(&deployment, "known.pem");
    let publisher = deployment.node("publisher", SECTIONS);
    announce(&deployment, &publisher, 1).await;
    let strict =
        format!("{SECTIONS}[publication]\nsigning_key_file = \"known.pem\"\nverify_key = \"{known}\"\n");
    publisher.configure(&strict);
    let done = publisher.spawn(&["sync", "person"]).wait().await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("catalog_untrusted"), "{done:?}");
    assert_eq!(deployment.announced("person"), Some(1));

    // A publisher that would refuse its own announcements does not start.
    let other = BASE64.encode([7; 32]);
    publisher.configure(&strict.replace(&known, &other));
    let done = publisher.spawn(&["sync", "person"]).wait().await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("signing_key_unusable"), "{done:?}");

    publisher.configure(&format!("{SECTIONS}[publication]\nsigning_key_file = \"gone.pem\"\n"));
    let done = publisher.spawn(&["sync", "person"]).wait().await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("signing_key_file") && done.stderr.contains("gone.pem"), "{done:?}");
}

/// A publisher that lacks the key must not end the signatures that other nodes verify.
#[tokio::test(flavor = "multi_thread")]
async fn publisher_without_a_key_writes_nothing_to_a_signed_catalog() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let public = key(&deployment, "own.pem");
    let signing = format!("{SECTIONS}[publication]\nsigning_key_file = \"own.pem\"\n");
    let publisher = deployment.node("publisher", &signing);
    announce(&deployment, &publisher, 1).await;
    let another = deployment.node_with_metadata("another", "sqlite:./another.db", SECTIONS);
    let store = || {
        let files = files_below(&deployment.path("store/catalog"));
        files.into_iter().map(|(path, _)| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };
    let before = store();
    let refused = async |node: &NodeDirectory, command: &[&str]| {
        let done = node.spawn(command).wait().await;
        // A change of keys waits in the metadata database, and has a code of its own.
        let words = "the catalog is signed and this publisher has no [publication] signing_key_file";
        assert!(done.code != Some(0) && done.stderr.contains(words), "{command:?}: {done:?}");
        assert!(store() == before, "{command:?}");
    };
    refused(&another, &["takeover"]).await;
    publisher.configure(SECTIONS);
    deployment.execute("warehouse.db", "update people set note = 2").await;
    for command in [
        &["sync", "person"][..],
        &["keys", "create", "--name", "test", "--all-collections"],
        &["pin", "person", "--region", "local", "--to", "1"],
        &["drop", "person"],
    ] {
        refused(&publisher, command).await;
    }
    // Nor does it confirm in the head that nothing changed.
    deployment.execute("warehouse.db", "update people set note = 1").await;
    refused(&publisher, &["sync", "person"]).await;

    another.configure(&signing);
    another.output(&["takeover"]).await;
    another.output(&["sync", "person"]).await;
    let strict = format!("[publication]\nverify_key = \"{public}\"\n");
    let node = deployment.node_from("strict", reader("strict"), &strict).serve().await;
    let secret = another.key().await;
    await_note(&node, &secret, 1).await;
}
