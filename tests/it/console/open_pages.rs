//! Pages that are open in Chromium while something else happens: the publisher starts again, the session ends, another
//! tab stores the same sync.

use larder::admin::AdminRole;
use serde_json::{Value, json};

use super::{
    browser::{arrived, click, fill_in, shows, text},
    runs::ENDLESS,
    sessions::{change_metadata, link},
};
use crate::{
    admin::fixture::{Fixture, SECTIONS, with_admin_listen},
    support::{
        browser::Browser,
        node::Node,
        process::{until, wait_until},
    },
};

async fn signed_in(fixture: &Fixture, role: AdminRole) -> (Browser, String) {
    let origin = format!("http://{}", fixture.node.server().admin_address());
    let browser = Browser::start().await;
    browser.open(&format!("{origin}{}", link(fixture, role).await)).await;
    click(&browser, "form button").await;
    arrived(&browser, "/console").await;
    (browser, origin)
}

/// A fixture whose console stays at its address when the node starts again.
async fn at_one_address() -> Fixture {
    let Fixture { node } = Fixture::start().await;
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Fixture::of(with_admin_listen(node, &format!("admin_listen = \"{address}\"\n")).await).await
}

async fn rows(browser: &Browser) -> Option<u64> {
    let rows = "return document.querySelector('[data-shows=rows]')?.textContent";
    browser.peek(rows, Value::Null).await?.as_str()?.replace(',', "").parse().ok()
}

async fn run_endlessly(node: &Node, browser: &Browser, origin: &str) {
    let endless = SECTIONS.replacen("table = \"people\"", &format!("sql = \"{ENDLESS}\""), 1);
    node.configure(&endless);
    node.server().reload(&node.config());
    browser.open(&format!("{origin}/console/syncs/person")).await;
    click(browser, "form[action$='/run'] button").await;
    wait_until("rows", async || rows(browser).await.is_some_and(|rows| rows > 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_a_run_goes_on_when_its_publisher_is_back() {
    let mut fixture = at_one_address().await;
    let listen = format!("admin_listen = \"{}\"\n", fixture.node.server().admin_address());
    let (browser, origin) = signed_in(&fixture, AdminRole::Operator).await;
    run_endlessly(&fixture.node, &browser, &origin).await;
    let watched = browser.command("GET", "url", &json!({})).await;
    fixture.node.configure(SECTIONS);
    let file = std::fs::read_to_string(fixture.node.config_path()).unwrap();
    let file = file.replacen("admin_listen = \"127.0.0.1:0\"\n", &listen, 1);
    std::fs::write(fixture.node.config_path(), file).unwrap();
    fixture.node.stop().await;
    fixture.node.resume().await;
    // Nobody touches the browser.
    until("the end of the run", async || {
        let status = "return document.querySelector('main dl')?.textContent";
        let text = browser.peek(status, Value::Null).await?;
        let text = text.as_str()?;
        (text.contains("Finished") && !text.contains("Statusrunning")).then_some(())
    })
    .await;
    assert_eq!(browser.command("GET", "url", &json!({})).await, watched);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_ends_leads_to_the_sign_in_and_back_to_the_page() {
    let fixture = Fixture::start().await;
    let (browser, origin) = signed_in(&fixture, AdminRole::Operator).await;
    run_endlessly(&fixture.node, &browser, &origin).await;
    let page = browser.command("GET", "url", &json!({})).await;
    let path = page.as_str().unwrap().strip_prefix(&origin).unwrap().to_owned();
    change_metadata(&fixture, "delete from sessions").await;
    wait_until("the end of the session", async || {
        let status = "return (await fetch('/admin/v1/whoami')).status";
        browser.run(status, Value::Null).await == Ok(401.into())
    })
    .await;
    browser.command("POST", "refresh", &json!({})).await;
    arrived(&browser, &format!("/console/sign-in?next={}", path.replace('/', "%2F").replace('_', "%5F")))
        .await;
    // A wrong key first: its message is beside the field, and the way back is kept.
    fill_in(&browser, &[("key", "lra_x")]).await;
    click(&browser, "form button").await;
    assert!(text(&browser, "#fault").await.contains("no admin key"));
    let field = "const key = document.querySelector('#key');
        return [key.getAttribute('aria-invalid'), key.getAttribute('aria-describedby'), key.value]";
    assert_eq!(browser.run(field, Value::Null).await.unwrap(), json!(["true", "fault help", ""]));
    fill_in(&browser, &[("key", &fixture.node.admin_key())]).await;
    click(&browser, "form button").await;
    arrived(&browser, &path).await;
    click(&browser, "form[action$='/cancel'] button").await;
    shows(&browser, "Statuscancelled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tabs_that_edit_a_sync_the_later_one_is_reported_and_loses_nothing() {
    let fixture = Fixture::start().await;
    let stored = json!({ "model": "people", "schedule": "manual", "indexes": { "id": "id" } });
    assert_eq!(fixture.ask("PUT", "/admin/v1/syncs/friend", Some(stored)).await.status, 201);
    let (browser, origin) = signed_in(&fixture, AdminRole::Admin).await;
    let edit = format!("{origin}/console/configuration/syncs/friend/edit");
    browser.open(&edit).await;
    shows(&browser, "name: \"Ann\"").await;
    let first = browser.command("GET", "window", &json!({})).await;
    let second = browser.command("POST", "window/new", &json!({ "type": "tab" })).await;
    browser.command("POST", "window", &json!({ "handle": second["handle"] })).await;
    browser.open(&edit).await;
    shows(&browser, "name: \"Ann\"").await;
    fill_in(&browser, &[("schedule", "every 5m")]).await;
    click(&browser, "#entry > div.row > button[value=save]").await;
    arrived(&browser, "?done=saved").await;

    browser.command("POST", "window", &json!({ "handle": first })).await;
    click(&browser, "button[value=index-add]").await;
    fill_in(&browser, &[("schedule", "every 7m"), ("max_removed", "12%")]).await;
    let last = "for (const [name, value] of Object.entries(argument))
        document.querySelector(`#indexes li:last-child [name=${name}]`).value = value";
    browser.run(last, json!({ "index_name": "name", "index_columns": "name" })).await.unwrap();
    click(&browser, "#entry > div.row > button[value=save]").await;
    shows(&browser, "precondition_failed").await;
    let kept = "return ['schedule', 'max_removed'].map(name => document.querySelector(`#${name}`).value)
        .concat([...document.querySelectorAll('#indexes ol [name=index_name]')].map(field => field.value))";
    let kept = browser.run(kept, Value::Null).await.unwrap();
    assert_eq!(kept, json!(["every 7m", "12%", "id", "name"]));
    assert_eq!(fixture.get("/admin/v1/syncs/friend").await["settings"]["schedule"], "every 5m");
}
