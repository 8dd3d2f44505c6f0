//! API keys in the console: who may do what, creating, rotating and revoking, wrong values, a form that is sent twice.

use larder::{
    admin::AdminRole,
    domain::keyset::{KeyLimits, Scope},
};
use serde_json::{Value, json};

use super::{
    pages::{HOSTILE, check_policy},
    sessions::signed_in,
    visitor::Visitor,
};
use crate::{
    admin::fixture::Fixture,
    support::{
        admin,
        deployment::Deployment,
        http::Answer,
        node::tester,
        process::{until, wait_until},
    },
};

/// The value of a hidden field.
pub(super) fn hidden(page: &Answer, name: &str) -> String {
    let begin = format!("name=\"{name}\" value=\"");
    let text = page.text();
    let at = text.find(&begin).unwrap_or_else(|| panic!("no {name} in {text}")) + begin.len();
    text[at..].split('"').next().unwrap().to_owned()
}

/// The key that an answer shows.
pub(super) fn shown(answer: &Answer) -> Option<String> {
    let begin = "<input id=\"secret\" class=\"secret\" value=\"";
    let at = answer.text().find(begin)? + begin.len();
    Some(answer.text()[at..].split('"').next().unwrap().to_owned())
}

fn id_of(key: &str) -> &str {
    key.trim_start_matches("lrd_").split('_').next().unwrap()
}

async fn keys(fixture: &Fixture) -> Vec<Value> {
    fixture.get("/admin/v1/keys").await["items"].as_array().unwrap().clone()
}

