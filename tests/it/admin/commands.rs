//! Commands with `--server`: the same output and exit code as without it.

use serde_json::Value;

use crate::support::{
    deployment::NodeDirectory,
    process::{CommandOutput, Process, until, wait_until},
};

const PEOPLE: &str = "create table people (id integer primary key, name text, ratio real);
    insert into people values (1, 'Ann', 0.1), (2, 'Bob', 1e30), (3, 'Cyd', null), (4, 'Dee', -1.5), (5, 'Eve', 2)";

const SYNCS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nindexes = { id = \"id\" }\n";

/// A server with people, and its admin key.
struct Fixture {
    node: NodeDirectory,
    server: Process,
    url: String,
    key: String,
}

impl Fixture {
    async fn start() -> Self {
        let node = NodeDirectory::new(PEOPLE, SYNCS).await;
        let mut server = node.serve().await;
        let url = format!("http://{}", server.admin().await);
        let key = std::fs::read_to_string(node.path().join("data/admin.key")).unwrap().trim().to_owned();
        let fixture = Self { node, server, url, key };
        // Until the publishing side is up, the key is that of a viewer.
        wait_until("the first admin key", async || {
            fixture.remotely(&["admin", "keys", "list"]).code == Some(0)
        })
        .await;
        fixture
    }

    /// Runs a command on the server.
    fn remotely(&self, arguments: &[&str]) -> CommandOutput {
        let variables = [("LARDER_SERVER", &*self.url), ("LARDER_ADMIN_KEY", &*self.key)];
        // No configuration file is read.
        let arguments = [arguments, &["--config", "nowhere.toml"]].concat();
        self.node.run_with(&arguments, &variables)
    }

    /// Runs a command that only reads, here and on the server, and compares.
    fn same(&self, arguments: &[&str]) -> String {
        let (here, there) = (self.node.run(arguments), self.remotely(arguments));
        assert_eq!(there.code, here.code, "{arguments:?}\n{here:?}\n{there:?}");
        assert_eq!(there.stdout, here.stdout, "{arguments:?}");
        assert_eq!(there.stderr, here.stderr, "{arguments:?}");
        there.stdout
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_read_print_the_same_on_a_server() {
    let fixture = Fixture::start().await;
    fixture.node.run(&["sync", "person"]).expect(0);
    fixture
        .node
        .run(&["keys", "create", "--name", "a", "--collection", "person", "--requests-per-second", "5"])
        .expect(0);
    let run = fixture.node.run(&["runs", "--json"]).expect(0).json()[0]["id"].as_str().unwrap().to_owned();
    for arguments in [
        &["runs"][..],
        &["runs", "--json"],
        &["runs", "person", "--announced", "--limit", "1"],
        &["runs", "nobody"],
        &["runs", &run],
        &["runs", &run, "--json"],
        &["runs", "run_00000000000000000000000000000000"],
        &["versions", "person"],
        &["versions", "person", "--json"],
        &["versions", "nobody"],
        &["audit"],
        &["audit", "person", "--json"],
        &["admin", "keys", "list"],
        &["admin", "keys", "list", "--json"],
        &["source", "tables", "warehouse"],
        &["source", "columns", "warehouse", "people"],
        &["source", "query", "warehouse", "select * from people order by id"],
        &["source", "query", "warehouse", "--table", "nothing"],
        &["source", "query", "nobody", "select 1"],
        &["preview", "person"],
        &["preview", "nobody"],
        &["config", "print"],
        &["resume", "person"],
        &["resume", "nobody"],
        &["rollback", "person", "--to", "1"],
        &["rollback", "person", "--to", "7"],
        &["unpin", "person", "--region", "local"],
        &["drop", "nobody"],
        &["keys", "revoke", "nosuch"],
        &["keys", "rotate", "nosuch", "--overlap", "1h"],
        &["admin", "keys", "revoke", "nosuch"],
        &["approve", &run],
        &["sync", "nobody"],
    ] {
        if arguments == ["config", "print"] {
            let (here, there) =
                (fixture.node.run(arguments).expect(0), fixture.remotely(arguments).expect(0));
            // The server was started in the same directory.
            assert_eq!(there.stdout, here.stdout);
            continue;
        }
        fixture.same(arguments);
    }
    // A node notes by itself when keys were used, and how old its status is.
    let keys = |output: CommandOutput| {
        let mut keys = output.expect(0).json();
        keys.as_array_mut().unwrap().iter_mut().for_each(|key| key["last_used"] = Value::Null);
        keys
    };
    let list = ["keys", "list", "--json"];
    assert_eq!(keys(fixture.remotely(&list)), keys(fixture.node.run(&list)));
    let status = until("the node's status", async || {
        let status = fixture.remotely(&["status", "--json"]).expect(0).json();
        (!status["fleet"]["nodes"][0].is_null()).then_some(status)
    })
    .await;
    let here = fixture.node.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["collections"], here["collections"]);
    assert_eq!(status["fleet"]["nodes"][0]["node"], here["fleet"]["nodes"][0]["node"]);
    assert!(
        fixture.remotely(&["source", "check", "warehouse"]).expect(0).stdout.starts_with("ok    warehouse: ")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_change_a_server() {
    let mut fixture = Fixture::start().await;
    let create = ["keys", "create", "--name", "b", "--collection", "later"];
    assert!(fixture.remotely(&create).expect(0).stderr.starts_with("warning: no sync is named later; "));
    // Guards leave small collections alone.
    let more = "with recursive n(i) as (select 7 union all select i + 1 from n where i < 30) \
        insert into people (id, name) select i, 'x' from n";
    fixture.node.execute(more).await;
    let dry = fixture.remotely(&["sync", "person", "--dry-run"]).expect(0);
    assert!(dry.stdout.contains("would announce a new version"), "{dry:?}");
    let first = fixture.remotely(&["sync", "person", "--wait", "30s"]).expect(0);
    assert!(
        first.stdout.contains("announced version 1") && first.stdout.contains("served by 1 node"),
        "{first:?}"
    );
    let unchanged = fixture.remotely(&["sync", "person", "--json"]).expect(0).json();
    assert_eq!(unchanged["status"], "unchanged");
    fixture.node.execute("delete from people where id > 1").await;
    let held = fixture.remotely(&["sync", "person"]).expect(3);
    assert!(held.stderr.contains("A guard holds run"), "{held:?}");
    let runs = fixture.remotely(&["runs", "--json"]).expect(0).json();
    let approved = fixture.remotely(&["approve", runs[0]["id"].as_str().unwrap()]).expect(0);
    assert!(approved.stdout.contains("announced version 2, exactly what"), "{approved:?}");
    let pinned = fixture.remotely(&["pin", "person", "--to", "1", "--region", "local"]).expect(0);
    assert!(pinned.stdout.contains("pinned at version 1"), "{pinned:?}");
    fixture.remotely(&["unpin", "person", "--region", "local"]).expect(0);
    let back = fixture.remotely(&["rollback", "person", "--to", "1"]).expect(0);
    assert!(back.stdout.contains("announced as version 3"), "{back:?}");
    assert!(fixture.remotely(&["resume", "person"]).expect(0).stdout.contains("person: resumed"));
    let key = fixture.remotely(&["keys", "create", "--name", "a", "--all-collections"]).expect(0).stdout;
    let (key, address) = (key.trim().to_owned(), fixture.server.listening().await);
    assert!(key.starts_with("lrd_") && address.port() > 0);
    until("the key", async || (fixture.server.get(&key, "person", 2).await.status == 200).then_some(()))
        .await;
    let id = key[4..16].to_owned();
    let rotated = fixture.remotely(&["keys", "rotate", &id, "--overlap", "0s"]).expect(0);
    assert!(rotated.stdout.starts_with(&key[..17]) && rotated.stdout.trim() != key);
    fixture.remotely(&["keys", "revoke", rotated.stdout.trim()]).expect(0);
    let admin = fixture.remotely(&["admin", "keys", "create", "--name", "x", "--role", "viewer"]).expect(0);
    let viewer = admin.stdout.trim().to_owned();
    let refused = until("refusal of the viewer", async || {
        let arguments = ["drop", "person", "--server", &*fixture.url, "--admin-key", &*viewer];
        Some(fixture.node.run(&arguments)).filter(|refused| refused.stderr.contains("role_forbidden"))
    })
    .await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    fixture.remotely(&["admin", "keys", "revoke", &viewer]).expect(0);
    assert!(fixture.remotely(&["drop", "person"]).expect(0).stdout.contains("dropped version 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_servers_and_keys_are_explained() {
    let fixture = Fixture::start().await;
    for (arguments, code, words) in [
        (&["runs", "--server", "nowhere", "--admin-key", "x"][..], 2, "give http://host:port"),
        (
            &["runs", "--server", "http://127.0.0.1:1", "--admin-key", "x"],
            1,
            "cannot connect to http://127.0.0.1:1",
        ),
        (&["runs", "--server", &fixture.url], 2, "LARDER_ADMIN_KEY"),
        (&["runs", "--server", &fixture.url, "--admin-key", "x"], 1, "code: admin_key_unknown"),
        (&["drivers", "--server", &fixture.url, "--admin-key", "x"], 2, "works on this machine only"),
        (
            &["check", "--connect", "--server", &fixture.url, "--admin-key", "x"],
            2,
            "works on this machine only",
        ),
    ] {
        let ended = fixture.node.run(arguments);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
}
