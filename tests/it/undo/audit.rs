//! Who did what: the log, its command, and what becomes of commands when it cannot be written.

use serde_json::Value;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::story::{ROWS, held, sync};
use crate::support::{deployment::NodeDirectory, postgres::Postgres, process::CommandOutput};

/// Action, object, and the beginning of the details, oldest first.
const DONE: [(&str, &str, &str); 12] = [
    ("key.create", "", "test: opens all collections"),
    ("sync.run", "person", "run_"),
    ("sync.run", "person", "run_"),
    ("run.approve", "person", "run_"),
    ("collection.rollback", "person", "from 2 to 1 as 3"),
    ("sync.pause", "person", "rolled back to 1"),
    ("sync.resume", "person", ""),
    ("collection.pin", "person", "eu at 1, the newest is 3"),
    ("collection.unpin", "person", "eu from 1, the newest is 3"),
    ("sync.accept", "person", "run_"),
    ("key.revoke", "", ""),
    ("collection.drop", "person", "version 4, "),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_changes_something_is_in_the_log() {
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "manual")).await;
    tell(&node, &[]).await;

    // The actor is bounded and printable, and a command's own comes before the environment's.
    node.run_with(&["sync", "person", "--actor", "x\n\u{1b}y"], &[("LARDER_ACTOR", "bot")]).expect(0);
    node.run_with(&["sync", "person"], &[("LARDER_ACTOR", "bot")]).expect(0);
    let log = node.run(&["audit", "--json", "--limit", "2"]).expect(0).json();
    assert_eq!((&log[0]["actor"], &log[1]["actor"]), (&"cli:bot".into(), &"cli:x??y".into()), "{log}");
    assert_eq!(log.as_array().unwrap().len(), 2);
    let none = node.run(&["audit", "nothing"]).expect(0);
    assert_eq!(none.stdout, "nothing in the audit log about \"nothing\"\n");
    for limit in ["0", "1001"] {
        node.run(&["audit", "--limit", limit]).expect(2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_changes_something_is_in_the_log_of_postgres() {
    let database = Postgres::database().await;
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "manual")).await;
    let url = database.url();
    node.run_with(&["migrate"], &[("LARDER_METADATA_URL", &url)]).expect(0);
    tell(&node, &[("LARDER_METADATA_URL", &url)]).await;
}

/// Does everything once, and reads it in the log.
async fn tell(node: &NodeDirectory, variables: &[(&str, &str)]) {
    let run = |arguments: &[&str]| -> CommandOutput { node.run_with(arguments, variables) };
    let created = run(&["keys", "create", "--name", "test", "--all-collections"]).expect(0).stdout;
    let key = &created.trim()["lrd_".len()..][..12];
    run(&["sync", "person"]).expect(0);
    node.execute("delete from people where id > 20").await;
    let ran = run(&["sync", "person", "--json"]).expect(3).json();
    run(&["approve", ran["id"].as_str().unwrap()]).expect(0);
    run(&["rollback", "person", "--to", "1"]).expect(0);
    run(&["resume", "person"]).expect(0);
    run(&["pin", "person", "--region", "eu", "--to", "1"]).expect(0);
    run(&["unpin", "person", "--region", "eu"]).expect(0);
    run(&["sync", "person", "--accept"]).expect(0);
    run(&["keys", "revoke", key]).expect(0);
    let config = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    node.write("without.toml", config.split("[models.people]").next().unwrap());
    run(&["drop", "person", "-c", "without.toml"]).expect(0);

    let log = run(&["audit", "--json"]).expect(0).json();
    let mut log: Vec<Value> = log.as_array().unwrap().clone();
    log.reverse();
    assert_eq!(log.len(), DONE.len(), "{log:?}");
    for (entry, (action, subject, detail)) in log.iter().zip(DONE) {
        let subject = if subject.is_empty() { key } else { subject };
        assert_eq!((&entry["action"], &entry["subject"]), (&action.into(), &subject.into()));
        assert!(entry["detail"].as_str().unwrap_or_default().starts_with(detail), "{entry}");
        let actor = entry["actor"].as_str().unwrap();
        assert!(actor.starts_with("cli:uid-") && actor.contains('@'), "{entry}");
    }
    let announced = log[9]["detail"].as_str().unwrap();
    assert!(announced.ends_with(": announced, version 4"), "{announced}");

    let table = run(&["audit", key]).expect(0).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("TIME ") && lines[1].contains("key.revoke"), "newest first: {table}");
    assert!(lines[2].ends_with("test: opens all collections"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_cannot_be_audited_is_refused() {
    let node = NodeDirectory::new(ROWS, &sync("person", "people", "manual")).await;
    node.run(&["sync", "person"]).expect(0);
    node.execute("delete from people where id > 20; update people set name = 'Held'").await;
    let run = held(&node);
    let options = SqliteConnectOptions::new().filename(node.path().join("data/metadata.db"));
    let mut books = SqliteConnection::connect_with(&options).await.unwrap();
    let refuse = |what: &str| {
        format!(
            "create trigger full_{what} before {what} on audit_log begin select raise(abort, 'full'); end"
        )
    };
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse("insert"))).execute(&mut books).await.unwrap();
    for arguments in [
        &["sync", "person", "--accept"][..],
        &["approve", &run],
        &["pin", "person", "--region", "eu", "--to", "1"],
        &["keys", "create", "--name", "test", "--all-collections"],
    ] {
        let refused = node.run(arguments);
        assert!(refused.code != Some(0) && refused.stderr.contains("code: metadata_"), "{refused:?}");
    }
    let status = node.run(&["status", "--json"]).expect(0).json();
    let one = &status["collections"][0];
    assert_eq!(
        (&one["version"], &one["held_run"], &one["pins"]),
        (&1.into(), &run.as_str().into(), &serde_json::json!({}))
    );
    assert_eq!(status["keys"], Value::Null);

    // When only the outcome cannot be written, the action stands and the command warns.
    sqlx::raw_sql("drop trigger full_insert").execute(&mut books).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse("update"))).execute(&mut books).await.unwrap();
    let approved = node.run(&["approve", &run]).expect(0);
    assert!(approved.stdout.starts_with("person: announced version 2"), "{approved:?}");
    assert!(approved.stderr.contains("WARN") && approved.stderr.contains("run.approve"), "{approved:?}");
    let log = node.run(&["audit", "person", "--limit", "1"]).expect(0).stdout;
    assert!(log.contains("run.approve") && log.contains("started; outcome not recorded"), "{log}");
}
