//! Sources, models and syncs that are created through the admin API: from the request to a served record, versions,
//! secrets, and whose change counts.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use larder::admin::AdminRole;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::fixture::Fixture;
use crate::support::{
    admin::ask,
    deployment::files_below,
    http::Answer,
    node::{Node, Warehouse},
    postgres::{Database, Postgres},
    process::until,
};

/// In every secret of these tests.
const MARK: &str = "hunter2";
const SECRETS: &str = "[secrets]\nkey_file = \"secrets.key\"\n";

/// A key of `[secrets]` of these bytes.
fn secret_key(fill: u8) -> String {
    STANDARD.encode([fill; 32])
}

/// A node that has only a source in its file, and a Postgres with one person for stored ones.
struct Stored {
    fixture: Fixture,
    database: Database,
}

impl Stored {
    async fn start() -> Self {
        let database = Postgres::database().await;
        database.execute("create table people (id integer primary key, name text)").await;
        database.execute("insert into people values (1, 'Ann')").await;
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("secrets.key"), secret_key(1)).unwrap();
        let warehouse = Warehouse::sqlite(directory.path());
        warehouse.execute("create table people (id integer primary key, name text)").await;
        let fixture = Fixture { node: Node::start(directory, warehouse, SECRETS).await };
        fixture.until_admin().await;
        Self { fixture, database }
    }

    fn source(&self) -> Value {
        json!({ "type": "postgres", "url": self.database.url_of(&format!("postgres:{MARK}")) })
    }

    fn model() -> Value {
        json!({ "source": "crm", "table": "people", "primary_key": "id" })
    }

    fn sync() -> Value {
        json!({ "model": "person", "indexes": { "id": "id" } })
    }

    /// Sends a change with header lines.
    async fn put_with(&self, entry: &str, body: &Value, lines: &str) -> Answer {
        self.fixture.ask_with("PUT", &format!("/admin/v1/{entry}"), body, lines).await
    }

    /// Stores an entry; its version.
    async fn put(&self, entry: &str, body: &Value) -> u64 {
        let answer = self.put_with(entry, body, "").await;
        assert!([200, 201].contains(&answer.status), "{entry}: {answer:?}");
        assert_eq!(answer.json()["is_applied"], true, "{answer:?}");
        answer.json()["version"].as_u64().unwrap()
    }

    /// A source, a model and a sync.
    async fn create(&self) {
        self.put("sources/crm", &self.source()).await;
        self.put("models/person", &Self::model()).await;
        self.put("syncs/person", &Self::sync()).await;
    }

    async fn get(&self, entry: &str) -> Value {
        self.fixture.get(&format!("/admin/v1/{entry}")).await
    }

    /// The faults of an entry that is left out.
    async fn faults(&self, entry: &str) -> String {
        self.get(entry).await["faults"].to_string()
    }

    /// Runs the sync, and waits until its version is served.
    async fn run(&self) -> Value {
        let ended = self.fixture.run(json!({})).await;
        assert_eq!(ended["error"], Value::Null, "{ended}");
        let version = self.get("collections/person").await["version"].as_u64().unwrap();
        self.fixture.node.await_version("person", version).await;
        ended
    }

    async fn person(&self) -> Option<Value> {
        self.fixture.node.record("person", "id", "1").await
    }

    /// No file of the node and no answer has the secret.
    async fn check_no_secret(&self) {
        let mut searched = 0;
        for (path, _) in files_below(self.fixture.node.directory.path()) {
            let Ok(bytes) = fs::read(&path) else { continue };
            assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()), "{}", path.display());
            searched += usize::from(path.to_str().unwrap().contains("metadata.db"));
        }
        assert!(searched > 0, "the metadata file was not searched");
        for target in [
            "sources",
            "sources/crm",
            "sources/crm/versions",
            "models",
            "syncs",
            "syncs/person",
            "configuration",
            "audit?limit=1000",
            "status",
            "runs",
        ] {
            let answer = self.fixture.ask("GET", &format!("/admin/v1/{target}"), None).await;
            assert_eq!(answer.status, 200, "{target}");
            assert!(!answer.text().contains(MARK), "{target}: {answer:?}");
        }
    }
}

