//! Wrong configurations of nodes, stores, sources and models.

use std::path::Path;

use super::environment;
use super::{SECRET, assert_faults, faults, places, set};
use crate::config::{Overrides, SHORTHANDS, load, load_text};
use crate::settings::Environment;

#[test]
fn grammar() {
    assert_faults(
        "[node\nregion = x\n[server]\nlisten = \"a\nlisten = \"b\"\n",
        &["larder.toml:1:6", "larder.toml:4:12", "larder.toml:5:1"],
    );
    assert_faults("[node]\nregion = \"a\"\nregion = \"b\"\n", &["larder.toml:3:1"]);
}

#[test]
fn unknown_keys() {
    assert_faults("[nodes]\nregion = \"a\"\n", &["larder.toml:1:2 nodes"]);
    assert_faults(
        "[node]\nreigon = \"a\"\nzzz = 1\n",
        &["larder.toml:2:1 node.reigon", "larder.toml:3:1 node.zzz"],
    );
    assert_faults(
        "colour = 1\n[defaults.sync]\non_delte = 1\n[defaults.model]\n",
        &[
            "larder.toml:1:1 colour",
            "larder.toml:3:1 defaults.sync.on_delte",
            "larder.toml:4:11 defaults.model",
        ],
    );
}

#[test]
fn a_certificate_goes_with_a_key() {
    assert_faults("[server]\ntls_certificate_file = \"a.crt\"\n", &["larder.toml:1:1 server"]);
    assert_faults(
        "[server]\ntls_key_file = \"\"\ntls_reload_interval = \"1ms\"\n",
        &["larder.toml:2:16 server.tls_key_file", "larder.toml:3:23 server.tls_reload_interval"],
    );
}

/// A URL with a password, written where a word or a name belongs.
#[test]
fn words_that_are_none_show_no_password() {
    let url = "postgres://u:hunter2@h/d";
    for text in [
        format!("[sources.w]\ntype = {url:?}\n"),
        format!("[models.m]\nsource = {url:?}\ntable = \"t\"\nprimary_key = \"id\"\n"),
        format!("[node]\nregion = {url:?}\n"),
        format!("[syncs.c]\nmodel = {url:?}\non_delete = {url:?}\n"),
        "[sources.w]\ntype = \"duckdb\"\nsetup = [\"set x = 'hunter2'\", \"set x = 'hunter2'\"]\n".to_owned(),
    ] {
        let found = faults(&text);
        assert!(!found.is_empty() && !format!("{found:?}").contains("hunter2"), "{text}{found:?}");
    }
    let found = faults("[sources.w]\ntype = \"postgers\"\n");
    assert!(format!("{found:?}").contains("postgers"), "{found:?}");
}

#[test]
fn wrong_types() {
    assert_faults(
        "node = 1\nsyncs = []\n[server]\nlisten = 8080\n",
        &["larder.toml:1:8 node", "larder.toml:2:9 syncs", "larder.toml:4:10 server.listen"],
    );
    assert_faults(
        "[server]\nconnections_max = \"many\"\nheader_timeout = 10\ndrain_timeout = true\n",
        &[
            "larder.toml:2:19 server.connections_max",
            "larder.toml:3:18 server.header_timeout",
            "larder.toml:4:17 server.drain_timeout",
        ],
    );
    assert_faults(
        "[engine]\nmax_concurrent_runs = 99999999999999999999\nspool_bytes_max = 1.5\n",
        &["larder.toml:2:23 engine.max_concurrent_runs", "larder.toml:3:19 engine.spool_bytes_max"],
    );
}

#[test]
fn node() {
    assert_faults(
        "[node]\nregion = \"us west\"\nroles = [\"publisher\", \"replic\"]\ndata_dir = \"\"\n",
        &["larder.toml:2:10 node.region", "larder.toml:3:23 node.roles", "larder.toml:4:12 node.data_dir"],
    );
    assert_faults("[node]\nroles = []\n", &["larder.toml:2:9 node.roles"]);
    assert_faults("[node]\nroles = [\"replica\", \"replica\"]\n", &["larder.toml:2:21 node.roles"]);
    assert_faults("[node]\nroles = \"replica,reader\"\n", &["larder.toml:2:9 node.roles"]);
}

