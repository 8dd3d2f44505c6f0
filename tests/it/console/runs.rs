//! The page of a run: cancelling one in progress, a held one, and who sees what.

use larder::admin::AdminRole;
use serde_json::json;

use super::{
    forms::{assert_escaped, notice, world_of},
    sessions::signed_in,
    syncs,
};
use crate::{
    admin::fixture::{Fixture, SECTIONS, run_of},
    support::process::{until, wait_until},
};

/// A query that takes longer than a test, on SQLite.
pub(super) const ENDLESS: &str = "with recursive n(i) as (select 1 union all select i + 1 from n) \
    select i as id, 'x' as name from n";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_progress_shows_what_it_has_done_and_is_cancelled() {
    let fixture = Fixture::start().await;
    let endless = SECTIONS.replacen("table = \"people\"", &format!("sql = \"{ENDLESS}\""), 1);
    fixture.node.configure(&endless);
    fixture.node.server().reload(&fixture.node.config());
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let run = syncs::run(&mut operator, "person", &[]).await;
    let page = until("stored progress", async || {
        let page = operator.get(&run).await.text().to_owned();
        let rows = page.split("data-shows=\"rows\">").nth(1)?.split('<').next()?.to_owned();
        (rows != "0").then_some(page)
    })
    .await;
    assert!(page.contains("Rows read</th><td class=\"number\">–</td>"), "it has not counted yet: {page}");
    let history = operator.get("/console/syncs/person").await;
    assert!(
        history.text().contains("<td>running</td><td class=\"number\">–</td><td class=\"number\">–</td>"),
        "{history:?}"
    );
    let id = run.rsplit('/').next().unwrap();
    assert!(page.contains(&format!("data-run=\"{id}\" data-path=\"{run}\"")), "{page}");
    assert!(
        page.contains("<progress") && page.contains("Cancel the run") && page.contains(ENDLESS),
        "{page}"
    );

    let mut viewer = signed_in(&fixture, AdminRole::Viewer).await;
    let seen = viewer.get(&run).await.text().to_owned();
    assert!(seen.contains("data-run") && !seen.contains("Cancel the run"), "{seen}");
    for action in ["cancel", "approve"] {
        assert_eq!(viewer.post(&format!("{run}/{action}"), &[]).await.status, 403, "{action}");
    }
    let not_held = operator.post(&format!("{run}/approve"), &[]).await;
    assert!(not_held.status == 400 && not_held.text().contains("run_not_held"), "{not_held:?}");

    let cancelled = operator.post(&format!("{run}/cancel"), &[]).await;
    assert_eq!(cancelled.header("location"), Some(&*format!("{run}?done=cancel-requested")), "{cancelled:?}");
    wait_until("the end of the run", async || {
        operator.get(&run).await.text().contains("<dt>Status</dt><dd>cancelled</dd>")
    })
    .await;
    let again = operator.post(&format!("{run}/cancel"), &[]).await;
    assert!(again.status == 409 && again.text().contains("run_not_under_way"), "{again:?}");
    let unknown = operator.get("/console/runs/run_00000000000000000000000000000000").await;
    assert!(unknown.status == 404 && unknown.text().contains("unknown_run"), "{unknown:?}");
    assert_eq!(operator.get("/console/runs/%3Cb%3E").await.status, 400);
    let unknown = operator.get("/console/operations/op_00000000000000000000000000000000").await;
    assert!(unknown.status == 404 && unknown.text().contains("unknown_operation"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_shows_what_it_would_remove_and_is_approved() {
    let people = "create table people (id integer primary key, name text);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
        insert into people select i, 'x' from n";
    let fixture = world_of(people, SECTIONS).await;
    fixture.run(json!({})).await;
    fixture.node.warehouse.execute("delete from people where id > 40").await;
    let held = run_of(&fixture.run(json!({})).await);
    let page = format!("/console/runs/{held}");
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let shown = operator.get(&page).await.text().to_owned();
    for part in [
        "<code>max_removed</code>",
        "remove <strong>60</strong> records",
        "leave <strong>40</strong>",
        "20 of 60 records.",
        "<input type=\"hidden\" name=\"index\" value=\"id\">",
        "aria-label=\"Show record ",
        "Approve the run",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let mut viewer = signed_in(&fixture, AdminRole::Viewer).await;
    let seen = viewer.get(&page).await.text().to_owned();
    assert!(seen.contains("remove <strong>60</strong> records"), "{seen}");
    assert!(!seen.contains("Approve the run") && !seen.contains("Records that it would remove"), "{seen}");
    // Every record that is listed has lost its row, and is still served.
    let listed: Vec<&str> =
        shown.split("name=\"value\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(listed.len(), 20);
    for key in listed {
        assert!(key.parse::<u32>().unwrap() > 40, "{key}");
        let record =
            operator.post("/console/collections/person/records", &[("index", "id"), ("value", key)]).await;
        assert!(record.text().contains("<h2 id=\"indexes\">"), "{record:?}");
    }
    let collection = viewer.get("/console/collections/person").await;
    assert!(collection.text().contains("is held and waits for approval"), "{collection:?}");

    let started = operator.post(&format!("{page}/approve"), &[]).await;
    assert_eq!(started.status, 303, "{started:?}");
    let location = started.header("location").unwrap().to_owned();
    let approved =
        until("the approval", async || operator.get(&location).await.header("location").map(str::to_owned))
            .await;
    assert_eq!(approved, format!("{page}?done=approved"));
    let shown = operator.get(&approved).await.text().to_owned();
    assert!(notice(&shown).contains("is announced") && shown.contains("<dd>announced</dd>"), "{shown}");
    fixture.node.await_version("person", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_are_shown_to_operators_only_and_escaped() {
    let fixture = world_of(
        "create table people (id text, name text);
         insert into people values ('1', 'Ann'), ('<script>', 'x'), ('<script>', 'y'), ('\"><b>', 'z'), ('\"><b>', 'z')",
        "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nindexes = { id = \"id\" }\n",
    )
    .await;
    let run = run_of(&fixture.run(json!({})).await);
    let page = format!("/console/runs/{run}");
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let shown = operator.get(&page).await.text().to_owned();
    assert!(
        shown.contains("<code>&lt;script&gt;</code>") && shown.contains("<td>duplicate_primary_key</td>"),
        "{shown}"
    );
    assert_escaped(&shown);
    let mut viewer = signed_in(&fixture, AdminRole::Viewer).await;
    let seen = viewer.get(&page).await.text().to_owned();
    assert!(!seen.contains("&lt;script&gt;") && seen.contains("shown to operators"), "{seen}");
}
