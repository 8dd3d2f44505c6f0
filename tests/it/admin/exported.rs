//! `larder export` and `larder import`, and commands beside a configuration that know what is stored.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    deployment::{Deployment, NodeDirectory, files_below},
    postgres::{Database, Postgres},
    process::{CommandOutput, Process, wait_until},
};

/// In every secret of these tests.
const MARK: &str = "hunter2";
const SECRETS: &str = "[secrets]\nkey_file = \"secrets.key\"\n";

/// What is imported first; the URL is a variable.
const CRM: &str = "[defaults.sync]\non_delete = \"keep\"\n[sources.crm]\ntype = \"postgres\"\nurl = \"${CRM_URL}\"\n\
    [models.people]\nsource = \"crm\"\nsql_file = \"people.sql\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";

/// The key of a deployment's secrets.
fn secret_key(fill: u8) -> String {
    STANDARD.encode([fill; 32])
}

/// A node with the keys of secrets, and a Postgres with a person.
struct Fixture {
    deployment: Deployment,
    node: NodeDirectory,
    database: Database,
    url: String,
}

impl Fixture {
    /// `sections` stand in the file beside `[secrets]`.
    async fn new(sections: &str) -> Self {
        let database = Postgres::database().await;
        database.execute("create table people (id integer primary key, name text)").await;
        database.execute("insert into people values (1, 'Ann')").await;
        let (deployment, node) = deployment(1, sections);
        node.write("people.sql", "select id, name from people;\n");
        node.write("crm.toml", CRM);
        let url = database.url_of(&format!("postgres:{MARK}"));
        Self { deployment, node, database, url }
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.node.run_with(arguments, &[("CRM_URL", &self.url)])
    }
}

fn deployment(fill: u8, sections: &str) -> (Deployment, NodeDirectory) {
    let deployment = Deployment::new();
    let node = deployment.node("node", &format!("{SECRETS}{sections}"));
    node.write("secrets.key", &secret_key(fill));
    (deployment, node)
}

/// A running server, and commands that work on it.
struct Remote<'a> {
    node: &'a NodeDirectory,
    process: Process,
    url: String,
    key: String,
}