#[test]
fn server() {
    assert_faults(
        "[server]\nlisten = \"localhost:8080\"\npublic_url = \"example.com?x\"\n",
        &["larder.toml:2:10 server.listen", "larder.toml:3:14 server.public_url"],
    );
    assert_faults(
        "[server]\nlisten = \"127.0.0.1:80\"\nadmin_listen = \"127.0.0.1:80\"\n",
        &["larder.toml:3:16 server.admin_listen"],
    );
    assert_faults(
        "[server]\nconnections_max = 0\nheader_timeout = \"0s\"\ndrain_timeout = \"2d\"\n",
        &[
            "larder.toml:2:19 server.connections_max",
            "larder.toml:3:18 server.header_timeout",
            "larder.toml:4:17 server.drain_timeout",
        ],
    );
}

#[test]
fn statuses() {
    assert_faults(
        "[node]\nname = \"a b\"\n[storage]\nstatus_url = \"file:./data\"\n",
        &["larder.toml:2:8 node.name"],
    );
    assert_faults("[storage]\nstatus_url = \"file:./data\"\n", &["larder.toml:2:14 storage.status_url"]);
    assert_faults(
        "[storage]\nurl = \"file:/srv/store\"\nstatus_url = \"file:/srv/store\"\n",
        &["larder.toml:3:14 storage.status_url"],
    );
    for (url, status_url, own) in [
        ("file:/srv/store", "file:///srv/store/catalog", "catalog"),
        ("file:/srv/store", "file:/srv/store/collections/customer", "collections"),
        ("s3://b", "s3://b/keys/", "keys"),
        ("s3://b/larder", "s3://b/larder/probe/x", "probe"),
    ] {
        let found = faults(&format!("[storage]\nurl = \"{url}\"\nstatus_url = \"{status_url}\"\n"));
        let words = format!("storage.status_url: must not be in `{own}/` of the store");
        assert!(found.contains(&words), "{found}");
    }
    let copy = "[storage]\nurl = \"s3://b\"\nread_url = \"s3://copy\"\nstatus_url = \"s3://copy/catalog\"\n";
    assert!(faults(copy).contains("must not be in `catalog/` of the store"), "{}", faults(copy));
    assert_faults("[storage]\nstatus_url = \"./status\"\n", &["larder.toml:2:14 storage.status_url"]);
}

#[test]
fn storage() {
    assert_faults(
        "[storage]\nurl = \"file://host/store\"\npoll_interval = \"1\"\nkeep_versions = 0\n",
        &[
            "larder.toml:2:7 storage.url",
            "larder.toml:3:17 storage.poll_interval",
            "larder.toml:4:17 storage.keep_versions",
        ],
    );
    assert_faults("[storage]\nurl = \"./data/store\"\n", &["larder.toml:2:7 storage.url"]);
    assert_faults("[storage]\nurl = \"file:./data\"\n", &["larder.toml:2:7 storage.url"]);
    assert_faults(
        "[storage]\nurl = \"s3://key:secret@bucket\"\nread_url = \"gs://bucket/a//b\"\n",
        &["larder.toml:2:7 storage.url", "larder.toml:3:12 storage.read_url"],
    );
    assert_faults(
        "[storage]\nurl = \"az://\"\nread_url = \"http://bucket\"\n",
        &["larder.toml:2:7 storage.url", "larder.toml:3:12 storage.read_url"],
    );
    assert_faults(
        "[storage.s3]\nendpoint = \"127.0.0.1:9000\"\npath_style = \"yes\"\nregoin = \"x\"\n",
        &[
            "larder.toml:2:12 storage.s3.endpoint",
            "larder.toml:3:14 storage.s3.path_style",
            "larder.toml:4:1 storage.s3.regoin",
        ],
    );
    assert_faults("[storage.s3]\naccess_key_id = \"id\"\n", &["larder.toml:1:1 storage.s3"]);
    assert_faults("[storage]\nread_url = \"file:./data\"\n", &["larder.toml:2:12 storage.read_url"]);
}

