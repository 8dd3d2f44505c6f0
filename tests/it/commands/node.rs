//! Commands around a node: arguments, keys, health, configuration, help, quickstart.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{HUNDRED, PERSON, names, people};
use crate::support::{
    deployment::NodeDirectory,
    http::soon,
    postgres::Postgres,
    process::{self, CommandOutput, Process},
};

#[tokio::test]
async fn wrong_and_missing_arguments_exit_2_and_write_nothing() {
    let node = people().await;
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
        &["sync", "person", "--dry-run", "--accept"],
        &["approve"],
        &["approve", "person"],
        &["rollback", "person"],
        &["rollback", "--to", "1"],
        &["rollback", "person", "--to", "0"],
        &["rollback", "person", "--to", "latest"],
        &["rollback", "a/b", "--to", "1"],
        &["pin", "person", "--region", "eu"],
        &["pin", "person", "--to", "1"],
        &["pin", "person", "--to", "1", "--region", "e u"],
        &["unpin", "person"],
        &["drop"],
        &["segment"],
        &["segment", "cat"],
        &["config"],
        &["check", "--region", "two words"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--roles", "observer"],
    ] {
        let ran = node.run(arguments).expect(2);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(ran.stderr.trim().len() > 20, "{arguments:?}: {ran:?}");
    }
    assert!(!node.path().join("data").exists());
}

#[tokio::test]
async fn keys_are_alone_on_stdout_and_shown_once() {
    let node = people().await;
    assert_eq!(node.run(&["keys", "list"]).expect(0).stdout, "no keys yet; larder keys create makes one\n");
    let created = node.run(&["keys", "create", "--name", "braze", "--collection", "person"]).expect(0);
    let key = created.stdout.strip_suffix('\n').unwrap();
    assert!(key.starts_with("lrd_") && key.len() == 66 && !key.contains(char::is_whitespace), "{created:?}");
    let id = &key[4..16];
    assert!(created.stderr.contains(id) && !created.stderr.contains(&key[16..]), "{created:?}");

    let other = node
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
    let list = node.run(&["keys", "list", "--json"]).expect(0).json();
    let list = list.as_array().unwrap();
    assert_eq!(
        names(&list[0]),
        [
            "id",
            "name",
            "grant",
            "created_at",
            "expires_at",
            "previous_secret_until",
            "revoked_at",
            "last_used"
        ]
    );
    assert_eq!((&list[0]["id"], &list[0]["expires_at"]), (&json!(id), &Value::Null));
    assert_eq!(list[1]["grant"], json!({"collections": ["person", "later"]}));
    let moment = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let lasts = moment(&list[1]["expires_at"]) - moment(&list[1]["created_at"]);
    assert!((lasts - chrono::TimeDelta::days(90)).abs() < chrono::TimeDelta::minutes(1), "{lasts}");

    let revoked = node.run(&["keys", "revoke", id]).expect(0);
    assert_eq!(
        revoked.stdout,
        format!("key {id} is revoked; every region refuses it within two poll intervals\n")
    );
    // A key can be named as a whole; its secret is never printed.
    let whole = other.stdout.trim();
    let revoked = node.run(&["keys", "revoke", whole]).expect(0);
    assert!(!format!("{revoked:?}").contains(&whole[16..]), "{revoked:?}");
    let table = node.run(&["keys", "list"]).expect(0).stdout;
    assert_eq!(table.matches("revoked").count(), 2, "{table}");
    for (place_in, text) in
        [("table", table.as_str()), ("json", &node.run(&["keys", "list", "--json"]).stdout)]
    {
        assert!(!text.contains(&key[16..]) && !text.contains(&whole[16..]), "a key in {place_in}: {text}");
    }
    let status = node.run(&["status"]).expect(0).stdout;
    assert!(status.starts_with("catalog 4, 0 keys (revision 4)\n"), "{status}");
}

