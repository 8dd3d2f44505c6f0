//! What a model of dbt resolves to, with manifests of the real dbt.

use larder::domain::run::RunStatus;
use serde_json::json;

use object_store::{ObjectStoreExt as _, aws::AmazonS3Builder};

use super::{
    failed,
    project::{Project, database, node},
};
use crate::support::{
    process::larder,
    s3::{self, S3},
};

/// A model of dbt and the sync of the same name; `more` are keys of the model.
fn sync(name: &str, dbt: &str, index: &str, more: &str) -> String {
    format!(
        "[models.{name}]\nsource = \"warehouse\"\ndbt = {dbt}\n{more}\n[syncs.{name}]\nmodel = \"{name}\"\n\
         indexes = {{ id = \"{index}\" }}\n"
    )
}

fn syncs() -> String {
    [
        sync("customers", "\"customers\"", "id", ""),
        sync("by_id", "{ from = \"main\", model = \"model.shop.customers\" }", "id", ""),
        sync("recent", "\"tag:larder\"", "id", "primary_key = \"id\""),
        sync("countries", "\"countries\"", "code", "primary_key = \"code\""),
        sync("off", "\"off\"", "id", "primary_key = \"id\""),
        sync("keyless", "\"keyless\"", "id", ""),
        sync("other_key", "\"customers\"", "name", ""),
        sync("untagged", "\"tag:larder\"", "id", "primary_key = \"id\""),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_a_project_are_read_as_dbt_has_built_them() {
    let database = database().await;
    let name = database.name().to_owned();
    let project = Project::new(&database);
    project.write("models/untagged.sql", "select 1 as id");
    let mut node = node(database, &format!("{}{}", project.section(), syncs())).await;
    assert_eq!(failed(&node.sync("customers").await).code, "dbt_artifact_missing");

    project.dbt(&["build"]);
    for sync in ["customers", "by_id", "recent", "countries"] {
        let ended = node.sync(sync).await;
        assert_eq!(ended.record.status, RunStatus::Announced, "{sync}: {ended:?}");
    }
    let ann =
        json!({"id": 1, "name": "Ann", "amount": serde_json::from_str::<serde_json::Value>("1.50").unwrap()});
    assert_eq!(node.record("customers", "id", "1").await, Some(ann.clone()));
    assert_eq!(node.record("by_id", "id", "1").await, Some(ann.clone()));
    assert_eq!(node.record("recent", "id", "2").await, Some(json!({"id": 2, "name": "BOB"})));
    assert_eq!(node.record("recent", "id", "1").await, None);
    assert_eq!(node.record("countries", "id", "se").await, Some(json!({"code": "se", "name": "Sweden"})));
    for (sync, code) in [
        ("off", "dbt_model_disabled"),
        ("keyless", "dbt_primary_key_unknown"),
        ("other_key", "dbt_primary_key_mismatch"),
        ("untagged", "dbt_tag_missing"),
    ] {
        assert_eq!(failed(&node.sync(sync).await).code, code, "{sync}");
    }

    // The documentation changes nothing; a manifest that was only parsed has no SQL of an ephemeral model.
    project.dbt(&["docs", "generate"]);
    for sync in ["customers", "recent"] {
        assert_eq!(node.sync(sync).await.record.status, RunStatus::Unchanged, "{sync}");
    }
    project.dbt(&["parse"]);
    assert_eq!(node.sync("customers").await.record.status, RunStatus::Unchanged);
    let uncompiled = node.sync("recent").await;
    let run = uncompiled.record.id.to_string();
    assert_eq!(failed(&uncompiled).code, "dbt_not_compiled");
    assert_eq!(node.record("recent", "id", "2").await, Some(json!({"id": 2, "name": "BOB"})), "stays served");

    let path = node.directory.path().to_owned();
    node.stop().await;
    assert!(larder(&path, &["runs", &run, "--sql"]).expect(2).stderr.contains("is not known"));
    let runs = larder(&path, &["runs", "customers", "--json"]).expect(0).json();
    let run = runs[0]["id"].as_str().unwrap();
    let sql = larder(&path, &["runs", run, "--sql"]).expect(0).stdout;
    assert_eq!(sql, format!("select * from \"{name}\".\"marts\".\"customers\"\n"));
    larder(&path, &["runs", "customers", "--sql"]).expect(2);
    let checked = larder(&path, &["check", "--connect"]).expect(1).stdout;
    assert!(
        checked.contains("ok    sync customers: 3 columns") && checked.contains("dbt_not_compiled"),
        "{checked}"
    );
    assert_eq!(larder(&path, &["preview", "countries"]).expect(0).stdout.lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_were_renamed_disabled_or_removed_are_reported_and_stay_served() {
    let database = database().await;
    let project = Project::new(&database);
    project.dbt(&["run", "--select", "customers"]);
    let sections =
        format!("{}{}", project.section(), sync("customers", "\"customers\"", "id", "primary_key = \"id\""));
    let node = node(database, &sections).await;
    assert_eq!(node.sync("customers").await.record.status, RunStatus::Announced);

    let sql = "select id, name, amount from {{ source('raw', 'people') }} where id is not null";
    for file in ["schema.yml", "recent.sql", "keyless.sql"] {
        project.remove(&format!("models/{file}"));
    }
    project
        .write("models/sources.yml", "sources:\n- name: raw\n  schema: public\n  tables: [{name: people}]\n");
    project.remove("models/customers.sql");
    for (file, config, code, part) in [
        ("clients", "alias = 'customers'", "dbt_model_renamed", "dbt = \"clients\""),
        ("customer", "tags = []", "dbt_model_missing", "the most similar one is \"customer\""),
        ("customers", "enabled = false", "dbt_model_disabled", "enable it"),
    ] {
        project.write(&format!("models/{file}.sql"), &format!("{{{{ config({config}) }}}}\n{sql}"));
        project.dbt(&["run"]);
        let error = failed(&node.sync("customers").await);
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.contains(part), "{error:?}");
        project.remove(&format!("models/{file}.sql"));
        let served = node.get("customers", "id", "3").await;
        assert_eq!((served.status, served.json()["name"].clone()), (200, json!("Cyd")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_read_whole_or_as_their_current_rows() {
    let database = database().await;
    let project = Project::new(&database);
    project.write(
        "snapshots/history.yml",
        "snapshots:\n- name: history\n  relation: source('raw', 'people')\n  \
         config: {unique_key: id, strategy: check, check_cols: all}\n",
    );
    let current = "[models.current]\nsource = \"warehouse\"\nprimary_key = \"id\"\n\
        sql = \"select id, name from marts.history where dbt_valid_to is null\"\n\
        [syncs.current]\nmodel = \"current\"\nindexes = { id = \"id\" }\n";
    let by_id = sync("by_id", "\"history\"", "id", "");
    let versions = sync("versions", "\"history\"", "dbt_scd_id", "");
    let node = node(database, &format!("{}{by_id}{versions}{current}", project.section())).await;
    for (name, rows) in [("Ann", 3), ("Anna", 4)] {
        node.warehouse.execute(&format!("update people set name = '{name}' where id = 1")).await;
        project.dbt(&["snapshot"]);
        let error = failed(&node.sync("by_id").await);
        assert_eq!(error.code, "dbt_primary_key_mismatch", "{error:?}");
        assert!(error.message.contains("`dbt_scd_id` (a snapshot has a row for each version"), "{error:?}");
        let ended = node.sync("versions").await.record;
        assert_eq!((ended.status, ended.counts.rows), (RunStatus::Announced, rows), "{ended:?}");
        assert_eq!(node.sync("current").await.record.status, RunStatus::Announced);
        assert_eq!(node.record("current", "id", "1").await, Some(json!({"id": 1, "name": name})));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn project_of_another_database_is_refused() {
    let database = database().await;
    let project = Project::new(&database);
    project.dbt(&["parse"]);
    let sections = format!("{}{}", project.section(), sync("customers", "\"customers\"", "id", ""));
    let node = super::node_with_people(&sections).await;
    let error = failed(&node.sync("customers").await);
    assert_eq!(error.code, "dbt_adapter_mismatch", "{error:?}");
    assert!(
        error.message.contains("is for postgres") && error.message.contains("of type sqlite"),
        "{error:?}"
    );
    project.write("target/manifest.json", "{\"metadata\": {}, \"nodes\": [");
    assert_eq!(failed(&node.sync("customers").await).code, "dbt_artifact_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_in_a_bucket_is_read() {
    let database = database().await;
    let project = Project::new(&database);
    project.dbt(&["build"]);
    let (address, bucket) = (S3::server().await.address(), S3::bucket().await);
    let services = s3::section(address).replace("storage.s3", "dbt.main.s3");
    let sections = format!(
        "[dbt.main]\nmanifest = \"s3://{bucket}/shop/manifest.json\"\npoll_interval = \"200ms\"\n{services}{}",
        sync("customers", "\"customers\"", "id", "")
            .replace("model = \"customers\"", "model = \"customers\"\nafter = { dbt = \"main\" }")
    );
    let node = node(database, &sections).await;
    let error = failed(&node.sync("customers").await);
    assert_eq!(error.code, "dbt_artifact_missing");
    assert!(error.message.contains(&format!("s3://{bucket}/shop/manifest.json")), "{error:?}");
    let client = AmazonS3Builder::new()
        .with_endpoint(format!("http://{address}"))
        .with_allow_http(true)
        .with_bucket_name(&bucket)
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap();
    for name in ["manifest.json", "run_results.json"] {
        let content = std::fs::read(project.path("target").join(name)).unwrap();
        client.put(&format!("shop/{name}").into(), content.into()).await.unwrap();
    }
    node.await_version("customers", 1).await;
    assert_eq!(node.record("customers", "id", "2").await.unwrap()["name"], "Bob");
}