#[test]
fn publication() {
    assert_faults(
        "[publication]\nverify_key = \"MCowBQ==\"\nsigning_key = \"x\"\n",
        &["larder.toml:2:14 publication.verify_key", "larder.toml:3:1 publication.signing_key"],
    );
    let key = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    assert_faults(&format!("[publication]\nverify_key = \"{key}\"\n"), &["larder.toml:1:1 publication"]);
    assert_faults("[publication]\nverify_key = []\n", &["larder.toml:2:14 publication.verify_key"]);
}

#[test]
fn metadata() {
    assert_faults("[metadata]\nurl = \"mysql://root:hunter2@h/d\"\n", &["larder.toml:2:7 metadata.url"]);
    assert_faults("[metadata]\nurl = \"sqlite::memory:\"\n", &["larder.toml:2:7 metadata.url"]);
    assert_faults("[metadata]\nurl = \"sqlite:./a.db?mode=ro\"\n", &["larder.toml:2:7 metadata.url"]);
    assert_faults("[metadata]\nurl = \"\"\n", &["larder.toml:2:7 metadata.url"]);
}

#[test]
fn engine_and_log() {
    assert_faults(
        "[engine]\nrun_timeout = \"24h\"\nspool_bytes_max = \"1MB\"\nmax_concurrent_runs = 0\n",
        &[
            "larder.toml:2:15 engine.run_timeout",
            "larder.toml:3:19 engine.spool_bytes_max",
            "larder.toml:4:23 engine.max_concurrent_runs",
        ],
    );
    assert_faults(
        "[log]\nformat = \"jsn\"\nfilter = \"larder=loud\"\n",
        &["larder.toml:2:10 log.format", "larder.toml:3:10 log.filter"],
    );
}

#[test]
fn variables() {
    assert_faults(
        "[sources.w]\ntype = \"postgres\"\nurl = \"${WAREHOSE_URL}\"\n",
        &["larder.toml:3:7 sources.w.url"],
    );
    assert_faults(
        "[node]\nregion = \"${A} ${B}\"\ndata_dir = \"${oops\"\n",
        &["larder.toml:2:10 node.region", "larder.toml:2:10 node.region", "larder.toml:3:12 node.data_dir"],
    );
    assert_faults(
        "[log]\nformat = \"${SECRET}\"\nfilter = \"${SECRET}=${SECRET}\"\n[server]\nlisten = \"${SECRET}\"\n",
        &["larder.toml:2:10 log.format", "larder.toml:3:10 log.filter", "larder.toml:5:10 server.listen"],
    );
    assert_faults(
        "[storage]\nurl = \"${SECRET}\"\npoll_interval = \"${SECRET}\"\n[node]\nregion = \"${SECRET}!\"\n",
        &[
            "larder.toml:2:7 storage.url",
            "larder.toml:3:17 storage.poll_interval",
            "larder.toml:5:10 node.region",
        ],
    );
}