impl<'a> Remote<'a> {
    async fn start(node: &'a NodeDirectory) -> Self {
        let mut process = node.serve().await;
        let url = format!("http://{}", process.admin().await);
        let key = std::fs::read_to_string(node.path().join("node/admin.key")).unwrap().trim().to_owned();
        let remote = Self { node, process, url, key };
        wait_until("the first admin key", async || remote.run(&["admin", "keys", "list"]).code == Some(0))
            .await;
        remote
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> CommandOutput {
        let server = [("LARDER_SERVER", &*self.url), ("LARDER_ADMIN_KEY", &*self.key)];
        self.node.run_with(arguments, &[&server, variables].concat())
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with(arguments, &[])
    }
}

/// The digest of the sync's configuration in the manifest that was announced.
fn digest(deployment: &Deployment) -> Value {
    let digest = deployment.manifest("person")["configuration"]["sha256"].clone();
    assert!(digest.is_string(), "{digest}");
    digest
}

#[tokio::test(flavor = "multi_thread")]
async fn export_and_import_carry_syncs_to_another_deployment() {
    let fixture = Fixture::new("").await;
    // Nobody can confirm, a variable is missing, and a dry run changes nothing.
    let refused = fixture.run(&["import", "crm.toml"]).expect(2);
    assert!(refused.stderr.contains("give --yes or --dry-run"), "{refused:?}");
    let refused = fixture.node.run(&["import", "crm.toml", "--yes"]).expect(2);
    assert!(
        refused.stderr.contains("crm.toml:5:7  sources.crm.url: the environment variable CRM_URL"),
        "{refused:?}"
    );
    let created = "sources.crm: created\nmodels.people: created\nsyncs.person: created\n";
    assert_eq!(fixture.run(&["import", "crm.toml", "--dry-run"]).expect(0).stdout, created);
    assert_eq!(fixture.run(&["import", "crm.toml", "--dry-run"]).expect(0).stdout, created);

    let imported = fixture.run(&["import", "crm.toml", "--yes"]).expect(0);
    assert!(
        imported.stdout.starts_with(created) && imported.stdout.contains("stored 3 changes"),
        "{imported:?}"
    );
    let again = fixture.run(&["import", "crm.toml", "--yes"]).expect(0);
    assert_eq!(again.stdout, created.replace("created", "unchanged"));
    fixture.node.write("crm.toml", &CRM.replace("id = \"id\" }", "id = \"id\", name = \"name\" }"));
    let changed = fixture.run(&["import", "crm.toml", "--yes"]).expect(0);
    assert!(changed.stdout.contains("syncs.person: changed\n  indexes.name: \"name\"\n"), "{changed:?}");

    // Commands beside the configuration know what is stored.
    fixture.run(&["sync", "person"]).expect(0);
    let record = fixture.run(&["preview", "person"]).expect(0);
    assert_eq!(record.stdout, "{\"id\":1,\"name\":\"Ann\"}\n");
    assert!(fixture.run(&["source", "tables", "crm"]).expect(0).stdout.contains("people"));
    let printed = fixture.run(&["config", "print"]).expect(0).stdout;
    assert!(printed.contains("[syncs.person]") && !printed.contains(MARK), "{printed}");
    let checked = fixture.run(&["check", "--connect"]).expect(0);
    for words in ["stored configuration: no faults, 3 entries checked", "ok    sync person: 2 columns"] {
        assert!(checked.stdout.contains(words), "{checked:?}");
    }

    // Its secret is a variable, which another deployment sets.
    let exported = fixture.run(&["export", "--output", "export.toml"]).expect(0);
    assert!(exported.stderr.contains("SOURCES_CRM_URL_PASSWORD  sources.crm.url"), "{exported:?}");
    let text = std::fs::read_to_string(fixture.node.path().join("export.toml")).unwrap();
    assert!(!text.contains(MARK) && text.contains("sql = \"select id, name from people\""), "{text}");
    let printed = fixture.run(&["export"]).expect(0).stdout;
    assert_eq!(printed, text);
    let refused = fixture.run(&["export", "--output", "export.toml"]).expect(1);
    assert!(refused.stderr.contains("cannot write export.toml"), "{refused:?}");

    let (other, node) = deployment(2, "");
    node.write("export.toml", &text);
    let password = [("SOURCES_CRM_URL_PASSWORD", MARK)];
    // The export is a configuration, too.
    node.run_with(&["check", "--config", "export.toml"], &password).expect(0);
    let imported = node.run_with(&["import", "export.toml", "--yes"], &password).expect(0);
    assert!(imported.stdout.starts_with(created), "{imported:?}");
    node.run(&["sync", "person"]).expect(0);
    assert_eq!(digest(&other), digest(&fixture.deployment));
    for directory in [fixture.node.path(), node.path()] {
        for (path, _) in files_below(directory) {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()), "{}", path.display());
        }
    }

    // The files of a stored source are read, too.
    let url = format!("{}?sslmode=verify-ca&sslrootcert=none.pem", fixture.url);
    fixture.node.run_with(&["import", "crm.toml", "--yes"], &[("CRM_URL", &url)]).expect(0);
    let checked = fixture.run(&["check"]).expect(1);
    for words in ["FAIL  source crm", "none.pem", "source_certificate_file"] {
        assert!(checked.stdout.contains(words), "{checked:?}");
    }
    drop(fixture.database);
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_on_a_server_are_all_or_nothing_and_faults_have_places_of_the_file() {
    let file = "[sources.own]\ntype = \"sqlite\"\npath = \"own.db\"\n";
    let fixture = Fixture::new(file).await;
    let remote = Remote::start(&fixture.node).await;
    let variables = [("CRM_URL", &*fixture.url)];
    let import =
        |arguments: &[&str]| remote.run_with(&[&["import", "new.toml"], arguments].concat(), &variables);

    // One entry is wrong, another one is declared in the file: nothing is stored.
    let wrong = CRM.replace("id = \"id\" }", "id = \"id\" }\non_delete = \"delte\"")
        + &file.replace("own.db", "other.db");
    fixture.node.write("new.toml", &wrong);
    for arguments in [&["--dry-run"][..], &["--yes"]] {
        let refused = import(arguments).expect(2);
        for words in [
            "new.toml:13:13  syncs.person.on_delete: \"delte\" is not one of",
            "new.toml:14:10  sources.own: is declared in the configuration file with other settings",
            "code: configuration_invalid",
        ] {
            assert!(refused.stderr.contains(words), "no {words} in {refused:?}");
        }
    }
    let checked = remote.run_with(&["check", "--config", "new.toml"], &variables).expect(2);
    assert!(checked.stderr.contains("new.toml:13:13  syncs.person.on_delete"), "{checked:?}");
    assert!(remote.run(&["export"]).expect(0).stdout.contains("[sources.own]"));
    assert!(!remote.run(&["export"]).expect(0).stdout.contains("[sources.crm]"), "nothing was stored");

    // What the file declares in the same way is no conflict.
    fixture.node.write("new.toml", &format!("{CRM}{file}"));
    let checked = remote.run_with(&["check", "--config", "new.toml"], &variables).expect(0);
    assert!(checked.stdout.contains("new.toml: no faults, 4 entries could be imported"), "{checked:?}");
    let imported = import(&["--yes"]).expect(0);
    assert!(imported.stdout.contains("sources.own: the same in the configuration file"), "{imported:?}");
    // It is in force when the command ends, and the same beside the configuration and on the server.
    remote.run(&["sync", "person"]).expect(0);
    let (here, there) = (fixture.node.run(&["export"]).expect(0), remote.run(&["export"]).expect(0));
    assert_eq!((here.stdout, here.stderr), (there.stdout, there.stderr));
    let status = ["status", "--json"];
    let (here, there) = (fixture.node.run(&status).expect(0).json(), remote.run(&status).expect(0).json());
    assert_eq!(
        (&here["collections"][0]["orphaned"], &here["collections"].as_array().unwrap().len()),
        (&false.into(), &1)
    );
    assert_eq!(there["collections"][0]["orphaned"], false);

    // Pruning deletes the others; a sync whose model goes is refused.
    fixture.node.write("new.toml", &CRM.replace("[syncs.person]", "[syncs.human]"));
    let pruned = import(&["--prune", "--yes"]).expect(0);
    assert!(
        pruned.stdout.contains("syncs.person: deleted") && pruned.stdout.contains("syncs.human: created"),
        "{pruned:?}"
    );
    fixture.node.write("new.toml", "");
    let lost = import(&["--prune", "--yes"]).expect(2);
    assert!(lost.stderr.contains("would delete every stored entry"), "{lost:?}");
    fixture.node.write("new.toml", "[sources.crm]\ntype = \"sqlite\"\npath = \"own.db\"\n");
    let changed = import(&["--dry-run"]).expect(0);
    assert!(changed.stdout.contains("  url: a secret -> nothing"), "{changed:?}");
    let log = remote.run(&["audit", "syncs.person"]).expect(0).stdout;
    assert_eq!(log.matches("sync.import").count(), 2, "{log}");
    assert!(!remote.process.log().contains(MARK));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_refused_when_the_stored_configuration_has_changed_since() {
    let fixture = Fixture::new("").await;
    let remote = Remote::start(&fixture.node).await;
    let ask = async |query: &str, body: Value| {
        let target = format!("/admin/v1/configuration/import?{query}");
        let address = remote.url.trim_start_matches("http://").parse().unwrap();
        let body = body.to_string();
        crate::support::admin::ask(address, &remote.key, "POST", &target, Some(&body)).await
    };
    let source = |seconds: u64| {
        let settings =
            json!({ "type": "sqlite", "path": "own.db", "statement_timeout": format!("{seconds}s") });
        json!({ "sources": { "a": settings } })
    };
    let would = ask("dry_run=true", source(1)).await.json();
    assert_eq!(
        (&would["is_valid"], &would["version"], &would["newest"]),
        (&json!(true), &Value::Null, &json!(0))
    );
    assert_eq!(would["entries"][0]["change"], "created");
    let done = ask("newest=0", source(1)).await.json();
    assert_eq!((&done["version"], &done["is_applied"]), (&json!(1), &json!(true)));
    let late = ask("newest=0", source(2)).await;
    assert_eq!((late.status, late.code().as_str()), (412, "precondition_failed"));
    let wrong = json!({ "sources": { "-": {}, "b": 1 }, "models": { "m": { "source": "a" } } });
    let wrong = ask("dry_run=true", wrong).await.json();
    assert_eq!((&wrong["is_valid"], wrong["entries"].is_null()), (&json!(false), true));
    let keys: Vec<&str> =
        wrong["faults"].as_array().unwrap().iter().filter_map(|fault| fault["key"].as_str()).collect();
    for key in ["sources.-", "sources.b", "models.m.primary_key"] {
        assert!(keys.contains(&key), "{wrong}");
    }
    assert_eq!(ask("", json!({ "other": {} })).await.status, 400);
    // The largest configuration file fits.
    let large = json!({ "models": { "m": { "source": "a", "sql": "x".repeat(5_000_000) } } });
    let refused = ask("dry_run=true", large).await.json();
    assert!(refused["faults"].to_string().contains("is larger than"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_and_faulty_or_out_of_reach_is_named() {
    let fixture = Fixture::new("").await;
    fixture.run(&["import", "crm.toml", "--yes"]).expect(0);
    // Without the key the source has a fault, and what needs it.
    fixture.node.write("secrets.key", "not a key\n");
    let checked = fixture.node.run(&["check"]).expect(2);
    for words in
        ["warning: [secrets]: line 1: a key is 32 random bytes", "sources.crm.url", "models.people.source"]
    {
        assert!(checked.stderr.contains(words), "no {words} in {checked:?}");
    }
    let exported = fixture.node.run(&["export"]).expect(1);
    assert!(exported.stderr.contains("The export is not complete"), "{exported:?}");
    assert!(!exported.stdout.contains("crm"), "{exported:?}");
    let refused = fixture.node.run(&["sync", "person"]).expect(2);
    assert!(refused.stderr.contains("no sync is named"), "{refused:?}");

    // A metadata database that does not answer is a warning where the file is enough.
    let directory = Deployment::new();
    let node = directory.node_with_metadata("node", "postgres://larder@127.0.0.1:1/larder", "");
    let checked = node.run(&["check"]).expect(0);
    assert!(
        checked.stderr.contains("warning: stored sources, models and syncs are not known"),
        "{checked:?}"
    );
    node.run(&["config", "print"]).expect(0);
    node.run(&["export"]).expect(1);
    // No command that only reads makes a metadata file.
    let (_, node) = deployment(1, "");
    node.run(&["check"]).expect(0);
    node.run(&["export"]).expect(0);
    assert!(!node.path().join("metadata.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_secrets_are_read_with_the_new_key_alone_earlier_versions_too() {
    let fixture = Fixture::new("").await;
    fixture.run(&["import", "crm.toml", "--yes"]).expect(0);
    fixture
        .node
        .write("crm.toml", &CRM.replace("[sources.crm]\n", "[sources.crm]\nconnect_timeout = \"7s\"\n"));
    fixture.run(&["import", "crm.toml", "--yes"]).expect(0);
    let remote = Remote::start(&fixture.node).await;
    let rotate = |expected: &str| {
        let rotated = remote.run(&["secrets", "rotate"]).expect(0);
        assert!(rotated.stdout.contains(expected), "{rotated:?}");
    };
    rotate("under the newest key already");
    // Another key in front, on a running server.
    let reload = async |keys: String| {
        fixture.node.write("secrets.key", &keys);
        let before = remote.process.log().matches("the configuration was read again").count();
        remote.process.signal(rustix::process::Signal::HUP);
        wait_until("the new keys", async || {
            remote.process.log().matches("the configuration was read again").count() > before
        })
        .await;
    };
    reload(format!("{}\n{}\n", secret_key(2), secret_key(1))).await;
    rotate("2 secrets encrypted under the newest key: sources.crm");
    rotate("under the newest key already");
    reload(secret_key(2)).await;
    remote.run(&["sync", "person"]).expect(0);
    let faults = remote.run(&["check", "--config", "crm.toml"]);
    assert!(faults.stderr.contains("CRM_URL is not set"), "{faults:?}");
    // An earlier version comes back with its secret.
    let address = remote.url.trim_start_matches("http://").parse().unwrap();
    let undo = Some(json!({ "version": 1 }).to_string());
    let undone = crate::support::admin::ask(
        address,
        &remote.key,
        "POST",
        "/admin/v1/sources/crm/undo",
        undo.as_deref(),
    )
    .await;
    assert_eq!(undone.status, 200, "{undone:?}");
    remote.run(&["sync", "person"]).expect(0);

    // A key that nobody has: the secret stays as it is, and the command fails and says where.
    fixture.node.write("secrets.key", &secret_key(3));
    let failed = fixture.node.run(&["secrets", "rotate"]).expect(1);
    assert!(failed.stderr.contains("sources.crm.url: the secret was encrypted with the key"), "{failed:?}");
    assert!(failed.stderr.contains("cannot be restored"), "{failed:?}");
}
