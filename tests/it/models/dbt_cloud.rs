//! A job of dbt Cloud: the manifest of its last successful run, and syncs after each of them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use larder::{
    domain::run::RunStatus,
    engine::{RunRequest, Trigger},
    scheduler::Schedule,
};
use serde_json::json;

use super::{failed, node_with_people};
use crate::support::{
    catalog::name,
    process::until,
    web::{Got, Reply, WebService, json},
};

const TOKEN: &str = "dbtc-secret";

fn manifest() -> serde_json::Value {
    json!({
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
            "adapter_type": "sqlite",
            "generated_at": "2026-11-30T00:00:00Z"
        },
        "nodes": {"model.shop.people": {
            "resource_type": "model", "name": "people", "alias": "people", "relation_name": "\"main\".\"people\"",
            "config": {"materialized": "table"}, "primary_key": ["id"], "tags": [], "columns": {}
        }},
        "disabled": {}
    })
}

/// The service; its job has `runs` successful runs.
async fn service(runs: Arc<AtomicU64>) -> WebService {
    let busy = AtomicU64::new(1);
    WebService::start(move |request: &Got| -> Reply {
        let run = runs.load(Ordering::SeqCst);
        if request.header("authorization") != format!("Token {TOKEN}") {
            return json(401, &json!({"status": {"user_message": "Invalid token."}}));
        }
        if busy.swap(0, Ordering::SeqCst) == 1 {
            return (429, vec![("retry-after", "0")], String::new());
        }
        let listed = "/api/v2/accounts/7/runs/?job_definition_id=9&status=10&order_by=-id&limit=1";
        if request.target == listed {
            let data =
                if run == 0 { json!([]) } else { json!([{"id": run, "status": 10, "is_success": true}]) };
            return json(200, &json!({"data": data}));
        }
        if request.target == format!("/api/v2/accounts/7/runs/{run}/artifacts/manifest.json") {
            return json(200, &manifest());
        }
        json(404, &json!({"status": {"user_message": "Not found."}}))
    })
    .await
}

fn sections(service: &WebService, token: &str, more: &str) -> String {
    format!(
        "[dbt.cloud]\nurl = \"{}\"\naccount = 7\njob = 9\ntoken = \"{token}\"\npoll_interval = \"200ms\"\n\
         [models.people]\nsource = \"warehouse\"\ndbt = \"people\"\n[syncs.person]\nmodel = \"people\"\n\
         indexes = {{ id = \"id\" }}\n{more}",
        service.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_runs_after_each_successful_run_of_a_job() {
    let runs = Arc::new(AtomicU64::new(0));
    let service = service(runs.clone()).await;
    let node = node_with_people(&sections(&service, TOKEN, "after = { dbt = \"cloud\" }\n")).await;
    assert_eq!(failed(&node.sync("person").await).code, "dbt_job_not_run");
    for run in 1..=2_u64 {
        node.warehouse.execute(&format!("insert into people values ({}, 'New')", 10 + run)).await;
        runs.store(run, Ordering::SeqCst);
        node.await_version("person", run).await;
    }
    let metadata = node.publisher().await.metadata;
    let found = until("ended runs", async || {
        let found = metadata.runs(Some(&name("person")), 9).await.unwrap();
        found.iter().all(|run| !run.status.is_open()).then_some(found)
    })
    .await;
    let triggers: Vec<&str> = found.iter().map(|run| run.trigger.as_str()).collect();
    assert_eq!(triggers, ["dbt:2", "dbt:1", "operator"]);

    // Another publisher that saw the same run of the job, and got the lease only now, does nothing.
    let config = node.config();
    let Schedule::After(project) = &config.syncs[0].schedule else { panic!("{config:?}") };
    let invocation = project.newest_build().await.unwrap();
    let request = RunRequest { invocation, ..node.run_request("person", Trigger::Schedule) };
    let error = Box::pin(node.publisher().await.engine.run(&request)).await.unwrap_err();
    assert_eq!(error.code(), "invocation_used");
    assert_eq!(metadata.runs(Some(&name("person")), 9).await.unwrap().len(), 3);
    assert_eq!(node.sync("person").await.record.status, RunStatus::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_token_is_reported_without_it() {
    let service = service(Arc::new(AtomicU64::new(1))).await;
    let node = node_with_people(&sections(&service, "wrong-secret", "")).await;
    let error = failed(&node.sync("person").await);
    assert_eq!(error.code, "service_login_refused", "{error:?}");
    assert!(error.message.contains("[dbt.cloud]") && !error.message.contains("wrong-secret"), "{error:?}");
}
