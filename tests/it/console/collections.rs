//! The page of a collection: what it shows to whom, rolling back, pinning, dropping, and records.

use larder::admin::AdminRole;
use serde_json::json;

use super::{
    forms::{assert_escaped, field, notice, world_of},
    sessions::signed_in,
    visitor::Visitor,
};
use crate::{
    admin::fixture::Fixture,
    support::{http::Answer, process::until},
};

const PAGE: &str = "/console/collections/person";

/// A node that serves two versions of six people.
async fn two_versions() -> Fixture {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    fixture.node.warehouse.execute("update people set name = 'Anna' where id = 1").await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 2).await;
    fixture
}

/// Sends a form of the page, with the state that the page shows now.
async fn send(visitor: &mut Visitor, action: &str, fields: &[(&str, &str)]) -> Answer {
    let state = field(visitor.get(PAGE).await.text(), "state");
    let fields: Vec<_> = [("state", state.as_str())].into_iter().chain(fields.iter().copied()).collect();
    visitor.post(&format!("{PAGE}/{action}"), &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_versions_and_nodes_and_may_change_nothing() {
    let fixture = two_versions().await;
    let mut viewer = signed_in(&fixture, AdminRole::Viewer).await;
    let page = until("the status of the node", async || {
        let page = viewer.get(PAGE).await.text().to_owned();
        page.contains("<td>ready, ").then_some(page)
    })
    .await;
    for part in [
        "<dt>Version</dt><dd>2</dd>",
        "<dt>Records</dt><dd>6</dd>",
        "<code>/v1/collections/person/records/id/VALUE</code>",
        "href=\"/console/syncs/person\"",
        "{% connected_content\n     https://larder.example.com/v1/collections/person/records/id/{{${user_id}}}",
    ] {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
    for part in ["<form class", "Roll back", "Find a record", "Drop", "Anna"] {
        assert!(!page.contains(part), "{part:?} in {page}");
    }
    let (first, second) =
        (page.find("<th scope=\"row\" class=\"number\">2</th>"), page.find("class=\"number\">1</th>"));
    assert!(first.unwrap() < second.unwrap(), "the newest version comes first: {page}");

    let state = [("state", "\"x\"")];
    for (action, role) in [
        ("rollback", "operator"),
        ("pin", "operator"),
        ("unpin", "operator"),
        ("resume", "operator"),
        ("records", "operator"),
        ("drop", "admin"),
    ] {
        let refused = viewer.post(&format!("{PAGE}/{action}"), &state).await;
        assert_eq!(refused.status, 403, "{action}: {refused:?}");
        assert!(refused.text().contains(&format!("needs the role {role}")), "{refused:?}");
    }
    assert_eq!(viewer.get(&format!("{PAGE}/records")).await.status, 403);
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    assert_eq!(operator.post(&format!("{PAGE}/drop"), &state).await.status, 403);
    let form = operator.get(PAGE).await;
    assert!(form.text().contains("Roll back") && !form.text().contains("Drop"), "{form:?}");
    let elsewhere = "Sec-Fetch-Site: cross-site\r\n";
    let refused = operator.send("POST", &format!("{PAGE}/rollback"), elsewhere, "version=1").await;
    assert!(refused.status == 403 && refused.text().contains("cross_site_request"), "{refused:?}");
    assert_eq!(fixture.get("/admin/v1/collections/person").await["version"], 2, "nothing was changed");
    assert_eq!(viewer.get("/console/collections/nobody").await.status, 404);
    assert_eq!(viewer.get("/console/collections/%3Cb%3E").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_says_what_is_wrong_beside_its_field_and_pauses_the_sync() {
    let fixture = two_versions().await;
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let prepared = operator.get(&format!("{PAGE}?version=1")).await;
    assert_eq!(field(prepared.text(), "version"), "1");
    for (version, status, message) in [
        ("<script>", 400, "a whole number from 1"),
        ("", 400, "a whole number from 1"),
        ("2", 400, "person is at version 2"),
        ("41", 404, "person has no version 41 to go back to"),
    ] {
        let refused = send(&mut operator, "rollback", &[("version", version)]).await;
        assert_eq!(refused.status, status, "{version:?}: {refused:?}");
        let page = refused.text();
        let fault = page
            .split("<p id=\"version-fault\" class=\"fault lines\">")
            .nth(1)
            .unwrap_or_else(|| panic!("{page}"));
        assert!(fault.split("</p>").next().unwrap().contains(message), "{page}");
        assert_eq!(field(page, "version"), version.replace('<', "&lt;").replace('>', "&gt;"));
        assert_escaped(page);
    }
    let state = field(operator.get(PAGE).await.text(), "state");
    let done = send(&mut operator, "rollback", &[("version", "1")]).await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, Some("/console/collections/person?done=rolled-back"))
    );
    let page = operator.get(done.header("location").unwrap()).await.text().to_owned();
    assert!(notice(&page).contains("announced again under a new number"), "{page}");
    assert!(page.contains("paused: rolled back to 1, by ") && page.contains("<dd>3</dd>"), "{page}");
    let rolled_back = page.split(">3</th>").nth(1).unwrap().split("</tr>").next().unwrap();
    assert_eq!(
        rolled_back.matches("<td class=\"number\">–</td>").count(),
        3,
        "it has read no rows: {rolled_back}"
    );
    fixture.node.await_version("person", 3).await;
    assert_eq!(fixture.node.record("person", "id", "1").await.unwrap()["name"], "Ann");

    // The form of a page that was loaded before.
    let stale = [("state", state.as_str()), ("version", "2")];
    let conflict = operator.post(&format!("{PAGE}/rollback"), &stale).await;
    assert_eq!(conflict.status, 412, "{conflict:?}");
    let page = conflict.text();
    assert!(
        page.contains("precondition_failed") && page.contains("changed after this page was loaded"),
        "{page}"
    );
    assert!(field(page, "version") == "2" && field(page, "state") != state, "{page}");
    assert_eq!(operator.post(&format!("{PAGE}/rollback"), &[("version", "2")]).await.status, 412, "no state");

    let resumed = send(&mut operator, "resume", &[]).await;
    assert_eq!(resumed.header("location"), Some("/console/collections/person?done=resumed"), "{resumed:?}");
    assert!(fixture.get("/admin/v1/collections/person").await["paused"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_pinned_and_unpinned_and_a_collection_dropped() {
    let fixture = two_versions().await;
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    let region = fixture.node.config().node.region.to_string();
    for (region, version, fault) in [
        ("no such <region>", "1", "pin_region"),
        (&*region, "0", "pin_version"),
        (&*region, "9", "pin_version"),
    ] {
        let refused = send(&mut admin, "pin", &[("pin_region", region), ("pin_version", version)]).await;
        assert!((400..=404).contains(&refused.status), "{refused:?}");
        assert!(refused.text().contains(&format!("<p id=\"{fault}-fault\"")), "{refused:?}");
        assert_eq!(field(refused.text(), "pin_version"), version);
    }
    let pinned = send(&mut admin, "pin", &[("pin_region", &region), ("pin_version", "1")]).await;
    assert_eq!(pinned.header("location"), Some("/console/collections/person?done=pinned"), "{pinned:?}");
    until("the pinned version", async || {
        (fixture.node.record("person", "id", "1").await?["name"] == "Ann").then_some(())
    })
    .await;
    let page = admin.get(PAGE).await.text().to_owned();
    assert!(page.contains(&format!("{region} is pinned to version 1")), "{page}");
    let unpinned = send(&mut admin, "unpin", &[("region", &region)]).await;
    assert_eq!(
        unpinned.header("location"),
        Some("/console/collections/person?done=unpinned"),
        "{unpinned:?}"
    );
    let again = send(&mut admin, "unpin", &[("region", &region)]).await;
    assert!(again.status == 400 && again.text().contains("not_pinned"), "{again:?}");

    let refused = send(&mut admin, "drop", &[("name", "persons")]).await;
    assert!(refused.status == 400 && refused.text().contains("<p id=\"name-fault\""), "{refused:?}");
    assert_eq!(field(refused.text(), "name"), "persons");
    let dropped = send(&mut admin, "drop", &[("name", "person")]).await;
    assert_eq!(dropped.header("location"), Some("/console?done=dropped"), "{dropped:?}");
    let home = admin.get("/console?done=dropped").await;
    assert!(notice(home.text()).contains("The collection is dropped"), "{home:?}");
    let page = admin.get(PAGE).await;
    assert!(
        page.text().contains("dropped at version 2") && page.text().contains("Nothing is announced"),
        "{page:?}"
    );
    let unknown = admin.get("/console?done=%3Cscript%3E").await;
    assert!(!unknown.text().contains("role=\"status\"") && !unknown.text().contains("script"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn snippets_have_the_public_address_of_the_configuration() {
    let fixture = Fixture::start_with("public_url = \"https://records.example.com/eu/\"\n").await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let records = format!("{PAGE}/records");
    let found = operator.post(&records, &[("index", "id"), ("value", "1")]).await;
    let message = operator.get(&format!("{PAGE}/message")).await;
    let collection = operator.get(PAGE).await;
    for (page, value) in [(found, "1"), (message, "{{${user_id}}}"), (collection, "{{${user_id}}}")] {
        let url = format!("\n     https://records.example.com/eu/v1/collections/person/records/id/{value}\n");
        assert!(page.text().contains(&url) && !page.text().contains("public_url"), "{page:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_found_by_any_index_and_its_value_is_in_no_log() {
    let fixture = world_of(
        "create table people (id text primary key, email text, name text);
         insert into people values ('1', 'shared@x', '</pre><script>alert(1)</script>'), ('2', 'shared@x', 'Bob'),
             ('\"><b>', 'javascript:alert(1)', 'Cyd')",
        "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\n\
         indexes = { id = \"id\", email = { column = \"email\", normalize = [\"lowercase\"] } }\n",
    )
    .await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let records = format!("{PAGE}/records");
    assert_eq!(operator.get(&records).await.status, 200);
    let mut find =
        async |index: &str, value: &str| operator.post(&records, &[("index", index), ("value", value)]).await;
    let found = find("email", " SHARED@x ").await;
    assert_eq!(found.status, 200, "{found:?}");
    let page = found.text();
    assert!(page.contains("&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert_escaped(page);
    assert!(
        page.contains(
            "<th scope=\"row\">email</th><td class=\"text\"><code>shared@x</code></td><td>yes</td>"
        ),
        "{page}"
    );
    let path = "https://larder.example.com/v1/collections/person/records/email";
    for snippet in [
        format!("\n     {path}/shared%40x\n"),
        format!("curl -H 'Authorization: Bearer lrd_...' '{path}/shared%40x'"),
        format!("\n     {path}/{{{{${{email_address}} | url_param_escape}}}}\n"),
        "<code>public_url</code>".to_owned(),
    ] {
        assert!(page.contains(&snippet), "no {snippet} in {page}");
    }
    let other = find("id", "2").await;
    assert!(other.text().contains("no: another record holds the value"), "{other:?}");
    let hostile = find("id", "\"><b>").await;
    assert!(
        hostile.text().contains("javascript:alert(1)") && !hostile.text().contains("href=\"javascript"),
        "{hostile:?}"
    );
    assert_escaped(hostile.text());
    assert!(hostile.text().contains("/records/id/%22%3E%3Cb%3E\n"), "{hostile:?}");
    let missed = find("id", "nobody").await;
    assert!(
        missed.status == 200 && notice(missed.text()).contains("No record holds this value"),
        "{missed:?}"
    );
    let unknown = find("<b>", "1").await;
    assert!(unknown.status == 404 && unknown.text().contains("<p id=\"index-fault\""), "{unknown:?}");
    let empty = find("id", "  ").await;
    assert!(empty.status == 400 && empty.text().contains("<p id=\"value-fault\""), "{empty:?}");

    let log = fixture.get("/admin/v1/audit?limit=100").await.to_string();
    assert!(
        log.contains("record.show") && log.contains("by email: found") && log.contains("by id: not found"),
        "{log}"
    );
    for value in ["shared@x", "SHARED", "nobody"] {
        assert!(!log.contains(value), "{value}: {log}");
    }
}
