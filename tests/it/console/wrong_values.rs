//! Forms with a wrong value, in Chromium: the message is beside the field, read out with it, and nothing that was entered is lost.

use std::collections::BTreeSet;

use larder::{
    admin::AdminRole,
    domain::keyset::{KeyLimits, Scope},
};
use serde_json::{Value, json};

use super::{
    browser::{arrived, shows, sign_in, text},
    sessions::link,
};
use crate::{
    admin::fixture::Fixture,
    support::{browser::Browser, process::until},
};

/// One form, filled in wrongly.
struct Wrong {
    /// The page.
    page: &'static str,
    /// The end of the form's action.
    form: &'static str,
    /// What is entered.
    values: &'static [(&'static str, &'static str)],
    /// The field at fault.
    at_fault: &'static str,
}

const fn wrong(
    page: &'static str,
    form: &'static str,
    values: &'static [(&'static str, &'static str)],
    at_fault: &'static str,
) -> Wrong {
    Wrong { page, form, values, at_fault }
}

const SOURCE: &str = "/console/new/sources";
const MODEL: &str = "/console/new/models";
const SYNC: &str = "/console/new/syncs";

const FORMS: &[Wrong] = &[
    wrong("/console/collections/person", "/rollback", &[("version", "99")], "version"),
    wrong("/console/collections/person", "/rollback", &[("version", "<b>")], "version"),
    wrong(
        "/console/collections/person",
        "/pin",
        &[("pin_region", "No Region"), ("pin_version", "1")],
        "pin_region",
    ),
    wrong(
        "/console/collections/person",
        "/pin",
        &[("pin_region", "local"), ("pin_version", "x")],
        "pin_version",
    ),
    wrong("/console/collections/person", "/drop", &[("name", "persons")], "name"),
    wrong("/console/collections/person/records", "/records", &[("index", "id"), ("value", " ")], "value"),
    wrong(
        "/console/collections/person/message",
        "/message",
        &[("message", "{% if %}\n\"<b>"), ("placeholder", "jane")],
        "message",
    ),
    wrong("/console/keys/new", "/console/keys/new", &[("name", "x"), ("expires", "soon")], "expires"),
    wrong("/console/keys/new", "/console/keys/new", &[("name", ""), ("expires", "1d")], "name"),
    wrong("/console/keys/{id}/rotate", "/rotate", &[("overlap", "a while")], "overlap"),
    wrong(
        "/console/admin-keys/new",
        "/console/admin-keys/new",
        &[("name", "x"), ("expires", "0s")],
        "expires",
    ),
    wrong("/console/new/sources?type=sqlite", SOURCE, &[("name", "Not a name"), ("path", "x.db")], "name"),
    wrong("/console/new/sources?type=sqlite", SOURCE, &[("name", "x"), ("path", "")], "path"),
    wrong("/console/new/sources?type=postgres", SOURCE, &[("name", "x"), ("url", "mysql://<b>")], "url"),
    wrong(
        "/console/new/sources?type=sqlite",
        SOURCE,
        &[("name", "x"), ("path", "x"), ("other", "a =")],
        "other",
    ),
    wrong("/console/new/models", MODEL, &[("name", "Ä"), ("table", "people"), ("primary_key", "id")], "name"),
    wrong(
        "/console/new/models?source=warehouse",
        MODEL,
        &[("name", "x"), ("table", "people"), ("primary_key", "")],
        "primary_key",
    ),
    wrong("/console/new/models", MODEL, &[("name", "x"), ("table", "t"), ("primary_key", "id")], "source"),
    wrong(
        "/console/new/syncs?model=people",
        SYNC,
        &[("name", "x"), ("model", "people"), ("schedule", "often")],
        "schedule",
    ),
    wrong("/console/new/syncs?model=people", SYNC, &[("name", "x"), ("index_columns", "")], "index_columns"),
    wrong(
        "/console/new/syncs?model=people",
        SYNC,
        &[("name", "x"), ("index_name", "id"), ("index_normalize", "shout"), ("index_hash", "sha256")],
        "index_normalize",
    ),
    wrong(
        "/console/new/syncs?model=people",
        SYNC,
        &[("name", "x"), ("on_miss", "record"), ("miss_record", "{\"found\": ")],
        "miss_record",
    ),
    wrong("/console/new/syncs?model=people", SYNC, &[("name", "x"), ("max_removed", "most")], "max_removed"),
    wrong("/console/new/syncs?model=people", SYNC, &[("name", "x"), ("other", "[[")], "other"),
];

/// Fills a form in and sends it, whatever the browser itself would check.
const SEND: &str =
    "const form = [...document.forms].find(form => form.getAttribute('action').endsWith(argument.form));
    for (const [name, value] of argument.values) form.elements[name].value = value;
    window.isBefore = true; form.noValidate = true; form.requestSubmit(); return true";
