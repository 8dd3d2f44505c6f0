//! Admin keys and sessions in the console and the API: creating, revoking, ending one's own and those of others.

use larder::admin::AdminRole;
use serde_json::{Value, json};

use super::{
    keys::{hidden, shown},
    sessions::signed_in,
    visitor::Visitor,
};
use crate::{
    admin::fixture::Fixture,
    support::{admin::ask, process::wait_until},
};

async fn sessions(fixture: &Fixture) -> Vec<Value> {
    fixture.get("/admin/v1/sessions").await["items"].as_array().unwrap().clone()
}

/// The id of a visitor's session.
fn session_of(visitor: &Visitor) -> String {
    let cookie = visitor.cookie.as_deref().unwrap();
    cookie.rsplit('_').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_key_is_created_signs_in_and_is_revoked_with_its_sessions() {
    let fixture = Fixture::start().await;
    let mut visitor = signed_in(&fixture, AdminRole::Admin).await;
    let new = "/console/admin-keys/new";
    let request = hidden(&visitor.get(new).await, "request");
    let wrong = [("request", &*request), ("name", "<b>"), ("role", "king"), ("expires", "0s")];
    let refused = visitor.post(new, &wrong).await;
    assert_eq!(refused.status, 400);
    for part in ["id=\"role-fault\"", "id=\"expires-fault\"", "value=\"&lt;b&gt;\"", "value=\"0s\""] {
        assert!(refused.text().contains(part), "{part}: {refused:?}");
    }
    let fields = [("request", &*request), ("name", "ops"), ("role", "operator"), ("expires", "1d")];
    let key = shown(&visitor.post(new, &fields).await).unwrap();
    let again = visitor.post(new, &fields).await;
    assert!(shown(&again).is_none() && again.text().contains("was sent before"), "{again:?}");

    let mut operator = Visitor::of(&fixture.node);
    wait_until("the key", async || operator.sign_in(&key).await.status == 303).await;
    assert_eq!(operator.get("/admin/v1/whoami").await.json()["role"], "operator");
    let id = key.trim_start_matches("lra_").split('_').next().unwrap();
    assert_eq!(
        ask(fixture.node.server().admin_address(), &key, "GET", "/admin/v1/whoami", None).await.status,
        200
    );
    wait_until("the last use of the key", async || {
        let keys = fixture.get("/admin/v1/admin-keys").await;
        let used = keys["items"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap();
        used["last_used_at"].is_string()
    })
    .await;
    let list = operator.get("/console/admin-keys").await;
    assert!(list.text().contains(id) && !list.text().contains("/revoke\""), "{list:?}");
    let revoke = format!("/console/admin-keys/{id}/revoke");
    for form in [new, &revoke] {
        assert_eq!(
            (operator.get(form).await.status, operator.post(form, &[]).await.status),
            (403, 403),
            "{form}"
        );
    }

    let confirm = visitor.get(&revoke).await;
    assert!(confirm.status == 200 && confirm.text().contains("sessions that began with it"), "{confirm:?}");
    let revoked = visitor.post(&revoke, &[]).await;
    assert_eq!((revoked.status, revoked.header("location")), (303, Some("/console/admin-keys")));
    wait_until("the end of the session", async || !operator.is_signed_in().await).await;
    assert!(!sessions(&fixture).await.iter().any(|session| session["key_id"] == id), "it is not open");
    assert_eq!(visitor.post("/console/admin-keys/nosuch/revoke", &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_ends_own_sessions_and_admins_those_of_others() {
    let fixture = Fixture::start().await;
    let key = fixture.key(AdminRole::Viewer).await;
    let [mut one, mut two, mut stranger] = [(); 3].map(|()| Visitor::of(&fixture.node));
    for visitor in [&mut one, &mut two] {
        assert_eq!(visitor.sign_in(key.expose()).await.status, 303);
    }
    let other = fixture.key(AdminRole::Operator).await;
    assert_eq!(stranger.sign_in(other.expose()).await.status, 303);
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;

    let open = sessions(&fixture).await;
    assert_eq!(open.len(), 4, "{open:?}");
    let mine = open.iter().find(|session| session["id"] == session_of(&one)).unwrap();
    assert_eq!((&mine["role"], &mine["key_id"]), (&json!("viewer"), &json!(key.id())));
    assert!(mine.get("sha256").is_none(), "{mine}");
    let page = one.get("/console/sessions").await;
    let end = |visitor: &Visitor| format!("/console/sessions/{}/end", session_of(visitor));
    assert!(page.text().contains("this browser") && page.text().contains(&end(&two)), "{page:?}");
    assert!(!page.text().contains(&end(&stranger)) && !page.text().contains(&end(&admin)), "{page:?}");
    assert!(admin.get("/console/sessions").await.text().contains(&end(&stranger)));

    // Those of others: refused, here and by the API.
    for other in [&stranger, &admin] {
        let refused = one.post(&end(other), &[]).await;
        assert!(refused.status == 403 && refused.text().contains("role_forbidden"), "{refused:?}");
        let target = format!("/admin/v1/sessions/{}", session_of(other));
        let refused = ask(fixture.node.server().admin_address(), key.expose(), "DELETE", &target, None).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "role_forbidden"));
    }
    let cross_site = admin.send("POST", &end(&one), "Sec-Fetch-Site: cross-site\r\n", "").await;
    assert_eq!(cross_site.status, 403);
    assert_eq!(sessions(&fixture).await.len(), 4);

    let ended = one.post(&end(&two), &[]).await;
    assert_eq!((ended.status, ended.header("location")), (303, Some("/console/sessions")));
    assert!(!two.is_signed_in().await && one.is_signed_in().await, "at once");
    let target = format!("/admin/v1/sessions/{}", session_of(&stranger));
    let ended = fixture.ask("DELETE", &target, None).await;
    assert_eq!((ended.status, ended.json()), (200, json!({ "id": session_of(&stranger) })));
    assert!(!stranger.is_signed_in().await);
    assert_eq!(fixture.refused("DELETE", &target, None).await, (404, "unknown_session".to_owned()));
    let own = one.post(&end(&one), &[]).await;
    assert_eq!((own.status, own.header("location")), (303, Some("/console/sign-in")));
    assert_eq!(one.cookie, None, "the browser forgets it");
    assert_eq!(sessions(&fixture).await.len(), 1);
    let log = fixture.get("/admin/v1/audit?limit=3").await;
    for entry in log["items"].as_array().unwrap() {
        assert_eq!(entry["action"], "session.end", "{entry}");
    }
    assert_eq!(log["items"][1]["subject"], target.rsplit('/').next().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_by_a_link_ends_none_of_its_key_with_a_higher_role() {
    let fixture = Fixture::start().await;
    let (mut admin, mut viewer, mut second) = (
        signed_in(&fixture, AdminRole::Admin).await,
        signed_in(&fixture, AdminRole::Viewer).await,
        signed_in(&fixture, AdminRole::Viewer).await,
    );
    let end = |visitor: &Visitor| format!("/console/sessions/{}/end", session_of(visitor));
    assert_eq!(viewer.post(&end(&admin), &[]).await.status, 403);
    assert!(admin.is_signed_in().await);
    assert_eq!(viewer.post(&end(&second), &[]).await.status, 303);
    assert!(!second.is_signed_in().await && viewer.is_signed_in().await);
}
