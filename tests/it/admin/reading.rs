//! What is only read: configuration, sources, models, syncs, status, lists and their pages.

use larder::admin::AdminRole;
use serde_json::{Value, json};

use super::fixture::Fixture;
use crate::support::admin::ask;

#[tokio::test(flavor = "multi_thread")]
async fn configured_things_are_shown_without_secrets() {
    let fixture = Fixture::start().await;
    let sources = fixture.get("/admin/v1/sources").await;
    assert_eq!(sources["next"], Value::Null);
    let source = &sources["items"][0];
    assert_eq!((&source["name"], &source["managed_by"]), (&json!("warehouse"), &json!("file")));
    assert_eq!(source["settings"]["type"], "sqlite");
    let models = fixture.get("/admin/v1/models").await;
    assert_eq!(models["items"][0]["settings"]["primary_key"], "id");
    let syncs = fixture.get("/admin/v1/syncs?limit=1").await;
    assert_eq!(syncs["items"][0]["name"], "broken");
    let next = syncs["next"].as_str().unwrap();
    let syncs = fixture.get(&format!("/admin/v1/syncs?limit=1&cursor={next}")).await;
    assert_eq!((&syncs["items"][0]["name"], &syncs["next"]), (&json!("person"), &Value::Null));
    let sync = fixture.get("/admin/v1/syncs/person").await;
    assert_eq!(sync["settings"]["model"], "people");
    assert_eq!(sync["collection"]["collection"], "person");
    assert_eq!(
        fixture.refused("GET", "/admin/v1/syncs/nobody", None).await,
        (404, "unknown_sync".to_owned())
    );

    let toml = fixture.ask("GET", "/admin/v1/configuration", None).await;
    assert_eq!(toml.header("content-type"), Some("application/toml"));
    assert_eq!(toml.text(), fixture.node.config().print());
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_checked_and_queried() {
    let fixture = Fixture::start().await;
    let checked = fixture.ask("POST", "/admin/v1/sources/warehouse/check", None).await.json();
    assert!(checked["version"].is_string() && checked["latency_ms"].is_u64(), "{checked}");
    let unknown = fixture.refused("POST", "/admin/v1/sources/nobody/check", None).await;
    assert_eq!(unknown, (404, "unknown_source".to_owned()));
    let tables = fixture.get("/admin/v1/sources/warehouse/tables?contains=PEOP").await;
    assert_eq!(tables["items"], json!(["people"]));
    let columns = fixture.get("/admin/v1/sources/warehouse/columns?table=people").await;
    assert_eq!(columns[1]["name"], "name");
    let rows = |body: Value| fixture.ask("POST", "/admin/v1/sources/warehouse/query", Some(body));
    let answer = rows(json!({ "sql": "select id, name from people order by id", "limit": 2 })).await.json();
    assert_eq!(answer["rows"], json!([{ "id": 1, "name": "Ann" }, { "id": 2, "name": "Bob" }]));
    for wrong in [
        json!({}),
        json!({ "sql": "select 1", "table": "people" }),
        json!({ "table": "people", "limit": 0 }),
        json!({ "table": "people", "other": 1 }),
    ] {
        let answer = rows(wrong.clone()).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_input"), "{wrong}");
    }
    let failed = rows(json!({ "sql": "select abs(-9223372036854775807 - 1)" })).await;
    assert_eq!((failed.status, failed.code().as_str()), (400, "source_query_failed"));
    fixture.get("/admin/v1/models/people/preview").await;
    fixture.get("/admin/v1/syncs/person/preview").await;
    for (subject, action) in
        [("warehouse", "source.query"), ("people", "model.preview"), ("person", "sync.preview")]
    {
        let log = fixture.get(&format!("/admin/v1/audit?subject={subject}")).await;
        assert_eq!(log["items"][0]["action"], action, "{log}");
        assert!(!log.to_string().contains("select"), "{log}");
    }
    let unknown = rows(json!({ "table": "people", "others": 1 })).await;
    assert!(unknown.text().contains("unknown field `others`"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_and_syncs_are_previewed_and_validated() {
    let fixture = Fixture::start().await;
    let preview = fixture.get("/admin/v1/models/people/preview?limit=1").await;
    assert_eq!(preview["rows"], json!([{ "id": 1, "name": "Ann" }]));
    assert_eq!(preview["columns"].as_array().unwrap().len(), 2);
    let unknown = fixture.refused("GET", "/admin/v1/models/nothing/preview", None).await;
    assert_eq!(unknown, (404, "unknown_model".to_owned()));
    let preview = fixture.get("/admin/v1/syncs/person/preview").await;
    assert_eq!((preview["rows"].as_array().unwrap().len(), &preview["rejected"]), (6, &json!([])));
    for limit in ["0", "1001", "x", ""] {
        let refused =
            fixture.refused("GET", &format!("/admin/v1/syncs/person/preview?limit={limit}"), None).await;
        assert_eq!(refused, (400, "invalid_input".to_owned()), "{limit}");
    }
    let valid = fixture.ask("POST", "/admin/v1/syncs/person/validate", None).await.json();
    assert_eq!((&valid["is_valid"], &valid["faults"]), (&json!(true), &json!([])));
    let broken = fixture.ask("POST", "/admin/v1/syncs/broken/validate", None).await.json();
    assert_eq!(broken["is_valid"], false);
    assert_eq!(broken["faults"].as_array().unwrap().len(), 2, "all faults at once: {broken}");
    let refused = fixture.ask("GET", "/admin/v1/syncs/broken/preview", None).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "mapping_mismatch"));
    assert!(refused.text().contains("no_such_column") && refused.text().contains("neither"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_key_of_a_model_is_checked() {
    let fixture = Fixture::start().await;
    fixture.node.warehouse.execute("insert into people values (7, 'Ann'), (8, null)").await;
    let path = "/admin/v1/models/people/check-key";
    let check = async |query: &str| fixture.ask("POST", &format!("{path}{query}"), None).await;
    let key = check("").await.json();
    assert_eq!(key, json!({ "column": "id", "rows": 8, "nulls": 0, "repeated": 0, "is_complete": true }));
    let name = check("?column=name").await.json();
    assert_eq!((&name["nulls"], &name["repeated"]), (&json!(1), &json!(1)));
    for (query, code) in [("?column=nothing", "source_unknown_column"), ("?columns=id", "invalid_input")] {
        let refused = check(query).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, code), "{query}");
    }
    let unknown = fixture.refused("POST", "/admin/v1/models/nothing/check-key", None).await;
    assert_eq!(unknown, (404, "unknown_model".to_owned()));
    let address = fixture.node.server().admin_address();
    for (role, status) in [(AdminRole::Viewer, 403), (AdminRole::Operator, 200)] {
        let key = fixture.key(role).await;
        assert_eq!(ask(address, key.expose(), "POST", path, None).await.status, status, "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_see_no_record_and_no_primary_key() {
    let fixture = Fixture::start().await;
    fixture.node.warehouse.execute("insert into people values (7, x'ff')").await;
    let ended = fixture.run(json!({ "accept": true })).await;
    let run = ended["run"].as_str().unwrap();
    let (key, address) = (fixture.key(AdminRole::Viewer).await, fixture.node.server().admin_address());
    for target in [
        "/admin/v1/models/people/preview".to_owned(),
        "/admin/v1/syncs/person/preview".to_owned(),
        format!("/admin/v1/runs/{run}/rejected"),
    ] {
        let answer = ask(address, key.expose(), "GET", &target, None).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "role_forbidden"), "{target}");
        assert_eq!(fixture.ask("GET", &target, None).await.status, 200, "{target}");
    }
    for target in
        ["/status", "/admin/v1/status", "/admin/v1/collections", "/admin/v1/runs", "/admin/v1/audit"]
    {
        let answer = ask(address, key.expose(), "GET", target, None).await;
        assert_eq!(answer.status, 200, "{target}");
        for name in ["Ann", "Bob"] {
            assert!(!answer.text().contains(name), "{target}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_nodes_and_regions_are_those_of_the_command() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    let status = fixture.get("/admin/v1/status").await;
    let person = status["collections"].as_array().unwrap().iter().find(|one| one["collection"] == "person");
    assert_eq!((&person.unwrap()["version"], &person.unwrap()["records"]), (&json!(1), &json!(6)));
    assert!(status["fleet"].is_object());
    let nodes = crate::support::process::until("a node", async || {
        let nodes = fixture.get("/admin/v1/nodes?limit=1").await;
        nodes["items"][0]["node"].is_string().then_some(nodes)
    })
    .await;
    assert!(nodes["next"].is_null() && nodes["read_at"].is_string(), "{nodes}");
    let behind = fixture.get("/admin/v1/nodes?cursor=zzz").await;
    assert_eq!(behind["items"], json!([]));
    crate::support::process::wait_until("the region", async || {
        fixture.get("/admin/v1/regions").await == json!(["local"])
    })
    .await;
    let listed = fixture.get("/admin/v1/collections?limit=1").await;
    assert_eq!((&listed["items"][0]["collection"], &listed["next"]), (&json!("broken"), &json!("broken")));
    let listed = fixture.get("/admin/v1/collections?limit=1&cursor=broken").await;
    assert_eq!((&listed["items"][0]["collection"], &listed["next"]), (&json!("person"), &Value::Null));
    let unknown = fixture.refused("GET", "/admin/v1/collections/nobody", None).await;
    assert_eq!(unknown, (404, "unknown_collection".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_audit_log_come_in_pages() {
    let fixture = Fixture::start().await;
    let mut started = Vec::new();
    for _ in 0..3 {
        started.push(fixture.run(json!({})).await["run"].clone());
    }
    started.reverse();
    for (list, count) in [("runs?sync=person", 3), ("audit?subject=person", 3)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = fixture.get(&format!("/admin/v1/{list}&limit=1{cursor}")).await;
            seen.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen.len(), count, "{list}: {seen:?}");
        if list.starts_with("runs") {
            assert_eq!(seen.iter().map(|run| run["id"].clone()).collect::<Vec<_>>(), started);
        } else {
            assert_eq!(seen[0]["action"], "sync.run");
            assert_eq!(seen[0]["address"], "127.0.0.1");
            assert!(seen[0]["actor"].as_str().unwrap().starts_with("key:first ("), "{seen:?}");
        }
    }
    for query in ["cursor=x", "limit=0", "limit=1001", "sync=-", "other=1"] {
        let refused = fixture.refused("GET", &format!("/admin/v1/runs?{query}"), None).await;
        assert_eq!(refused, (400, "invalid_input".to_owned()), "{query}");
    }
    let unknown = fixture.refused("GET", "/admin/v1/runs?sync=nobody", None).await;
    assert_eq!(unknown, (404, "unknown_sync".to_owned()));
}
