//! Role by role in Chromium: which buttons, forms and links a page has, and that whatever it has not is refused, too.

use larder::{
    admin::AdminRole::{self, Admin, Operator, Viewer},
    api,
    domain::keyset::{KeyLimits, Scope},
};
use serde_json::{Value, json};

use super::{accessibility::example, browser::sign_in};
use crate::admin::fixture::Fixture;

/// What a page has for a role and those above it: the page, and a selector.
const FOR_ROLES: &[(&str, &str, AdminRole)] = &[
    ("/console", "main a[href='/console/collections/person']", Viewer),
    ("/console/collections/{collection}", "#versions", Viewer),
    ("/console/collections/{collection}", "#snippet", Viewer),
    ("/console/collections/{collection}", "form[action$='/rollback']", Operator),
    ("/console/collections/{collection}", "form[action$='/pin']", Operator),
    ("/console/collections/{collection}", "form[action$='/records']", Operator),
    ("/console/collections/{collection}", "a[href$='/message']", Operator),
    ("/console/collections/{collection}", "form[action$='/drop']", Admin),
    ("/console/syncs", "a[href='/console/new/syncs']", Admin),
    ("/console/syncs/{sync}", "form[action$='/run']", Operator),
    ("/console/syncs/{sync}", "a[href$='/preview']", Operator),
    ("/console/runs/{run}", "#counts", Viewer),
    ("/console/runs/{run}", "#rejected", Operator),
    ("/console/configuration/{section}", "a[href='/console/new/sources']", Admin),
    ("/console/configuration/{section}/{name}", "main pre", Viewer),
    ("/console/configuration/{section}/{name}", "a[href$='/preview']", Operator),
    ("/console/configuration/{section}/{name}", "a[href$='/edit']", Admin),
    ("/console/configuration/{section}/{name}", "form[action$='/delete']", Admin),
    ("/console/keys", "a[href='/console/keys/new']", Admin),
    ("/console/keys/{id}", "a[href$='/rotate']", Admin),
    ("/console/keys/{id}", "a[href$='/revoke']", Admin),
    ("/console/admin-keys", "a[href='/console/admin-keys/new']", Admin),
    ("/console/admin-keys", "a[href$='/revoke']", Admin),
    ("/console/audit", "#subject", Viewer),
];

/// Forms that a role may not send, with the role that may.
const FORMS: &[(&str, AdminRole)] = &[
    ("/console/collections/person/rollback", Operator),
    ("/console/collections/person/pin", Operator),
    ("/console/collections/person/unpin", Operator),
    ("/console/collections/person/resume", Operator),
    ("/console/collections/person/records", Operator),
    ("/console/collections/person/message", Operator),
    ("/console/collections/person/drop", Admin),
    ("/console/syncs/person/run", Operator),
    ("/console/syncs/person/resume", Operator),
    ("/console/new/sources", Admin),
    ("/console/new/models", Admin),
    ("/console/new/syncs", Admin),
    ("/console/configuration/models/stored/edit", Admin),
    ("/console/configuration/models/stored/undo", Admin),
    ("/console/configuration/models/stored/delete", Admin),
    ("/console/configuration/sources/warehouse/check", Operator),
    ("/console/deleted/models/stored", Admin),
    ("/console/keys/new", Admin),
    ("/console/admin-keys/new", Admin),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_role_sees_what_it_may_do_and_is_refused_the_rest() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    let stored = json!({ "source": "warehouse", "table": "people", "primary_key": "id" });
    assert_eq!(fixture.ask("PUT", "/admin/v1/models/stored", Some(stored)).await.status, 201);
    let key = fixture.node.create_key(Scope::AllCollections, KeyLimits::default()).await;
    for role in [Viewer, Operator, Admin] {
        let (browser, origin) = sign_in(&fixture, role).await;
        for (route, needs) in api::pages().filter_map(|(route, needs)| Some((route, needs?))) {
            browser.open(&format!("{origin}{}", example(&fixture, &key, route).await)).await;
            let title = browser.run("return document.title", Value::Null).await.unwrap();
            let is_refused = title == "This did not work · Larder";
            assert_eq!(is_refused, role < needs, "{role}: {route}: {title}");
            for (_, selector, needs) in FOR_ROLES.iter().filter(|(page, ..)| *page == route) {
                let found = "return document.querySelector(argument) !== null";
                let has = browser.run(found, json!(selector)).await.unwrap();
                assert_eq!(has, role >= *needs, "{role}: {route}: {selector}");
            }
        }
        // A person with a console of the browser sends what the pages do not have.
        let send = "return (await fetch(argument, { method: 'POST', body: new URLSearchParams() })).status";
        for (form, _) in FORMS.iter().filter(|(_, needs)| role < *needs) {
            assert_eq!(browser.run(send, json!(form)).await.unwrap(), 403, "{role}: {form}");
        }
    }
    assert_eq!(fixture.get("/admin/v1/collections/person").await["version"], 1, "nothing was changed");
}
