//! A held run in Chromium: what it would remove, a record of it, and its approval.

use larder::admin::AdminRole;
use serde_json::{Value, json};

use super::{
    accessibility::faults_of,
    browser::{arrived, click, shows, sign_in, text},
    forms::world_of,
};
use crate::admin::fixture::{SECTIONS, run_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_is_looked_at_and_approved_in_a_browser() {
    let people = "create table people (id integer primary key, name text);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 50)
        insert into people select i, 'x' from n";
    let fixture = world_of(people, SECTIONS).await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    fixture.node.warehouse.execute("delete from people where id > 10").await;
    let held = run_of(&fixture.run(json!({})).await);
    let (browser, origin) = sign_in(&fixture, AdminRole::Operator).await;

    shows(&browser, "is held and waits for approval").await;
    browser.open(&format!("{origin}/console/collections/person")).await;
    click(&browser, &format!("main a[href='/console/runs/{held}']")).await;
    arrived(&browser, &format!("/console/runs/{held}")).await;
    shows(&browser, "it would remove 40 records").await;
    shows(&browser, "20 of 40 records.").await;
    let mut faults = faults_of(&browser, "/console/runs/{run} held").await;
    let key = text(&browser, "#removals ~ .table tbody code").await;
    click(&browser, "form[action$='/records'] button").await;
    shows(&browser, "name: \"x\"").await;
    shows(&browser, &format!("/v1/collections/person/records/id/{key}")).await;
    faults.extend(faults_of(&browser, "/console/collections/{collection}/records found").await);
    assert!(faults.is_empty(), "{faults:#?}");
    browser.command("POST", "back", &json!({})).await;

    click(&browser, "form[action$='/approve'] button").await;
    shows(&browser, "The result of the run is announced.").await;
    shows(&browser, "Statusannounced").await;
    fixture.node.await_version("person", 2).await;
    assert_eq!(fixture.node.record("person", "id", "11").await, None);
    let forms = "return document.querySelectorAll(\"form[action$='/approve']\").length";
    assert_eq!(browser.run(forms, Value::Null).await.unwrap(), 0, "it is approved once");
}