/// What is seen and read out at the field.
const SEEN: &str = "if (window.isBefore) return null;
    const field = document.querySelector(`main [name='${argument.at_fault}']`);
    const described = (field?.getAttribute('aria-describedby') ?? '').split(' ');
    const message = document.getElementById(described.find(id => id.endsWith('-fault')));
    return { invalid: field?.getAttribute('aria-invalid'),
      message: message?.checkVisibility() ? message.textContent : null,
      values: argument.values.map(([name]) => document.querySelector(`main form[action$='${argument.form}'] [name='${name}']`)?.value) }";

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_value_is_marked_beside_its_field_and_nothing_is_lost() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    let key = fixture.node.create_key(Scope::AllCollections, KeyLimits::default()).await;
    let id = key.trim_start_matches("lrd_").split('_').next().unwrap();
    let origin = format!("http://{}", fixture.node.server().admin_address());
    let browser = Browser::start().await;
    browser.open(&format!("{origin}{}", link(&fixture, AdminRole::Admin).await)).await;
    browser.run("document.querySelector('form button').click()", Value::Null).await.unwrap();
    arrived(&browser, "/console").await;
    for Wrong { page, form, values, at_fault } in FORMS {
        let page = page.replace("{id}", id);
        browser.open(&format!("{origin}{page}")).await;
        let case = json!({ "form": form, "values": values, "at_fault": at_fault });
        assert_eq!(browser.run(SEND, case.clone()).await, Ok(json!(true)), "{page} {form}");
        let seen = until("the refused form", async || {
            browser.peek(SEEN, case.clone()).await.filter(|seen| !seen["message"].is_null())
        })
        .await;
        assert_eq!(seen["invalid"], "true", "{page}: {seen}");
        // Fields are without white space around them, and lines end as those of forms do.
        let kept: BTreeSet<_> = values.iter().map(|(_, value)| value.trim()).collect();
        let found: BTreeSet<_> =
            seen["values"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        assert_eq!(found, kept, "{page}");
    }
}

/// Fills in and sends the form of a new sync, and waits for the message about its name and for the preview after it.
async fn send_name(browser: &Browser, origin: &str, name: &str) -> Value {
    browser.open(&format!("{origin}{SYNC}?model=people")).await;
    let values = [("name", name), ("schedule", "every 5m")];
    let case = json!({ "form": SYNC, "values": values, "at_fault": "name" });
    assert_eq!(browser.run(SEND, case.clone()).await, Ok(json!(true)), "{name}");
    until("the preview of the refused form", async || {
        let is_shown = "return !window.isBefore && document.querySelector('[data-beside] .tree') !== null";
        (browser.peek(is_shown, Value::Null).await? == true).then_some(())
    })
    .await;
    browser.peek(SEEN, case).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_preview_leaves_the_message_of_a_name_until_it_is_edited() {
    let fixture = Fixture::start().await;
    let (browser, origin) = sign_in(&fixture, AdminRole::Admin).await;
    for (name, part) in
        [("Not a name", "has 1 to 64 characters"), ("person", "is taken already"), ("", "characters")]
    {
        let seen = send_name(&browser, &origin, name).await;
        assert_eq!((&seen["invalid"], &seen["values"][0]), (&json!("true"), &json!(name)), "{seen}");
        assert!(seen["message"].as_str().is_some_and(|message| message.contains(part)), "{name}: {seen}");
    }
    // Another field changes nothing of it; its own edit ends it.
    let write = "const field = document.querySelector(`main [name=${argument[0]}]`);
        field.value = argument[1]; field.dispatchEvent(new Event('input', { bubbles: true }))";
    browser.run(write, json!(["schedule", "often"])).await.unwrap();
    text(&browser, "#schedule-fault").await;
    text(&browser, "#name-fault").await;
    browser.run(write, json!(["name", "free"])).await.unwrap();
    until("no message", async || {
        let is_gone = "return !document.querySelector('#name-fault, #name[aria-invalid]')";
        (browser.peek(is_gone, Value::Null).await? == true).then_some(())
    })
    .await;

    // The session ends while the form is edited: nothing is lost, and another tab signs in again.
    let sessions = fixture.get("/admin/v1/sessions").await["items"].clone();
    for session in sessions.as_array().unwrap() {
        let target = format!("/admin/v1/sessions/{}", session["id"].as_str().unwrap());
        assert_eq!(fixture.ask("DELETE", &target, None).await.status / 100, 2);
    }
    browser.run(write, json!(["schedule", "every 7m"])).await.unwrap();
    shows(&browser, "Sign in in another tab, then go on here").await;
    let path = link(&fixture, AdminRole::Admin).await;
    let sign_in =
        "await fetch('/console/sign-in', { method: 'POST', body: new URLSearchParams({ token: argument }) })";
    browser.run(sign_in, json!(path.rsplit('/').next())).await.unwrap();
    browser.run(write, json!(["name", "freed"])).await.unwrap();
    shows(&browser, "every 7 minutes").await;
    assert_eq!(text(&browser, "[data-beside] h2").await, "Preview");
}
