//! Syncs that run after dbt: once after each invocation that has built their model, also over restarts.

use larder::domain::run::RunRecord;

use super::project::{Project, database, node};
use crate::support::{catalog::name, node::Node, process::until};

const CUSTOMERS: &str = "[models.customers]\nsource = \"warehouse\"\ndbt = \"customers\"\n\
    [syncs.customers]\nmodel = \"customers\"\nafter = { dbt = \"main\" }\nindexes = { id = \"id\" }\n";

/// The runs of the sync that have ended, newest first.
async fn runs(node: &Node) -> Vec<RunRecord> {
    node.publisher().await.metadata.runs(Some(&name("customers")), 100).await.unwrap()
}

async fn problem(node: &Node) -> Option<String> {
    let status = node.admin("GET", "/status", None).await.json();
    status["tasks"]["after.customers"]["code"].as_str().map(str::to_owned)
}

async fn change(node: &Node, number: u32) {
    node.warehouse.execute(&format!("insert into people values ({}, 'New', 1)", 100 + number)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_runs_once_after_each_invocation_that_built_its_model() {
    let database = database().await;
    let project = Project::new(&database);
    let mut node = node(database, &format!("{}{CUSTOMERS}", project.section())).await;
    until("problem", async || (problem(&node).await? == "dbt_artifact_missing").then_some(())).await;
    assert_eq!(runs(&node).await.len(), 0);

    project.dbt(&["build"]);
    node.await_version("customers", 1).await;
    until("end of the problem", async || problem(&node).await.is_none().then_some(())).await;

    // Neither documentation nor another model is a reason, nor is an invocation whose tests of the model failed.
    change(&node, 1).await;
    project.dbt(&["docs", "generate"]);
    project.dbt(&["run", "--select", "keyless"]);
    node.warehouse.execute("insert into people values (1, 'Twin', 1)").await;
    project.dbt_ends(&["build", "--select", "customers"], false);
    node.warehouse.execute("delete from people where name = 'Twin'").await;
    project.dbt(&["build", "--select", "customers"]);
    node.await_version("customers", 2).await;
    let found = runs(&node).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|run| run.trigger.starts_with("dbt:")), "{found:?}");
    assert_ne!(found[0].trigger, found[1].trigger);

    // An invocation that was used is not used again after a restart; one that came meanwhile is.
    change(&node, 2).await;
    node.stop().await;
    node.resume().await;
    let found = runs(&node).await;
    assert_eq!(found.len(), 2, "{found:?}");
    node.stop().await;
    change(&node, 3).await;
    project.dbt(&["run"]);
    node.resume().await;
    node.await_version("customers", 3).await;
    assert_eq!(runs(&node).await.len(), 3);

    // A run that fails is no double run: it is the only one of its invocation, which a retry cannot help.
    project
        .write("models/customers.sql", "select id as key, name, amount from {{ source('raw', 'people') }}");
    project.remove("models/schema.yml");
    project.remove("models/recent.sql");
    project.remove("models/keyless.sql");
    project
        .write("models/sources.yml", "sources:\n- name: raw\n  schema: public\n  tables: [{name: people}]\n");
    project.dbt(&["run"]);
    let error = until("failed run", async || {
        let newest = runs(&node).await.into_iter().next()?;
        newest.error.filter(|_| newest.finished_at.is_some())
    })
    .await;
    assert_eq!(error.code, "dbt_primary_key_unknown");
    assert_eq!(node.record("customers", "id", "1").await.unwrap()["name"], "Ann", "stays served");
    assert_eq!(runs(&node).await.len(), 4);
}

/// Artifacts are copied one by one to a directory or bucket. The results of a build without its manifest start no run with the SQL of
/// the build before.
#[tokio::test(flavor = "multi_thread")]
async fn sync_waits_for_the_manifest_of_a_build() {
    let database = database().await;
    let project = Project::new(&database);
    let published = project.path("published");
    let section = project.section().replace("target/manifest", "published/manifest");
    let node = node(database, &format!("{section}{CUSTOMERS}")).await;
    let publish = |name: &str| {
        let (from, to) = (project.path("target").join(name), published.join(name));
        std::fs::copy(from, published.join("part")).unwrap();
        std::fs::rename(published.join("part"), to).unwrap();
    };
    std::fs::create_dir(&published).unwrap();
    project.dbt(&["build"]);
    publish("manifest.json");
    publish("run_results.json");
    node.await_version("customers", 1).await;

    let model = |name: &str| {
        let sql = "select id, replace(name, 'Ann', 'ANN') as name, amount from {{ source('raw', 'people') }}";
        let text = format!("{{{{ config(alias = '{name}') }}}}\n{sql} where id is not null");
        project.write("models/customers.sql", &text);
    };
    model("customers_2");
    project.dbt(&["build"]);
    publish("run_results.json");
    until("problem", async || (problem(&node).await? == "dbt_manifest_outdated").then_some(())).await;
    assert_eq!(runs(&node).await.len(), 1);
    assert_eq!(node.record("customers", "id", "1").await.unwrap()["name"], "Ann", "stays served");
    publish("manifest.json");
    node.await_version("customers", 2).await;
    assert_eq!(node.record("customers", "id", "1").await.unwrap()["name"], "ANN");
    until("end of the problem", async || problem(&node).await.is_none().then_some(())).await;

    // A manifest of a command after the build is as good.
    change(&node, 1).await;
    project.dbt(&["build"]);
    publish("run_results.json");
    project.dbt(&["docs", "generate"]);
    publish("manifest.json");
    node.await_version("customers", 3).await;
    assert_eq!(runs(&node).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn ephemeral_model_that_a_build_left_out_waits_until_it_is_compiled() {
    let database = database().await;
    let project = Project::new(&database);
    let sync = CUSTOMERS.replace("dbt = \"customers\"", "dbt = \"recent\"\nprimary_key = \"id\"");
    let node = node(database, &format!("{}{sync}", project.section())).await;
    project.dbt(&["build"]);
    node.await_version("customers", 1).await;

    // All that it reads is built, and its SQL is that of the build before.
    change(&node, 1).await;
    project.dbt(&["build", "--select", "customers"]);
    until("problem", async || (problem(&node).await? == "dbt_not_compiled").then_some(())).await;
    let status = node.admin("GET", "/status", None).await.json();
    let message = status["tasks"]["after.customers"]["message"].as_str().unwrap();
    assert!(message.contains("run `dbt compile`") && message.contains("stays"), "{message}");
    assert_eq!(runs(&node).await.len(), 1, "no run can read it");
    assert_eq!(node.record("customers", "id", "2").await.unwrap()["name"], "BOB", "stays served");

    project.dbt(&["compile"]);
    node.await_version("customers", 2).await;
    assert_eq!(node.record("customers", "id", "101").await.unwrap()["name"], "NEW");
    until("end of the problem", async || problem(&node).await.is_none().then_some(())).await;

    // A build that is not about it is none of its business.
    project.dbt(&["build", "--select", "keyless"]);
    change(&node, 2).await;
    project.dbt(&["build"]);
    node.await_version("customers", 3).await;
    assert_eq!(runs(&node).await.len(), 3);
}