#[tokio::test]
async fn health_tells_live_nodes_from_dead_ones() {
    let node = people().await;
    let mut server = node.spawn(&["serve"]);
    let address = server.listening().await;
    let url = |path: &str| format!("http://{address}{path}");
    let ready = |node: &NodeDirectory| node.run(&["health", "--url", &url("/readyz")]);
    server.until("readiness", |_| (ready(&node).code == Some(0)).then_some(())).await;
    assert_eq!(ready(&node).stdout, format!("{}: 200 OK\n", url("/readyz")));
    node.run(&["health", "--url", &url("/livez")]).expect(0);
    let other = node.run(&["health", "--url", &url("/nosuch")]).expect(1);
    assert!(other.stdout.ends_with("/nosuch: 404 Not Found\n"), "{other:?}");

    let second = node.run(&["serve"]).expect(1);
    assert!(second.stderr.contains("another larder server (process "), "{second:?}");
    assert!(second.stderr.ends_with("\n  code: data_dir_locked\n"), "{second:?}");
    let taken = node.run(&["serve", "--data-dir", "other", "--listen", &address.to_string()]).expect(1);
    assert!(taken.stderr.contains(&address.to_string()) && taken.stderr.contains("in use"), "{taken:?}");
    assert!(taken.stderr.ends_with("\n  code: listen_failed\n"), "{taken:?}");
    assert_eq!(taken.stderr.matches("in use").count(), 1, "{taken:?}");

    server.signal(Signal::TERM);
    let ended = server.wait().await.expect(0);
    assert!(ended.stderr.contains("ended") && ended.stdout.is_empty(), "{ended:?}");
    let dead = node.run(&["health", "--url", "http://127.0.0.1:1/readyz"]).expect(1);
    assert!(dead.stderr.contains("127.0.0.1:1") && dead.stderr.contains("refused"), "{dead:?}");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/readyz", silent.local_addr().unwrap());
    let ran = node.run(&["health", "--url", &silent]).expect(1);
    assert!(ran.stderr.contains("answer"), "{ran:?}");
}

#[tokio::test]
async fn postgres_metadata_is_migrated_by_command() {
    let node = people().await;
    let migrated = node.run(&["migrate"]).expect(0);
    assert_eq!(migrated.stdout, "the metadata database is up to date\n");
    let database = Postgres::database().await;
    let variables = [("LARDER_METADATA_URL", &*database.url())];
    let early = node.run_with(&["keys", "list"], &variables).expect(2);
    assert!(early.stderr.contains("run `larder migrate`"), "{early:?}");
    node.run_with(&["migrate"], &variables).expect(0);
    node.run_with(&["migrate"], &variables).expect(0);
    node.run_with(&["keys", "list"], &variables).expect(0);
    node.run_with(&["sync", "person"], &variables).expect(0);
    assert!(node.run_with(&["runs"], &variables).expect(0).stdout.contains("announced"));
}

