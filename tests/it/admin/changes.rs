//! What changes collections and keys.

use larder::{admin::AdminRole, auth::AdminKey};
use serde_json::{Value, json};

use super::fixture::{Fixture, version};
use crate::support::{admin::ask, process::until};

#[tokio::test(flavor = "multi_thread")]
async fn collections_are_rolled_back_pinned_and_dropped() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    fixture.node.warehouse.execute("update people set name = 'Zoe' where id = 1").await;
    fixture.run(json!({})).await;
    let versions = fixture.get("/admin/v1/collections/person/versions").await;
    let numbers: Vec<&Value> =
        versions["items"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!(numbers, [&json!(2), &json!(1)]);
    let page = fixture.get("/admin/v1/collections/person/versions?limit=1").await;
    assert_eq!(page["next"], "2");
    let page = fixture.get("/admin/v1/collections/person/versions?limit=1&cursor=2").await;
    assert_eq!((&page["items"][0]["version"], &page["next"]), (&json!(1), &Value::Null));
    let served = fixture.get("/admin/v1/collections/person/served?version=2&seconds=25").await;
    assert_eq!(served["served"]["nodes"], 1, "{served}");
    let nobody = fixture.refused("GET", "/admin/v1/collections/nobody/served?version=1", None).await;
    assert_eq!(nobody, (404, "unknown_collection".to_owned()));
    let later = fixture.refused("GET", "/admin/v1/collections/person/served?version=9&seconds=0", None).await;
    assert_eq!(later, (400, "invalid_input".to_owned()), "no version that is announced");

    // A change of a state that nobody has seen is refused, and changes nothing.
    let person = "/admin/v1/collections/person";
    let seen = fixture.ask("GET", person, None).await;
    let tag = seen.header("etag").unwrap().to_owned();
    let pinned = fixture.ask("PUT", &format!("{person}/pins/local"), version(1)).await;
    assert_eq!((pinned.status, &pinned.json()["newest"]), (200, &json!(2)), "{pinned:?}");
    let late = format!("If-Match: {tag}\r\n");
    let target = format!("{person}/rollback");
    let refused = fixture.ask_with("POST", &target, &json!({ "version": 1 }), &late).await;
    assert_eq!((refused.status, refused.code().as_str()), (412, "precondition_failed"));
    assert_eq!(fixture.get(person).await["version"], 2);
    let tag = fixture.ask("GET", person, None).await.header("etag").unwrap().to_owned();
    let now = format!("If-Match: {tag}\r\nIdempotency-Key: once\r\n");
    let rolled_back = fixture.ask_with("POST", &target, &json!({ "version": 1 }), &now).await.json();
    let again = fixture.ask_with("POST", &target, &json!({ "version": 1 }), &now).await.json();
    assert_eq!(again, rolled_back, "announced once");
    assert_eq!(fixture.get(person).await["version"], 3);
    assert_eq!((&rolled_back["from"], &rolled_back["version"]), (&json!(2), &json!(3)), "{rolled_back}");
    assert_eq!(rolled_back["pinned"], json!(["local"]));
    assert_eq!(fixture.get(person).await["paused"]["why"], "rolled back to 1");
    let resumed = fixture.ask("POST", "/admin/v1/syncs/person/resume", None).await.json();
    assert_eq!(resumed["pause"]["why"], "rolled back to 1");
    let resumed = fixture.ask("POST", "/admin/v1/syncs/person/resume", None).await.json();
    assert_eq!(resumed["pause"], Value::Null);
    let unpinned = fixture.ask("DELETE", &format!("{person}/pins/local"), None).await.json();
    assert_eq!((&unpinned["from"], &unpinned["version"]), (&json!(1), &json!(3)));
    for (method, target, body, expected) in [
        ("DELETE", format!("{person}/pins/local"), None, (400, "not_pinned")),
        ("PUT", format!("{person}/pins/local"), version(9), (404, "unknown_version")),
        ("PUT", format!("{person}/pins/-"), version(1), (400, "invalid_input")),
        ("POST", target.clone(), version(3), (400, "version_in_force")),
        ("POST", target.clone(), version(9), (404, "unknown_version")),
        ("POST", target.clone(), None, (400, "invalid_input")),
        ("POST", "/admin/v1/collections/nobody/rollback".to_owned(), version(1), (404, "unknown_collection")),
        ("DELETE", "/admin/v1/collections/nobody".to_owned(), None, (404, "unknown_collection")),
        ("POST", "/admin/v1/syncs/nobody/resume".to_owned(), None, (404, "unknown_sync")),
    ] {
        let (status, code) = fixture.refused(method, &target, body).await;
        assert_eq!((status, code.as_str()), expected, "{method} {target}");
    }
    let dropped = fixture.ask("DELETE", person, None).await.json();
    assert_eq!((&dropped["version"], &dropped["records"]), (&json!(3), &json!(6)));
    let log = fixture.get("/admin/v1/audit?subject=person").await;
    let actions: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in
        ["collection.drop", "collection.unpin", "sync.resume", "collection.rollback", "collection.pin"]
    {
        assert!(actions.contains(&action), "{actions:?}");
    }
    assert!(log["items"].as_array().unwrap().iter().all(|entry| entry["address"] == "127.0.0.1"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_created_rotated_and_revoked() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    let limits = json!({ "indexes": ["id"], "rate": { "per_second": 1000, "burst": 1000 } });
    let new = json!({ "name": "braze", "grant": { "collections": ["person"] }, "limits": limits });
    let created = fixture.ask("POST", "/admin/v1/keys", Some(new)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let (id, key) = (created.json()["id"].clone(), created.json()["key"].as_str().unwrap().to_owned());
    assert_eq!(created.json()["pending"], Value::Null);
    let reads = async |key: &str| fixture.node.ask_as(key, "person/records/id/1", None, "").await.status;
    until("the key", async || (reads(&key).await == 200).then_some(())).await;
    let listed = fixture.get("/admin/v1/keys").await;
    let entry = listed["items"].as_array().unwrap().iter().find(|entry| entry["id"] == id).unwrap().clone();
    assert_eq!((&entry["name"], &entry["indexes"]), (&json!("braze"), &json!(["id"])));
    assert!(!listed.to_string().contains(&key[17..]));
    let id = id.as_str().unwrap();
    let rotate = json!({ "overlap": "0s" });
    let rotated = fixture.ask("POST", &format!("/admin/v1/keys/{id}/rotate"), Some(rotate)).await.json();
    let second = rotated["key"].as_str().unwrap();
    until("the new secret", async || (reads(second).await == 200).then_some(())).await;
    assert_eq!(reads(&key).await, 401);
    let revoked = fixture.ask("DELETE", &format!("/admin/v1/keys/{id}"), None).await.json();
    assert_eq!(revoked["id"], id);
    until("refusal", async || (reads(second).await == 401).then_some(())).await;
    let past = json!({ "name": "x", "grant": "all_collections", "expires_at": "2020-01-01T00:00:00Z" });
    for (method, target, body, expected) in [
        ("DELETE", "/admin/v1/keys/nosuch", None, (404, "unknown_key")),
        ("POST", "/admin/v1/keys/nosuch/rotate", Some(json!({ "overlap": "1h" })), (404, "unknown_key")),
        ("POST", "/admin/v1/keys/nosuch/rotate", Some(json!({ "overlap": "366d" })), (400, "invalid_input")),
        (
            "POST",
            "/admin/v1/keys",
            Some(json!({ "name": " ", "grant": "all_collections" })),
            (400, "invalid_input"),
        ),
        ("POST", "/admin/v1/keys", Some(json!({ "name": "x" })), (400, "invalid_input")),
        ("POST", "/admin/v1/keys", Some(past), (400, "invalid_input")),
        ("DELETE", "/admin/v1/admin-keys/nosuch", None, (404, "unknown_admin_key")),
        (
            "POST",
            "/admin/v1/admin-keys",
            Some(json!({ "name": "x", "role": "root" })),
            (400, "invalid_input"),
        ),
    ] {
        let (status, code) = fixture.refused(method, target, body).await;
        assert_eq!((status, code.as_str()), expected, "{method} {target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_keys_are_created_and_revoked_by_admins_only() {
    let fixture = Fixture::start().await;
    let new = json!({ "name": "ci", "role": "operator" });
    let created = fixture.ask("POST", "/admin/v1/admin-keys", Some(new.clone())).await;
    assert_eq!(created.status, 201);
    let key = created.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(AdminKey::id_of(&key), created.json()["id"].as_str());
    let address = fixture.node.server().admin_address();
    until("the key", async || {
        (ask(address, &key, "GET", "/admin/v1/whoami", None).await.status == 200).then_some(())
    })
    .await;
    let operator = fixture.key(AdminRole::Operator).await;
    let body = new.to_string();
    let refused = ask(address, operator.expose(), "POST", "/admin/v1/admin-keys", Some(&body)).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "role_forbidden"));
    let listed = fixture.get("/admin/v1/admin-keys").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3, "first, ci, operator: {listed}");
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(fixture.ask("DELETE", &format!("/admin/v1/admin-keys/{id}"), None).await.status, 200);
    until("refusal", async || {
        (ask(address, &key, "GET", "/admin/v1/whoami", None).await.status == 401).then_some(())
    })
    .await;
}
