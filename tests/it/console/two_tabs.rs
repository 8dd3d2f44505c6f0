//! Two tabs that edit one entry, in Chromium: the later one is reported what happened, loses nothing, and saves knowingly.

use larder::admin::AdminRole;
use serde_json::{Value, json};

use super::{
    accessibility::faults_of,
    browser::{arrived, click, fill_in, shows, sign_in, text},
};
use crate::admin::fixture::Fixture;

const SAVE: &str = "main form div.row > button[value=save]";
const MODEL: &str = "/admin/v1/models/m";

#[tokio::test(flavor = "multi_thread")]
async fn the_later_of_two_tabs_sees_the_other_version_and_may_replace_it() {
    let fixture = Fixture::start().await;
    let model = |key: &str| json!({ "source": "warehouse", "table": "people", "primary_key": key });
    assert_eq!(fixture.ask("PUT", MODEL, Some(model("id"))).await.status, 201);
    let (browser, origin) = sign_in(&fixture, AdminRole::Admin).await;
    browser.open(&format!("{origin}/console/configuration/models/m/edit")).await;
    fill_in(&browser, &[("columns", "id, name"), ("table", ""), ("sql", "select *\nfrom people")]).await;
    // Meanwhile another tab stores its form.
    assert_eq!(fixture.ask("PUT", MODEL, Some(model("name"))).await.status, 200);
    click(&browser, SAVE).await;
    shows(&browser, "Nothing was saved:").await;
    shows(&browser, "Version 2, which is stored now").await;
    let kept =
        "return ['columns', 'table', 'sql'].map(name => document.querySelector(`main [name=${name}]`).value)";
    let kept = browser.run(kept, Value::Null).await.unwrap();
    assert_eq!(kept, json!(["id, name", "", "select *\nfrom people"]));
    assert!(text(&browser, "[role=alert] pre").await.contains("primary_key = \"name\""));
    assert_eq!(fixture.get(MODEL).await["settings"]["primary_key"], "name", "nothing was changed");
    let faults = faults_of(&browser, "/console/configuration/{section}/{name}/edit overtaken").await;

    fill_in(&browser, &[("columns", "")]).await;
    click(&browser, SAVE).await;
    arrived(&browser, "/console/configuration/models/m?done=saved").await;
    assert_eq!(fixture.get(MODEL).await["settings"]["sql"], "select *\nfrom people");
    assert!(faults.is_empty(), "{faults:#?}");
}
