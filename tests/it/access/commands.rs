//! Limits, rotation and tokens by command, and in force on a whole node.

use larder::{app, support::clock::Clock};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;
use tempfile::tempdir;

use super::{Form, look_up, signer::SECRET};
use crate::support::{
    http::Client,
    node::{Node, Warehouse},
    process::{larder, until, wait_until},
};

const PEOPLE: (&str, &str, &str) = ("people", "id", "1");

async fn node() -> Node {
    let directory = tempdir().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse
        .execute("create table people (id integer, email text, ssn text); insert into people values (1, 'jane@example.com', 'x')")
        .await;
    let sections = format!(
        "[models.people]\nsource = \"warehouse\"\nsql = \"select * from people\"\nprimary_key = \"id\"\n\
         [syncs.people]\nmodel = \"people\"\ncors = {{ origins = [\"https://app.example.com\"] }}\n\
         [syncs.people.indexes]\nid = \"id\"\nemail = \"email\"\n\
         [tokens.app]\nissuer = \"https://issuer.example\"\naudience = \"larder\"\nalgorithms = [\"HS256\"]\n\
         secret = \"{SECRET}\"\ncollections = [\"people\"]\nrecord_index = \"id\"\n"
    );
    let node = Node::start(directory, warehouse, &sections).await;
    node.sync("people").await;
    node
}

fn run(node: &Node, arguments: &[&str]) -> crate::support::process::CommandOutput {
    larder(node.directory.path(), arguments)
}

async fn status(node: &Node, credential: &str, extra: &str) -> u16 {
    let mut client = Client::connect(node.server().public_address()).await;
    look_up(&mut client, Form::Get, PEOPLE, &format!("Authorization: Bearer {credential}\r\n{extra}"))
        .await
        .status
}

