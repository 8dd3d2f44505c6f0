//! Admin keys on a whole node: roles by route, revocation, expiry, the limit of failed sign-ins, the first key.

use std::{fs, os::unix::fs::PermissionsExt};

use chrono::TimeDelta;
use larder::{
    admin::{AdminRole, NewAdminKey},
    api,
    auth::AdminKey,
    support::clock::Clock,
};
use serde_json::Value;
use strum::VariantArray;
use tempfile::TempDir;

use super::fixture::with_server;
use crate::support::{
    admin::{ask, bearer},
    deployment::Deployment,
    http::Client,
    node::{Node, Warehouse, tester},
    process::{until, wait_until},
};

const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nindexes = { id = \"id\" }\n";

async fn node(server: &str) -> Node {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute("create table people (id integer primary key, name text)").await;
    with_server(Node::start(directory, warehouse, SECTIONS).await, server).await
}

async fn create(node: &Node, role: AdminRole, lifetime: Option<TimeDelta>) -> AdminKey {
    let expires_at = lifetime.map(|lifetime| Clock::default().now() + lifetime);
    let new = NewAdminKey { name: format!("a {role}"), role, expires_at };
    let key = node.publisher().await.admin().create_admin_key(new, &tester()).await.unwrap();
    // Keys are read again after a second.
    wait_until("the key", async || code(node, key.expose()).await.as_deref() != Some("admin_key_unknown"))
        .await;
    key
}

/// The code with which `key` is refused.
async fn code(node: &Node, key: &str) -> Option<String> {
    let answer = ask(node.server().admin_address(), key, "GET", "/admin/v1/whoami", None).await;
    (answer.status != 200).then(|| answer.code())
}

/// Every operation of the description: method, path with names that nothing has, and the role that it needs.
fn operations() -> Vec<(String, String, Option<AdminRole>)> {
    let description: Value = serde_json::from_str(&api::admin_description()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let path: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { "nothing" } else { part }).collect();
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["security"][0]["admin_key"][0].as_str();
            let role = role.map(|role| role.parse().unwrap());
            operations.push((method.to_ascii_uppercase(), path.join("/"), role));
        }
    }
    operations
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_open_to_the_roles_of_its_row_and_closed_to_all_others() {
    let node = node("metrics_open = false\nsign_in_failures_per_minute_max = 100000\n").await;
    let address = node.server().admin_address();
    let mut keys = Vec::new();
    for role in AdminRole::VARIANTS {
        keys.push((*role, create(&node, *role, None).await));
    }
    let operations = operations();
    assert!(operations.len() >= 5, "{operations:?}");
    let unknown = AdminKey::generate();
    for (method, path, needed) in operations {
        let ask = async |headers: &str| {
            // An answer without an end is not read.
            let mut client = Client::connect(address).await;
            client.request(&method, &path, headers).await;
            let head = client.head().await;
            match head.header("content-length") {
                Some(_) if head.status >= 400 => {
                    let mut client = Client::connect(address).await;
                    Some(client.ask(&method, &path, headers).await).filter(|answer| answer.status >= 400)
                }
                _ => None,
            }
            .map(|answer| (answer.status, answer.code()))
        };
        let refused = |answer: &Option<(u16, String)>| {
            let code = answer.as_ref().map_or("", |(_, code)| code);
            ["role_forbidden", "admin_key_missing", "admin_key_unknown"].contains(&code)
        };
        let Some(needed) = needed else {
            assert!(!refused(&ask("").await), "{method} {path}");
            continue;
        };
        assert_eq!(ask("").await, Some((401, "admin_key_missing".to_owned())), "{method} {path}");
        let wrong = ask(&bearer(unknown.expose())).await;
        assert_eq!(wrong, Some((401, "admin_key_unknown".to_owned())), "{method} {path}");
        for (role, key) in &keys {
            let answer = ask(&bearer(key.expose())).await;
            if *role < needed {
                assert_eq!(answer, Some((403, "role_forbidden".to_owned())), "{role} {method} {path}");
            } else {
                assert!(!refused(&answer), "{role} {method} {path}: {answer:?}");
                assert!(
                    answer.as_ref().is_none_or(|(status, _)| *status < 500),
                    "{method} {path}: {answer:?}"
                );
            }
        }
    }
    assert_eq!(node.admin("GET", "/nowhere", None).await.code(), "route_not_found");
    assert_eq!(Client::connect(address).await.ask("GET", "/nowhere", "").await.code(), "admin_key_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_and_expired_admin_keys_are_refused_and_audited() {
    let node = node("").await;
    let key = create(&node, AdminRole::Operator, None).await;
    let admin = node.publisher().await.admin();
    assert_eq!(admin.revoke_admin_key(key.expose(), &tester()).await.unwrap(), key.id());
    until("refusal", async || code(&node, key.expose()).await.filter(|code| code == "admin_key_unknown"))
        .await;
    assert_eq!(admin.revoke_admin_key("nosuch", &tester()).await.unwrap_err().code(), "unknown_admin_key");

    let short = create(&node, AdminRole::Viewer, Some(TimeDelta::milliseconds(1))).await;
    until("the end", async || code(&node, short.expose()).await.filter(|code| code == "admin_key_expired"))
        .await;

    let log = admin.audit_log(Some(key.id()), 10).await.unwrap();
    let actions: Vec<&str> = log.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["admin_key.revoke", "admin_key.create"]);
    assert_eq!(log[1].detail.as_deref(), Some("a operator: operator"));
    for text in log.iter().map(|entry| format!("{entry:?}")) {
        assert!(!text.contains(&key.expose()[17..]), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_sign_ins_of_an_address_are_limited() {
    let node = node("sign_in_failures_per_minute_max = 3\ntrusted_proxies = [\"127.0.0.0/8\"]\n").await;
    node.publisher().await;
    let mut client = Client::connect(node.server().admin_address()).await;
    let own = node.admin_key();
    let mut whoami = async |key: &str, from: &str| {
        let headers = format!("{}X-Forwarded-For: {from}\r\n", bearer(key));
        client.ask("GET", "/admin/v1/whoami", &headers).await
    };
    for key in ["lra_x", AdminKey::generate().expose(), "{{admin_key}}"] {
        assert_eq!(whoami(key, "203.0.113.7").await.code(), "admin_key_unknown");
    }
    for key in ["lra_x", &own] {
        let refused = whoami(key, "203.0.113.7").await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_sign_ins"));
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    assert_eq!(whoami(&own, "203.0.113.8").await.status, 200, "another address");
    assert_eq!(whoami(&own, "nonsense").await.status, 200, "the proxy itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_publisher_leaves_the_first_admin_key_in_a_private_file() {
    let deployment = Deployment::new();
    let first = deployment.node("first", "");
    let mut server = first.serve().await;
    let me = server.ask_admin("/admin/v1/whoami").await.json();
    let file = deployment.path("first/admin.key");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = fs::read_to_string(file).unwrap().trim().to_owned();
    let address = server.admin().await;
    until("the first key", async || {
        let me = ask(address, &key, "GET", "/admin/v1/whoami", None).await.json();
        (me["name"] == "first" && me["role"] == "admin").then_some(())
    })
    .await;
    assert_eq!(me["id"], AdminKey::id_of(&key).unwrap());

    // Another publisher, and a node without metadata: their own keys let their holder read.
    for (name, roles) in [("second", ""), ("replica", "[node]\nroles = [\"replica\"]\n")] {
        let node = deployment.node(name, "");
        let base = fs::read_to_string(deployment.path(&format!("{name}.toml"))).unwrap();
        let text = if roles.is_empty() { base } else { base.replacen("[node]\n", roles, 1) };
        fs::write(deployment.path(&format!("{name}.toml")), text).unwrap();
        let mut other = node.serve().await;
        let own = fs::read_to_string(deployment.path(&format!("{name}/admin.key"))).unwrap();
        let me = ask(other.admin().await, own.trim(), "GET", "/admin/v1/whoami", None).await.json();
        assert_eq!((&me["name"], &me["role"]), (&"this node".into(), &"viewer".into()), "{name}");
        assert_eq!(ask(other.admin().await, own.trim(), "GET", "/status", None).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_create_list_and_revoke_admin_keys() {
    let deployment = Deployment::new();
    let node = deployment.node("node", "");
    let mut server = node.serve().await;
    let created = node.run(&["admin", "keys", "create", "--name", "airflow", "--role", "operator"]).expect(0);
    let key = created.stdout.trim().to_owned();
    let id = AdminKey::id_of(&key).unwrap().to_owned();
    let address = server.admin().await;
    until("the key", async || {
        let answer = ask(address, &key, "GET", "/admin/v1/whoami", None).await;
        (answer.status == 200 && answer.json()["name"] == "airflow").then_some(())
    })
    .await;
    let listed = node.run(&["admin", "keys", "list", "--json"]).expect(0).json();
    let entry = listed.as_array().unwrap().iter().find(|entry| entry["id"] == id.as_str()).unwrap();
    assert_eq!((&entry["role"], &entry["revoked_at"]), (&"operator".into(), &Value::Null));
    node.run(&["admin", "keys", "revoke", &id]).expect(0);
    until("refusal", async || {
        (ask(address, &key, "GET", "/admin/v1/whoami", None).await.status == 401).then_some(())
    })
    .await;
    assert!(node.run(&["admin", "keys", "list"]).expect(0).stdout.contains("revoked"));
    let unknown = node.run(&["admin", "keys", "revoke", "nosuch"]).expect(2);
    assert!(unknown.stderr.contains("unknown_admin_key"), "{unknown:?}");
    node.run(&["admin", "keys", "create", "--name", "x", "--role", "root"]).expect(2);
}
