//! Schemathesis sends what the description of the admin listener allows and forbids: nothing ends in an error of the
//! server, and refused requests change nothing.

use larder::{admin::AdminRole, api};
use serde_json::{Value, json};

use super::fixture::Fixture;
use crate::openapi::fuzz;

/// What requests could change.
async fn state(fixture: &Fixture) -> Value {
    let mut state = Vec::new();
    for list in ["collections", "keys", "admin-keys", "runs", "audit"] {
        let mut page = fixture.get(&format!("/admin/v1/{list}?limit=1000")).await;
        for item in page["items"].as_array_mut().unwrap() {
            // A node notes by itself when a key was used.
            let item = item.as_object_mut().unwrap();
            for use_of_key in ["last_used", "last_used_at"] {
                item.remove(use_of_key);
            }
        }
        state.push(page["items"].clone());
    }
    json!(state)
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_listener_answers_as_its_description_says() {
    // The description is that of a node whose metrics need a key; many requests come with a wrong one.
    let server = "metrics_open = false\nsign_in_failures_per_minute_max = 100000\n";
    let fixture = Fixture::start_with(server).await;
    fixture.run(json!({})).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("openapi-admin.json");
    std::fs::write(&file, api::admin_description()).unwrap();
    let url = format!("http://{}", fixture.node.server().admin_address());
    // An answer without an end has tests of its own.
    let arguments = [file.to_str().unwrap(), "--url", &url, "--exclude-path", "/admin/v1/events"];
    let viewer = fixture.key(AdminRole::Viewer).await;
    let before = state(&fixture).await;
    fuzz("schemathesis-admin.toml", viewer.expose(), &arguments).await;
    assert_eq!(state(&fixture).await, before, "a viewer has changed something");
    // An admin would revoke the key that asks: its id is in the answers.
    let arguments = [&arguments[..], &["--exclude-path", "/admin/v1/admin-keys/{id}"]].concat();
    fuzz("schemathesis-admin.toml", &fixture.node.admin_key(), &arguments).await;
    let after = state(&fixture).await;
    assert_ne!(after, before, "an admin has changed nothing");
}
