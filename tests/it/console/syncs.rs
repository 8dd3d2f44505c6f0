//! The pages of syncs: the list, one with its schedule and runs, starting runs, and the preview.

use larder::admin::AdminRole;
use serde_json::{Value, json};

use super::{
    forms::{assert_escaped, field, notice, world_of},
    sessions::signed_in,
    visitor::Visitor,
};
use crate::{admin::fixture::Fixture, support::process::until};

/// Sends the form that starts a run, and follows it to the page of the run or of the operation.
pub(super) async fn run(visitor: &mut Visitor, sync: &str, fields: &[(&str, &str)]) -> String {
    let page = format!("/console/syncs/{sync}");
    let request = field(visitor.get(&page).await.text(), "request");
    let fields: Vec<_> = [("request", request.as_str())].into_iter().chain(fields.iter().copied()).collect();
    let started = visitor.post(&format!("{page}/run"), &fields).await;
    assert_eq!(started.status, 303, "{started:?}");
    let mut location = started.header("location").unwrap().to_owned();
    assert!(location.starts_with("/console/operations/op_"), "{location}");
    until("the outcome of the operation", async || {
        let answer = visitor.get(&location).await;
        match answer.header("location") {
            Some(next) => location = next.to_owned(),
            None if answer.header("refresh") == Some("1") => return None,
            None => {}
        }
        location.starts_with("/console/runs/").then_some(()).or((answer.status == 200).then_some(()))
    })
    .await;
    location
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_are_listed_and_one_shows_its_schedule_and_where_it_is_managed() {
    let people =
        "create table people (id integer primary key, name text); insert into people values (1, 'Ann')";
    let sections = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
        [syncs.nightly]\nmodel = \"people\"\ncron = \"30 3 * * *\"\ntimezone = \"Europe/Berlin\"\nindexes = { id = \"id\" }\n\
        [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nindexes = { id = \"id\" }\n";
    let fixture = world_of(people, sections).await;
    let stored = json!({ "model": "people", "schedule": "manual", "indexes": { "id": "id" } });
    assert_eq!(fixture.ask("PUT", "/admin/v1/syncs/stored", Some(stored)).await.status, 201);
    let mut viewer = signed_in(&fixture, AdminRole::Viewer).await;
    let list = viewer.get("/console/syncs").await.text().to_owned();
    for part in [
        "<a href=\"/console/syncs/nightly\">nightly</a>",
        "<td>30 3 * * * (Europe/Berlin)</td>",
        "<td>admin API</td>",
        "<td>file</td>",
        "aria-current=\"page\">Syncs</a>",
    ] {
        assert!(list.contains(part), "no {part:?} in {list}");
    }
    let behind = viewer.get("/console/syncs?cursor=nightly").await;
    assert!(!behind.text().contains(">nightly<") && behind.text().contains(">person<"), "{behind:?}");

    let page = until("the run of a sync that never ran, and its next times", async || {
        let page = viewer.get("/console/syncs/nightly").await.text().to_owned();
        // The next five times are ticks once it has run.
        (page.matches("03:30:00 in Europe/Berlin</li>").count() == 5).then_some(page)
    })
    .await;
    assert!(page.contains("<td>announced</td>"), "{page}");
    assert!(page.contains("At 03:30 (cron 30 3 * * *, Europe/Berlin)"), "{page}");
    assert!(
        page.contains("<a href=\"/console/configuration/sources/warehouse\">warehouse</a>")
            && page.contains("the configuration file"),
        "{page}"
    );
    assert!(
        page.contains("<svg class=\"chart\" role=\"img\"")
            && page.contains("<desc id=\"duration-description\">1 run"),
        "{page}"
    );
    assert!(!page.contains("Run now") && !page.contains("Preview"), "{page}");
    let page = viewer.get("/console/syncs/stored").await.text().to_owned();
    assert!(page.contains("the admin API, version ") && page.contains("never by itself"), "{page}");
    for action in ["run", "resume"] {
        assert_eq!(
            viewer.post(&format!("/console/syncs/person/{action}"), &[]).await.status,
            403,
            "{action}"
        );
    }
    assert_eq!(viewer.get("/console/syncs/person/preview").await.status, 403);
    let unknown = viewer.get("/console/syncs/nobody").await;
    assert!(unknown.status == 404 && unknown.text().contains("unknown_sync"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_sync_with_faults_is_shown_with_them() {
    let fixture = Fixture::start().await;
    let source = json!({ "type": "sqlite", "path": fixture.node.directory.path().join("warehouse.db") });
    assert_eq!(fixture.ask("PUT", "/admin/v1/sources/crm", Some(source)).await.status, 201);
    let model = json!({ "source": "crm", "table": "people", "primary_key": "id" });
    assert_eq!(fixture.ask("PUT", "/admin/v1/models/crm", Some(model)).await.status, 201);
    let sync = json!({ "model": "crm", "schedule": "manual", "indexes": { "id": "id" } });
    assert_eq!(fixture.ask("PUT", "/admin/v1/syncs/crm", Some(sync)).await.status, 201);
    // The file takes the name of the model, with a source that does not fit.
    let taken = format!(
        "{}[models.crm]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
        [syncs.crm]\nmodel = \"crm\"\nschedule = \"manual\"\nindexes = {{ id = \"id\" }}\n",
        crate::admin::fixture::SECTIONS
    );
    fixture.node.configure(&taken);
    fixture.node.server().reload(&fixture.node.config());
    let mut viewer = signed_in(&fixture, AdminRole::Viewer).await;
    let page = until("the fault", async || {
        let page = viewer.get("/console/syncs/crm").await.text().to_owned();
        page.contains("not in force: ").then_some(page)
    })
    .await;
    assert!(page.contains("the configuration file"), "{page}");
    assert!(viewer.get("/console/syncs").await.text().contains("not in force: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_started_once_for_each_page_and_shown_when_it_has_a_record() {
    let fixture = Fixture::start().await;
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let dry = run(&mut operator, "person", &[("dry_run", "yes")]).await;
    let page = operator.get(&dry).await.text().to_owned();
    assert!(notice(&page).contains("It would end as <strong>announced</strong>"), "{page}");
    assert!(page.contains("Records added</th><td class=\"number\">6</td>"), "{page}");
    assert_eq!(fixture.get("/admin/v1/runs").await["items"], json!([]), "a dry run has no record");

    let request = field(operator.get("/console/syncs/person").await.text(), "request");
    let fields = [("request", request.as_str())];
    let first = operator.post("/console/syncs/person/run", &fields).await;
    let again = operator.post("/console/syncs/person/run", &fields).await;
    assert_eq!(first.header("location"), again.header("location"), "sent twice, started once");
    let without = operator.post("/console/syncs/person/run", &[]).await;
    assert!(without.status == 400 && without.text().contains("invalid_input"), "{without:?}");
    let location = first.header("location").unwrap().to_owned();
    let run_page = until("the page of the run", async || {
        operator.get(&location).await.header("location").map(str::to_owned)
    })
    .await;
    let page = until("the end of the run", async || {
        let page = operator.get(&run_page).await.text().to_owned();
        page.contains("<dt>Status</dt><dd>announced</dd>").then_some(page)
    })
    .await;
    assert!(
        page.contains("Rows read</th><td class=\"number\">6</td>") && !page.contains("data-run"),
        "{page}"
    );
    let history = operator.get("/console/syncs/person").await.text().to_owned();
    assert!(history.contains(&format!("<a href=\"{run_page}\">")), "{history}");

    let failed = run(&mut operator, "broken", &[]).await;
    let page = until("the fault", async || {
        let page = operator.get(&failed).await.text().to_owned();
        page.contains("<code>mapping_mismatch</code>").then_some(page)
    })
    .await;
    assert!(page.contains("no_such_column"), "{page}");
    let preview = operator.get("/console/syncs/broken/preview").await;
    assert!(preview.status == 400 && preview.text().contains("mapping_mismatch"), "{preview:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_records_and_rejected_rows_without_taking_them_for_its_own() {
    let fixture = world_of(
        "create table people (id text, name text);
         insert into people values ('1', '<script>alert(1)</script>'), ('\"><b>', 'x'), (null, 'nobody')",
        "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nindexes = { id = \"id\" }\n",
    )
    .await;
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let page = operator.get("/console/syncs/person/preview").await.text().to_owned();
    assert!(
        page.contains("<h2>2 records</h2>") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{page}"
    );
    assert!(page.contains("<td>missing_primary_key</td>"), "{page}");
    assert_escaped(&page);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sync_is_resumed_and_runs_are_paged() {
    let fixture = Fixture::start().await;
    for name in ["Anna", "Anne"] {
        fixture.run(json!({})).await;
        fixture.node.warehouse.execute(&format!("update people set name = '{name}' where id = 1")).await;
    }
    fixture.run(json!({})).await;
    let rolled_back =
        fixture.ask("POST", "/admin/v1/collections/person/rollback", Some(json!({ "version": 1 }))).await;
    assert_eq!(rolled_back.status, 200, "{rolled_back:?}");
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let page = operator.get("/console/syncs/person").await.text().to_owned();
    assert!(page.contains("Scheduled runs are paused: rolled back to 1"), "{page}");
    let resumed = operator.post("/console/syncs/person/resume", &[]).await;
    assert_eq!(resumed.header("location"), Some("/console/syncs/person?done=resumed"), "{resumed:?}");
    let page = operator.get("/console/syncs/person?done=resumed").await.text().to_owned();
    assert!(notice(&page).contains("by its schedule again") && !page.contains("are paused"), "{page}");

    let runs: Value = fixture.get("/admin/v1/runs?sync=person&limit=2").await;
    let cursor = runs["next"].as_str().unwrap();
    let behind = operator.get(&format!("/console/syncs/person?cursor={cursor}")).await.text().to_owned();
    for (run, is_shown) in [(&runs["items"][0], false), (&runs["items"][1], false)] {
        assert_eq!(behind.contains(run["id"].as_str().unwrap()), is_shown, "{behind}");
    }
    assert!(
        behind.contains("First page") && behind.contains("desc id=\"duration-description\">2 runs"),
        "{behind}"
    );
    assert_eq!(operator.get("/console/syncs/person?cursor=x").await.status, 400);
}
