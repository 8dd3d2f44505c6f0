//! Elements of Sigma workbooks, with a server of our own that follows Sigma's published API.

use std::sync::atomic::{AtomicU64, Ordering};

use larder::domain::run::RunStatus;
use serde_json::json;

use super::{failed, node_with_people};
use crate::support::web::{Got, Reply, WebService, json};

/// The client id `id` and the secret `s:cret`.
const BASIC: &str = "Basic aWQ6czpjcmV0";

/// The part of Sigma's API that elements need. The first token is revoked after its first use.
fn respond(tokens: &AtomicU64, uses: &AtomicU64, request: &Got) -> Reply {
    let refused =
        |status, code: &str| json(status, &json!({"message": code, "code": code, "requestId": "r1"}));
    if request.line() == "POST /v2/auth/token" {
        if request.header("authorization") != BASIC || request.body != "grant_type=client_credentials" {
            return refused(401, "unauthorized");
        }
        let number = tokens.fetch_add(1, Ordering::SeqCst);
        let token = format!("token-{number}");
        return json(200, &json!({"access_token": token, "token_type": "bearer", "expires_in": 3600}));
    }
    let newest = format!("Bearer token-{}", tokens.load(Ordering::SeqCst).saturating_sub(1));
    let is_revoked = newest == "Bearer token-0" && uses.fetch_add(1, Ordering::SeqCst) > 0;
    if request.header("authorization") != newest || is_revoked {
        return refused(401, "unauthorized");
    }
    let of = |sql: &str| json(200, &json!({"elementId": "e", "name": "People", "sql": sql, "error": null}));
    match request.target.as_str() {
        "/v2/workbooks/wb/elements/people/query" => of(
            "select id, name from people limit 1001\n\n-- Sigma Σ {\"request-id\":\"g0\",\"email\":\"a@example.com\"}",
        ),
        "/v2/workbooks/wb/elements/people/query?tagName=Pro+duction" => {
            of("select id, 'tagged' as name from people")
        }
        "/v2/workbooks/wb/elements/input/query" => of("select * from people where ROW_VERSION <= 7"),
        "/v2/workbooks/wb/elements/broken/query" => {
            json(200, &json!({"elementId": "e", "name": "Broken", "sql": null, "error": "Unknown column"}))
        }
        _ => refused(404, "not_found"),
    }
}

fn sections(service: &WebService, secret: &str) -> String {
    let mut text = format!(
        "[sigma.main]\nurl = \"{}\"\nclient_id = \"id\"\nclient_secret = \"{secret}\"\n",
        service.url()
    );
    for (name, keys) in [
        ("people", "element = \"people\""),
        ("tagged", "element = \"people\", tag = \"Pro duction\", from = \"main\""),
        ("input", "element = \"input\""),
        ("broken", "element = \"broken\""),
        ("gone", "element = \"gone\""),
    ] {
        text.push_str(&format!(
            "[models.{name}]\nsource = \"warehouse\"\nsigma = {{ workbook = \"wb\", {keys} }}\nprimary_key = \"id\"\n\
             [syncs.{name}]\nmodel = \"{name}\"\nindexes = {{ id = \"id\" }}\n"
        ));
    }
    text
}

async fn service() -> WebService {
    let (tokens, uses) = (AtomicU64::new(0), AtomicU64::new(0));
    WebService::start(move |request: &Got| respond(&tokens, &uses, request)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn element_is_run_as_the_sql_that_sigma_makes() {
    let service = service().await;
    let node = node_with_people(&sections(&service, "s:cret")).await;
    for (sync, name) in [("people", "Bob"), ("tagged", "tagged")] {
        let ended = node.sync(sync).await;
        assert_eq!(ended.record.status, RunStatus::Announced, "{ended:?}");
        assert_eq!(node.record(sync, "id", "2").await, Some(json!({"id": 2, "name": name})));
    }
    for (sync, code, part) in [
        ("input", "sigma_input_table", "input table"),
        ("broken", "sigma_query_unavailable", "Unknown column"),
        ("gone", "sigma_element_missing", "\"gone\""),
    ] {
        let error = failed(&node.sync(sync).await);
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.contains(part), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_of_sigma_are_reported_without_them() {
    let service = service().await;
    let node = node_with_people(&sections(&service, "hush-hush")).await;
    let error = failed(&node.sync("people").await);
    assert_eq!(error.code, "service_login_refused", "{error:?}");
    assert!(!error.message.contains("hush-hush"), "{error:?}");
}
