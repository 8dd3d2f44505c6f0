//! Every command, by the real binary: exit codes, what stands on stdout and stderr, what is written.

use larder::{
    metadata::{LeaseOutcome, Metadata, Settings},
    support::clock::Clock,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    command_line::{Place, Ran},
    http::soon,
    postgres::Postgres,
};

const PEOPLE: &str = "
    create table people (id, email text, name text, tags json);
    insert into people values
        (1, 'ann@example.com', 'Ann', '[\"a\",\"b\"]'),
        (2, 'bob@example.com', 'Bob', null),
        (null, 'nobody@example.com', 'Nobody', null),
        (4, 'dan@example.com', 'Dan', '{\"broken');
";

const PERSON: &str = "
[models.people]
source = \"warehouse\"
sql = \"select * from people\"
primary_key = \"id\"
[syncs.person]
model = \"people\"
[syncs.person.indexes]
id = \"id\"
email = \"email\"
";

/// A hundred clean rows.
const HUNDRED: &str = "
    create table people (id integer primary key, email text, name text, tags json);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
    insert into people select i, 'person' || i || '@example.com',
        'A rather long name that repeats itself in every record, number ' || i, '[\"some\",\"tags\"]' from n;
";

async fn people() -> Place {
    Place::new(PEOPLE, PERSON).await
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const RUN_MEMBERS: [&str; 10] = [
    "id",
    "sync",
    "status",
    "trigger",
    "started_at",
    "finished_at",
    "data_as_of",
    "version",
    "counts",
    "error",
];
const COUNT_MEMBERS: [&str; 10] =
    ["rows", "added", "changed", "removed", "rejected", "carried", "left", "conflicts", "nulled", "records"];

#[tokio::test]
async fn a_sync_says_what_it_did_and_runs_list_it() {
    let place = people().await;
    assert_eq!(place.run(&["runs"]).expect(0).stdout, "no runs yet\n");
    assert_eq!(place.run(&["runs", "person"]).expect(0).stdout, "no runs of person yet\n");
    assert_eq!(place.run(&["runs", "--json"]).expect(0).json(), json!([]));

    let ran = place.run(&["sync", "person"]).expect(0);
    assert!(ran.stdout.starts_with("person: announced version 1 in "), "{ran:?}");
    assert!(
        ran.stdout.ends_with("  4 rows: 2 added, 0 changed, 0 removed, 2 rejected; 2 records\n"),
        "{ran:?}"
    );
    assert!(ran.stderr.starts_with("warning: 2 rows rejected; larder runs run_"), "{ran:?}");

    let runs = place.run(&["runs", "--json"]).expect(0).json();
    let run = &runs.as_array().unwrap()[0];
    assert_eq!(names(run), RUN_MEMBERS);
    assert_eq!(names(&run["counts"]), COUNT_MEMBERS);
    assert_eq!(
        (&run["status"], &run["trigger"], &run["version"]),
        (&json!("announced"), &json!("operator"), &json!(1))
    );
    let id = run["id"].as_str().unwrap();
    assert!(ran.stderr.contains(id), "{ran:?}");

    let table = place.run(&["runs", "person"]).expect(0).stdout;
    assert!(table.starts_with("RUN ") && table.contains(id) && table.contains("announced"), "{table}");
    let one = place.run(&["runs", id]).expect(0).stdout;
    assert!(one.contains("\n2 records after the run\n"), "{one}");
    assert!(
        one.contains("missing_primary_key  id     -\n") && one.contains("invalid_json         tags   4\n"),
        "{one}"
    );
    let one = place.run(&["runs", id, "--json"]).expect(0).json();
    assert_eq!(names(&one), ["run", "rejected"]);
    assert_eq!(
        one["rejected"],
        json!([
            {"reason": "missing_primary_key", "field": "id", "primary_key": null},
            {"reason": "invalid_json", "field": "tags", "primary_key": "4"},
        ])
    );

    let ran = place.run(&["sync", "person", "--json"]).expect(0);
    assert_eq!((names(&ran.json()), &ran.json()["status"]), (RUN_MEMBERS.to_vec(), &json!("unchanged")));
    assert_eq!(ran.stderr, "");
    assert_eq!(place.run(&["runs", "--limit", "1", "--json"]).expect(0).json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_there_is_said_and_exits_2() {
    let place = people().await;
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
        (&["health", "--url", "readyz"], "--url \"readyz\": give http://host:port/path\n"),
        (
            &["health", "--url", "https://localhost/readyz"],
            "--url \"https://localhost/readyz\": give http://host:port/path\n",
        ),
    ] {
        let ran = place.run(arguments).expect(2);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", message), "{arguments:?}");
    }
    let replica = place.run(&["sync", "person", "--roles", "replica"]).expect(2);
    assert!(replica.stderr.contains("has not the role \"publisher\""), "{replica:?}");
}

#[tokio::test]
async fn wrong_and_missing_arguments_exit_2_and_write_nothing() {
    let place = people().await;
    for arguments in [
        &[][..],
        &["nosuch"],
        &["sync"],
        &["sync", "person", "other"],
        &["sync", "person", "--nosuch"],
        &["preview"],
        &["preview", "person", "--limit", "0"],
        &["preview", "person", "--limit", "x"],
        &["runs", "--limit", "1001"],
        &["keys"],
        &["keys", "create"],
        &["keys", "create", "--name", "x"],
        &["keys", "create", "--collection", "person"],
        &["keys", "create", "--name", "x", "--collection", "person", "--all-collections"],
        &["keys", "create", "--name", "", "--all-collections"],
        &["keys", "create", "--name", "a\nb", "--all-collections"],
        &["keys", "create", "--name", "x", "--collection", "a/b"],
        &["keys", "create", "--name", "x", "--all-collections", "--expires", "soon"],
        &["keys", "create", "--name", "x", "--all-collections", "--expires", "0s"],
        &["keys", "create", "--name", "x", "--all-collections", "--expires", "100000000000d"],
        &["keys", "revoke"],
        &["segment"],
        &["segment", "cat"],
        &["config"],
        &["check", "--region", "two words"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--roles", "observer"],
    ] {
        let ran = place.run(arguments).expect(2);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(ran.stderr.trim().len() > 20, "{arguments:?}: {ran:?}");
    }
    assert!(!place.path().join("data").exists());
}

#[tokio::test]
async fn keys_are_alone_on_stdout_and_shown_once() {
    let place = people().await;
    assert_eq!(place.run(&["keys", "list"]).expect(0).stdout, "no keys yet; larder keys create makes one\n");
    let created = place.run(&["keys", "create", "--name", "braze", "--collection", "person"]).expect(0);
    let key = created.stdout.strip_suffix('\n').unwrap();
    assert!(key.starts_with("lrd_") && key.len() == 66 && !key.contains(char::is_whitespace), "{created:?}");
    let id = &key[4..16];
    assert!(created.stderr.contains(id) && !created.stderr.contains(&key[16..]), "{created:?}");

    let other = place
        .run(&[
            "keys",
            "create",
            "--name",
            "web",
            "--collection",
            "person",
            "--collection",
            "later",
            "--expires",
            "90d",
        ])
        .expect(0);
    assert!(
        other.stderr.starts_with("warning: no sync is named later; the key opens it once there is one\n"),
        "{other:?}"
    );
    let list = place.run(&["keys", "list", "--json"]).expect(0).json();
    let list = list.as_array().unwrap();
    assert_eq!(names(&list[0]), ["id", "name", "grant", "created_at", "expires_at", "revoked_at"]);
    assert_eq!((&list[0]["id"], &list[0]["expires_at"]), (&json!(id), &Value::Null));
    assert_eq!(list[1]["grant"], json!({"collections": ["person", "later"]}));
    let moment = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let lasts = moment(&list[1]["expires_at"]) - moment(&list[1]["created_at"]);
    assert!((lasts - chrono::TimeDelta::days(90)).abs() < chrono::TimeDelta::minutes(1), "{lasts}");

    let revoked = place.run(&["keys", "revoke", id]).expect(0);
    assert_eq!(
        revoked.stdout,
        format!("key {id} is revoked; every region refuses it within two poll intervals\n")
    );
    // Who holds a key may name it whole; nothing of its secret comes back.
    let whole = other.stdout.trim();
    let revoked = place.run(&["keys", "revoke", whole]).expect(0);
    assert!(!format!("{revoked:?}").contains(&whole[16..]), "{revoked:?}");
    let table = place.run(&["keys", "list"]).expect(0).stdout;
    assert_eq!(table.matches("revoked").count(), 2, "{table}");
    for (place_in, text) in
        [("table", table.as_str()), ("json", &place.run(&["keys", "list", "--json"]).stdout)]
    {
        assert!(!text.contains(&key[16..]) && !text.contains(&whole[16..]), "a key in {place_in}: {text}");
    }
    let status = place.run(&["status"]).expect(0).stdout;
    assert!(status.starts_with("catalog 4, 0 keys (revision 4)\n"), "{status}");
}

#[tokio::test]
async fn preview_shows_records_and_rejected_rows_apart() {
    let place = people().await;
    let ran = place.run(&["preview", "person"]).expect(0);
    let records: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], json!({"id": 1, "email": "ann@example.com", "name": "Ann", "tags": ["a", "b"]}));
    assert_eq!(
        ran.stderr,
        "rejected: missing_primary_key in id\nrejected: invalid_json in tags (primary key 4)\n2 rows rejected\n"
    );
    let ran = place.run(&["preview", "person", "--limit", "1"]).expect(0);
    assert_eq!((ran.stdout.lines().count(), ran.stderr.as_str()), (1, ""));
    assert!(!place.path().join("data").exists(), "a preview writes nothing");

    place.execute("insert into people values (char(27) || '[2J' || char(10), null, null, '{')").await;
    let ran = place.run(&["preview", "person"]).expect(0);
    assert!(ran.stderr.contains("(primary key \\u{1b}[2J\\n)\n"), "a terminal obeys nothing of it: {ran:?}");
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let place = people().await;
    let ran = place.run(&["sync", "person", "--dry-run"]).expect(0);
    assert!(ran.stdout.starts_with("person: would announce a new version"), "{ran:?}");
    assert_eq!(
        ran.stderr,
        "warning: 2 rows rejected\n  missing_primary_key in id\n  invalid_json in tags (primary key 4)\n"
    );
    assert_eq!(place.files("data/store"), []);
    assert_eq!(place.run(&["runs", "--json"]).json(), json!([]));

    place.run(&["sync", "person"]).expect(0);
    let local = place.files("data/segments");
    let (store, runs) = (place.files("data/store"), place.run(&["runs", "--json"]).stdout);
    assert!(store.len() >= 4, "{store:?}");
    let unchanged = place.run(&["sync", "person", "--dry-run"]).expect(0);
    assert!(unchanged.stdout.starts_with("person: unchanged ("), "{unchanged:?}");
    place.execute("update people set name = 'Anna' where id = 1; delete from people where id = 2").await;
    let changed = place.run(&["sync", "person", "--dry-run", "--json"]).expect(0).json();
    assert_eq!((&changed["counts"]["changed"], &changed["counts"]["removed"]), (&json!(1), &json!(1)));
    assert_eq!(place.files("data/store"), store);
    assert_eq!(place.files("data/segments"), local);
    assert_eq!(place.run(&["runs", "--json"]).stdout, runs);
}

#[tokio::test]
async fn a_held_run_exits_3_and_is_announced_on_demand() {
    let place = Place::new(HUNDRED, PERSON).await;
    place.run(&["sync", "person"]).expect(0);
    place.execute("delete from people where id > 60").await;
    let dry = place.run(&["sync", "person", "--dry-run"]).expect(3);
    assert!(dry.stdout.starts_with("person: would be held"), "{dry:?}");
    let why = "max_removed: 40 of 100 records would be removed, more than max_removed = 30%\n";
    assert!(dry.stderr.starts_with(why), "{dry:?}");
    let held = place.run(&["sync", "person"]).expect(3);
    assert!(held.stderr.starts_with(why) && held.stderr.contains("--accept"), "{held:?}");
    let status = place.run(&["status", "--json"]).expect(0).json();
    let run = status["collections"][0]["held_run"].as_str().unwrap().to_owned();
    assert_eq!(
        (&status["collections"][0]["version"], &status["collections"][0]["records"]),
        (&json!(1), &json!(100))
    );
    assert!(place.run(&["status"]).expect(0).stdout.contains(&format!("held: {run}")));
    assert!(place.run(&["runs", &run]).expect(0).stdout.contains(why));

    let accepted = place.run(&["sync", "person", "--accept"]).expect(0);
    assert!(accepted.stdout.contains("40 removed"), "{accepted:?}");
    let status = place.run(&["status", "--json"]).expect(0).json();
    assert_eq!(names(&status), ["deployment", "catalog", "key_set_revision", "keys", "collections"]);
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
            "orphaned",
            "last_run",
            "held_run",
        ]
    );
    assert_eq!(
        (&status["collections"][0]["version"], &status["collections"][0]["held_run"]),
        (&json!(2), &Value::Null)
    );
}

