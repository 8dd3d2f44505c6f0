//! Single sign-on at a certified provider: roles of groups, the way there and back, and what is refused.

mod faults;
mod provider;

use larder::admin::AdminRole;
use serde_json::{Value, json};

use self::provider::{Person, Provider, begin, sign_in};
use super::{
    accessibility::faults_of,
    browser::{arrived, click},
    sessions::change_metadata,
    visitor::{OWN_PAGE, Visitor},
};
use crate::{
    admin::fixture::Fixture,
    support::{
        browser::Browser,
        http::Answer,
        node::Node,
        process::{until, wait_until},
    },
};

fn text(answer: &Answer) -> &str {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer:?}");
    answer.text()
}

/// The newest entries of the audit log.
async fn audit(fixture: &Fixture) -> Vec<Value> {
    fixture.get("/admin/v1/audit?limit=10").await["items"].as_array().unwrap().clone()
}

async fn role(visitor: &mut Visitor) -> Value {
    visitor.get("/admin/v1/whoami").await.json()["role"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_at_the_provider_decide_the_role_and_the_name_is_audited() {
    let mut provider = Provider::start().await;
    let fixture = provider.fixture().await;
    for (account, role, name) in [
        ("vera", "viewer", "oidc:vera@example.com"),
        ("otto", "operator", "oidc:otto@example.com"),
        ("ada", "admin", "oidc:ada"),
    ] {
        // The groups are in the ID token, or at the userinfo endpoint alone.
        for in_token in [true, false] {
            provider.set("inToken", in_token.into());
            let mut visitor = Visitor::of(&fixture.node);
            let answer = sign_in(&mut visitor, account).await;
            assert_eq!(answer.status, 200, "{account}: {answer:?}");
            assert!(text(&answer).contains("content=\"0; url=/console/syncs\""), "{answer:?}");
            let me = visitor.get("/admin/v1/whoami").await.json();
            assert_eq!((&me["role"], &me["name"]), (&role.into(), &name.into()), "{in_token}");
            let begun = &audit(&fixture).await[0];
            assert_eq!((&begun["action"], &begun["address"]), (&"session.begin".into(), &"127.0.0.1".into()));
            assert!(begun["actor"].as_str().unwrap().starts_with(&format!("{name} (")), "{begun}");
            assert_eq!(begun["detail"], format!("{role} by single sign-on"));
            assert!(visitor.is_signed_in().await);
        }
    }
    let mut visitor = Visitor::of(&fixture.node);
    sign_in(&mut visitor, "vera").await;
    let listed = visitor.get("/console/sessions").await;
    assert!(text(&listed).contains("oidc:vera@example.com") && text(&listed).contains("single sign-on"));
}

/// The session with `role` of a link that `visitor` makes.
async fn by_link_of(fixture: &Fixture, visitor: &mut Visitor, role: &str) -> Visitor {
    let lines = format!("{OWN_PAGE}Content-Type: application/json\r\n");
    let body = json!({ "role": role }).to_string();
    let made = visitor.send("POST", "/admin/v1/login-links", &lines, &body).await;
    let path = made.json()["path"].as_str().unwrap_or_else(|| panic!("{made:?}")).to_owned();
    let mut other = Visitor::of(&fixture.node);
    other.post("/console/sign-in", &[("token", path.rsplit('/').next().unwrap())]).await;
    assert!(other.is_signed_in().await);
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_at_the_provider_and_those_of_its_links() {
    let mut provider = Provider::start().await;
    let fixture = provider.fixture().await;
    let (mut visitor, mut person) = (Visitor::of(&fixture.node), Person::new());
    let url = begin(&mut visitor, "%2Fconsole").await;
    let back = person.sign_in(&url, "ada").await;
    visitor.get(&back).await;
    let mut first = by_link_of(&fixture, &mut visitor, "admin").await;
    let mut second = by_link_of(&fixture, &mut first, "viewer").await;

    let signed_out = visitor.post("/console/sign-out", &[]).await;
    let url = text(&signed_out).split("content=\"0; url=").nth(1).unwrap_or_else(|| panic!("{signed_out:?}"));
    let url = url.split('"').next().unwrap().replace("&amp;", "&");
    assert!(!visitor.is_signed_in().await);
    for session in [&mut first, &mut second] {
        wait_until("the end of a session of a link", async || !session.is_signed_in().await).await;
    }
    assert!(fixture.get("/admin/v1/sessions").await["items"].as_array().unwrap().is_empty());
    assert_eq!(
        person.sign_out(&url).await,
        format!("http://{}/console/sign-in", fixture.node.server().admin_address())
    );
    let url = begin(&mut visitor, "%2Fconsole").await;
    assert!(person.is_asked(&url).await, "the provider knows the person no more");

    // A provider that is down keeps nobody in a session.
    let mut visitor = Visitor::of(&fixture.node);
    sign_in(&mut visitor, "vera").await;
    provider.stop();
    let mut restarted = fixture.node;
    restart(&mut restarted).await;
    let cookie = visitor.cookie;
    let mut visitor = Visitor::of(&restarted);
    visitor.cookie = cookie;
    wait_until("the publishing side", async || visitor.get("/console").await.status == 200).await;
    let signed_out = visitor.post("/console/sign-out", &[]).await;
    assert_eq!(signed_out.header("location"), Some("/console/sign-in"));
    assert!(!visitor.is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_group_that_has_a_role_nobody_is_signed_in_and_no_group_is_named() {
    let provider = Provider::start().await;
    let fixture = provider.fixture().await;
    for account in ["nobody", "no groups"] {
        let mut visitor = Visitor::of(&fixture.node);
        let refused = sign_in(&mut visitor, account).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(text(&refused).contains("oidc_no_role"), "{refused:?}");
        for group in ["larder viewers", "larder operators", "larder admins"] {
            assert!(!text(&refused).contains(group), "{refused:?}");
        }
        assert!(text(&refused).contains("Admin key"), "other ways are open");
        assert!(visitor.cookie.is_none() && !visitor.is_signed_in().await);
        let entry = &audit(&fixture).await[0];
        assert_eq!(entry["action"], "single_sign_on.refuse");
        assert!(entry["actor"].as_str().unwrap().starts_with("oidc:no"), "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_groups_count_at_the_next_sign_in() {
    let mut provider = Provider::start().await;
    let fixture = provider.fixture().await;
    let mut visitor = Visitor::of(&fixture.node);
    sign_in(&mut visitor, "vera").await;
    provider.set_claim("vera", "groups", json!("larder operators"));
    assert_eq!(role(&mut visitor).await, "viewer");
    let mut visitor = Visitor::of(&fixture.node);
    sign_in(&mut visitor, "vera").await;
    assert_eq!(role(&mut visitor).await, "operator", "one group need not be in a list");
    provider.set_claim("vera", "groups", json!([]));
    assert_eq!(sign_in(&mut Visitor::of(&fixture.node), "vera").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_taken_once_in_the_browser_that_began_and_within_ten_minutes() {
    let provider = Provider::start().await;
    let fixture = provider.world_with("sign_in_failures_per_minute_max = 1000\n", "").await;
    let refused = async |visitor: &mut Visitor, target: &str| {
        let answer = visitor.get(target).await;
        assert!(answer.status == 403 && text(&answer).contains("oidc_unknown_sign_in"), "{answer:?}");
        assert!(visitor.cookie.is_none(), "{target}");
    };
    let (mut one, mut other) = (Visitor::of(&fixture.node), Visitor::of(&fixture.node));
    let url = begin(&mut one, "%2Fconsole").await;
    let back = Person::new().sign_in(&url, "vera").await;
    // Another browser, without and with a sign-in of its own.
    refused(&mut other, &back).await;
    begin(&mut other, "%2Fconsole").await;
    refused(&mut other, &back).await;
    assert_eq!(one.get(&back).await.status, 200);
    let cookie = one.cookie.take();
    refused(&mut one, &back).await;
    one.cookie = cookie;
    assert!(one.is_signed_in().await, "the session stays");

    let mut visitor = Visitor::of(&fixture.node);
    let url = begin(&mut visitor, "%2Fconsole").await;
    let back = Person::new().sign_in(&url, "vera").await;
    let state = back.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let pending = visitor.pending.clone().unwrap();
    for wrong in [back.replace(state, &state[1..]), back.replace(state, ""), back.replace("state=", "x=")] {
        visitor.pending = Some(pending.clone());
        refused(&mut visitor, &wrong).await;
        assert_eq!(visitor.pending, None, "it is used up");
    }
    // A cookie whose time is over, or was moved, belongs to no state.
    let mut parts: Vec<String> = pending.split('.').map(str::to_owned).collect();
    let began: i64 = parts[1].parse().unwrap();
    for other in [began - 600, began + 1] {
        parts[1] = other.to_string();
        visitor.pending = Some(parts.join("."));
        refused(&mut visitor, &back).await;
    }
    visitor.pending = Some(pending.clone());
    assert_eq!(visitor.get(&back).await.status, 200);
    // The provider takes a code once, even if a browser keeps its cookie.
    visitor.pending = Some(pending);
    let again = visitor.get(&back).await;
    assert!(again.status == 403 && text(&again).contains("oidc_refused"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_leads_to_a_page_of_the_console_alone_and_begins_there_alone() {
    let provider = Provider::start().await;
    let fixture = provider.fixture().await;
    for next in
        ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2Fconsole%5C..", "%2Fconsole%2Fsign-in%2Foidc"]
    {
        let mut visitor = Visitor::of(&fixture.node);
        let sent = visitor.get(&format!("/console/sign-in/oidc?next={next}")).await;
        let back = Person::new().sign_in(sent.header("location").unwrap(), "vera").await;
        let answer = visitor.get(&back).await;
        assert!(text(&answer).contains("content=\"0; url=/console\""), "{next}: {answer:?}");
    }
    // Another site cannot begin one in somebody's browser.
    let mut visitor = Visitor::of(&fixture.node);
    let sent = visitor
        .send("GET", "/console/sign-in/oidc?next=%2Fconsole%2Fsyncs", "Sec-Fetch-Site: cross-site\r\n", "")
        .await;
    assert_eq!(sent.header("location"), Some("/console/sign-in?next=%2Fconsole%2Fsyncs"), "{sent:?}");
    assert_eq!(visitor.pending, None);
    // Without a provider there is no such page.
    let plain = Fixture::start().await;
    let mut visitor = Visitor::of(&plain.node);
    for path in ["/console/sign-in/oidc", "/console/sign-in/oidc/callback?code=a&state=b"] {
        let missing = visitor.get(path).await;
        assert!(missing.status == 404 && text(&missing).contains("route_not_found"), "{missing:?}");
    }
    assert!(!visitor.get("/console/sign-in").await.text().contains("Sign in with"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_publisher_takes_the_answer_and_one_person_ends_nobody_elses_sessions() {
    let provider = Provider::start().await;
    let mut fixture = provider.fixture().await;
    let mut visitor = Visitor::of(&fixture.node);
    let url = begin(&mut visitor, "%2Fconsole").await;
    let back = Person::new().sign_in(&url, "vera").await;
    // Another process: it has nothing of the first one but the configuration and metadata.
    restart(&mut fixture.node).await;
    until("the publishing side", async || {
        let status = visitor.get("/console/sign-in").await.status;
        (status == 200).then_some(())
    })
    .await;
    assert_eq!(visitor.get(&back).await.status, 200);

    let mut other = Visitor::of(&fixture.node);
    sign_in(&mut other, "otto").await;
    let mut last = Visitor::of(&fixture.node);
    for _ in 0..larder::metadata::SESSIONS_OF_KEY_MAX {
        last = Visitor::of(&fixture.node);
        sign_in(&mut last, "vera").await;
    }
    assert!(last.is_signed_in().await && other.is_signed_in().await && !visitor.is_signed_in().await);
    change_metadata(&fixture, "update sessions set expires_at = created_at").await;
    wait_until("the end of sessions", async || !last.is_signed_in().await).await;
}

async fn restart(node: &mut Node) {
    node.stop().await;
    node.resume().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_at_another_site_and_lands_on_its_page() {
    let provider = Provider::start().await;
    let fixture = provider.world_with("", "name = \"Example\"\n").await;
    let origin = format!("http://{}", fixture.node.server().admin_address());
    let browser = Browser::start().await;
    browser.open(&format!("{origin}/console/syncs")).await;
    arrived(&browser, "/console/sign-in?next=%2Fconsole%2Fsyncs").await;
    let label = "return document.querySelector('a.button').textContent";
    assert_eq!(browser.run(label, Value::Null).await.unwrap(), "Sign in with Example");
    let faults = faults_of(&browser, "sign-in with a provider").await;
    assert!(faults.is_empty(), "{faults:#?}");
    click(&browser, "a.button").await;
    until("the provider's page", async || {
        let title = browser.peek("return document.title", Value::Null).await?;
        (title == "Provider").then_some(())
    })
    .await;
    let fill_in = "document.querySelector('input').value = 'otto'; document.querySelector('button').click()";
    browser.run(fill_in, Value::Null).await.unwrap();
    arrived(&browser, "/console/syncs").await;
    let who = "return document.querySelector('header').textContent";
    until("the page", async || {
        let text = browser.peek(who, Value::Null).await?;
        text.as_str()?.contains("oidc:otto@example.com").then_some(())
    })
    .await;
    assert_eq!(browser.run("return document.cookie", Value::Null).await.unwrap(), "", "no script sees it");
    let role = AdminRole::Operator.to_string();
    let me = "return (await (await fetch('/admin/v1/whoami')).json()).role";
    assert_eq!(browser.run(me, Value::Null).await.unwrap(), *role);
}
