//! `larder versions`: what can be served, and where it came from.

use std::{fs::File, time::Duration};

use larder::support::clock::Clock;
use serde_json::{Value, json};

use super::story::{ROWS, held, sync};
use crate::support::deployment::NodeDirectory;

fn listed(node: &NodeDirectory, arguments: &[&str]) -> Vec<Value> {
    let versions = node.run(&[&["versions", "person", "--json"], arguments].concat()).expect(0).json();
    versions.as_array().unwrap().clone()
}

fn numbers(versions: &[Value]) -> Vec<u64> {
    versions.iter().map(|one| one["version"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_that_can_be_served_is_listed_with_its_origin() {
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "manual")).await;
    node.run(&["versions", "person"]).expect(2);
    node.run(&["sync", "person"]).expect(0);
    node.execute("update people set name = 'Second' where id <= 5; insert into people values (41, 'New')")
        .await;
    node.run(&["sync", "person"]).expect(0);
    // A held run leaves a manifest with the number of a version that was never announced.
    node.execute("delete from people where id > 20").await;
    held(&node);
    node.run(&["rollback", "person", "--to", "1"]).expect(0);
    node.run(&["pin", "person", "--region", "eu", "--to", "2"]).expect(0);

    let versions = listed(&node, &[]);
    assert_eq!(numbers(&versions), [3, 2, 1]);
    let origin = |one: &Value| (one["origin"].clone(), one["records"].clone(), one["newest"].clone());
    assert_eq!(origin(&versions[0]), (json!("rollback"), json!(40), json!(true)));
    assert_eq!(origin(&versions[1]), (json!("operator"), json!(41), json!(false)));
    assert_eq!(origin(&versions[2]), (json!("operator"), json!(40), json!(false)));
    let counts = &versions[1]["counts"];
    assert_eq!((&counts["added"], &counts["changed"]), (&json!(1), &json!(5)));
    assert_eq!(versions[1]["pinned"], json!(["eu"]));
    assert_eq!(versions[0]["data_as_of"], versions[2]["data_as_of"], "as old as what it restored");

    // The rollback has a run like every other version.
    let runs = node.run(&["runs", "person", "--announced", "--json"]).expect(0).json();
    let of_runs: Vec<_> = runs.as_array().unwrap().iter().map(|run| (&run["id"], &run["version"])).collect();
    let of_versions: Vec<_> = versions.iter().map(|one| (&one["run"], &one["version"])).collect();
    assert_eq!(of_runs, of_versions);
    assert_eq!((&runs[0]["trigger"], &runs[0]["status"]), (&json!("rollback"), &json!("announced")));

    // Without metadata the versions are the same.
    let replica = listed(&node, &["--roles", "replica"]);
    assert_eq!(numbers(&replica), [3, 2, 1]);
    assert!(replica.iter().all(|one| one["origin"].is_null() && one["counts"].is_null()), "{replica:?}");
    let table = node.run(&["versions", "person"]).expect(0).stdout;
    assert!(
        table.starts_with("VERSION ") && table.contains("pinned: eu") && table.contains("newest"),
        "{table}"
    );

    // A version that has lost a segment cannot be served.
    let store = node.path().join("data/store");
    let changes: Vec<_> = node
        .files("data/store/collections")
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.to_str().unwrap().contains(runs[1]["id"].as_str().unwrap()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "arrow"))
        .collect();
    assert!(!changes.is_empty(), "{}", store.display());
    for segment in changes {
        std::fs::remove_file(segment).unwrap();
    }
    assert_eq!(numbers(&listed(&node, &[])), [3, 1]);
    let unknown = node.run(&["rollback", "person", "--to", "9"]).expect(2).stderr;
    assert!(unknown.contains(": 3 (") && unknown.contains(", 1 (") && !unknown.contains(" 2 ("), "{unknown}");
}

/// Retention may delete a version that only waits for the end of its grace, so it is not offered.
#[tokio::test(flavor = "multi_thread")]
async fn versions_beyond_the_limit_of_rollbacks_are_not_listed() {
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "manual")).await;
    for name in ["First", "Second", "Third"] {
        node.execute(&format!("update people set name = '{name}' where id = 1")).await;
        node.run(&["sync", "person"]).expect(0);
    }
    let kept = |count: usize| listed(&node, &["--set", &format!("storage.keep_versions={count}")]);
    assert_eq!(numbers(&kept(1)), [3, 2, 1], "all were in force within the last hours");
    let written = std::time::SystemTime::from(Clock::default().now()) - Duration::from_hours(20);
    for (path, _) in node.files("data/store") {
        File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    }
    assert_eq!(numbers(&kept(1)), [3]);
    assert_eq!(numbers(&kept(2)), [3, 2]);
    let refused =
        node.run(&["rollback", "person", "--to", "2", "--set", "storage.keep_versions=1"]).expect(2);
    assert!(refused.stderr.contains("unknown_version"), "{refused:?}");
    node.run(&["pin", "person", "--region", "eu", "--to", "2"]).expect(0);
    assert_eq!(numbers(&kept(1)), [3, 2], "a pinned one can be served");
    node.run(&["rollback", "person", "--to", "2", "--set", "storage.keep_versions=1"]).expect(0);
}
