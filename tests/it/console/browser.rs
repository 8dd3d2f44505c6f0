//! The console in Chromium: signing in by a link, what the first page shows at both widths, signing out; a key that is
//! created, copied and revoked; running a sync, watching it, finding a record, rolling back.

use larder::admin::AdminRole;
use serde_json::{Value, json};

use super::{accessibility::faults_of, sessions::link};
use crate::{
    admin::fixture::{Fixture, SECTIONS},
    support::{browser::Browser, process::until},
};

/// Waits for a page at `path`.
pub(super) async fn arrived(browser: &Browser, path: &str) {
    until("the page", async || {
        let url = browser.command("GET", "url", &json!({})).await;
        url.as_str().unwrap().ends_with(path).then_some(())
    })
    .await;
}

/// A browser that is signed in with a role, and the origin of the listener.
pub(super) async fn sign_in(fixture: &Fixture, role: AdminRole) -> (Browser, String) {
    let origin = format!("http://{}", fixture.node.server().admin_address());
    let browser = Browser::start().await;
    browser.open(&format!("{origin}{}", link(fixture, role).await)).await;
    submit(&browser).await;
    arrived(&browser, "/console").await;
    (browser, origin)
}

async fn submit(browser: &Browser) {
    browser.run("document.querySelector('form button').click()", Value::Null).await.unwrap();
}

/// The page fits narrow and wide windows.
async fn check_widths(browser: &Browser) {
    for width in [400, 1600] {
        let rect = json!({ "width": width, "height": 900 });
        browser.command("POST", "window/rect", &rect).await;
        let wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.run(wider, Value::Null).await.unwrap(), 0, "{width} px");
    }
}

/// Clicks what a selector finds.
pub(super) async fn click(browser: &Browser, selector: &str) {
    browser.run("document.querySelector(argument).click()", json!(selector)).await.unwrap();
}

/// Fills in the fields of these names.
pub(super) async fn fill_in(browser: &Browser, fields: &[(&str, &str)]) {
    let fill_in =
        "for (const [name, value] of argument) document.querySelector(`main [name=${name}]`).value = value";
    browser.run(fill_in, json!(fields)).await.unwrap();
}

/// The text of an element, once a page has it.
pub(super) async fn text(browser: &Browser, selector: &str) -> String {
    until("an element", async || {
        let text =
            browser.peek("return document.querySelector(argument)?.textContent", json!(selector)).await;
        text?.as_str().map(str::to_owned)
    })
    .await
}