#[tokio::test]
async fn the_configuration_is_printed_without_secrets() {
    let node = people().await;
    let warehouse = "[sources.other]\ntype = \"postgres\"\nurl = \"postgres://u:hunter2@db.example.com/d?password=hunter3\"\n\
                     [sources.third]\ntype = \"postgres\"\nurl = \"${THIRD_URL}\"\n";
    let text = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    node.write("larder.toml", &format!("{text}{warehouse}"));
    let variables = [
        ("THIRD_URL", "postgres://u:hunter4@db/d"),
        ("LARDER_METADATA_URL", "postgres://u:hunter5@db/d"),
        ("LARDER_REGION", "mars"),
    ];
    let ran = node.run_with(&["config", "print", "--region", "venus"], &variables).expect(0);
    assert!(!format!("{ran:?}").contains("hunter"), "{ran:?}");
    assert!(ran.stdout.contains("region = \"venus\"") && ran.stdout.contains("${THIRD_URL}"), "{ran:?}");
    assert!(toml::from_str::<toml::Table>(&ran.stdout).is_ok(), "{ran:?}");
    assert!(!node.path().join("data").exists());

    let missing = node.run(&["config", "print"]).expect(2);
    assert!(
        missing.stderr.contains("sources.third.url: ") && missing.stderr.contains("THIRD_URL"),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_wrong_configuration_reports_every_fault_and_writes_nothing() {
    let node = people().await;
    let text = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    let text = text
        .replace("type = \"sqlite\"", "type = \"sqlit\"")
        .replace("model = \"people\"", "model = \"peopel\"\non_delete = \"delte\"\nx = 1");
    node.write("larder.toml", &text);
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
        &["approve", "run_01a20a5eec7f7d81806d1cda2d2b4382"],
        &["rollback", "person", "--to", "1"],
        &["resume", "person"],
        &["pin", "person", "--region", "eu", "--to", "1"],
        &["unpin", "person", "--region", "eu"],
        &["drop", "person"],
        &["status"],
        &["migrate"],
        &["config", "print"],
    ] {
        let ran = node.run(arguments).expect(2);
        let faults: Vec<&str> = ran.stderr.lines().filter(|line| !line.starts_with("  hint: ")).collect();
        assert_eq!(faults.len(), expected.len(), "{ran:?}");
        for (fault, expected) in faults.iter().zip(&expected) {
            assert!(fault.starts_with(expected.as_str()), "{fault} is not {expected}");
        }
        assert_eq!((ran.stderr.matches("  hint: ").count(), ran.stdout.as_str()), (4, ""), "{ran:?}");
    }
    let absent = node.run(&["serve", "--config", "nosuch.toml"]).expect(2);
    assert!(absent.stderr.starts_with("nosuch.toml  cannot be read: "), "{absent:?}");
    assert!(absent.stderr.contains("  hint: name the configuration file with --config FILE"), "{absent:?}");
    assert!(!node.path().join("data").exists());
}

#[tokio::test]
async fn a_source_s_url_is_checked_with_everything_else() {
    let node = people().await;
    let text = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    for (url, message) in [
        ("postgres://u:hunter2@h/d?sslpassword=hunter2", "sslpassword"),
        ("postgres://u:hunter2@h/d?sslmode=maybe", "sslmode"),
        ("postgres://u:hunter2@h:port/d", ":5432"),
        ("postgres://u:hunt#er2@h/d", "%23"),
        ("postgres://u:hunter2@h/d\\n", "line break"),
        ("'postgres://u:hunter2@h/d'", "quotes"),
    ] {
        let other = format!("[sources.other]\ntype = \"postgres\"\nurl = \"{url}\"\n");
        node.write("larder.toml", &format!("{text}{other}"));
        let ran = node.run(&["check"]).expect(2);
        assert!(ran.stderr.contains("  sources.other.url: ") && ran.stderr.contains(message), "{ran:?}");
        assert!(!ran.stderr.contains("hunt") && !ran.stderr.contains("er2"), "{ran:?}");
    }
}

#[tokio::test]
async fn check_reports_each_part_that_answers_or_fails() {
    let node = people().await;
    let ran = node.run(&["check"]).expect(0);
    assert_eq!(ran.stdout, "larder.toml: no faults, 1 sync configured\n");
    assert!(!node.path().join("data").exists());
    let ran = node.run(&["check", "--connect"]).expect(0);
    assert_eq!(
        ran.stdout,
        "larder.toml: no faults, 1 sync configured\nok    store: reachable, nothing announced yet\n\
         ok    metadata: not there yet: the first start creates it\n\
         ok    statuses: no node has reported yet, and this node may write its own\n\
         ok    sync person: 4 columns, 4 fields\n"
    );
    node.run(&["sync", "person"]).expect(0);
    node.execute("drop table people").await;
    let ran = node.run(&["check", "--connect"]).expect(1);
    assert!(ran.stdout.contains("\nok    store: catalog 1, 1 collection, dep_"), "{ran:?}");
    assert!(
        ran.stdout.contains("\nFAIL  sync person: no such table: people")
            && ran.stdout.contains("(code: source_unknown_table)"),
        "{ran:?}"
    );
    let publisher = node.run(&["check", "--connect", "--roles", "publisher"]).expect(1);
    assert!(publisher.stdout.contains("\nok    statuses: no node has reported yet\n"), "{publisher:?}");
    assert_eq!(node.files("data/store/status"), [], "what is tried out does not stay");
    let replica = node.run(&["check", "--connect", "--roles", "replica"]).expect(0);
    assert!(
        !replica.stdout.contains("metadata") && replica.stdout.contains("0 syncs configured"),
        "{replica:?}"
    );
}

/// A copy, and statuses, in places of their own.
#[tokio::test]
async fn check_connects_to_sources_and_models_that_no_sync_has() {
    let node = people().await;
    let good = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    let unused = "[sources.spare]\ntype = \"clickhouse\"\nurl = \"http://127.0.0.1:1\"\n\
        [models.gone]\nsource = \"warehouse\"\ntable = \"gone\"\nprimary_key = \"id\"\n\
        [models.fine]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n";
    node.write("larder.toml", &format!("{good}{unused}"));
    let ran = node.run(&["check", "--connect"]).expect(1);
    for words in [
        "\nFAIL  source spare: ",
        "source_unreachable",
        "\nFAIL  model gone: no such table: gone",
        "\nok    model fine: 4 columns",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {ran:?}");
    }

    // The directory of a store is made where there is none: a volume that is not mounted looks like a new store.
    node.write("larder.toml", &good);
    node.run(&["sync", "person"]).expect(0);
    std::fs::rename(node.path().join("data/store"), node.path().join("away")).unwrap();
    let ran = node.run(&["check", "--connect"]).expect(1);
    assert!(ran.stdout.contains("FAIL  metadata") && ran.stdout.contains("catalog_lost"), "{ran:?}");
}

#[tokio::test]
async fn check_tries_the_read_store_and_the_status_store() {
    let node = people().await;
    let configuration = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    node.run(&["sync", "person"]).expect(0);
    std::fs::rename(node.path().join("data"), node.path().join("other")).unwrap();
    node.run(&["sync", "person"]).expect(0);
    let storage = "[storage]\nread_url = \"file:./other/store\"\nstatus_url = \"file:./blocked/status\"\n";
    node.write("larder.toml", &configuration.replace("[storage]\n", storage));
    node.write("blocked", "not a directory");
    let ran = node.run(&["check", "--connect"]).expect(1);
    assert!(ran.stdout.contains("\nFAIL  store to read from: `file:"), "{ran:?}");
    assert!(ran.stdout.contains("(code: foreign_catalog)\n"), "{ran:?}");
    assert!(ran.stdout.contains("\nFAIL  statuses: cannot create `"), "{ran:?}");
    let replica = node.run(&["check", "--connect", "--roles", "replica"]).expect(1);
    assert!(replica.stdout.contains("\nFAIL  store: `file:"), "{replica:?}");
}

#[tokio::test]
async fn a_closed_stdout_is_no_failure() {
    let node = NodeDirectory::new(HUNDRED, PERSON).await;
    let mut preview = process::command(node.path(), &[], &["preview", "person"]);
    let mut child =
        preview.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[tokio::test]
async fn help_explains_every_command_and_argument() {
    let node = people().await;
    let top = node.run(&["--help"]).expect(0).stdout;
    for example in [
        "larder quickstart",
        "larder check --connect",
        "larder keys create --name",
        "larder serve",
        "Exit codes:",
    ] {
        assert!(top.contains(example), "{top}");
    }
    assert!(node.run(&["--version"]).expect(0).stdout.starts_with("larder "));
    let commands = |help: &str| -> Vec<String> {
        let list = help.split("Commands:\n").nth(1).unwrap_or_default();
        // The lines that continue a description are indented further.
        let lines = list.lines().take_while(|line| !line.is_empty());
        let lines = lines.filter(|line| !line.starts_with("   "));
        lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    let mut seen = 0;
    let mut waiting: Vec<Vec<String>> = commands(&top).into_iter().map(|command| vec![command]).collect();
    while let Some(path) = waiting.pop() {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help: CommandOutput = node.run(&arguments).expect(0);
        explained(&help.stdout);
        waiting
            .extend(commands(&help.stdout).into_iter().map(|command| [path.clone(), vec![command]].concat()));
        seen += 1;
    }
    assert!(seen >= 22, "{seen} helps");
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
    let node = NodeDirectory::new("create table unused (id)", "").await;
    let directory = node.path().join("quick");
    let arguments = ["quickstart", "--directory", directory.to_str().unwrap()];
    let variables = [("LARDER_LISTEN", "127.0.0.1:0"), ("LARDER_ADMIN_LISTEN", "127.0.0.1:0")];
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut server = node.spawn_with(&arguments, &variables);
        let printed = |server: &Process| {
            Some(server.stdout()).filter(|stdout| stdout.contains("Ctrl-C ends the server."))
        };
        let welcome = server.until("welcome", printed).await;
        let curl = welcome.lines().find(|line| line.trim_start().starts_with("curl")).unwrap();
        let key = curl.split("Bearer ").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let address = server.listening().await;
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
        let link = welcome.lines().find(|line| line.contains("/console/sign-in/lrl_")).unwrap().trim();
        let (origin, token) = link.split_once("/console/sign-in/").unwrap();
        assert_eq!(origin, format!("http://{}", server.admin().await));
        let mut visitor = crate::console::visitor::Visitor::at(server.admin().await);
        assert_eq!(visitor.post("/console/sign-in", &[("token", token)]).await.status, 303);
        assert!(visitor.get("/console").await.text().contains("customer"));
        keys.push(key);
        server.signal(Signal::INT);
        server.wait().await.expect(0);
    }
    assert_eq!(keys[0], keys[1], "the second start uses what the first made");
}

#[tokio::test]
async fn quickstart_writes_the_addresses_of_its_flags() {
    let node = NodeDirectory::new("create table unused (id)", "").await;
    let directory = node.path().join("quick");
    let started = ["quickstart", "--directory", directory.to_str().unwrap()];
    let wrong = [&started[..], &["--listen", "nowhere"]].concat();
    node.run(&wrong).expect(2);
    let file = directory.join("larder.toml");
    assert!(!std::fs::read_to_string(&file).unwrap().contains("nowhere"));
    std::fs::remove_file(&file).unwrap();
    let flags =
        ["--listen", "127.0.0.2:0", "--admin-listen", "127.0.0.1:0", "--public-url", "https://a.example.com"];
    let mut server = node.spawn_with(&[&started[..], &flags].concat(), &[]);
    server.until("welcome", |server| server.stdout().contains("Ctrl-C ends the server.").then_some(())).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let server = "[server]\npublic_url = \"https://a.example.com\"\nlisten = \"127.0.0.2:0\"\nadmin_listen = \"127.0.0.1:0\"\n";
    assert!(text.contains(server), "{text}");
    node.run(&["check", "--config", file.to_str().unwrap()]).expect(0);
}
