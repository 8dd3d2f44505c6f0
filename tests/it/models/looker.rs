//! Looks of Looker, with a server of our own that the official client of Looker can drive.

use std::{path::Path, process::Command};

use larder::domain::run::RunStatus;
use serde_json::{Value, json};

use super::{failed, node_with_people};
use crate::support::{
    service::installed,
    web::{Got, Reply, WebService, json},
};

const TOKEN: &str = "looker-token";

/// The Looks of the server by their ids: the description, and the SQL.
fn look(id: u64) -> Option<(Value, &'static str)> {
    const SQL: &str =
        "SELECT\n    people.id  AS \"people.id\",\n    people.name  AS \"people.name\"\nFROM people\n;\n";
    let of = |query: Value| json!({"id": id.to_string(), "title": "People", "deleted": false, "query_id": "1", "query": query});
    match id {
        42 => Some((of(json!({"model": "shop", "view": "people", "pivots": [], "dynamic_fields": ""})), SQL)),
        43 => Some((of(json!({"model": "shop", "view": "people", "pivots": ["people.name"]})), SQL)),
        44 => Some((
            of(
                json!({"model": "shop", "view": "people", "dynamic_fields": "[{\"table_calculation\":\"share\"}]"}),
            ),
            SQL,
        )),
        45 => Some((json!({"id": "45", "title": "People", "deleted": true, "query": {}}), SQL)),
        _ => None,
    }
}

/// The part of Looker's API 4.0 that Looks need, as its OpenAPI description has it.
fn respond(request: &Got) -> Reply {
    let missing = || {
        json(
            404,
            &json!({"message": "Not found", "documentation_url": "https://cloud.google.com/looker/docs/"}),
        )
    };
    let (path, parameters) = request.target.split_once('?').unwrap_or((&request.target, ""));
    if request.line() == "POST /api/4.0/login" {
        let is_known = request.body == "client_id=id&client_secret=s%26cret";
        let token = json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600});
        return if is_known { json(200, &token) } else { missing() };
    }
    let authorization = request.header("authorization");
    if authorization != format!("token {TOKEN}") && authorization != format!("Bearer {TOKEN}") {
        return json(401, &json!({"message": "Requires authentication."}));
    }
    if request.method == "DELETE" && path == "/api/4.0/logout" {
        return (204, vec![], String::new());
    }
    let Some(rest) = path.strip_prefix("/api/4.0/looks/") else { return missing() };
    let (id, action) = rest.split_once('/').unwrap_or((rest, ""));
    let Some((description, sql)) = id.parse().ok().and_then(look) else { return missing() };
    match action {
        "" => json(200, &description),
        "run/sql" if parameters.contains("limit=-1") => {
            (200, vec![("content-type", "text/plain")], sql.to_owned())
        }
        _ => missing(),
    }
}

fn sections(service: &WebService, secret: &str) -> String {
    let mut text = format!(
        "[looker.main]\nurl = \"{}\"\nclient_id = \"id\"\nclient_secret = \"{secret}\"\n",
        service.url()
    );
    for id in [42, 43, 44, 45, 46] {
        text.push_str(&format!(
            "[models.look{id}]\nsource = \"warehouse\"\nlook = {id}\nprimary_key = \"people.id\"\n\
             [syncs.look{id}]\nmodel = \"look{id}\"\nindexes = {{ id = \"people.id\" }}\n\
             fields = {{ name = \"people.name\" }}\n"
        ));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn look_is_run_as_the_sql_that_looker_makes() {
    let service = WebService::start(respond).await;
    let node = node_with_people(&sections(&service, "s&cret")).await;
    let ended = node.sync("look42").await;
    assert_eq!(ended.record.status, RunStatus::Announced, "{ended:?}");
    assert_eq!(node.record("look42", "id", "2").await, Some(json!({"name": "Bob"})));
    let query = node.publisher().await.metadata.run_query(ended.record.id).await.unwrap().unwrap();
    assert!(query.starts_with("SELECT\n") && query.ends_with("FROM people"), "{query}");
    let requests: Vec<String> = service.requests().iter().map(Got::line).collect();
    assert_eq!(
        requests,
        [
            "POST /api/4.0/login",
            "GET /api/4.0/looks/42?fields=id,title,deleted,query_id,query",
            "GET /api/4.0/looks/42/run/sql?limit=-1&force_production=true",
            "DELETE /api/4.0/logout"
        ]
    );
    for (sync, code, part) in [
        ("look43", "look_unsupported", "pivots"),
        ("look44", "look_unsupported", "table calculations"),
        ("look45", "look_deleted", "restore it"),
        ("look46", "look_missing", "Look 46"),
    ] {
        let error = failed(&node.sync(sync).await);
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.contains(part), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_of_looker_are_reported_without_them() {
    let service = WebService::start(respond).await;
    let node = node_with_people(&sections(&service, "hush-hush")).await;
    let error = failed(&node.sync("look42").await);
    assert_eq!(error.code, "service_login_refused", "{error:?}");
    assert!(!error.message.contains("hush-hush"), "{error:?}");
}

/// The server is one of Looker as far as Looker's own client can tell. `scripts/test.sh` installs it in `target/looker`.
#[tokio::test(flavor = "multi_thread")]
async fn lookers_own_client_gets_the_same_sql() {
    let service = WebService::start(respond).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/models/looker_client.py");
    let python = installed("looker/bin/python");
    let url = service.url();
    let run = move || Command::new(python).arg(script).args([&url, "id", "s&cret", "42"]).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text, format!("People\n{}", look(42).unwrap().1));
}