#[tokio::test]
async fn a_failed_run_exits_1_with_its_code() {
    let place = people().await;
    let broken = PERSON.replace("select * from people", "select nosuch from people");
    let frame = std::fs::read_to_string(place.path().join("larder.toml")).unwrap().replace(PERSON, &broken);
    place.write("broken.toml", &frame);
    let failed = place.run(&["sync", "-c", "broken.toml", "person"]).expect(1);
    assert!(failed.stdout.starts_with("person: failed after "), "{failed:?}");
    assert!(failed.stderr.starts_with("source_unknown_column: no such column: nosuch"), "{failed:?}");
    let failed = place.run(&["sync", "-c", "broken.toml", "person", "--json"]).expect(1).json();
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("source_unknown_column"))
    );
    let table = place.run(&["runs"]).expect(0).stdout;
    assert_eq!(table.matches("source_unknown_column").count(), 2, "{table}");
    let preview = place.run(&["preview", "-c", "broken.toml", "person"]).expect(1);
    assert!(preview.stderr.ends_with("  code: source_unknown_column\n"), "{preview:?}");

    // Nothing listens there: that may change without the configuration.
    let away = std::fs::read_to_string(place.path().join("larder.toml")).unwrap();
    let away = away.replace("type = \"sqlite\"", "type = \"postgres\"\nurl = \"postgres://u@127.0.0.1:1/d\"");
    let without_path =
        away.lines().filter(|line| !line.starts_with("path = ")).collect::<Vec<_>>().join("\n");
    place.write("away.toml", &without_path);
    for arguments in [&["sync", "person", "-c", "away.toml"][..], &["preview", "person", "-c", "away.toml"]] {
        let ran = place.run(arguments).expect(1);
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
    let place = Place::new("create table empty (id)", ENDLESS).await;
    for arguments in [&["sync", "person"][..], &["sync", "person", "--dry-run"]] {
        let mut sync = place.start(arguments, &[]);
        sync.await_interruptible();
        sync.signal(Signal::INT);
        let ran = sync.end();
        assert_eq!(ran.code, Some(130), "{arguments:?}: {ran:?}");
        assert!((ran.stdout + &ran.stderr).contains("cancelled"), "{arguments:?}");
    }
    let runs = place.run(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs.as_array().unwrap().iter().map(|run| &run["status"]).collect::<Vec<_>>(), ["cancelled"]);
}

