//! Starting, watching, cancelling and approving runs.

use serde_json::{Value, json};

use super::fixture::{Fixture, run_of};
use crate::support::process::until;

/// A query that takes longer than a test, on SQLite.
const ENDLESS: &str = "with recursive n(i) as (select 1 union all select i + 1 from n) \
    select i as id, 'x' as name from n";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_started_watched_and_listed() {
    let fixture = Fixture::start().await;
    // In the query it would be passed over, and a real run begin.
    for target in ["syncs/person/runs?dry_run=true", "syncs/person/resume?force=1"] {
        let refused = fixture.refused("POST", &format!("/admin/v1/{target}"), Some(json!({}))).await;
        assert_eq!(refused, (400, "invalid_input".to_owned()), "{target}");
    }
    for target in ["whoami?role=viewer", "collections/person?version=1"] {
        let refused = fixture.refused("GET", &format!("/admin/v1/{target}"), None).await;
        assert_eq!(refused, (400, "invalid_input".to_owned()), "{target}");
    }
    let dry = fixture.run(json!({ "dry_run": true })).await;
    assert_eq!((&dry["kind"], &dry["run"]), (&json!("dry_run"), &Value::Null));
    assert_eq!(dry["result"]["run"]["counts"]["added"], 6);
    assert_eq!(fixture.get("/admin/v1/runs").await["items"], json!([]), "a dry run has no record");
    let ended = fixture.run(json!({})).await;
    assert_eq!(ended["result"]["run"]["status"], "announced");
    assert_eq!(ended["progress"]["rows"], 6);
    let shown = fixture.get(&format!("/admin/v1/runs/{}", run_of(&ended))).await;
    assert_eq!(shown["run"], ended["result"]["run"]);
    fixture.node.await_version("person", 1).await;
    assert_eq!(fixture.node.record("person", "id", "1").await.unwrap()["name"], "Ann");
    for (target, code) in [
        ("/admin/v1/syncs/nobody/runs", "unknown_sync"),
        ("/admin/v1/runs/run_00000000000000000000000000000000/cancel", "unknown_run"),
        ("/admin/v1/runs/run_00000000000000000000000000000000/approve", "unknown_run"),
        ("/admin/v1/operations/op_00000000000000000000000000000000/cancel", "unknown_operation"),
    ] {
        assert_eq!(fixture.refused("POST", target, None).await, (404, code.to_owned()), "{target}");
    }
    let ended = fixture.refused("POST", &format!("/admin/v1/runs/{}/cancel", run_of(&ended)), None).await;
    assert_eq!(ended, (409, "run_not_under_way".to_owned()));
    let failed = fixture.ask("POST", "/admin/v1/syncs/broken/runs", None).await;
    let failed = fixture.ended(failed.header("location").unwrap()).await;
    assert_eq!(failed["result"]["run"]["error"]["code"], "mapping_mismatch", "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_starts_nothing() {
    let fixture = Fixture::start().await;
    let target = "/admin/v1/syncs/person/runs";
    let (one, two) = ("Idempotency-Key: one\r\n", "Idempotency-Key: two\r\n");
    let first = fixture.ask_with("POST", target, &json!({}), one).await;
    let again = fixture.ask_with("POST", target, &json!({}), one).await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.json(), again.json());
    fixture.ended(first.header("location").unwrap()).await;
    let other = fixture.ask_with("POST", target, &json!({ "dry_run": true }), one).await;
    assert_eq!((other.status, other.code().as_str()), (409, "idempotency_key_reused"));
    let third = fixture.ask_with("POST", target, &json!({}), two).await;
    assert_ne!(third.json()["operation"], first.json()["operation"]);
    fixture.ended(third.header("location").unwrap()).await;
    assert_eq!(fixture.get("/admin/v1/runs").await["items"].as_array().unwrap().len(), 2);
    let long = format!("Idempotency-Key: {}\r\n", "x".repeat(129));
    assert_eq!(fixture.ask_with("POST", target, &json!({}), &long).await.code(), "invalid_input");

    // The secret of a key is not kept for the second answer.
    let key = json!({ "name": "once", "grant": "all_collections" });
    let lines = "Idempotency-Key: key\r\n";
    let first = fixture.ask_with("POST", "/admin/v1/keys", &key, lines).await.json();
    let again = fixture.ask_with("POST", "/admin/v1/keys", &key, lines).await.json();
    assert!(first["key"].as_str().unwrap().starts_with("lrd_"));
    assert_eq!((&again["id"], &again["key"]), (&first["id"], &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_progress_is_cancelled_from_anywhere() {
    let fixture = Fixture::start().await;
    let endless = super::fixture::SECTIONS.replacen("table = \"people\"", &format!("sql = \"{ENDLESS}\""), 1);
    fixture.node.configure(&endless);
    fixture.node.server().reload(&fixture.node.config());
    for by_operation in [false, true] {
        let started = fixture.ask("POST", "/admin/v1/syncs/person/runs", None).await;
        let location = started.header("location").unwrap().to_owned();
        let run = until("the run and its progress", async || {
            let operation = fixture.get(&location).await;
            let rows = operation["progress"]["rows"].as_u64()?;
            (rows > 0).then(|| operation["run"].as_str().map(str::to_owned))?
        })
        .await;
        if by_operation {
            assert_eq!(fixture.ask("POST", &format!("{location}/cancel"), None).await.status, 202);
        } else {
            until("stored progress", async || {
                let shown = fixture.get(&format!("/admin/v1/runs/{run}")).await;
                shown["progress"]["rows"].as_u64().filter(|rows| *rows > 0)
            })
            .await;
            assert_eq!(fixture.ask("POST", &format!("/admin/v1/runs/{run}/cancel"), None).await.status, 202);
        }
        let ended = fixture.ended(&location).await;
        assert_eq!(ended["result"]["run"]["status"], "cancelled", "{ended}");
        assert_eq!(ended["run"], run.as_str());
    }
    let log = fixture.get("/admin/v1/audit?subject=person").await;
    assert!(log["items"].as_array().unwrap().iter().any(|entry| entry["action"] == "run.cancel"), "{log}");
    assert_eq!(fixture.node.version("person").await, None, "nothing was announced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_is_approved() {
    let fixture = Fixture::start().await;
    // Guards leave small collections alone.
    let more = "with recursive n(i) as (select 7 union all select i + 1 from n where i < 30) \
        insert into people select i, 'x' from n";
    fixture.node.warehouse.execute(more).await;
    fixture.run(json!({})).await;
    fixture.node.warehouse.execute("delete from people where id > 1").await;
    let held = fixture.run(json!({})).await;
    assert_eq!(held["result"]["run"]["status"], "held");
    let run = run_of(&held);
    assert_eq!(fixture.get("/admin/v1/collections/person").await["held_run"], json!(run));
    let started = fixture.ask("POST", &format!("/admin/v1/runs/{run}/approve"), None).await;
    let approved = fixture.ended(started.header("location").unwrap()).await;
    assert_eq!((&approved["kind"], &approved["sync"]), (&json!("approve"), &json!("person")));
    assert_eq!(approved["result"]["run"]["status"], "announced", "{approved}");
    fixture.node.await_version("person", 2).await;
    let again = fixture.refused("POST", &format!("/admin/v1/runs/{run}/approve"), None).await;
    assert_eq!(again, (400, "run_not_held".to_owned()));
}
