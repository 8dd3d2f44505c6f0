//! Commands around sync runs.

use larder::{
    metadata::{LeaseOutcome, Metadata, Settings},
    support::clock::Clock,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{COUNT_MEMBERS, HUNDRED, PERSON, RUN_MEMBERS, names, people};
use crate::support::deployment::NodeDirectory;

#[tokio::test]
async fn a_sync_says_what_it_did_and_runs_list_it() {
    let node = people().await;
    assert_eq!(node.run(&["runs"]).expect(0).stdout, "no runs yet\n");
    assert_eq!(node.run(&["runs", "person"]).expect(0).stdout, "no runs of person yet\n");
    let announced = node.run(&["runs", "person", "--announced"]).expect(0).stdout;
    assert_eq!(announced, "no runs of person that announced a version yet\n");
    assert_eq!(node.run(&["runs", "--json"]).expect(0).json(), json!([]));

    let ran = node.run(&["sync", "person"]).expect(0);
    assert!(ran.stdout.starts_with("person: announced version 1 in "), "{ran:?}");
    assert!(
        ran.stdout.ends_with("  4 rows: 2 added, 0 changed, 0 removed, 2 rejected; 2 records\n"),
        "{ran:?}"
    );
    assert!(ran.stderr.starts_with("warning: 2 rows rejected; larder runs run_"), "{ran:?}");

    let runs = node.run(&["runs", "--json"]).expect(0).json();
    let run = &runs.as_array().unwrap()[0];
    assert_eq!(names(run), RUN_MEMBERS);
    assert_eq!(names(&run["counts"]), COUNT_MEMBERS);
    assert_eq!(
        (&run["status"], &run["trigger"], &run["version"]),
        (&json!("announced"), &json!("operator"), &json!(1))
    );
    let id = run["id"].as_str().unwrap();
    assert!(ran.stderr.contains(id), "{ran:?}");

    let table = node.run(&["runs", "person"]).expect(0).stdout;
    assert!(table.starts_with("RUN ") && table.contains(id) && table.contains("announced"), "{table}");
    let one = node.run(&["runs", id]).expect(0).stdout;
    assert!(one.contains("\n2 records after the run\n"), "{one}");
    assert!(
        one.contains("missing_primary_key  id     -\n") && one.contains("invalid_json         tags   4\n"),
        "{one}"
    );
    let one = node.run(&["runs", id, "--json"]).expect(0).json();
    assert_eq!(names(&one), ["run", "rejected"]);
    assert_eq!(
        one["rejected"],
        json!([
            {"reason": "missing_primary_key", "field": "id", "primary_key": null},
            {"reason": "invalid_json", "field": "tags", "primary_key": "4"},
        ])
    );

    let ran = node.run(&["sync", "person", "--json"]).expect(0);
    assert_eq!((names(&ran.json()), &ran.json()["status"]), (RUN_MEMBERS.to_vec(), &json!("unchanged")));
    assert_eq!(ran.stderr, "");
    assert_eq!(node.run(&["runs", "--limit", "1", "--json"]).expect(0).json().as_array().unwrap().len(), 1);
    for arguments in
        [&["runs", "--announced", "--limit", "1", "--json"][..], &["runs", "person", "--announced", "--json"]]
    {
        assert_eq!(node.run(arguments).expect(0).json(), runs, "not the one that changed nothing");
    }
}

#[tokio::test]
async fn an_unknown_name_exits_2() {
    let node = people().await;
    for (arguments, message) in [
        (
            &["sync", "nosuch"][..],
            "no sync is named \"nosuch\"; configured are: person\n  code: unknown_sync\n",
        ),
        (
            &["preview", "no such"],
            "no sync is named \"no such\"; configured are: person\n  code: unknown_sync\n",
        ),
        (&["runs", "nosuch"], "no sync is named \"nosuch\"; configured are: person\n  code: unknown_sync\n"),
        (&["runs", "a b"], "\"a b\" is neither a sync's name nor a run's id (run_...)\n"),
        (
            &["runs", "run_01a20a5eec7f7d81806d1cda2d2b4382"],
            "no run has the id run_01a20a5eec7f7d81806d1cda2d2b4382; `larder runs` shows the last ones\n  code: unknown_run\n",
        ),
        (
            &["keys", "revoke", "nosuchkey000"],
            "no key has the id \"nosuchkey000\"; `larder keys list` shows them\n  code: unknown_key\n",
        ),
        (&["health", "--url", "readyz"], "--url \"readyz\": give http://host:port/path or https://...\n"),
        (
            &["health", "--url", "ftp://localhost/readyz"],
            "--url \"ftp://localhost/readyz\": give http://host:port/path or https://...\n",
        ),
    ] {
        let ran = node.run(arguments).expect(2);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", message), "{arguments:?}");
    }
    let replica = node.run(&["sync", "person", "--roles", "replica"]).expect(2);
    assert!(replica.stderr.contains("has no metadata database"), "{replica:?}");
}

#[tokio::test]
async fn preview_shows_records_and_rejected_rows_apart() {
    let node = people().await;
    let ran = node.run(&["preview", "person"]).expect(0);
    let records: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], json!({"id": 1, "email": "ann@example.com", "name": "Ann", "tags": ["a", "b"]}));
    assert_eq!(
        ran.stderr,
        "rejected: missing_primary_key in id\nrejected: invalid_json in tags (primary key 4)\n2 rows rejected\n"
    );
    let ran = node.run(&["preview", "person", "--limit", "1"]).expect(0);
    assert_eq!((ran.stdout.lines().count(), ran.stderr.as_str()), (1, ""));
    assert!(!node.path().join("data").exists(), "a preview writes nothing");

    node.execute("insert into people values (char(27) || '[2J' || char(10), null, null, '{')").await;
    let ran = node.run(&["preview", "person"]).expect(0);
    assert!(ran.stderr.contains("(primary key \\u{1b}[2J\\n)\n"), "a terminal obeys nothing of it: {ran:?}");
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let node = people().await;
    let ran = node.run(&["sync", "person", "--dry-run"]).expect(0);
    assert!(ran.stdout.starts_with("person: would announce a new version"), "{ran:?}");
    assert_eq!(
        ran.stderr,
        "warning: 2 rows rejected\n  missing_primary_key in id\n  invalid_json in tags (primary key 4)\n"
    );
    assert_eq!(node.files("data/store"), []);
    assert_eq!(node.run(&["runs", "--json"]).json(), json!([]));

    node.run(&["sync", "person"]).expect(0);
    let local = node.files("data/segments");
    let (store, runs) = (node.files("data/store"), node.run(&["runs", "--json"]).stdout);
    assert!(store.len() >= 4, "{store:?}");
    let unchanged = node.run(&["sync", "person", "--dry-run"]).expect(0);
    assert!(unchanged.stdout.starts_with("person: unchanged ("), "{unchanged:?}");
    node.execute("update people set name = 'Anna' where id = 1; delete from people where id = 2").await;
    let changed = node.run(&["sync", "person", "--dry-run", "--json"]).expect(0).json();
    assert_eq!((&changed["counts"]["changed"], &changed["counts"]["removed"]), (&json!(1), &json!(1)));
    assert_eq!(node.files("data/store"), store);
    assert_eq!(node.files("data/segments"), local);
    assert_eq!(node.run(&["runs", "--json"]).stdout, runs);
}