#[tokio::test]
async fn a_limited_key_is_created_listed_used_and_rotated() {
    let node = node().await;
    let flags = "keys create --name web --collection people --index id --without-field ssn --network 127.0.0.0/8 \
                 --field-of orders:id --field-of orders:a.b --without-field-of products:cost \
                 --network 2001:db8::/32 --requests-per-second 50 --burst 100 --never-throttle-status --expires 90d";
    let created = run(&node, &flags.split_whitespace().collect::<Vec<_>>()).expect(0);
    for warning in ["does not open orders", "does not open products"] {
        assert!(created.stderr.contains(warning), "{created:?}");
    }
    assert!(!created.stderr.contains("has an index"), "{created:?}");
    let old = created.stdout.trim().to_owned();
    let id = &old[4..16];
    wait_until("the key", async || status(&node, &old, "").await == 200).await;
    let mut client = Client::connect(node.server().public_address()).await;
    let answer = look_up(&mut client, Form::Get, PEOPLE, &format!("X-Api-Key: {old}\r\n")).await;
    assert_eq!(answer.text(), r#"{"id":1,"email":"jane@example.com"}"#);

    let listed = |of: &str| {
        let list = run(&node, &["keys", "list", "--json"]).expect(0).json();
        list.as_array().unwrap().iter().find(|key| key["id"] == of).unwrap().clone()
    };
    let key = listed(id);
    for (name, expected) in [
        ("indexes", json!(["id"])),
        ("fields", json!({"without": ["ssn"]})),
        ("collection_fields", json!({"orders": {"only": ["id", "a.b"]}, "products": {"without": ["cost"]}})),
        ("networks", json!(["127.0.0.0/8", "2001:db8::/32"])),
        ("rate", json!({"per_second": 50, "burst": 100})),
        ("never_throttle_status", json!(true)),
        ("previous_secret_until", json!(null)),
    ] {
        assert_eq!(key[name], expected, "{name}");
    }
    // The last use comes with the node's status, by region.
    let overview = app::open_overview(&node.config(), Clock::default()).unwrap();
    until("the last use", async || overview.key_uses().await.unwrap().remove(id)).await;
    assert!(listed(id)["last_used"]["local"].is_string());

    let rotated = run(&node, &["keys", "rotate", id, "--overlap", "24h"]).expect(0);
    let new = rotated.stdout.trim().to_owned();
    assert!(new != old && new[4..16] == *id && !rotated.stderr.contains(&new[17..]), "{rotated:?}");
    wait_until("the new secret", async || status(&node, &new, "").await == 200).await;
    assert_eq!(status(&node, &old, "").await, 200);
    assert!(listed(id)["previous_secret_until"].is_string());
    // Another rotation ends the first secret at once, and one without overlap the second.
    let third = run(&node, &["keys", "rotate", id, "--overlap", "0s"]).expect(0).stdout.trim().to_owned();
    wait_until("the third secret", async || status(&node, &third, "").await == 200).await;
    assert_eq!((status(&node, &old, "").await, status(&node, &new, "").await), (401, 401));

    let audit = run(&node, &["audit", id, "--json"]).expect(0).json();
    let entries: Vec<(&str, &str)> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["detail"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        entries.iter().map(|(action, _)| *action).collect::<Vec<_>>(),
        ["key.rotate", "key.rotate", "key.create"]
    );
    let created = "web: opens people; indexes id; without ssn; orders: fields id, a.b; products: without cost; \
                   from 127.0.0.0/8, 2001:db8::/32; 50/s, burst 100; never 429";
    assert_eq!(entries[2].1, created);
    run(&node, &["keys", "revoke", id]).expect(0);
    let mistyped = ["keys", "create", "--name", "x", "--all-collections", "--index", "emial"];
    let mistyped = run(&node, &mistyped).expect(0);
    assert!(
        mistyped.stderr.contains("no collection that the key opens has an index named emial"),
        "{mistyped:?}"
    );
    assert_eq!(run(&node, &["keys", "rotate", id, "--overlap", "1h"]).expect(2).stdout, "");
    for wrong in [
        &["keys", "rotate", id][..],
        &["keys", "rotate", "nosuch", "--overlap", "1h"],
        &["keys", "rotate", id, "--overlap", "366d"],
        &["keys", "create", "--name", "x", "--all-collections", "--network", "10.0.0.1/8"],
        &["keys", "create", "--name", "x", "--all-collections", "--field", "a..b"],
        &["keys", "create", "--name", "x", "--all-collections", "--field", "a", "--without-field", "b"],
        &["keys", "create", "--name", "x", "--all-collections", "--field-of", "a"],
        &["keys", "create", "--name", "x", "--all-collections", "--field-of", "a/b:c"],
        &[
            "keys",
            "create",
            "--name",
            "x",
            "--all-collections",
            "--field-of",
            "a:b",
            "--without-field-of",
            "a:c",
        ],
        &["keys", "create", "--name", "x", "--all-collections", "--burst", "5"],
        &["keys", "create", "--name", "x", "--all-collections", "--requests-per-second", "0"],
    ] {
        run(&node, wrong).expect(2);
    }
}

#[tokio::test]
async fn a_minted_token_opens_one_record_to_a_page_of_an_allowed_origin() {
    let node = node().await;
    let mint = |arguments: &[&str]| run(&node, &[&["token", "mint"], arguments].concat());
    let token = mint(&["app", "--subject", "1", "--without-field", "ssn"]).expect(0).stdout.trim().to_owned();
    let mut client = Client::connect(node.server().public_address()).await;
    let headers = format!("Authorization: Bearer {token}\r\nOrigin: https://app.example.com\r\n");
    let answer = look_up(&mut client, Form::Get, PEOPLE, &headers).await;
    assert_eq!((answer.status, answer.text()), (200, r#"{"id":1,"email":"jane@example.com"}"#));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"));
    let other = mint(&["app", "--subject", "2"]).expect(0).stdout.trim().to_owned();
    assert_eq!(status(&node, &other, "").await, 403);
    assert!(mint(&["nosuch"]).expect(2).stderr.contains("configured are: app"));
    // A token that nodes would refuse is not made.
    for (arguments, reason) in [
        (&["app"][..], "needs a subject: the value of the record in the index id"),
        (&["app", "--subject", " "], "needs a subject"),
        (&["app", "--subject", "1", "--expires", "61m"], "valid for 1 s to 3600 s"),
        (&["app", "--subject", "1", "--expires", "0s"], "valid for 1 s to 3600 s"),
        (&["app", "--subject", "1", "--record-index", "email"], "its record_index is id"),
        (&["app", "--subject", "1", "--collection", "orders"], "do not open the collection orders"),
    ] {
        let refused = mint(arguments).expect(2);
        assert!(refused.stdout.is_empty(), "{refused:?}");
        assert!(
            refused.stderr.contains(reason) && refused.stderr.contains("token_not_minted"),
            "{refused:?}"
        );
    }
    // A restart forgets no last use, and the token works on.
    let mut node = node;
    node.stop().await;
    node.resume().await;
    assert_eq!(status(&node, &token, "").await, 200);
}

#[test]
fn token_is_minted_with_the_private_key_of_its_issuer_only() {
    let directory = tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let [own, other] = [(); 2].map(|()| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    write("public.pem", &own.public_key_pem());
    write("own.pem", &own.serialize_pem());
    write("other.pem", &other.serialize_pem());
    write(
        "larder.toml",
        "[tokens.app]\nissuer = \"https://issuer.example\"\naudience = \"larder\"\nalgorithms = [\"ES256\"]\n\
         public_key_file = \"public.pem\"\nall_collections = true\nrecord_index = \"id\"\n",
    );
    let mint =
        |key: &[&str]| larder(directory.path(), &[&["token", "mint", "app", "--subject", "1"], key].concat());
    assert_eq!(mint(&["--private-key-file", "own.pem"]).expect(0).stdout.trim().split('.').count(), 3);
    for (key, reason) in [
        (&["--private-key-file", "other.pem"][..], "the private key does not belong to its public keys"),
        (&[], "give the private key with --private-key-file"),
    ] {
        let refused = mint(key).expect(2);
        assert!(refused.stdout.is_empty() && refused.stderr.contains(reason), "{refused:?}");
    }
}