#[tokio::test]
async fn a_lease_held_elsewhere_without_a_run_exits_4() {
    let place = people().await;
    place.run(&["sync", "person"]).expect(0);
    let settings = Settings::Sqlite { path: place.path().join("data/metadata.db") };
    let metadata = Metadata::open(&settings, Clock::default()).await.unwrap();
    let minute = std::time::Duration::from_mins(1);
    let held = metadata.acquire_lease("sync:person", "somebody", minute).await.unwrap();
    assert!(matches!(held, LeaseOutcome::Held(_)));
    let ran = place.start(&["sync", "person"], &[]).end().expect(4);
    assert!(
        ran.stderr.contains("held by somebody") && ran.stderr.ends_with("  code: lease_held\n"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn segments_are_shown_as_json_lines() {
    // Enough for a dictionary.
    let place = Place::new(&HUNDRED.replace("i < 100", "i < 2000"), PERSON).await;
    place.run(&["sync", "person"]).expect(0);
    let segment = |known: &[(std::path::PathBuf, u64)]| {
        let files = place.files("data/store/collections");
        let new = files
            .iter()
            .find(|file| !known.contains(file) && file.0.extension().is_some_and(|end| end == "arrow"));
        new.unwrap().0.to_str().unwrap().to_owned()
    };
    let base = segment(&[]);
    let ran = place.run(&["segment", "cat", &base]).expect(0);
    assert_eq!(ran.stdout.lines().count(), 2000);
    let first: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(names(&first), ["key", "flags", "indexes", "body"]);
    assert_eq!((&first["key"], &first["indexes"]), (&json!("1"), &json!({"email": "person1@example.com"})));

    let known = place.files("data/store/collections");
    place.execute("update people set name = name || '!' where id = 7; delete from people where id = 8").await;
    place.run(&["sync", "person"]).expect(0);
    let changes = segment(&known);
    let alone = place.run(&["segment", "cat", &changes]).expect(1);
    assert!(alone.stderr.contains("name a segment of the base with --base FILE"), "{alone:?}");
    let ran = place.run(&["segment", "cat", &changes, "--base", &base]).expect(0);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0]["body"]["name"].as_str().unwrap().ends_with("number 7!"), "{ran:?}");
    assert_eq!((&lines[1]["key"], &lines[1]["body"]), (&json!("8"), &Value::Null));

    for wrong in ["larder.toml", "nosuch", "data"] {
        let ran = place.run(&["segment", "cat", wrong]).expect(1);
        assert!(ran.stderr.starts_with(&format!("cannot read segment {wrong}: ")), "{ran:?}");
    }
}

#[tokio::test]
async fn health_tells_live_nodes_from_dead_ones() {
    let place = people().await;
    let mut server = place.start(&["serve"], &[]);
    let address = server.address("public");
    let url = |path: &str| format!("http://{address}{path}");
    let ready = |place: &Place| place.run(&["health", "--url", &url("/readyz")]);
    server.await_that("readiness", |_| (ready(&place).code == Some(0)).then_some(()));
    assert_eq!(ready(&place).stdout, format!("{}: 200 OK\n", url("/readyz")));
    place.run(&["health", "--url", &url("/livez")]).expect(0);
    let other = place.run(&["health", "--url", &url("/nosuch")]).expect(1);
    assert!(other.stdout.ends_with("/nosuch: 404 Not Found\n"), "{other:?}");

    let second = place.run(&["serve"]).expect(1);
    assert!(second.stderr.contains("another larder server (process "), "{second:?}");
    let taken = place.run(&["serve", "--data-dir", "other", "--listen", &address.to_string()]).expect(1);
    assert!(taken.stderr.contains(&address.to_string()) && taken.stderr.contains("in use"), "{taken:?}");

    server.signal(Signal::TERM);
    let ended = server.end().expect(0);
    assert!(ended.stderr.contains("ended") && ended.stdout.is_empty(), "{ended:?}");
    let dead = place.run(&["health", "--url", "http://127.0.0.1:1/readyz"]).expect(1);
    assert_eq!(dead.stderr, "cannot connect to 127.0.0.1:1: Connection refused (os error 111)\n");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/readyz", silent.local_addr().unwrap());
    let ran = place.run(&["health", "--url", &silent]).expect(1);
    assert!(ran.stderr.contains("answer"), "{ran:?}");
}

#[tokio::test]
async fn postgres_metadata_is_migrated_by_command() {
    let place = people().await;
    let migrated = place.run(&["migrate"]).expect(0);
    assert_eq!(migrated.stdout, "the metadata database is up to date\n");
    let database = Postgres::database().await;
    let variables = [("LARDER_METADATA_URL", &*database.url())];
    let early = place.run_with(&["keys", "list"], &variables).expect(2);
    assert!(early.stderr.contains("run `larder migrate`"), "{early:?}");
    place.run_with(&["migrate"], &variables).expect(0);
    place.run_with(&["migrate"], &variables).expect(0);
    place.run_with(&["keys", "list"], &variables).expect(0);
    place.run_with(&["sync", "person"], &variables).expect(0);
    assert!(place.run_with(&["runs"], &variables).expect(0).stdout.contains("announced"));
}

#[tokio::test]
async fn the_configuration_is_printed_without_secrets() {
    let place = people().await;
    let warehouse = "[sources.other]\ntype = \"postgres\"\nurl = \"postgres://u:hunter2@db.example.com/d?password=hunter3\"\n\
                     [sources.third]\ntype = \"postgres\"\nurl = \"${THIRD_URL}\"\n";
    let text = std::fs::read_to_string(place.path().join("larder.toml")).unwrap();
    place.write("larder.toml", &format!("{text}{warehouse}"));
    let variables = [
        ("THIRD_URL", "postgres://u:hunter4@db/d"),
        ("LARDER_METADATA_URL", "postgres://u:hunter5@db/d"),
        ("LARDER_REGION", "mars"),
    ];
    let ran = place.run_with(&["config", "print", "--region", "venus"], &variables).expect(0);
    assert!(!format!("{ran:?}").contains("hunter"), "{ran:?}");
    assert!(ran.stdout.contains("region = \"venus\"") && ran.stdout.contains("${THIRD_URL}"), "{ran:?}");
    assert!(toml::from_str::<toml::Table>(&ran.stdout).is_ok(), "{ran:?}");
    assert!(!place.path().join("data").exists());

    let missing = place.run(&["config", "print"]).expect(2);
    assert!(
        missing.stderr.contains("sources.third.url: ") && missing.stderr.contains("THIRD_URL"),
        "{missing:?}"
    );
}

#[tokio::test]
async fn every_fault_of_a_configuration_is_told_at_once_and_nothing_is_written() {
    let place = people().await;
    let text = std::fs::read_to_string(place.path().join("larder.toml")).unwrap();
    let text = text
        .replace("type = \"sqlite\"", "type = \"sqlit\"")
        .replace("model = \"people\"", "model = \"peopel\"\non_delete = \"delte\"\nx = 1");
    place.write("larder.toml", &text);
    let line = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let expected = [
        format!("larder.toml:{}:8  sources.warehouse.type: ", line("sqlit\"")),
        format!("larder.toml:{}:9  syncs.person.model: ", line("peopel")),
        format!("larder.toml:{}:13  syncs.person.on_delete: ", line("delte")),
        format!("larder.toml:{}:1  syncs.person.x: ", line("x = 1")),
    ];
    for arguments in [
        &["serve"][..],
        &["check"],
        &["check", "--connect"],
        &["preview", "person"],
        &["sync", "person"],
        &["sync", "person", "--dry-run"],
        &["runs"],
        &["keys", "create", "--name", "x", "--all-collections"],
        &["keys", "list"],
        &["keys", "revoke", "x"],
        &["status"],
        &["migrate"],
        &["config", "print"],
    ] {
        let ran = place.run(arguments).expect(2);
        let faults: Vec<&str> = ran.stderr.lines().filter(|line| !line.starts_with("  hint: ")).collect();
        assert_eq!(faults.len(), expected.len(), "{ran:?}");
        for (fault, expected) in faults.iter().zip(&expected) {
            assert!(fault.starts_with(expected.as_str()), "{fault} is not {expected}");
        }
        assert_eq!((ran.stderr.matches("  hint: ").count(), ran.stdout.as_str()), (4, ""), "{ran:?}");
    }
    let absent = place.run(&["serve", "--config", "nosuch.toml"]).expect(2);
    assert!(absent.stderr.starts_with("nosuch.toml  cannot be read: "), "{absent:?}");
    assert!(absent.stderr.contains("  hint: name the configuration file with --config FILE"), "{absent:?}");
    assert!(!place.path().join("data").exists());
}

#[tokio::test]
async fn a_source_s_url_is_checked_with_everything_else() {
    let place = people().await;
    let text = std::fs::read_to_string(place.path().join("larder.toml")).unwrap();
    for (url, message) in [
        (
            "postgres://u:hunter2@h/d?sslpassword=hunter2",
            "it has a parameter `sslpassword` that is not understood",
        ),
        ("postgres://u:hunter2@h/d?sslmode=maybe", "cannot be used: unknown value \"maybe\" for `ssl_mode`"),
        ("postgres://u:hunter2@h:port/d", "port"),
    ] {
        let other = format!("[sources.other]\ntype = \"postgres\"\nurl = \"{url}\"\n");
        place.write("larder.toml", &format!("{text}{other}"));
        let ran = place.run(&["check"]).expect(2);
        assert!(
            ran.stderr.contains("  sources.other.url: cannot be used: ") && ran.stderr.contains(message),
            "{ran:?}"
        );
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
}

#[tokio::test]
async fn check_says_what_answers_and_what_does_not() {
    let place = people().await;
    let ran = place.run(&["check"]).expect(0);
    assert_eq!(ran.stdout, "larder.toml: no faults, 1 sync configured\n");
    assert!(!place.path().join("data").exists());
    let ran = place.run(&["check", "--connect"]).expect(0);
    assert_eq!(
        ran.stdout,
        "larder.toml: no faults, 1 sync configured\nok    store: reachable, nothing announced yet\n\
         ok    metadata: reachable, new\nok    sync person: 4 columns, 4 fields\n"
    );
    place.run(&["sync", "person"]).expect(0);
    place.execute("drop table people").await;
    let ran = place.run(&["check", "--connect"]).expect(1);
    assert!(ran.stdout.contains("\nok    store: catalog 1, 1 collection, dep_"), "{ran:?}");
    assert!(
        ran.stdout.contains("\nFAIL  sync person: no such table: people")
            && ran.stdout.contains("(code: source_unknown_table)"),
        "{ran:?}"
    );
    let replica = place.run(&["check", "--connect", "--roles", "replica"]).expect(0);
    assert!(
        !replica.stdout.contains("metadata") && replica.stdout.contains("0 syncs configured"),
        "{replica:?}"
    );
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new(HUNDRED, PERSON).await;
    let mut preview = place.command(&["preview", "person"]);
    let mut child =
        preview.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[tokio::test]
async fn help_explains_every_command_and_argument() {
    let place = people().await;
    let top = place.run(&["--help"]).expect(0).stdout;
    for example in [
        "larder quickstart",
        "larder check --connect",
        "larder keys create --name",
        "larder serve",
        "Exit codes:",
    ] {
        assert!(top.contains(example), "{top}");
    }
    assert!(place.run(&["--version"]).expect(0).stdout.starts_with("larder "));
    let commands = |help: &str| -> Vec<String> {
        let list = help.split("Commands:\n").nth(1).unwrap_or_default();
        let lines = list.lines().take_while(|line| !line.is_empty());
        lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    let mut seen = 0;
    let mut waiting: Vec<Vec<String>> = commands(&top).into_iter().map(|command| vec![command]).collect();
    while let Some(path) = waiting.pop() {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help: Ran = place.run(&arguments).expect(0);
        explained(&help.stdout);
        waiting
            .extend(commands(&help.stdout).into_iter().map(|command| [path.clone(), vec![command]].concat()));
        seen += 1;
    }
    assert!(seen >= 16, "{seen} helps");
}

/// Every argument has a description: on its line, or on the next one.
fn explained(help: &str) {
    assert!(help.lines().next().is_some_and(|about| about.len() > 10), "{help}");
    let lines: Vec<&str> = help.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if !(1..8).contains(&indent) || !text.starts_with(['-', '<', '[']) {
            continue;
        }
        let beside = text.split_once("  ").is_some_and(|(_, about)| about.trim().len() > 5);
        let below =
            lines.get(at + 1).is_some_and(|next| next.starts_with("          ") && next.trim().len() > 5);
        assert!(beside || below, "{line} is not explained:\n{help}");
    }
}

#[tokio::test]
async fn quickstart_serves_and_starts_again() {
    let place = Place::new("create table unused (id)", "").await;
    let directory = place.path().join("quick");
    let arguments = ["quickstart", "--directory", directory.to_str().unwrap()];
    let variables = [("LARDER_LISTEN", "127.0.0.1:0"), ("LARDER_ADMIN_LISTEN", "127.0.0.1:0")];
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut server = place.start(&arguments, &variables);
        let welcome = server.await_that("welcome", |running| {
            let (stdout, _) = running.written();
            stdout.contains("Ctrl-C ends the server.").then_some(stdout)
        });
        let curl = welcome.lines().find(|line| line.trim_start().starts_with("curl")).unwrap();
        let key = curl.split("Bearer ").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let address = server.address("public");
        assert!(curl.contains(&format!("http://{address}/v1/collections/customer/records/id/")), "{curl}");
        let mut client = crate::support::http::Client::connect(address).await;
        let target = format!("/v1{}", curl.split("/v1").nth(1).unwrap());
        let header = format!("Authorization: Bearer {key}\r\n");
        let answer = soon("record", client.ask("GET", &target, &header)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &directory.join("data/quickstart.key").metadata().unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        keys.push(key);
        server.signal(Signal::INT);
        server.end().expect(0);
    }
    assert_eq!(keys[0], keys[1], "the second start uses what the first made");
}