#[test]
fn sources() {
    assert_faults(
        "[sources.w]\n[sources.\"a b\"]\ntype = \"sqlite\"\n",
        &[
            "larder.toml:1:1 sources.w.type",
            r#"larder.toml:2:1 sources."a b".path"#,
            r#"larder.toml:2:10 sources."a b""#,
        ],
    );
    let unknown = faults("[sources.w]\ntype = \"postgre\"\nurl = \"postgres://h\"\n");
    assert!(unknown.starts_with("larder.toml:2:8  sources.w.type: \"postgre\" is not one of "), "{unknown}");
    assert!(unknown.ends_with("  hint: did you mean \"postgres\"?"), "{unknown}");
    assert_faults(
        "[sources.w]\ntype = \"postgres\"\npath = \"x\"\nurl = \"http://u:hunter2@h\"\n",
        &["larder.toml:3:1 sources.w.path", "larder.toml:4:7 sources.w.url"],
    );
    assert_faults(
        "[sources.w]\ntype = \"sqlite\"\nurl = \"x\"\npath = \"sqlite:x\"\nstatement_timeout = \"13h\"\n",
        &[
            "larder.toml:3:1 sources.w.url",
            "larder.toml:4:8 sources.w.path",
            "larder.toml:5:21 sources.w.statement_timeout",
        ],
    );
    assert_faults(
        "[defaults.source]\nconnect_timeout = \"1ms\"\n[sources.a]\ntype = \"sqlite\"\npath = \"a\"\n[sources.b]\ntype = \"sqlite\"\npath = \"b\"\n",
        &["larder.toml:2:19 defaults.source.connect_timeout"],
    );
}

#[test]
fn models() {
    let source = |lines: &str| format!("[sources.warehouse]\ntype = \"sqlite\"\npath = \"w.db\"\n{lines}");
    assert_faults(
        &source("[models.c]\nsource = \"warehuose\"\n"),
        &[
            "larder.toml:4:1 models.c",
            "larder.toml:4:1 models.c.primary_key",
            "larder.toml:5:10 models.c.source",
        ],
    );
    assert_faults(
        "[models.c]\nsource = \"w\"\nsql = \" ; \"\nprimary_key = \"id\"\n",
        &["larder.toml:2:10 models.c.source", "larder.toml:3:7 models.c.sql"],
    );
    assert_faults(
        &source(
            "[models.c]\nsource = \"warehouse\"\nsql = \"select 1\"\ntable = \"t\"\nprimary_key = \"id\"\n",
        ),
        &["larder.toml:7:9 models.c.table"],
    );
    assert_faults(
        &source(
            "[models.c]\nsource = \"warehouse\"\nsql = \"select 1\"\ncolumns = [\"a\"]\nprimary_key = 1\n",
        ),
        &["larder.toml:7:1 models.c.columns", "larder.toml:8:15 models.c.primary_key"],
    );
    assert_faults(
        &source(
            "[models.c]\nsource = \"warehouse\"\ntable = \"a.b.c\"\ncolumns = []\nprimary_key = \"id\"\n",
        ),
        &["larder.toml:6:9 models.c.table", "larder.toml:7:11 models.c.columns"],
    );
    assert_faults(
        &source(
            "[models.c]\nsource = \"warehouse\"\ntable = \"t\"\ncolumns = [\"user_id\", \"email\", \"email\"]\nprimary_key = \"id\"\n",
        ),
        &["larder.toml:7:32 models.c.columns"],
    );
    assert_faults(
        &source(
            "[models.c]\nsource = \"warehouse\"\ntable = \"t\"\ncolumns = [\"user_id\", \"email\"]\nprimary_key = \"userid\"\n",
        ),
        &["larder.toml:8:15 models.c.primary_key"],
    );
    assert_faults(
        &source(
            "[models.c]\nsource = \"warehouse\"\ntable = \"t\"\ncolumns = [\"id\"]\nprimary_key = \"id\"\ntypes = { a = \"json\" }\n",
        ),
        &["larder.toml:9:9 models.c.types"],
    );
    assert_faults(
        &source(
            "[models.c]\nsource = \"warehouse\"\ntable = \"t\"\nprimary_key = \"id\"\ntypes = { a = \"jason\", b = 1 }\n",
        ),
        &["larder.toml:8:15 models.c.types.a", "larder.toml:8:28 models.c.types.b"],
    );
    assert_faults(
        &source("[models.c]\nsource = \"warehouse\"\nsql_file = \"no/such.sql\"\nprimary_key = \"id\"\n"),
        &["larder.toml:6:12 models.c.sql_file"],
    );
    assert_faults(
        &source("[models.c]\nsource = \"warehouse\"\nsql_file = \"src\"\nprimary_key = \"id\"\n"),
        &["larder.toml:6:12 models.c.sql_file"],
    );
}

