//! `larder admin login-link`, here and on a server, and the quickstart's link.

use super::visitor::Visitor;
use crate::support::{
    admin,
    deployment::Deployment,
    process::{until, wait_until},
};

#[tokio::test(flavor = "multi_thread")]
async fn login_link_prints_a_link_that_signs_in_and_is_in_no_log() {
    let deployment = Deployment::new();
    let node = deployment.node("node", "");
    let mut server = node.serve_with(&[("LARDER_LOG", "trace")]).await;
    let address = server.admin().await;
    let url = format!("http://{address}");
    let key = admin::key(address, node.path()).await;
    wait_until("the first admin key", async || {
        admin::ask(address, &key, "GET", "/admin/v1/whoami", None).await.json()["role"] == "admin"
    })
    .await;

    let unclear = node.run(&["admin", "login-link"]).expect(2);
    assert!(unclear.stderr.contains("--url"), "{unclear:?}");
    let here = node.run(&["admin", "login-link", "--role", "viewer", "--url", &format!("{url}/")]).expect(0);
    let variables = [("LARDER_SERVER", &*url), ("LARDER_ADMIN_KEY", &*key)];
    let there = node.run_with(&["admin", "login-link", "--config", "nowhere.toml"], &variables).expect(0);
    let (mut secrets, mut visitors) = (Vec::new(), Vec::new());
    for (printed, role, name) in [(here, "viewer", "cli:"), (there, "admin", "first")] {
        let path = printed.stdout.trim().strip_prefix(&url).unwrap_or_else(|| panic!("{printed:?}"));
        let mut visitor = Visitor::at(address);
        assert_eq!(visitor.get(path).await.status, 200);
        let token = path.rsplit('/').next().unwrap();
        assert_eq!(visitor.post("/console/sign-in", &[("token", token)]).await.status, 303);
        let me = visitor.get("/admin/v1/whoami").await.json();
        assert_eq!(me["role"], role);
        assert!(me["name"].as_str().unwrap().starts_with(name), "{me}");
        assert_eq!(visitor.sign_in("lra_never").await.status, 403);
        secrets.extend([token.to_owned(), visitor.cookie.clone().unwrap()]);
        visitors.push(visitor);
    }
    let list = ["admin", "sessions", "list", "--json"];
    let sessions = node.run(&list).expect(0).json();
    assert_eq!(node.run_with(&list, &variables).expect(0).json(), sessions);
    let id_of = |role: &str| {
        let found = sessions.as_array().unwrap().iter().find(|session| session["role"] == role);
        found.unwrap_or_else(|| panic!("{sessions}"))["id"].as_str().unwrap().to_owned()
    };
    node.run(&["admin", "sessions", "end", &id_of("viewer")]).expect(0);
    node.run_with(&["admin", "sessions", "end", &id_of("admin")], &variables).expect(0);
    for mut visitor in visitors {
        wait_until("the end of the session", async || visitor.get("/admin/v1/whoami").await.status == 401)
            .await;
    }
    assert_eq!(node.run(&list).expect(0).json(), serde_json::json!([]));
    for ended in [
        node.run(&["admin", "sessions", "end", "nosuch"]),
        node.run_with(&["admin", "sessions", "end", "nosuch"], &variables),
    ] {
        assert!(ended.expect(2).stderr.ends_with("\n  code: unknown_session\n"));
    }
    let refusals = until("the log of refusals", async || {
        let log = server.log();
        (log.matches("an admin key was refused").count() >= 2).then_some(log)
    })
    .await;
    for secret in secrets {
        let secret = secret.rsplit('_').next().unwrap().to_owned();
        assert!(!refusals.contains(&secret), "the log has {secret}");
    }
}