#[tokio::test]
async fn a_held_run_exits_3_and_is_announced_on_demand() {
    let node = NodeDirectory::new(HUNDRED, PERSON).await;
    node.run(&["sync", "person"]).expect(0);
    node.execute("delete from people where id > 60").await;
    let dry = node.run(&["sync", "person", "--dry-run"]).expect(3);
    assert!(dry.stdout.starts_with("person: would be held"), "{dry:?}");
    let why = "max_removed: 40 of 100 records would be removed, more than max_removed = 30%\n";
    assert!(dry.stderr.starts_with(why), "{dry:?}");
    let held = node.run(&["sync", "person"]).expect(3);
    assert!(held.stderr.starts_with(why) && held.stderr.contains("--accept"), "{held:?}");
    let status = node.run(&["status", "--json"]).expect(0).json();
    let run = status["collections"][0]["held_run"].as_str().unwrap().to_owned();
    assert_eq!(
        (&status["collections"][0]["version"], &status["collections"][0]["records"]),
        (&json!(1), &json!(100))
    );
    assert!(node.run(&["status"]).expect(0).stdout.contains(&format!("held: {run}")));
    assert!(node.run(&["runs", &run]).expect(0).stdout.contains(why));

    let accepted = node.run(&["sync", "person", "--accept"]).expect(0);
    assert!(accepted.stdout.contains("40 removed"), "{accepted:?}");
    // Only a publisher's configuration knows which collections have a sync.
    let config = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    node.write("without.toml", config.split("[models.people]").next().unwrap());
    let note = "orphaned: no longer configured";
    let without = ["status", "--config", "without.toml"];
    assert!(node.run(&without).expect(0).stdout.contains(note));
    assert!(!node.run(&[&without[..], &["--roles", "replica"]].concat()).expect(0).stdout.contains(note));
    let status = node.run(&["status", "--json"]).expect(0).json();
    assert_eq!(
        names(&status),
        [
            "deployment",
            "metadata",
            "publishes_here",
            "catalog",
            "key_set_revision",
            "keys",
            "problem",
            "collections",
            "fleet"
        ]
    );
    assert_eq!(
        names(&status["collections"][0]),
        [
            "collection",
            "version",
            "records",
            "left",
            "bytes",
            "segments",
            "garbage",
            "data_as_of",
            "regions",
            "indexes",
            "orphaned",
            "last_run",
            "held_run",
            "dropped",
            "paused",
            "pins",
            "problem",
        ]
    );
    assert_eq!(
        (&status["collections"][0]["version"], &status["collections"][0]["held_run"]),
        (&json!(2), &Value::Null)
    );
}