/// Waits until the page has a text.
pub(super) async fn shows(browser: &Browser, wanted: &str) {
    until(wanted, async || {
        let text = browser.peek("return document.querySelector('main')?.textContent", Value::Null).await;
        text?.as_str()?.contains(wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_runs_a_sync_watches_it_finds_a_record_and_rolls_back() {
    let fixture = Fixture::start().await;
    let endless = SECTIONS.replacen("table = \"people\"", &format!("sql = \"{}\"", super::runs::ENDLESS), 1);
    fixture.node.configure(&endless);
    fixture.node.server().reload(&fixture.node.config());
    let origin = format!("http://{}", fixture.node.server().admin_address());
    let browser = Browser::start().await;
    browser.open(&format!("{origin}{}", link(&fixture, AdminRole::Operator).await)).await;
    submit(&browser).await;
    arrived(&browser, "/console").await;

    browser.open(&format!("{origin}/console/syncs/person")).await;
    check_widths(&browser).await;
    click(&browser, "form[action$='/run'] button").await;
    text(&browser, "[data-shows=rows]").await;
    check_widths(&browser).await;
    // The page is not loaded again while its numbers grow.
    browser.run("window.isSame = true", Value::Null).await.unwrap();
    let mut seen = 0;
    for _ in 0..2 {
        seen = until("more rows", async || {
            let rows = text(&browser, "[data-shows=rows]").await.replace(',', "").parse::<u64>().unwrap();
            (rows > seen).then_some(rows)
        })
        .await;
    }
    assert_eq!(browser.run("return window.isSame", Value::Null).await.unwrap(), true);
    click(&browser, "form[action$='/cancel'] button").await;
    shows(&browser, "Statuscancelled").await;

    fixture.node.configure(SECTIONS);
    fixture.node.server().reload(&fixture.node.config());
    for name in ["Ann", "Anna"] {
        fixture.node.warehouse.execute(&format!("update people set name = '{name}' where id = 1")).await;
        browser.open(&format!("{origin}/console/syncs/person")).await;
        click(&browser, "form[action$='/run'] button").await;
        shows(&browser, "Statusannounced").await;
    }
    fixture.node.await_version("person", 2).await;

    browser.open(&format!("{origin}/console/collections/person")).await;
    check_widths(&browser).await;
    fill_in(&browser, &[("index", "id"), ("value", "1")]).await;
    click(&browser, "form[action$='/records'] button").await;
    shows(&browser, "name: \"Anna\"").await;
    check_widths(&browser).await;
    // The snippet of this record is copied as it stands there.
    let permissions =
        json!({ "origin": origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.devtools("Browser.grantPermissions", &permissions).await;
    click(&browser, "button[data-copies=tag-record]").await;
    until("the copy", async || (text(&browser, "#tag-record-copied").await == "Copied.").then_some(())).await;
    let copied = browser.run("return await navigator.clipboard.readText()", Value::Null).await.unwrap();
    assert_eq!(copied, text(&browser, "#tag-record").await);
    assert!(copied.as_str().unwrap().contains("/v1/collections/person/records/id/1\n"), "{copied}");
    let url = browser.command("GET", "url", &json!({})).await;
    assert_eq!(url, format!("{origin}/console/collections/person/records"), "it has no value");

    browser.open(&format!("{origin}/console/collections/person")).await;
    click(&browser, "a[href$='#rollback']").await;
    arrived(&browser, "/console/collections/person?version=1#rollback").await;
    click(&browser, "form[action$='/rollback'] button").await;
    arrived(&browser, "/console/collections/person?done=rolled-back").await;
    fixture.node.await_version("person", 3).await;
    assert_eq!(fixture.node.record("person", "id", "1").await.unwrap()["name"], "Ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_by_a_link_sees_collections_and_signs_out() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    let origin = format!("http://{}", fixture.node.server().admin_address());
    let browser = Browser::start().await;
    browser.open(&format!("{origin}{}", link(&fixture, AdminRole::Viewer).await)).await;
    submit(&browser).await;
    arrived(&browser, "/console").await;
    let names = "return [...document.querySelectorAll('tbody th')].map(cell => cell.textContent)";
    let names = browser.run(names, Value::Null).await.unwrap();
    assert!(names.as_array().unwrap().contains(&"person".into()), "{names}");
    assert_eq!(browser.run("return document.cookie", Value::Null).await.unwrap(), "", "no script sees it");
    let background = "return getComputedStyle(document.querySelector('header')).display";
    assert_eq!(browser.run(background, Value::Null).await.unwrap(), "flex", "the style sheet is loaded");
    check_widths(&browser).await;
    submit(&browser).await;
    arrived(&browser, "/console/sign-in").await;
    browser.open(&format!("{origin}/")).await;
    arrived(&browser, "/console/sign-in?next=%2Fconsole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_created_copied_and_revoked_in_a_browser() {
    let fixture = Fixture::start().await;
    let origin = format!("http://{}", fixture.node.server().admin_address());
    let browser = Browser::start().await;
    browser.open(&format!("{origin}{}", link(&fixture, AdminRole::Admin).await)).await;
    submit(&browser).await;
    arrived(&browser, "/console").await;
    let permissions =
        json!({ "origin": origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.devtools("Browser.grantPermissions", &permissions).await;

    // A wrong value first: its message is beside it, and nothing is lost.
    browser.open(&format!("{origin}/console/keys/new")).await;
    let fill = "document.querySelector('#name').value = 'browser';
        document.querySelector('input[name=collection][value=person]').checked = true;
        document.querySelector('#expires').value = argument;
        document.querySelector('main form').requestSubmit()";
    browser.run(fill, "soon".into()).await.unwrap();
    let text_of = async |selector: &str| {
        let text = "return document.querySelector(argument)?.textContent ?? ''";
        browser.run(text, selector.into()).await.unwrap().as_str().unwrap().to_owned()
    };
    until("the message", async || text_of("#expires-fault").await.contains("unit").then_some(())).await;
    let kept = "return [document.querySelector('#name').value, document.querySelector('#expires').value,
        document.querySelector('input[value=person]').checked]";
    assert_eq!(browser.run(kept, Value::Null).await.unwrap(), json!(["browser", "soon", true]));
    let mut faults = faults_of(&browser, "/console/keys/new refused").await;

    // The second click of an impatient hand sends nothing.
    browser
        .run(&format!("{fill}; document.querySelector('main form').requestSubmit()"), "1d".into())
        .await
        .unwrap();
    until("the key", async || (text_of("h1").await == "Key created").then_some(())).await;
    faults.extend(faults_of(&browser, "/console/keys/new created").await);
    let value = "return document.querySelector('#secret').value";
    let key = browser.run(value, Value::Null).await.unwrap().as_str().unwrap().to_owned();
    assert!(key.starts_with("lrd_"), "{key}");
    browser.run("document.querySelector('button[data-copies]').click()", Value::Null).await.unwrap();
    until("the copy", async || (text_of("#copied").await == "Copied.").then_some(())).await;
    let clipboard = browser.run("return await navigator.clipboard.readText()", Value::Null).await.unwrap();
    assert_eq!(clipboard, key);
    // Loaded again, as by the key F5: the browser sends the form again.
    browser.command("POST", "refresh", &json!({})).await;
    until("the answer", async || text_of("main").await.contains("was sent before").then_some(())).await;
    let named = fixture.get("/admin/v1/keys").await["items"].as_array().unwrap().clone();
    assert_eq!(named.iter().filter(|key| key["name"] == "browser").count(), 1);

    let id = key.trim_start_matches("lrd_").split('_').next().unwrap();
    browser.open(&format!("{origin}/console/keys/{id}")).await;
    browser.run("document.querySelector('a.danger').click()", Value::Null).await.unwrap();
    arrived(&browser, "/revoke").await;
    browser.run("document.querySelector('button.danger').click()", Value::Null).await.unwrap();
    arrived(&browser, &format!("/console/keys/{id}")).await;
    assert!(text_of("dl").await.contains("revoked"));
    assert!(faults.is_empty(), "{faults:#?}");
}
