//! axe-core on every page of the console, in Chromium: narrow and wide, light and dark. The pages are those of the
//! table of routes. Pictures of them are in target/screenshots.

use std::{fs, path::Path};

use larder::{
    admin::AdminRole,
    api,
    domain::keyset::{KeyLimits, Scope},
};
use serde_json::{Value, json};

use super::sessions::link;
use crate::{
    admin::fixture::Fixture,
    support::{browser::Browser, process::until},
};

const AXE: &str = "target/axe/node_modules/axe-core/axe.min.js";
const NO_AXE: &str = "axe-core is not installed in target/axe: run scripts/test.sh, or: mkdir -p target/axe && \
                      cp tests/it/console/axe/package*.json target/axe && npm --prefix target/axe ci --ignore-scripts";

/// Widths in pixels: a telephone, a wide screen.
const WIDTHS: [u32; 2] = [400, 1600];
const COLOUR_SCHEMES: [&str; 2] = ["light", "dark"];

/// Checks the open page in every size and colour scheme; returns what is wrong with it.
pub(super) async fn faults_of(browser: &Browser, name: &str) -> Vec<String> {
    let axe = fs::read_to_string(AXE).unwrap_or_else(|error| panic!("{NO_AXE} ({error})"));
    browser.run(&axe, Value::Null).await.unwrap();
    let pictures = Path::new("target/screenshots");
    fs::create_dir_all(pictures).unwrap();
    let mut faults = Vec::new();
    for width in WIDTHS {
        for scheme in COLOUR_SCHEMES {
            browser.show_as(width, scheme).await;
            let check =
                "const { violations } = await window.axe.run(document, { resultTypes: ['violations'] });
                const wider = document.documentElement.scrollWidth - document.documentElement.clientWidth;
                const faults = violations.flatMap(rule => rule.nodes.map(
                  node => `${rule.id}: ${node.html}: ${node.failureSummary}`));
                return wider > 0 ? [...faults, `${wider} px wider than the screen`] : faults";
            let found = browser.run(check, Value::Null).await.unwrap();
            let found = found.as_array().unwrap().iter();
            faults.extend(
                found.map(|fault| format!("{name}, {width} px, {scheme}: {}", fault.as_str().unwrap())),
            );
            let file =
                format!("{}-{width}-{scheme}.png", name.trim_matches('/').replace(['/', '{', '}', ' '], "_"));
            fs::write(pictures.join(file), browser.screenshot().await).unwrap();
        }
    }
    faults
}

/// An address of the page at `route`. Each route with a parameter has one here.
pub(super) async fn example(fixture: &Fixture, key: &str, route: &str) -> String {
    let id = key.trim_start_matches("lrd_").split('_').next().unwrap();
    let keys = fixture.get("/admin/v1/admin-keys").await;
    let admin_key = keys["items"][0]["id"].as_str().unwrap();
    let runs = fixture.get("/admin/v1/runs?sync=person").await;
    let run = runs["items"][0]["id"].as_str().unwrap();
    let dry = fixture.run(json!({ "dry_run": true })).await;
    let operation = dry["id"].as_str().unwrap();
    let node = until("the status of the node", async || {
        let node = fixture.get("/admin/v1/nodes").await["items"][0].clone();
        Some(format!("{}/{}", node["region"].as_str()?, node["node"].as_str()?))
    })
    .await;
    let examples = [
        ("/console/sign-in/{token}", "/console/sign-in/lrl_4f9k2Lq0XyZ1_x".to_owned()),
        ("/console/keys/{id}", format!("/console/keys/{id}")),
        ("/console/keys/{id}/rotate", format!("/console/keys/{id}/rotate")),
        ("/console/keys/{id}/revoke", format!("/console/keys/{id}/revoke")),
        ("/console/admin-keys/{id}/revoke", format!("/console/admin-keys/{admin_key}/revoke")),
        ("/console/collections/{collection}", "/console/collections/person".to_owned()),
        ("/console/collections/{collection}/records", "/console/collections/person/records".to_owned()),
        ("/console/collections/{collection}/message", "/console/collections/person/message".to_owned()),
        ("/console/syncs/{sync}", "/console/syncs/person".to_owned()),
        ("/console/syncs/{sync}/preview", "/console/syncs/person/preview".to_owned()),
        ("/console/runs/{run}", format!("/console/runs/{run}")),
        ("/console/operations/{operation}", format!("/console/operations/{operation}")),
        ("/console/new/{section}", "/console/new/syncs".to_owned()),
        ("/console/configuration/{section}", "/console/configuration/sources".to_owned()),
        ("/console/configuration/{section}/{name}", "/console/configuration/models/stored".to_owned()),
        (
            "/console/configuration/{section}/{name}/edit",
            "/console/configuration/models/stored/edit".to_owned(),
        ),
        (
            "/console/configuration/{section}/{name}/preview",
            "/console/configuration/models/people/preview".to_owned(),
        ),
        ("/console/nodes/{region}/{node}", format!("/console/nodes/{node}")),
    ];
    match examples.iter().find(|(known, _)| *known == route) {
        Some((_, example)) => example.clone(),
        None if !route.contains('{') => route.to_owned(),
        None => panic!("{route} has no example here"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_narrow_and_wide_light_and_dark() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    let failed = fixture.ask("POST", "/admin/v1/syncs/broken/runs", Some(json!({}))).await;
    fixture.ended(failed.header("location").unwrap()).await;
    let stored = json!({ "source": "warehouse", "table": "people", "primary_key": "id" });
    assert_eq!(fixture.ask("PUT", "/admin/v1/models/stored", Some(stored)).await.status, 201);
    let key = fixture.node.create_key(Scope::AllCollections, KeyLimits::default()).await;
    let origin = format!("http://{}", fixture.node.server().admin_address());
    let browser = Browser::start().await;
    let (before, within): (Vec<_>, Vec<_>) = api::pages().partition(|(_, role)| role.is_none());
    assert!(before.len() >= 2 && within.len() >= 10, "{before:?} {within:?}");
    let mut faults = Vec::new();
    for (pages, is_signed_in) in [(before, false), (within, true)] {
        if is_signed_in {
            browser.open(&format!("{origin}{}", link(&fixture, AdminRole::Admin).await)).await;
            browser.run("document.querySelector('form button').click()", Value::Null).await.unwrap();
            super::browser::arrived(&browser, "/console").await;
        }
        for (route, _) in pages {
            let example = example(&fixture, &key, route).await;
            browser.open(&format!("{origin}{example}")).await;
            let url = browser.command("GET", "url", &json!({})).await;
            assert_eq!(url, format!("{origin}{example}"), "{route}");
            let title = browser.run("return document.title", Value::Null).await.unwrap();
            assert_ne!(title, "This did not work · Larder", "{route}");
            faults.extend(faults_of(&browser, route).await);
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
