//! The console in Chromium: signing in by a link, what the first page shows at both widths, signing out.

use larder::admin::AdminRole;
use serde_json::{Value, json};

use super::sessions::link;
use crate::{
    admin::world::World,
    support::{browser::Browser, process::until},
};

/// Waits for a page at `path`.
async fn arrived(browser: &Browser, path: &str) {
    until("the page", async || {
        let url = browser.command("GET", "url", &json!({})).await;
        url.as_str().unwrap().ends_with(path).then_some(())
    })
    .await;
}

async fn submit(browser: &Browser) {
    browser.run("document.querySelector('form button').click()", Value::Null).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_by_a_link_sees_collections_and_signs_out() {
    let world = World::start().await;
    world.run(json!({})).await;
    let origin = format!("http://{}", world.node.server().admin_address());
    let browser = Browser::start().await;
    browser.open(&format!("{origin}{}", link(&world, AdminRole::Viewer).await)).await;
    submit(&browser).await;
    arrived(&browser, "/console").await;
    let names = "return [...document.querySelectorAll('tbody th')].map(cell => cell.textContent)";
    let names = browser.run(names, Value::Null).await.unwrap();
    assert!(names.as_array().unwrap().contains(&"person".into()), "{names}");
    assert_eq!(browser.run("return document.cookie", Value::Null).await.unwrap(), "", "no script sees it");
    let background = "return getComputedStyle(document.querySelector('header')).display";
    assert_eq!(browser.run(background, Value::Null).await.unwrap(), "flex", "the style sheet is loaded");
    for width in [400, 1600] {
        let rect = json!({ "width": width, "height": 900 });
        browser.command("POST", "window/rect", &rect).await;
        let wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.run(wider, Value::Null).await.unwrap(), 0, "{width} px");
    }
    submit(&browser).await;
    arrived(&browser, "/console/sign-in").await;
    browser.open(&format!("{origin}/")).await;
    arrived(&browser, "/console/sign-in?next=%2Fconsole").await;
}