#[tokio::test]
async fn a_failed_run_exits_1_with_its_code() {
    let node = people().await;
    let broken = PERSON.replace("select * from people", "select nosuch from people");
    let frame = std::fs::read_to_string(node.path().join("larder.toml")).unwrap().replace(PERSON, &broken);
    node.write("broken.toml", &frame);
    let failed = node.run(&["sync", "-c", "broken.toml", "person"]).expect(1);
    assert!(failed.stdout.starts_with("person: failed after "), "{failed:?}");
    assert!(failed.stderr.starts_with("source_unknown_column: no such column: nosuch"), "{failed:?}");
    let failed = node.run(&["sync", "-c", "broken.toml", "person", "--json"]).expect(1).json();
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("source_unknown_column"))
    );
    let table = node.run(&["runs"]).expect(0).stdout;
    assert_eq!(table.matches("source_unknown_column").count(), 2, "{table}");
    let preview = node.run(&["preview", "-c", "broken.toml", "person"]).expect(1);
    assert!(preview.stderr.ends_with("  code: source_unknown_column\n"), "{preview:?}");

    // A server that does not answer may come back without a change of the configuration.
    let away = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    let away = away.replace("type = \"sqlite\"", "type = \"postgres\"\nurl = \"postgres://u@127.0.0.1:1/d\"");
    let without_path =
        away.lines().filter(|line| !line.starts_with("path = ")).collect::<Vec<_>>().join("\n");
    node.write("away.toml", &without_path);
    for arguments in [&["sync", "person", "-c", "away.toml"][..], &["preview", "person", "-c", "away.toml"]] {
        let ran = node.run(arguments).expect(1);
        assert!(ran.stderr.contains("source_unreachable"), "{ran:?}");
    }
}

