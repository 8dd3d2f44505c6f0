//! Sessions on a whole node: how they begin and end, what requests of other sites do, and the limit of attempts.

use larder::{
    admin::{AdminRole, NewAdminKey},
    auth::{AdminKey, Ticket, TicketKind},
    metadata::SESSIONS_OF_KEY_MAX,
    support::clock::Clock,
};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::visitor::{OWN_PAGE, Visitor};
use crate::{
    admin::fixture::Fixture,
    support::{
        admin,
        http::Answer,
        node::tester,
        process::{until, wait_until},
        read_server::Server,
    },
};

/// The path of a new link for `role`, by the API.
pub(super) async fn link(fixture: &Fixture, role: AdminRole) -> String {
    let created = fixture.ask("POST", "/admin/v1/login-links", Some(json!({ "role": role }))).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.json()["path"].as_str().unwrap().to_owned()
}

fn token_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// Signs in by a link.
pub(super) async fn signed_in(fixture: &Fixture, role: AdminRole) -> Visitor {
    let (path, mut visitor) = (link(fixture, role).await, Visitor::of(&fixture.node));
    let answer = visitor.post("/console/sign-in", &[("token", token_of(&path))]).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/console")), "{answer:?}");
    visitor
}

/// Runs SQL on the metadata database.
pub(super) async fn change_metadata(fixture: &Fixture, sql: &'static str) {
    let path = fixture.node.config().node.data_dir.join("metadata.db");
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The newest entries of the audit log: action, actor, subject, detail.
async fn audit(fixture: &Fixture) -> Vec<Value> {
    fixture.get("/admin/v1/audit?limit=10").await["items"].as_array().unwrap().clone()
}

fn page(answer: &Answer) -> &str {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer:?}");
    answer.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_begins_one_session_and_only_when_its_form_is_sent() {
    let fixture = Fixture::start().await;
    let path = link(&fixture, AdminRole::Operator).await;
    let (mut one, mut other) = (Visitor::of(&fixture.node), Visitor::of(&fixture.node));
    // A program that looks at links does not use it up.
    for _ in 0..3 {
        let shown = one.get(&path).await;
        assert!(shown.status == 200 && page(&shown).contains(token_of(&path)), "{shown:?}");
    }
    let (token, fields) = (token_of(&path).to_owned(), [("token", token_of(&path))]);
    let both = tokio::join!(one.post("/console/sign-in", &fields), other.post("/console/sign-in", &fields));
    let (mut used, refused, mut without) = match (both.0.status, both.1.status) {
        (303, 403) => (one, both.1, other),
        (403, 303) => (other, both.0, one),
        statuses => panic!("{statuses:?}: one of two begins a session"),
    };
    assert!(page(&refused).contains("used already"), "{refused:?}");
    assert!(used.is_signed_in().await && !without.is_signed_in().await);
    let me: Value = used.get("/admin/v1/whoami").await.json();
    assert_eq!((&me["role"], &me["name"]), (&"operator".into(), &"first".into()));
    assert!(!me["expires_at"].is_null(), "{me}");

    let log = audit(&fixture).await;
    let actions: Vec<&str> = log.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..3], ["login_link.refuse", "session.begin", "login_link.create"]);
    let (refused, begun, created) = (&log[0], &log[1], &log[2]);
    assert_eq!((&refused["actor"], &refused["address"]), (&"visitor".into(), &"127.0.0.1".into()));
    assert_eq!(refused["subject"], created["subject"], "the link");
    assert!(begun["detail"].as_str().unwrap().starts_with("operator by the link"), "{begun}");
    assert!(begun["actor"].as_str().unwrap().starts_with("key:first ("), "{begun}");

    // Neither is stored.
    let cookie = used.cookie.unwrap();
    let secret = |text: &str| text.rsplit('_').next().unwrap().to_owned();
    for file in std::fs::read_dir(fixture.node.config().node.data_dir).unwrap() {
        let path = file.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        for secret in [secret(&token), secret(&cookie)] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_ends_unused_and_with_its_key() {
    let fixture = Fixture::start().await;
    let mut visitor = Visitor::of(&fixture.node);
    let old = link(&fixture, AdminRole::Admin).await;
    change_metadata(&fixture, "update login_links set expires_at = created_at").await;
    let key = fixture.key(AdminRole::Admin).await;
    let admin = fixture.node.publisher().await.admin();
    let (address, body) = (fixture.node.server().admin_address(), json!({ "role": "admin" }).to_string());
    let of_key = admin::ask(address, key.expose(), "POST", "/admin/v1/login-links", Some(&body)).await.json();
    let of_key = token_of(of_key["path"].as_str().unwrap());
    admin.revoke_admin_key(key.id(), &tester()).await.unwrap();
    // Revocation reaches the listener within two seconds.
    wait_until("refusal of the key", async || visitor.sign_in(key.expose()).await.status == 403).await;
    let never = Ticket::generate(TicketKind::LoginLink);
    for token in [token_of(&old), of_key, never.expose(), "lrl_x", ""] {
        let refused = visitor.post("/console/sign-in", &[("token", token)]).await;
        assert!(refused.status == 403 && page(&refused).contains("older than ten minutes"), "{refused:?}");
    }
    assert!(!visitor.is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_the_role_of_its_key_and_ends_with_it() {
    let fixture = Fixture::start().await;
    let viewer = fixture.key(AdminRole::Viewer).await;
    let mut visitor = Visitor::of(&fixture.node);
    let signed_in = visitor.sign_in(&format!(" {}\n", viewer.expose())).await;
    let cookie = signed_in.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{cookie}");
    assert_eq!(visitor.get("/admin/v1/whoami").await.json()["role"], "viewer");
    let lines = format!("{OWN_PAGE}Content-Type: application/json\r\n");
    let refused = visitor.send("POST", "/admin/v1/syncs/person/runs", &lines, "{}").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "role_forbidden"));

    let admin = fixture.node.publisher().await.admin();
    admin.revoke_admin_key(viewer.id(), &tester()).await.unwrap();
    wait_until("the end of the session", async || !visitor.is_signed_in().await).await;
    assert_eq!(visitor.cookie, None, "the browser forgets it");

    let expires_at = Some(Clock::default().now() + chrono::TimeDelta::hours(1));
    let new = NewAdminKey { name: "short".to_owned(), role: AdminRole::Viewer, expires_at };
    let short = admin.create_admin_key(new, &tester()).await.unwrap();
    let signed_in = visitor.sign_in(short.expose()).await;
    let cookie = signed_in.header("set-cookie").unwrap();
    let seconds = cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap();
    assert!(seconds.parse::<u64>().unwrap() <= 3600, "{cookie}");
    change_metadata(&fixture, "update admin_keys set expires_at = created_at where name = 'short'").await;
    wait_until("the end of the key", async || !visitor.is_signed_in().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_sign_out_without_use_and_in_any_case() {
    let fixture = Fixture::start().await;
    let mut visitor = signed_in(&fixture, AdminRole::Viewer).await;
    let cookie = visitor.cookie.clone();
    let out = visitor.post("/console/sign-out", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/console/sign-in")));
    assert_eq!(visitor.cookie, None);
    visitor.cookie = cookie;
    let refused = visitor.get("/admin/v1/whoami").await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "session_ended"), "at once");
    // A form is not lost: the browser sends it again when the page is loaded again.
    let refused = visitor.post("/console/syncs/person/run", &[]).await;
    assert!(refused.status == 401 && refused.text().contains("Sign in in another tab"), "{refused:?}");
    assert_eq!(audit(&fixture).await[0]["action"], "session.end");

    let mut visitor = signed_in(&fixture, AdminRole::Viewer).await;
    change_metadata(&fixture, "update sessions set used_at = used_at - 1800000000").await;
    assert!(visitor.is_signed_in().await, "after half an hour");
    let admin = fixture.node.publisher().await;
    until("the use is noted", async || {
        assert!(visitor.is_signed_in().await);
        let sessions = admin.metadata.sessions().await.unwrap();
        (Clock::default().now() - sessions[0].used_at < chrono::TimeDelta::minutes(5)).then_some(())
    })
    .await;
    wait_until("the end of an idle session", async || {
        // Its use may be noted once more, from what was read a second ago.
        change_metadata(&fixture, "update sessions set used_at = used_at - 3600000000").await;
        !visitor.is_signed_in().await
    })
    .await;

    let mut visitor = signed_in(&fixture, AdminRole::Viewer).await;
    // Well before now: housekeeping goes by the store's time, which may be of a second ago.
    change_metadata(&fixture, "update sessions set expires_at = created_at - 60000000").await;
    wait_until("the end after its time", async || !visitor.is_signed_in().await).await;
    admin.prune_metadata().await.unwrap();
    assert!(admin.metadata.sessions().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_other_sites_change_nothing() {
    let fixture = Fixture::start().await;
    let mut visitor = signed_in(&fixture, AdminRole::Admin).await;
    let host = fixture.node.server().admin_address();
    let json = "Content-Type: application/json\r\n";
    for from in [
        String::new(),
        "Origin: null\r\n".to_owned(),
        "Origin: https://evil.example\r\n".to_owned(),
        format!("Origin: http://{host}.evil.example\r\n"),
        "Sec-Fetch-Site: cross-site\r\n".to_owned(),
        "Sec-Fetch-Site: same-site\r\n".to_owned(),
        format!("Sec-Fetch-Site: cross-site\r\nOrigin: http://{host}\r\n"),
    ] {
        let lines = format!("{from}{json}");
        for (method, target) in [
            ("POST", "/admin/v1/syncs/person/runs"),
            ("POST", "/admin/v1/admin-keys"),
            ("DELETE", "/admin/v1/collections/person"),
        ] {
            let refused = visitor.send(method, target, &lines, "{}").await;
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (403, "cross_site_request"),
                "{from}{target}"
            );
        }
        let out = visitor.send("POST", "/console/sign-out", &from, "").await;
        assert!(out.status == 403 && page(&out).contains("cross_site_request"), "{from}: {out:?}");
        // Nor does another site sign a browser in, as somebody else.
        let key = fixture.node.admin_key();
        let mut other = Visitor::of(&fixture.node);
        let refused = other.send("POST", "/console/sign-in", &from, &format!("key={key}")).await;
        assert!(refused.status == 403 && other.cookie.is_none(), "{from}: {refused:?}");
    }
    assert!(visitor.is_signed_in().await);
    assert_eq!(fixture.get("/admin/v1/runs").await["items"], json!([]));
    for from in [OWN_PAGE.to_owned(), format!("Origin: http://{host}\r\n")] {
        let lines = format!("{from}{json}");
        let started = visitor.send("POST", "/admin/v1/syncs/person/runs", &lines, "{}").await;
        assert_eq!(started.status, 202, "{from}: {started:?}");
        fixture.ended(started.header("location").unwrap()).await;
    }
    // A key in the request counts, not the cookie.
    let bearer = crate::support::admin::bearer("lra_x");
    assert_eq!(visitor.send("GET", "/admin/v1/whoami", &bearer, "").await.code(), "admin_key_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_another_site_leads_the_signed_in_to_its_page() {
    let fixture = Fixture::start().await;
    let mut visitor = signed_in(&fixture, AdminRole::Viewer).await;
    let (cookie, elsewhere) = (visitor.cookie.take(), "Sec-Fetch-Site: cross-site\r\n");
    // The browser sends no cookie then, nor where it is sent on to.
    let sent_on = visitor.send("GET", "/console?cursor=a", elsewhere, "").await;
    let form = sent_on.header("location").unwrap();
    let reload = visitor.send("GET", form, elsewhere, "").await;
    assert!(reload.status == 200 && page(&reload).contains("http-equiv=\"refresh\""), "{reload:?}");
    assert!(page(&visitor.send("GET", form, OWN_PAGE, "").await).contains("Admin key"), "without a session");
    visitor.cookie = cookie;
    let arrived = visitor.send("GET", form, OWN_PAGE, "").await;
    assert_eq!((arrived.status, arrived.header("location")), (303, Some("/console?cursor=a")));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_keys_links_and_cookies_of_an_address_are_limited_together() {
    let fixture = Fixture::start_with("sign_in_failures_per_minute_max = 4\n").await;
    let (mut visitor, mut open) = (Visitor::of(&fixture.node), signed_in(&fixture, AdminRole::Viewer).await);
    let wrong = visitor.sign_in("lra_<script>").await;
    assert!(wrong.status == 403 && page(&wrong).contains("no admin key of this deployment"), "{wrong:?}");
    assert!(!page(&wrong).contains("lra_&lt;") && !wrong.text().contains("<script"), "it is not repeated");
    assert_eq!(visitor.sign_in(AdminKey::generate().expose()).await.status, 403);
    assert_eq!(visitor.post("/console/sign-in", &[("token", "x")]).await.status, 403);
    visitor.cookie = Some(format!("larder={}", Ticket::generate(TicketKind::Session).expose()));
    assert!(!visitor.is_signed_in().await);
    let limited = visitor.sign_in(&fixture.node.admin_key()).await;
    assert!(limited.status == 429 && page(&limited).contains("too_many_sign_ins"), "{limited:?}");
    let seconds: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let link = Ticket::generate(TicketKind::LoginLink);
    assert_eq!(visitor.post("/console/sign-in", &[("token", link.expose())]).await.status, 429);
    assert_eq!(fixture.ask("GET", "/admin/v1/whoami", None).await.code(), "too_many_sign_ins");
    // An open session goes on; a cookie of no session is not checked.
    assert!(open.is_signed_in().await);
    visitor.cookie = Some(format!("larder={}", Ticket::generate(TicketKind::Session).expose()));
    assert_eq!(visitor.get("/console").await.status, 429);
    open.post("/console/sign-out", &[]).await;
    assert!(open.cookie.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_a_key_are_bounded_and_do_not_end_those_of_others() {
    let fixture = Fixture::start().await;
    let mut other = signed_in(&fixture, AdminRole::Viewer).await;
    let key = fixture.key(AdminRole::Viewer).await;
    let mut first = Visitor::of(&fixture.node);
    first.sign_in(key.expose()).await;
    let mut last = Visitor::of(&fixture.node);
    for _ in 0..SESSIONS_OF_KEY_MAX {
        last = Visitor::of(&fixture.node);
        assert_eq!(last.sign_in(key.expose()).await.status, 303);
    }
    assert!(last.is_signed_in().await && !first.is_signed_in().await && other.is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_metadata_says_where_sessions_are() {
    let server = Server::start();
    let mut visitor = Visitor::at(server.admin);
    let shown = visitor.get("/console/sign-in").await;
    assert!(shown.status == 404 && page(&shown).contains("Open the console of a publisher"), "{shown:?}");
    let refused = visitor.sign_in("lra_x").await;
    assert!(refused.status == 404 && page(&refused).contains("no_metadata"), "{refused:?}");
    visitor.cookie = Some(format!("larder={}", Ticket::generate(TicketKind::Session).expose()));
    assert!(!visitor.is_signed_in().await);
}