/// Sends the form that creates a key for `person`.
async fn create(visitor: &mut Visitor, name: &str) -> String {
    let form = visitor.get("/console/keys/new").await;
    let request = hidden(&form, "request");
    let fields = [("request", &*request), ("name", name), ("grant", "some"), ("collection", "person")];
    let created = visitor.post("/console/keys/new", &fields).await;
    assert_eq!(created.status, 200, "{created:?}");
    assert_eq!(created.header("cache-control"), Some("private, no-store"));
    assert_eq!((created.header("location"), created.header("set-cookie")), (None, None));
    check_policy(&created);
    shown(&created).unwrap_or_else(|| panic!("{created:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_key_reads_what_it_opens_and_is_shown_once() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    let mut visitor = signed_in(&fixture, AdminRole::Admin).await;
    let form = visitor.get("/console/keys/new").await;
    assert!(form.text().contains("value=\"person\""), "configured collections are offered: {form:?}");
    let request = hidden(&form, "request");
    let fields = [
        ("request", &*request),
        ("name", "braze"),
        ("grant", "some"),
        ("collection", "person"),
        ("mode", "without"),
        ("fields", "name"),
        ("expires", "90d"),
    ];
    let key = shown(&visitor.post("/console/keys/new", &fields).await).unwrap();
    let read = "person/records/id/1";
    until("the key", async || {
        let answer = fixture.node.ask_as(&key, read, None, "").await;
        (answer.status == 200).then(|| assert_eq!(answer.json(), json!({ "id": 1 })))
    })
    .await;

    // The page is loaded again: nothing is created, and the key is not shown.
    let again = visitor.post("/console/keys/new", &fields).await;
    assert!(again.status == 200 && shown(&again).is_none(), "{again:?}");
    assert!(again.text().contains("was sent before") && again.text().contains(id_of(&key)), "{again:?}");
    assert_eq!(keys(&fixture).await.iter().filter(|key| key["name"] == "braze").count(), 1);

    // The form is changed after it was sent: its values stay, and it can be sent again.
    let mut other = fields;
    other[1].1 = "other <b>";
    let changed = visitor.post("/console/keys/new", &other).await;
    assert!(changed.status == 409 && changed.text().contains("value=\"other &lt;b&gt;\""), "{changed:?}");
    let request = hidden(&changed, "request");
    other[0].1 = &request;
    assert!(shown(&visitor.post("/console/keys/new", &other).await).is_some());

    let listed = visitor.get("/console/keys").await;
    let secret = key.rsplit('_').next().unwrap();
    assert!(listed.text().contains(id_of(&key)) && !listed.text().contains(secret), "{listed:?}");
    assert!(listed.text().contains("person; without name"), "{listed:?}");
    let page = visitor.get(&format!("/console/keys/{}", id_of(&key))).await;
    assert!(page.status == 200 && !page.text().contains(secret), "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_has_a_new_secret_and_a_revoked_one_is_refused() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    let mut visitor = signed_in(&fixture, AdminRole::Admin).await;
    let key = create(&mut visitor, "app").await;
    let path = format!("/console/keys/{}", id_of(&key));
    let status = async |key: &str| fixture.node.ask_as(key, "person/records/id/1", None, "").await.status;
    wait_until("the key", async || status(&key).await == 200).await;

    let rotate = format!("{path}/rotate");
    let form = visitor.get(&rotate).await;
    let request = hidden(&form, "request");
    for wrong in ["", "soon", "366d"] {
        let refused = visitor.post(&rotate, &[("request", &*request), ("overlap", wrong)]).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.text().contains("id=\"overlap-fault\""), "{refused:?}");
    }
    let fields = [("request", &*request), ("overlap", "0s")];
    let rotated = visitor.post(&rotate, &fields).await;
    let new = shown(&rotated).unwrap_or_else(|| panic!("{rotated:?}"));
    assert_eq!(id_of(&new), id_of(&key));
    wait_until("the new secret", async || status(&new).await == 200 && status(&key).await == 401).await;
    assert!(shown(&visitor.post(&rotate, &fields).await).is_none(), "it is rotated once");
    assert_eq!(status(&new).await, 200);

    let confirm = visitor.get(&format!("{path}/revoke")).await;
    assert!(confirm.status == 200 && confirm.text().contains("within two poll intervals"), "{confirm:?}");
    assert_eq!(status(&new).await, 200, "asking revokes nothing");
    let revoked = visitor.post(&format!("{path}/revoke"), &[]).await;
    assert_eq!((revoked.status, revoked.header("location")), (303, Some(&*path)));
    let page = visitor.get(&path).await;
    assert!(page.text().contains("revoked") && !page.text().contains("/rotate\""), "{page:?}");
    wait_until("its refusal", async || status(&new).await == 401).await;
    let unknown = visitor.post("/console/keys/nosuch/revoke", &[]).await;
    assert!(unknown.status == 404 && unknown.text().contains("unknown_key"), "{unknown:?}");
    assert_eq!(visitor.get("/console/keys/nosuch").await.status, 404);

    let listed = async |visitor: &mut Visitor, query: &str| {
        visitor.get(&format!("/console/keys?{query}")).await.text().contains(&*path)
    };
    assert!(listed(&mut visitor, "state=revoked&search=AP").await);
    assert!(listed(&mut visitor, &format!("search={}", id_of(&key))).await);
    assert!(!listed(&mut visitor, "state=valid").await && !listed(&mut visitor, "search=braze").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_form_keeps_its_values_and_says_why_beside_them() {
    let fixture = Fixture::start().await;
    let mut visitor = signed_in(&fixture, AdminRole::Admin).await;
    let request = hidden(&visitor.get("/console/keys/new").await, "request");
    let before = keys(&fixture).await.len();
    let fields = [
        ("request", &*request),
        ("name", ""),
        ("grant", "some"),
        ("collections", HOSTILE),
        ("expires", HOSTILE),
        ("networks", "10.0.0.1/8"),
        ("per_second", "many"),
        ("never_throttle_status", "on"),
    ];
    let refused = visitor.post("/console/keys/new", &fields).await;
    assert_eq!(refused.status, 400);
    let text = refused.text();
    for field in ["name", "collections", "expires", "networks", "per_second"] {
        assert!(text.contains(&format!("id=\"{field}-fault\"")), "{field}: {text}");
        assert!(
            text.contains(&format!("aria-describedby=\"{field}-fault {field}-hint\"")),
            "{field}: {text}"
        );
    }
    for kept in ["10.0.0.1/8", "value=\"many\"", "value=\"on\" checked", "value=\"some\" checked"] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert!(
        text.contains("&lt;script&gt;") && !text.contains("<script>") && !text.contains("<b a"),
        "{text}"
    );
    assert!(text.contains("<details open>"), "limits at fault are shown: {text}");
    assert_eq!(hidden(&refused, "request"), request);
    let without = visitor.post("/console/keys/new", &[("name", "x"), ("grant", "all")]).await;
    assert!(without.status == 400 && without.text().contains("invalid_input"), "{without:?}");
    assert_eq!(keys(&fixture).await.len(), before, "nothing was created");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_is_offered_changes_of_keys_and_may_send_them() {
    let fixture = Fixture::start().await;
    let key = fixture.node.create_key(Scope::AllCollections, KeyLimits::default()).await;
    let path = format!("/console/keys/{}", id_of(&key));
    let before = keys(&fixture).await;
    for role in [AdminRole::Viewer, AdminRole::Operator] {
        let mut visitor = signed_in(&fixture, role).await;
        for page in ["/console/keys", &path] {
            let page = visitor.get(page).await;
            assert_eq!(page.status, 200);
            for offer in ["/new\"", "/rotate\"", "/revoke\""] {
                assert!(!page.text().contains(offer), "{offer}: {page:?}");
            }
        }
        for form in ["/console/keys/new", &format!("{path}/rotate"), &format!("{path}/revoke")] {
            assert_eq!(visitor.get(form).await.status, 403, "{form}");
            let fields = [("request", "x"), ("name", "x"), ("grant", "all"), ("overlap", "0s")];
            let refused = visitor.post(form, &fields).await;
            assert!(
                refused.status == 403 && refused.text().contains("role_forbidden"),
                "{form}: {refused:?}"
            );
        }
    }
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    assert!(admin.get(&path).await.text().contains("/rotate\""));
    for form in ["/console/keys/new", &format!("{path}/rotate"), &format!("{path}/revoke")] {
        let body = "request=x&name=x&grant=all&overlap=0s";
        let refused = admin.send("POST", form, "Sec-Fetch-Site: cross-site\r\n", body).await;
        assert!(
            refused.status == 403 && refused.text().contains("cross_site_request"),
            "{form}: {refused:?}"
        );
    }
    let names = |keys: &[Value]| keys.iter().map(|key| key["revoked_at"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&keys(&fixture).await), names(&before), "nothing has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_keys_are_text_on_every_page() {
    let fixture = Fixture::start().await;
    let mut visitor = signed_in(&fixture, AdminRole::Admin).await;
    let key = create(&mut visitor, HOSTILE).await;
    let path = format!("/console/keys/{}", id_of(&key));
    let new =
        larder::admin::NewAdminKey { name: HOSTILE.to_owned(), role: AdminRole::Viewer, expires_at: None };
    let admin_key = fixture.node.publisher().await.admin().create_admin_key(new, &tester()).await.unwrap();
    Visitor::of(&fixture.node).sign_in(admin_key.expose()).await;
    let hostile = crate::support::node::encoded(HOSTILE);
    for page in [
        "/console/keys".to_owned(),
        format!("/console/keys?search={hostile}&state={hostile}"),
        path.clone(),
        format!("{path}/rotate"),
        format!("{path}/revoke"),
        "/console/admin-keys".to_owned(),
        format!("/console/admin-keys/{}/revoke", admin_key.id()),
        "/console/sessions".to_owned(),
        "/console/audit".to_owned(),
        format!("/console/audit?subject={hostile}"),
    ] {
        let answer = visitor.get(&page).await;
        check_policy(&answer);
        let text = answer.text();
        assert!(answer.status == 200 && text.contains("&lt;script&gt;"), "{page}: {answer:?}");
        assert!(!text.contains("<script>") && !text.contains("<b a"), "{page}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn created_keys_are_in_no_log() {
    let deployment = Deployment::new();
    let node = deployment.node("node", "");
    let mut server = node.serve_with(&[("LARDER_LOG", "trace")]).await;
    let address = server.admin().await;
    let first = admin::key(address, node.path()).await;
    let mut visitor = Visitor::at(address);
    wait_until("signing in", async || visitor.sign_in(&first).await.status == 303).await;
    let mut secrets = Vec::new();
    for (path, fields) in [
        ("/console/keys/new", [("name", "logged-key"), ("grant", "all")]),
        ("/console/admin-keys/new", [("name", "logged-admin-key"), ("role", "viewer")]),
    ] {
        let request = hidden(&visitor.get(path).await, "request");
        let created = visitor.post(path, &[&[("request", &*request)], &fields[..]].concat()).await;
        secrets.push(shown(&created).unwrap_or_else(|| panic!("{created:?}")));
    }
    // The log has caught up when it has a line about what came later.
    assert_eq!(visitor.sign_in("lra_never").await.status, 403);
    let log = server.until("the log", |server| {
        let log = server.log();
        log.contains("an admin key was refused").then_some(log)
    });
    let log = log.await;
    for secret in secrets {
        let secret = secret.rsplit('_').next().unwrap();
        assert!(!log.contains(secret), "the log has a key");
    }
}

/// The second click of a browser without JavaScript: it shows the answer to that click alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_sent_twice_at_once_makes_one_key_and_both_answers_say_where_it_is() {
    let fixture = Fixture::start().await;
    let mut one = signed_in(&fixture, AdminRole::Admin).await;
    let mut other = Visitor::of(&fixture.node);
    other.cookie.clone_from(&one.cookie);
    for (form, title, is_rotatable) in
        [("/console/keys/new", "Key created", true), ("/console/admin-keys/new", "Admin key created", false)]
    {
        let request = hidden(&one.get(form).await, "request");
        let fields = [("request", &*request), ("name", "twice"), ("grant", "all"), ("role", "viewer")];
        let (first, second) = tokio::join!(one.post(form, &fields), other.post(form, &fields));
        for answer in [&first, &second] {
            assert!(answer.status == 200 && answer.text().contains(title), "{answer:?}");
        }
        let without = match (shown(&first), shown(&second)) {
            (Some(_), None) => second,
            (None, Some(_)) => first,
            keys => panic!("{keys:?}: one of two answers has the key"),
        };
        assert!(without.text().contains("shown in the answer to the first one only"), "{without:?}");
        let link = without.text().split("<a class=\"button\" href=\"").nth(1);
        assert_eq!(link.is_some(), is_rotatable, "{without:?}");
        if let Some(link) = link {
            let path = link.split('"').next().unwrap();
            assert_eq!(one.get(path).await.status, 200, "{path}");
        }
    }
    assert_eq!(keys(&fixture).await.iter().filter(|key| key["name"] == "twice").count(), 1);
}