/// An endless query: a run that does not end by itself.
const ENDLESS: &str = "
[models.people]
source = \"warehouse\"
sql = \"with recursive n(id) as (select 1 union all select id + 1 from n) select id from n where id % 1000000 = 0\"
primary_key = \"id\"
[syncs.person]
model = \"people\"
[syncs.person.indexes]
id = \"id\"
";

#[tokio::test]
async fn an_interrupt_ends_a_run_with_130() {
    let node = NodeDirectory::new("create table empty (id)", ENDLESS).await;
    for arguments in [&["sync", "person"][..], &["sync", "person", "--dry-run"]] {
        let mut sync = node.spawn(arguments);
        sync.interruptible().await;
        sync.signal(Signal::INT);
        let ran = sync.wait().await;
        assert_eq!(ran.code, Some(130), "{arguments:?}: {ran:?}");
        assert!((ran.stdout + &ran.stderr).contains("cancelled"), "{arguments:?}");
    }
    let runs = node.run(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs.as_array().unwrap().iter().map(|run| &run["status"]).collect::<Vec<_>>(), ["cancelled"]);
}

#[tokio::test]
async fn a_lease_held_elsewhere_without_a_run_exits_4() {
    let node = people().await;
    node.run(&["sync", "person"]).expect(0);
    let settings = Settings::Sqlite { path: node.path().join("data/metadata.db") };
    let metadata = Metadata::open(&settings, Clock::default()).await.unwrap();
    let minute = std::time::Duration::from_mins(1);
    let held = metadata.acquire_lease("sync:person", "somebody", minute).await.unwrap();
    assert!(matches!(held, LeaseOutcome::Held(_)));
    let ran = node.run(&["sync", "person"]).expect(4);
    assert!(
        ran.stderr.contains("held by somebody") && ran.stderr.ends_with("  code: lease_held\n"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn segments_are_shown_as_json_lines() {
    // Enough for a dictionary.
    let node = NodeDirectory::new(&HUNDRED.replace("i < 100", "i < 2000"), PERSON).await;
    node.run(&["sync", "person"]).expect(0);
    let segment = |known: &[(std::path::PathBuf, u64)]| {
        let files = node.files("data/store/collections");
        let new = files
            .iter()
            .find(|file| !known.contains(file) && file.0.extension().is_some_and(|end| end == "arrow"));
        new.unwrap().0.to_str().unwrap().to_owned()
    };
    let base = segment(&[]);
    let ran = node.run(&["segment", "cat", &base]).expect(0);
    assert_eq!(ran.stdout.lines().count(), 2000);
    let first: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(names(&first), ["key", "flags", "indexes", "body"]);
    assert_eq!((&first["key"], &first["indexes"]), (&json!("1"), &json!({"email": "person1@example.com"})));

    let known = node.files("data/store/collections");
    node.execute("update people set name = name || '!' where id = 7; delete from people where id = 8").await;
    node.run(&["sync", "person"]).expect(0);
    let changes = segment(&known);
    let alone = node.run(&["segment", "cat", &changes]).expect(1);
    assert!(alone.stderr.contains("name a segment of the base with --base FILE"), "{alone:?}");
    assert!(alone.stderr.ends_with("\n  code: segment_dictionary_unknown\n"), "{alone:?}");
    let ran = node.run(&["segment", "cat", &changes, "--base", &base]).expect(0);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0]["body"]["name"].as_str().unwrap().ends_with("number 7!"), "{ran:?}");
    assert_eq!((&lines[1]["key"], &lines[1]["body"]), (&json!("8"), &Value::Null));

    for wrong in ["larder.toml", "nosuch", "data"] {
        let ran = node.run(&["segment", "cat", wrong]).expect(1);
        assert!(ran.stderr.starts_with(&format!("cannot read segment {wrong}: ")), "{ran:?}");
    }
}
