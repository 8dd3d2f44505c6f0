//! The pages: what browsers are reported with each, escaping, who sees what.

use larder::admin::{AdminRole, NewAdminKey};
use serde_json::json;

use super::{sessions::signed_in, visitor::Visitor};
use crate::{
    admin::fixture::Fixture,
    support::{http::Answer, node::tester, process::until},
};

/// Text that a page must not take for its own.
pub(super) const HOSTILE: &str = "\"><script>alert('x')</script><b a='";

/// Checks the headers that a browser must get with every page.
pub(super) fn check_policy(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_private_without_script_and_escapes_what_it_shows() {
    let fixture = Fixture::start().await;
    let admin = fixture.node.publisher().await.admin();
    let new = NewAdminKey { name: HOSTILE.to_owned(), role: AdminRole::Viewer, expires_at: None };
    let key = admin.create_admin_key(new, &tester()).await.unwrap();
    let mut visitor = Visitor::of(&fixture.node);
    let hostile = crate::support::node::encoded(HOSTILE);
    for (target, status) in [
        ("/".to_owned(), 303),
        ("/console/".to_owned(), 303),
        ("/console/nowhere".to_owned(), 303),
        ("/console/sign-in".to_owned(), 200),
        (format!("/console/sign-in?next={hostile}"), 200),
        (format!("/console/sign-in?next=/console/{hostile}"), 200),
        (format!("/console/sign-in/{hostile}"), 200),
        ("/console/assets/nowhere.css".to_owned(), 404),
    ] {
        let answer = visitor.get(&target).await;
        assert_eq!(answer.status, status, "{target}");
        check_policy(&answer);
        assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{target}");
        assert!(!answer.text().contains("<script") && !answer.text().contains("<b a"), "{target}");
    }
    assert_eq!(visitor.sign_in(key.expose()).await.status, 303);
    for (target, status) in [
        ("/console", 200),
        ("/console/", 200),
        ("/console/nowhere", 404),
        (&*format!("/console?cursor={hostile}"), 200),
    ] {
        let answer = visitor.get(target).await;
        assert_eq!(answer.status, status, "{target}");
        check_policy(&answer);
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        assert!(!answer.text().contains("<script") && !answer.text().contains("<b a"), "{answer:?}");
        assert!(
            status != 200 || answer.text().contains("&lt;script&gt;"),
            "the key's name is shown: {answer:?}"
        );
    }
    assert_eq!(visitor.get("/console/sign-in?next=/console/x").await.header("location"), Some("/console/x"));
    let wrong_method = visitor.send("PUT", "/console", super::visitor::OWN_PAGE, "").await;
    assert_eq!(wrong_method.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_pages_are_kept_by_browsers_for_good() {
    let fixture = Fixture::start().await;
    let mut visitor = Visitor::of(&fixture.node);
    let form = visitor.get("/console/sign-in").await;
    let links = form.text().split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let files: Vec<String> = links.filter(|link| link.starts_with("/console/assets/")).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let answer = visitor.get(&file).await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        check_policy(&answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_shows_problems_first_then_collections_and_nodes() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    let failed = fixture.ask("POST", "/admin/v1/syncs/broken/runs", Some(json!({}))).await;
    fixture.ended(failed.header("location").unwrap()).await;
    let mut visitor = signed_in(&fixture, AdminRole::Viewer).await;
    let page = until("the status of the node", async || {
        let page = visitor.get("/console").await.text().to_owned();
        page.contains("<td>ready</td>").then_some(page)
    })
    .await;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text:?} in {page}"));
    assert!(at("<a href=\"/console/collections/broken\">broken</a>") < at("the last run has failed"));
    assert!(at("the last run has failed") < at("<h2 id=\"collections\">"));
    assert!(
        at("person</a></th><td class=\"number\">6</td><td class=\"number\">1</td>") < at("<h2 id=\"nodes\">")
    );
    at("first · viewer");
    assert_eq!(fixture.node.get("person", "id", "1").await.status, 200);
    let counted = visitor.get("/console").await.text().to_owned();
    let (_, rate) = counted.split_once("<td class=\"number\">1</td><td class=\"number\">").unwrap();
    assert_ne!(rate.split('<').next(), Some("0"), "{counted}");
    assert!(counted.contains("This node has answered <strong>"), "{counted}");
    let behind = visitor.get("/console?cursor=broken").await;
    assert!(!behind.text().contains("broken</a></th>"), "{behind:?}");
    assert!(behind.text().contains("person</a></th>"), "{behind:?}");
}