/// The status and code.
fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_entries_are_applied_edited_undone_and_deleted() {
    let stored = Stored::start().await;
    stored.create().await;
    stored.run().await;
    assert_eq!(stored.person().await, Some(json!({ "id": 1, "name": "Ann" })));

    // An edit is in force with the next run, and so is its undo.
    let shown = stored.fixture.ask("GET", "/admin/v1/syncs/person", None).await;
    let sync = shown.json();
    assert_eq!((&sync["managed_by"], &sync["settings"]), (&json!("api"), &Stored::sync()));
    assert_eq!(sync["collection"]["collection"], "person");
    let first = sync["version"].as_u64().unwrap();
    let tag = shown.header("etag").unwrap();
    assert_eq!(tag, format!("\"{first}\""));
    let edited = json!({ "model": "person", "indexes": { "id": "id" }, "fields": { "called": "name" } });
    let answer = stored.put_with("syncs/person", &edited, &format!("If-Match: {tag}\r\n")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    stored.run().await;
    assert_eq!(stored.person().await, Some(json!({ "called": "Ann" })));
    let to_first = Some(json!({ "version": first }));
    let undone = stored.fixture.ask("POST", "/admin/v1/syncs/person/undo", to_first.clone()).await;
    assert_eq!(undone.status, 200, "{undone:?}");
    stored.run().await;
    assert_eq!(stored.person().await, Some(json!({ "id": 1, "name": "Ann" })));

    // What another entry needs cannot be deleted.
    let refused = stored.fixture.ask("DELETE", "/admin/v1/models/person", None).await;
    assert_eq!(refusal(&refused), (400, "configuration_invalid".to_owned()));
    assert!(refused.text().contains("syncs.person.model"), "{refused:?}");
    for entry in ["syncs/person", "models/person"] {
        let deleted = stored.fixture.ask("DELETE", &format!("/admin/v1/{entry}"), None).await;
        assert_eq!(deleted.status, 200, "{deleted:?}");
        let gone = stored.fixture.ask("GET", &format!("/admin/v1/{entry}"), None).await;
        assert_eq!(gone.status, 404, "{gone:?}");
    }
    let refused = stored.fixture.refused("POST", "/admin/v1/syncs/person/runs", Some(json!({}))).await;
    assert_eq!(refused, (404, "unknown_sync".to_owned()));

    // Deleted entries have their versions, and come back.
    let versions = stored.get("syncs/person/versions").await;
    let versions = versions.as_array().unwrap();
    assert_eq!(versions.len(), 4, "{versions:?}");
    assert_eq!((&versions[0]["settings"], &versions[3]["settings"]), (&Value::Null, &Stored::sync()));
    assert!(versions[0]["author"].as_str().unwrap().starts_with("key:first ("), "{versions:?}");
    let refused = stored.fixture.refused("POST", "/admin/v1/syncs/person/undo", to_first.clone()).await;
    assert_eq!(refused, (400, "configuration_invalid".to_owned()), "its model is gone");
    let deletion = Some(json!({ "version": versions[0]["version"] }));
    let refused = stored.fixture.refused("POST", "/admin/v1/syncs/person/undo", deletion).await;
    assert_eq!(refused, (404, "unknown_stored".to_owned()));
    stored.put("models/person", &Stored::model()).await;
    let undone = stored.fixture.ask("POST", "/admin/v1/syncs/person/undo", to_first).await;
    assert_eq!(undone.status, 201, "{undone:?}");
    stored.run().await;
    assert_eq!(stored.person().await, Some(json!({ "id": 1, "name": "Ann" })));

    let log = stored.get("audit?subject=syncs.person").await;
    let log: Vec<(&str, &str)> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["detail"].as_str().unwrap()))
        .collect();
    let actions: Vec<&str> = log.iter().map(|(action, _)| *action).collect();
    assert_eq!(actions, ["sync.undo", "sync.delete", "sync.undo", "sync.save", "sync.save"]);
    assert!(log[3].1.contains("fields.called: \"name\""), "{log:?}");
    stored.check_no_secret().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_change_is_reported_at_once_and_nothing_is_stored() {
    let stored = Stored::start().await;
    let wrong = json!({ "type": "postgres", "port": null, "statement_timeout": "soon", "passwrod": MARK });
    let refused = stored.put_with("sources/crm", &wrong, "").await;
    assert_eq!(refusal(&refused), (400, "configuration_invalid".to_owned()));
    let checked = stored.put_with("sources/crm?dry_run=true", &wrong, "").await;
    assert_eq!(checked.status, 200, "{checked:?}");
    let checked = checked.json();
    let keys: Vec<&str> =
        checked["faults"].as_array().unwrap().iter().map(|fault| fault["key"].as_str().unwrap()).collect();
    assert_eq!(checked["is_valid"], false);
    for key in ["sources.crm.statement_timeout", "sources.crm.passwrod"] {
        assert!(keys.contains(&key), "{checked}");
        assert!(refused.text().contains(key), "{refused:?}");
    }
    assert!(!refused.text().contains(MARK), "{refused:?}");
    let valid = stored.put_with("sources/crm?dry_run=true", &stored.source(), "").await.json();
    assert_eq!(valid, json!({ "is_valid": true, "faults": [] }));
    assert_eq!(
        stored.fixture.refused("GET", "/admin/v1/sources/crm", None).await,
        (404, "unknown_stored".to_owned())
    );
    stored.create().await;
    let dry = stored.fixture.ask("DELETE", "/admin/v1/models/person?dry_run=true", None).await.json();
    assert_eq!((&dry["is_valid"], &dry["faults"][0]["key"]), (&json!(false), &json!("syncs.person.model")));
    for (method, entry, body, expected) in [
        ("PUT", "sources/-", Some(stored.source()), (400, "invalid_input")),
        ("PUT", "sources/crm", Some(json!([])), (400, "invalid_input")),
        ("PUT", "sources/warehouse", Some(stored.source()), (409, "managed_by_file")),
        ("DELETE", "sources/warehouse", None, (409, "managed_by_file")),
        ("POST", "sources/warehouse/undo", Some(json!({ "version": 1 })), (409, "managed_by_file")),
        ("DELETE", "sources/nobody", None, (404, "unknown_stored")),
        ("GET", "sources/nobody/versions", None, (404, "unknown_stored")),
        ("POST", "sources/crm/undo", Some(json!({ "version": 99 })), (404, "unknown_stored")),
        ("PUT", "sources/big", Some(json!({ "type": "x".repeat(300_000) })), (400, "configuration_invalid")),
        (
            "PUT",
            "sources/lib",
            Some(json!({ "type": "adbc", "driver": "./evil.so" })),
            (400, "configuration_invalid"),
        ),
    ] {
        let (status, code) = stored.fixture.refused(method, &format!("/admin/v1/{entry}"), body).await;
        assert_eq!((status, code.as_str()), expected, "{method} {entry}");
    }
    let operator = stored.fixture.key(AdminRole::Operator).await;
    let address = stored.fixture.node.server().admin_address();
    let body = stored.source().to_string();
    for (method, body) in [("PUT", Some(body.as_str())), ("DELETE", None)] {
        let answer = ask(address, operator.expose(), method, "/admin/v1/sources/crm", body).await;
        assert_eq!(refusal(&answer), (403, "role_forbidden".to_owned()));
    }
    assert_eq!(stored.get("sources/crm/versions").await.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_one_is_refused() {
    let stored = Stored::start().await;
    let create = "If-None-Match: *\r\n";
    assert_eq!(stored.put_with("sources/crm", &stored.source(), create).await.status, 201);
    let again = stored.put_with("sources/crm", &stored.source(), create).await;
    assert_eq!(refusal(&again), (412, "precondition_failed".to_owned()));
    let seen = stored.get("sources/crm").await["version"].as_u64().unwrap();
    let lines = format!("If-Match: \"{seen}\"\r\n");
    let timeouts = ["10s", "20s", "30s", "40s"];
    let writers = timeouts.map(|timeout| {
        let mut source = stored.source();
        source["connect_timeout"] = json!(timeout);
        let (stored, lines) = (&stored, &lines);
        async move { (timeout, stored.put_with("sources/crm", &source, lines).await) }
    });
    let answers = futures::future::join_all(writers).await;
    let won: Vec<&str> =
        answers.iter().filter(|(_, answer)| answer.status == 200).map(|(won, _)| *won).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    let lost = answers.iter().filter(|(_, answer)| answer.status == 412);
    assert_eq!(lost.count(), timeouts.len() - 1, "{answers:?}");
    assert_eq!(stored.get("sources/crm").await["settings"]["connect_timeout"], won[0]);

    // Changes of different entries all take place.
    let names = ["a", "b", "c", "d"].map(|name| format!("sources/{name}"));
    let source = stored.source();
    let answers =
        futures::future::join_all(names.iter().map(|name| stored.put_with(name, &source, ""))).await;
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
    let deleted = stored.fixture.ask_with("DELETE", "/admin/v1/sources/a", &json!({}), &lines).await;
    assert_eq!(refusal(&deleted), (412, "precondition_failed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn change_that_comes_again_with_its_idempotency_key_is_made_once() {
    let stored = Stored::start().await;
    let lines = "If-None-Match: *\r\nIdempotency-Key: one\r\n";
    let first = stored.put_with("sources/crm", &stored.source(), lines).await;
    let again = stored.put_with("sources/crm", &stored.source(), lines).await;
    for answer in [&first, &again] {
        assert_eq!((answer.status, answer.header("etag")), (201, Some("\"1\"")), "{answer:?}");
    }
    assert_eq!(first.json(), again.json());
    assert_eq!(stored.get("sources/crm/versions").await.as_array().unwrap().len(), 1);
    let other = stored.put_with("sources/other", &stored.source(), lines).await;
    assert_eq!(refusal(&other), (409, "idempotency_key_reused".to_owned()));
    // A refused change leaves its key free.
    let lines = "Idempotency-Key: two\r\n";
    let refused = stored.put_with("sources/crm", &json!({ "type": "postgres" }), lines).await;
    assert_eq!(refusal(&refused), (400, "configuration_invalid".to_owned()));
    assert_eq!(stored.put_with("sources/crm", &stored.source(), lines).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_kept_rotated_and_missed_by_their_source_alone() {
    let mut stored = Stored::start().await;
    stored.create().await;
    let plain = json!({ "type": "sqlite", "path": "warehouse.db" });
    stored.put("sources/plain", &plain).await;
    let shown = stored.get("sources/crm").await;
    assert_eq!(shown["settings"]["url"], json!({ "$secret": true }));
    assert_eq!(stored.get("sources/plain").await["settings"], plain, "what is no secret can be read");

    // What is shown can be sent back, with another timeout; a mask cannot.
    let mut settings = shown["settings"].clone();
    settings["connect_timeout"] = json!("7s");
    stored.put("sources/crm", &settings).await;
    stored.run().await;
    for url in ["postgres://postgres:***@127.0.0.1/x", "postgres://postgres:${PASSWORD}@127.0.0.1/x"] {
        let refused = stored.put_with("sources/crm", &json!({ "type": "postgres", "url": url }), "").await;
        assert_eq!(refusal(&refused), (400, "configuration_invalid".to_owned()), "{url}");
        assert!(refused.text().contains("sources.crm.url"), "{refused:?}");
    }
    for (entry, url) in
        [("sources/other", json!({ "$secret": true })), ("sources/crm", json!({ "$secret": "x" }))]
    {
        let refused = stored.put_with(entry, &json!({ "type": "postgres", "url": url }), "").await;
        assert_eq!(refusal(&refused), (400, "configuration_invalid".to_owned()), "{entry}");
    }

    // A secret goes where it was written for.
    let clickhouse = |url: &str, password: Value| json!({ "type": "clickhouse", "url": url, "user": "u", "password": password });
    stored.put("sources/logs", &clickhouse("http://127.0.0.1:1", json!("hush"))).await;
    let moved = clickhouse("http://127.0.0.1:2", json!({ "$secret": true }));
    for query in ["", "?dry_run=true"] {
        let refused = stored.put_with(&format!("sources/logs{query}"), &moved, "").await;
        assert!(refused.text().contains("is not kept when `url` changes"), "{query}: {refused:?}");
    }
    stored.put("sources/logs", &clickhouse("http://127.0.0.1:2", json!("again"))).await;
    let mut same = clickhouse("http://127.0.0.1:2", json!({ "$secret": true }));
    same["database"] = json!("shop");
    stored.put("sources/logs", &same).await;
    assert_eq!(stored.fixture.ask("DELETE", "/admin/v1/sources/logs", None).await.status, 200);

    // Another key in front: the old one still opens, and a saved entry is encrypted with the new one.
    let key_file = stored.fixture.node.directory.path().join("secrets.key");
    let with_keys = async |stored: &mut Stored, keys: &[u8]| {
        stored.fixture.node.stop().await;
        let keys: Vec<String> = keys.iter().map(|fill| secret_key(*fill)).collect();
        fs::write(&key_file, keys.join("\n")).unwrap();
        stored.fixture.node.resume().await;
        let fixture = &stored.fixture;
        fixture.until_admin().await;
        until("the stored entries", async || {
            let listed = fixture.get("/admin/v1/sources").await;
            (listed["items"].as_array().unwrap().len() == 3).then_some(())
        })
        .await;
    };
    with_keys(&mut stored, &[2, 1]).await;
    stored.run().await;
    stored.put("sources/crm", &settings).await;
    with_keys(&mut stored, &[2]).await;
    assert_eq!(stored.get("sources/crm").await["faults"], Value::Null);
    stored.run().await;
    assert_eq!(stored.person().await, Some(json!({ "id": 1, "name": "Ann" })));

    // A wrong key, and none, are faults of the source and of what needs it. Everything else is in force.
    for keys in [&[3][..], &[]] {
        with_keys(&mut stored, keys).await;
        let faults = stored.faults("sources/crm").await;
        assert!(faults.contains("sources.crm.url") && faults.contains("[secrets]"), "{faults}");
        assert!(stored.faults("models/person").await.contains("models.person.source"));
        assert_eq!(stored.get("sources/plain").await["faults"], Value::Null);
        assert_eq!(stored.fixture.ask("POST", "/admin/v1/sources/plain/check", None).await.status, 200);
        assert!(stored.person().await.is_some(), "what was announced is served");
        let versions = stored.get("sources/crm/versions").await;
        assert_eq!(versions[0]["settings"]["url"], json!({ "$secret": true }));
    }
    let refused = stored.put_with("sources/crm", &stored.source(), "").await;
    assert_eq!(
        refusal(&refused),
        (400, "configuration_invalid".to_owned()),
        "there is no key to encrypt with"
    );
    assert!(refused.text().contains("key_file"), "{refused:?}");
    // With a key the secret is written again, and all is well.
    with_keys(&mut stored, &[3]).await;
    stored.put("sources/crm", &stored.source()).await;
    stored.run().await;
    stored.check_no_secret().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_file_declares_too_is_a_fault_and_the_file_counts() {
    let mut stored = Stored::start().await;
    stored.create().await;
    stored.run().await;
    stored.fixture.node.stop().await;
    let own = "[models.person]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n";
    stored.fixture.node.configure(&format!("{SECRETS}{own}"));
    stored.fixture.node.warehouse.execute("insert into people values (1, 'Bob')").await;
    stored.fixture.node.resume().await;
    let fixture = &stored.fixture;
    fixture.until_admin().await;
    let model = until("the stored model", async || {
        let model = fixture.get("/admin/v1/models/person").await;
        model["version"].is_u64().then_some(model)
    })
    .await;
    assert_eq!((&model["managed_by"], &model["settings"]["source"]), (&json!("file"), &json!("warehouse")));
    let hint = model["faults"][0]["hint"].as_str().unwrap();
    assert_eq!(hint, "delete the stored one, or remove it from the file");
    // The stored sync reads the model of the file.
    stored.run().await;
    assert_eq!(stored.person().await, Some(json!({ "id": 1, "name": "Bob" })));
    let refused = stored.put_with("models/person", &Stored::model(), "").await;
    assert_eq!(refusal(&refused), (409, "managed_by_file".to_owned()));
    let deleted = fixture.ask("DELETE", "/admin/v1/models/person", None).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let model = fixture.get("/admin/v1/models/person").await;
    assert_eq!((&model["managed_by"], &model["faults"]), (&json!("file"), &Value::Null));
}