#[test]
fn overrides() {
    let env: Environment =
        [("LARDER_LISTEN", "hunter2"), ("LARDER_ROLES", "publisher,server")].into_iter().collect();
    let mut overrides =
        set(&["nod.x=1", "node.reigon=1", "log.reigon=1", "server.connections_max=many", "log.filter="]);
    overrides.set_flag(&SHORTHANDS[0], "no way");
    let faults = load_text("", Path::new("larder.toml"), &env, &overrides).unwrap_err();
    let expected = [
        "LARDER_LISTEN server.listen",
        "LARDER_ROLES node.roles",
        "--region node.region",
        "--set nod",
        "--set node.reigon",
        "--set server.connections_max",
        "--set log.filter",
        "--set log.reigon",
    ];
    assert_eq!(places(&faults), expected);
    for (number, near) in [(3, "\"node\""), (4, "\"region\"")] {
        assert!(faults.as_slice()[number].hint.as_ref().unwrap().contains(near), "{faults}");
    }
    assert!(!faults.to_string().contains(SECRET), "{faults}");
}

#[test]
fn an_assignment_without_a_key_is_refused_without_its_value() {
    for assignment in ["node.region", "=hunter2", "node region=hunter2", "a..b=hunter2", "[node=hunter2"] {
        let message = Overrides::default().set(assignment).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
    let dots = format!("a{}=1", ".a".repeat(17));
    Overrides::default().set(&dots).unwrap_err();
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let (not_utf8, too_large) = (dir.path().join("a.toml"), dir.path().join("b.toml"));
    std::fs::write(&not_utf8, b"# \xff").unwrap();
    std::fs::write(&too_large, " ".repeat(usize::try_from(super::super::FILE_BYTES_MAX).unwrap() + 1))
        .unwrap();
    for path in [Path::new("no/such.toml"), Path::new("src"), &not_utf8, &too_large] {
        let faults = load(Some(path), &environment(), &Overrides::default()).unwrap_err();
        assert_eq!(places(&faults), [path.display().to_string()]);
    }
}

#[test]
fn sources_of_files_and_of_mysql() {
    let files = |lines: &str| format!("[sources.f]\ntype = \"files\"\n{lines}");
    assert_faults(&files(""), &["larder.toml:1:1 sources.f"]);
    assert_faults(&files("path = \"a\"\nurl = \"s3://b\"\n"), &["larder.toml:4:7 sources.f.url"]);
    assert_faults(&files("url = \"file:./a\"\n"), &["larder.toml:3:7 sources.f.url"]);
    assert_faults(
        &files("url = \"s3://b\"\n[sources.f.s3]\nregoin = \"x\"\n"),
        &["larder.toml:5:1 sources.f.s3.regoin"],
    );
    assert_faults(
        &files(
            "path = \"a\"\nformat = \"xml\"\ncsv = { delimiter = \";;\", header = false, quotes = \"'\" }\n",
        ),
        &[
            "larder.toml:4:10 sources.f.format",
            "larder.toml:5:21 sources.f.csv.delimiter",
            "larder.toml:5:36 sources.f.csv.header",
            "larder.toml:5:43 sources.f.csv.quotes",
        ],
    );
    for url in [
        "postgres://x@localhost/x",
        "mysql://x:hush@localhost/x?allow-cleartext=1",
        "mysql://x:hush@localhost/x?ssl-mode=maybe",
        "mysql://x:hush@localhost/x?ssl-ca=no/such.pem",
        "mysql://x:hush@localhost:port/x",
    ] {
        let text = format!("[sources.m]\ntype = \"mysql\"\nurl = \"{url}\"\n");
        assert_faults(&text, &["larder.toml:3:7 sources.m.url"]);
        assert!(!faults(&text).contains("hush"), "{url}");
    }
}
