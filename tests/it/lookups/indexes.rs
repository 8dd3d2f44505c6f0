//! Private identifiers and compound indexes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use larder::domain::{
    digest::Digest,
    hash::{HashSecret, ValueHasher},
};
use serde_json::json;

use super::{SYNCS, node, refused};
use crate::support::{
    node::{Node, encoded},
    process::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn hashed_values_are_found_by_hash_and_by_post() {
    let node = node().await;
    let email = Digest::of(b"ann@example.com").to_string();
    let phone = ValueHasher::Hmac(HashSecret::new("a secret of 16 by")).hash("+47 1");
    for (index, hash, value) in [("email", &email, " ANN@example.com"), ("phone", &phone, "+47 1")] {
        assert_eq!(node.record("person", index, hash).await.unwrap()["id"], 1, "{index}");
        assert_eq!(node.record("person", index, &hash.to_uppercase()).await.unwrap()["id"], 1);
        assert_eq!(node.record("person", index, &encoded(value)).await, None, "{index}: the value itself");
        let posted = json!({ "value": value }).to_string();
        assert_eq!(node.ask(&format!("person/records/{index}"), Some(&posted)).await.json()["id"], 1);
        let posted = json!({ "value": hash }).to_string();
        refused(&node.ask(&format!("person/records/{index}"), Some(&posted)).await, 404, "record_not_found");
        let batch = json!({ "values": [value, hash] }).to_string();
        let batch = node.ask(&format!("person/records/{index}/batch"), Some(&batch)).await.json();
        assert_eq!((batch[value]["id"].clone(), batch[hash].clone()), (json!(1), json!(null)));
    }
    assert_eq!(node.record("person", "email", &email[1..]).await, None);
}

/// The bytes of every file in a directory, below it too, but for the configuration and the warehouse.
fn contents(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_input = |path: &PathBuf| path.ends_with("larder.toml") || path.ends_with("warehouse.db");
    // A file that has gone since was temporary.
    let bytes = |path: &PathBuf| fs::read(path).into_iter().collect();
    entries
        .filter(|path| !is_input(path))
        .flat_map(|path| if path.is_dir() { contents(&path) } else { bytes(&path) })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_value_nor_secret_is_stored() {
    let node = node().await;
    // Without the fields themselves, only hashes are left of them.
    let fields =
        "[syncs.person.fields]\nid = \"id\"\nname = \"name\"\nfavourite = \"favourite\"\nskus = \"skus\"\n";
    node.configure(&format!("{SYNCS}{fields}"));
    let ended = node.sync("person").await;
    assert!(ended.record.status == larder::domain::run::RunStatus::Announced, "{ended:?}");
    until("the private record", async || {
        let record = node.record("person", "id", "1").await?;
        record.get("email").is_none().then_some(())
    })
    .await;
    let hash = Digest::of(b"ann@example.com").to_string();
    assert_eq!(node.record("person", "email", &hash).await.unwrap()["name"], "Ann");
    let files = contents(node.directory.path());
    let has = |text: &str| files.iter().any(|file| memchr::memmem::find(file, text.as_bytes()).is_some());
    assert!(has(&hash), "the hash is stored");
    assert!(!has("a secret of 16 by"), "the secret is stored");
    let printed = node.config().print();
    assert!(!printed.contains("a secret of 16 by") && printed.contains("hmac = \"***\""), "{printed}");
    assert!(!format!("{:?}", node.config()).contains("a secret of 16 by"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_hashes_every_value_anew() {
    let mut node = node().await;
    let hash = |secret: &str| ValueHasher::Hmac(HashSecret::new(secret)).hash("+47 1");
    let (old, new) = (hash("a secret of 16 by"), hash("another of 16 bytes"));
    node.configure(&SYNCS.replace("a secret of 16 by", "another of 16 bytes"));
    // Until its next run the collection has hashes of the old secret, which a node keeps when it gets another one.
    let by_value = async |node: &Node| node.ask("person/records/phone", Some(r#"{"value":"+47 1"}"#)).await;
    assert_eq!(by_value(&node).await.json()["id"], 1);
    node.sync("person").await;
    assert_eq!(node.record("person", "phone", &new).await.unwrap()["id"], 1);
    assert_eq!(node.record("person", "phone", &old).await, None);
    // The server has only the old secret: it knows that it cannot hash, and takes hashes.
    refused(&by_value(&node).await, 404, "hash_secret_missing");
    let batch = node.ask("person/records/phone/batch", Some(r#"{"values":["+47 1"]}"#)).await;
    refused(&batch, 404, "hash_secret_missing");
    node.server().reload(&node.config());
    assert_eq!(by_value(&node).await.json()["id"], 1);
    node.configure(SYNCS);
    node.server().reload(&node.config());
    assert_eq!(by_value(&node).await.json()["id"], 1, "the collection still has hashes of the other secret");
    node.stop().await;
    node.configure(&SYNCS.replace("a secret of 16 by", "another of 16 bytes"));
    node.resume().await;
    assert_eq!(by_value(&node).await.json()["id"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn compound_values_are_found_part_by_part() {
    let node = node().await;
    for (value, id) in [("NO,0150", 1), (" no ,0150", 1), ("us,94~11", 2)] {
        let record = node.record("person", "place", &encoded(value)).await;
        assert_eq!(record.unwrap()["id"], id, "{value}");
        let posted = json!({ "value": value }).to_string();
        assert_eq!(node.ask("person/records/place", Some(&posted)).await.json()["id"], id, "{value}");
    }
    // The row without a country has no value.
    for value in ["US,94,1", "NO", "0150,NO", ",7", "7", "NO,0150,", "NO,150", "us,94~21"] {
        assert_eq!(node.record("person", "place", &encoded(value)).await, None, "{value}");
    }
}
