//! Wrong configurations of nodes, stores, sources and models, and the words that say so.

use std::path::Path;

use insta::assert_snapshot;

use super::environment;
use super::{faults, set};
use crate::config::{Overrides, SHORTHANDS, load, load_text};
use crate::settings::Environment;

#[test]
fn grammar() {
    assert_snapshot!(faults("[node\nregion = x\n[server]\nlisten = \"a\nlisten = \"b\"\n"), @r#"
larder.toml:1:6  unclosed table, expected `]`
larder.toml:4:12  invalid basic string, expected `"`
larder.toml:5:1  duplicate key
"#);
    assert_snapshot!(faults("[node]\nregion = \"a\"\nregion = \"b\"\n"), @r#"larder.toml:3:1  duplicate key"#);
}

#[test]
fn unknown_keys() {
    assert_snapshot!(faults("[nodes]\nregion = \"a\"\n"), @r#"
larder.toml:1:2  nodes: unknown key
  hint: did you mean "node"?
"#);
    assert_snapshot!(faults("[node]\nreigon = \"a\"\nzzz = 1\n"), @r#"
larder.toml:2:1  node.reigon: unknown key
  hint: did you mean "region"?
larder.toml:3:1  node.zzz: unknown key
  hint: keys known here: "region", "roles", "name", "data_dir", "segments_bytes_max"
"#);
    assert_snapshot!(faults("colour = 1\n[defaults.sync]\non_delte = 1\n[defaults.model]\n"), @r#"
larder.toml:1:1  colour: unknown key
  hint: keys known here: "node", "server", "storage", "publication", "metadata", "engine", "log", "sources", "models", "syncs", "defaults"
larder.toml:3:1  defaults.sync.on_delte: unknown key
  hint: did you mean "on_delete"?
larder.toml:4:11  defaults.model: unknown key
  hint: keys known here: "source", "sync"
"#);
}

#[test]
fn a_certificate_goes_with_a_key() {
    assert_snapshot!(faults("[server]\ntls_certificate_file = \"a.crt\"\n"), @r"
larder.toml:1:1  server: tls_certificate_file needs tls_key_file
");
    assert_snapshot!(faults("[server]\ntls_key_file = \"\"\ntls_reload_interval = \"1ms\"\n"), @r"
larder.toml:2:16  server.tls_key_file: is empty
larder.toml:3:23  server.tls_reload_interval: must be from 100ms to 24h
");
}

#[test]
fn wrong_types() {
    assert_snapshot!(faults("node = 1\nsyncs = []\n[server]\nlisten = 8080\n"), @r#"
larder.toml:1:8  node: must be a table, not an integer
larder.toml:2:9  syncs: must be a table, not an array
larder.toml:4:10  server.listen: must be an IP address and a port, not an integer
  hint: write "0.0.0.0:8080", "127.0.0.1:8080" or "[::]:8080"
"#);
    assert_snapshot!(faults("[server]\nconnections_max = \"many\"\nheader_timeout = 10\ndrain_timeout = true\n"), @r#"
larder.toml:2:19  server.connections_max: must be an integer, not a string
larder.toml:3:18  server.header_timeout: needs a unit
  hint: write "10s" for 10 seconds
larder.toml:4:17  server.drain_timeout: must be a duration, not a boolean
  hint: write a whole number and a unit: "250ms", "30s", "5m", "24h", "7d"
"#);
    assert_snapshot!(faults("[engine]\nmax_concurrent_runs = 99999999999999999999\nspool_bytes_max = 1.5\n"), @r#"
larder.toml:2:23  engine.max_concurrent_runs: is a number out of range
larder.toml:3:19  engine.spool_bytes_max: must be a size, not a float
  hint: write a whole number and a unit: "64MB", "2GiB"
"#);
}

#[test]
fn node() {
    assert_snapshot!(faults("[node]\nregion = \"us west\"\nroles = [\"publisher\", \"replic\"]\ndata_dir = \"\"\n"), @r#"
larder.toml:2:10  node.region: "us west" cannot be used: a region name is 1 to 64 characters, letters, digits, `_` or `-`, and begins with a letter or digit
larder.toml:3:23  node.roles: "replic" is not one of "publisher", "replica"
  hint: did you mean "replica"?
larder.toml:4:12  node.data_dir: is empty
"#);
    assert_snapshot!(faults("[node]\nroles = []\n"), @r#"
larder.toml:2:9  node.roles: names no role
  hint: a node is "publisher", "replica" or both
"#);
    assert_snapshot!(faults("[node]\nroles = [\"replica\", \"replica\"]\n"), @r#"larder.toml:2:21  node.roles: lists "replica" twice"#);
    assert_snapshot!(faults("[node]\nroles = \"replica,reader\"\n"), @r#"
larder.toml:2:9  node.roles: "replica,reader" is not a list of roles
  hint: write "publisher,replica"
"#);
}

#[test]
fn server() {
    assert_snapshot!(faults("[server]\nlisten = \"localhost:8080\"\npublic_url = \"example.com?x\"\n"), @r#"
larder.toml:2:10  server.listen: "localhost:8080" is not an IP address and a port
  hint: write "0.0.0.0:8080", "127.0.0.1:8080" or "[::]:8080"
larder.toml:3:14  server.public_url: "example.com?x" is not a base URL
  hint: write "https://host" or "http://host:port/path", nothing behind the path
"#);
    assert_snapshot!(faults("[server]\nlisten = \"127.0.0.1:80\"\nadmin_listen = \"127.0.0.1:80\"\n"), @r#"larder.toml:3:16  server.admin_listen: is the same address as server.listen"#);
    assert_snapshot!(faults("[server]\nconnections_max = 0\nheader_timeout = \"0s\"\ndrain_timeout = \"2d\"\n"), @r#"
larder.toml:2:19  server.connections_max: must be from 1 to 1000000
larder.toml:3:18  server.header_timeout: must be from 100ms to 1h
larder.toml:4:17  server.drain_timeout: must be from 0ms to 1h
"#);
}

#[test]
fn statuses() {
    assert_snapshot!(faults("[node]\nname = \"a b\"\n[storage]\nstatus_url = \"file:./data\"\n"), @r#"
larder.toml:2:8  node.name: "a b" cannot be used: it is 1 to 64 characters, letters, digits, `.`, `_`, `-` or `+`, and begins with a letter or digit
"#);
    assert_snapshot!(faults("[storage]\nstatus_url = \"file:./data\"\n"), @r#"
larder.toml:2:14  storage.status_url: must not be node.data_dir itself
  hint: leave it out for `status/` below storage.url, or name a place of its own
"#);
    assert_snapshot!(faults("[storage]\nurl = \"file:/srv/store\"\nstatus_url = \"file:/srv/store\"\n"), @r#"
larder.toml:3:14  storage.status_url: must not be storage.url itself
  hint: leave it out for `status/` below storage.url, or name a place of its own
"#);
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
    assert_snapshot!(faults("[storage]\nstatus_url = \"./status\"\n"), @r#"
larder.toml:2:14  storage.status_url: is not the URL of a store
  hint: write "file:./data/store", "s3://bucket/prefix", "gs://bucket/prefix" or "az://container/prefix"
"#);
}

#[test]
fn storage() {
    assert_snapshot!(faults("[storage]\nurl = \"file://host/store\"\npoll_interval = \"1\"\nkeep_versions = 0\n"), @r#"
larder.toml:2:7  storage.url: names a host; a directory is on this machine
  hint: write "file:./data/store" or "file:///srv/store"
larder.toml:3:17  storage.poll_interval: "1" is not a duration
  hint: add a unit: "1s"
larder.toml:4:17  storage.keep_versions: must be from 1 to 10000
"#);
    assert_snapshot!(faults("[storage]\nurl = \"./data/store\"\n"), @r#"
larder.toml:2:7  storage.url: is not the URL of a store
  hint: write "file:./data/store", "s3://bucket/prefix", "gs://bucket/prefix" or "az://container/prefix"
"#);
    assert_snapshot!(faults("[storage]\nurl = \"file:./data\"\n"), @r#"
larder.toml:2:7  storage.url: must not be node.data_dir itself
  hint: use a directory of its own, as in "file:./data/store"
"#);
    assert_snapshot!(faults("[storage]\nurl = \"s3://key:secret@bucket\"\nread_url = \"gs://bucket/a//b\"\n"), @r#"
larder.toml:2:7  storage.url: names no bucket
  hint: a bucket's name is letters, digits, `.`, `-` and `_`; credentials have keys of their own
larder.toml:3:12  storage.read_url: has a prefix that cannot be used
  hint: parts of a prefix are letters, digits, `.`, `-`, `_`, `=` and `+`, with `/` between them
"#);
    assert_snapshot!(faults("[storage]\nurl = \"az://\"\nread_url = \"http://bucket\"\n"), @r#"
larder.toml:2:7  storage.url: names no bucket
  hint: a bucket's name is letters, digits, `.`, `-` and `_`; credentials have keys of their own
larder.toml:3:12  storage.read_url: is not the URL of a store
  hint: write "file:./data/store", "s3://bucket/prefix", "gs://bucket/prefix" or "az://container/prefix"
"#);
    assert_snapshot!(faults("[storage.s3]\nendpoint = \"127.0.0.1:9000\"\npath_style = \"yes\"\nregoin = \"x\"\n"), @r#"
larder.toml:2:12  storage.s3.endpoint: "127.0.0.1:9000" is not an address
  hint: write "https://host" or "http://host:port"
larder.toml:3:14  storage.s3.path_style: must be true or false, not a string
larder.toml:4:1  storage.s3.regoin: unknown key
  hint: did you mean "region"?
"#);
    assert_snapshot!(faults("[storage.s3]\naccess_key_id = \"id\"\n"), @r#"
larder.toml:1:1  storage.s3: access_key_id and secret_access_key go together
  hint: write both, or neither: then credentials come from the environment
"#);
    assert_snapshot!(faults("[storage]\nread_url = \"file:./data\"\n"), @r#"
larder.toml:2:12  storage.read_url: must not be node.data_dir itself
  hint: use a directory of its own, as in "file:./data/store"
"#);
}

#[test]
fn publication() {
    assert_snapshot!(faults("[publication]\nverify_key = \"MCowBQ==\"\nsigning_key = \"x\"\n"), @r#"
larder.toml:2:14  publication.verify_key: "MCowBQ==" is not an Ed25519 public key
  hint: write the one line that `openssl pkey -in signing.pem -pubout` prints between BEGIN and END
larder.toml:3:1  publication.signing_key: unknown key
  hint: did you mean "signing_key_file"?
"#);
    let key = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    assert_snapshot!(faults(&format!("[publication]\nverify_key = \"{key}\"\n")), @r#"
larder.toml:1:1  publication: has verify_key without signing_key_file on a node that publishes
  hint: it would announce what it does not believe; add signing_key_file
"#);
    assert_snapshot!(faults("[publication]\nverify_key = []\n"), @r#"
larder.toml:2:14  publication.verify_key: names no key
  hint: leave it out to believe all
"#);
}

#[test]
fn metadata() {
    assert_snapshot!(faults("[metadata]\nurl = \"mysql://root:hunter2@h/d\"\n"), @r#"
larder.toml:2:7  metadata.url: is not the URL of a metadata database
  hint: write "sqlite:./data/metadata.db" or "postgres://user@host/database"
"#);
    assert_snapshot!(faults("[metadata]\nurl = \"sqlite::memory:\"\n"), @r#"
larder.toml:2:7  metadata.url: must be a file: metadata has to survive a restart
  hint: write "sqlite:./data/metadata.db" or "postgres://user@host/database"
"#);
    assert_snapshot!(faults("[metadata]\nurl = \"sqlite:./a.db?mode=ro\"\n"), @r#"
larder.toml:2:7  metadata.url: has parameters; a path has none
  hint: write "sqlite:./data/metadata.db" or "postgres://user@host/database"
"#);
    assert_snapshot!(faults("[metadata]\nurl = \"\"\n"), @r#"larder.toml:2:7  metadata.url: is empty"#);
}

#[test]
fn engine_and_log() {
    assert_snapshot!(faults("[engine]\nrun_timeout = \"24h\"\nspool_bytes_max = \"1MB\"\nmax_concurrent_runs = 0\n"), @r#"
larder.toml:2:15  engine.run_timeout: must be from 1s to 12h
larder.toml:3:19  engine.spool_bytes_max: must be from 16MB to 1000TB
larder.toml:4:23  engine.max_concurrent_runs: must be from 1 to 64
"#);
    assert_snapshot!(faults("[log]\nformat = \"jsn\"\nfilter = \"larder=loud\"\n"), @r#"
larder.toml:2:10  log.format: "jsn" is not one of "text", "json"
  hint: did you mean "json"?
larder.toml:3:10  log.filter: "larder=loud" is not a log filter
  hint: write a level, "info", or levels by module, "info,larder::replica=debug"
"#);
}

#[test]
fn variables() {
    assert_snapshot!(faults("[sources.w]\ntype = \"postgres\"\nurl = \"${WAREHOSE_URL}\"\n"), @r#"
larder.toml:3:7  sources.w.url: the environment variable WAREHOSE_URL is not set
  hint: WAREHOUSE_URL is set; was that meant?
"#);
    assert_snapshot!(faults("[node]\nregion = \"${A} ${B}\"\ndata_dir = \"${oops\"\n"), @r#"
larder.toml:2:10  node.region: the environment variable A is not set
  hint: set A in the environment of larder
larder.toml:2:10  node.region: the environment variable B is not set
  hint: set B in the environment of larder
larder.toml:3:12  node.data_dir: "${" is not followed by a variable's name and "}"
  hint: write "${NAME}" for a variable, "$${" for the characters themselves
"#);
    assert_snapshot!(faults("[log]\nformat = \"${SECRET}\"\nfilter = \"${SECRET}=${SECRET}\"\n[server]\nlisten = \"${SECRET}\"\n"), @r#"
larder.toml:2:10  log.format: "${SECRET}" is not one of "text", "json"
larder.toml:3:10  log.filter: "${SECRET}=${SECRET}" is not a log filter
  hint: write a level, "info", or levels by module, "info,larder::replica=debug"
larder.toml:5:10  server.listen: "${SECRET}" is not an IP address and a port
  hint: write "0.0.0.0:8080", "127.0.0.1:8080" or "[::]:8080"
"#);
    assert_snapshot!(faults("[storage]\nurl = \"${SECRET}\"\npoll_interval = \"${SECRET}\"\n[node]\nregion = \"${SECRET}!\"\n"), @r#"
larder.toml:2:7  storage.url: is not the URL of a store
  hint: write "file:./data/store", "s3://bucket/prefix", "gs://bucket/prefix" or "az://container/prefix"
larder.toml:3:17  storage.poll_interval: "${SECRET}" is not a duration
  hint: write a whole number and a unit: "250ms", "30s", "5m", "24h", "7d"
larder.toml:5:10  node.region: "${SECRET}!" cannot be used: a region name is 1 to 64 characters, letters, digits, `_` or `-`, and begins with a letter or digit
"#);
}

#[test]
fn sources() {
    assert_snapshot!(faults("[sources.w]\n[sources.\"a b\"]\ntype = \"sqlite\"\n"), @r#"
larder.toml:1:1  sources.w.type: is missing
  hint: write type = "postgres", or another type of docs/sources.md
larder.toml:2:1  sources."a b".path: is missing
  hint: write path = "warehouse.db"
larder.toml:2:10  sources."a b": a source name is 1 to 64 characters, letters, digits, `_` or `-`, and begins with a letter or digit
"#);
    let unknown = faults("[sources.w]\ntype = \"postgre\"\nurl = \"postgres://h\"\n");
    assert!(unknown.starts_with("larder.toml:2:8  sources.w.type: \"postgre\" is not one of "), "{unknown}");
    assert!(unknown.ends_with("  hint: did you mean \"postgres\"?"), "{unknown}");
    assert_snapshot!(faults("[sources.w]\ntype = \"postgres\"\npath = \"x\"\nurl = \"http://u:hunter2@h\"\n"), @r#"
larder.toml:3:1  sources.w.path: unknown key
  hint: keys known here: "type", "statement_timeout", "connect_timeout", "url"
larder.toml:4:7  sources.w.url: is not a Postgres URL
  hint: write "postgres://user:password@host:5432/database"
"#);
    assert_snapshot!(faults("[sources.w]\ntype = \"sqlite\"\nurl = \"x\"\npath = \"sqlite:x\"\nstatement_timeout = \"13h\"\n"), @r#"
larder.toml:3:1  sources.w.url: unknown key
  hint: keys known here: "type", "statement_timeout", "connect_timeout", "path"
larder.toml:4:8  sources.w.path: is a URL
  hint: write the path alone, as in "warehouse.db"
larder.toml:5:21  sources.w.statement_timeout: must be from 1s to 12h
"#);
    assert_snapshot!(faults("[defaults.source]\nconnect_timeout = \"1ms\"\n[sources.a]\ntype = \"sqlite\"\npath = \"a\"\n[sources.b]\ntype = \"sqlite\"\npath = \"b\"\n"), @r#"larder.toml:2:19  defaults.source.connect_timeout: must be from 100ms to 10m"#);
}

#[test]
fn models() {
    let source = |lines: &str| format!("[sources.warehouse]\ntype = \"sqlite\"\npath = \"w.db\"\n{lines}");
    assert_snapshot!(faults(&source("[models.c]\nsource = \"warehuose\"\n")), @r#"
larder.toml:4:1  models.c: has no query
  hint: write one of sql = "select ...", sql_file = "model.sql", table = "schema.table"
larder.toml:4:1  models.c.primary_key: is missing
  hint: name the column whose value is unique in every row
larder.toml:5:10  models.c.source: there is no source "warehuose"
  hint: did you mean "warehouse"?
"#);
    assert_snapshot!(faults("[models.c]\nsource = \"w\"\nsql = \" ; \"\nprimary_key = \"id\"\n"), @r#"
larder.toml:2:10  models.c.source: there is no source "w"
  hint: add [sources.NAME]
larder.toml:3:7  models.c.sql: is empty
  hint: write one `select` statement
"#);
    assert_snapshot!(faults(&source("[models.c]\nsource = \"warehouse\"\nsql = \"select 1\"\ntable = \"t\"\nprimary_key = \"id\"\n")), @r#"
larder.toml:7:9  models.c.table: comes beside another query
  hint: keep one of `sql`, `sql_file`, `table`
"#);
    assert_snapshot!(faults(&source("[models.c]\nsource = \"warehouse\"\nsql = \"select 1\"\ncolumns = [\"a\"]\nprimary_key = 1\n")), @r#"
larder.toml:7:1  models.c.columns: goes with `table` only
  hint: name the columns in the SQL
larder.toml:8:15  models.c.primary_key: must be a string, not an integer
"#);
    assert_snapshot!(faults(&source("[models.c]\nsource = \"warehouse\"\ntable = \"a.b.c\"\ncolumns = []\nprimary_key = \"id\"\n")), @r#"
larder.toml:6:9  models.c.table: this is not the name of a table
  hint: write "table" or "schema.table", without quotes; for anything else use `sql`
larder.toml:7:11  models.c.columns: must name from 1 to 1600 columns
  hint: leave it out for all columns
"#);
    assert_snapshot!(faults(&source("[models.c]\nsource = \"warehouse\"\ntable = \"t\"\ncolumns = [\"user_id\", \"email\", \"email\"]\nprimary_key = \"id\"\n")), @r#"larder.toml:7:32  models.c.columns: lists "email" twice"#);
    assert_snapshot!(faults(&source("[models.c]\nsource = \"warehouse\"\ntable = \"t\"\ncolumns = [\"user_id\", \"email\"]\nprimary_key = \"userid\"\n")), @r#"
larder.toml:8:15  models.c.primary_key: there is no column "userid"
  hint: did you mean "user_id"?
"#);
    assert_snapshot!(faults(&source("[models.c]\nsource = \"warehouse\"\nsql_file = \"no/such.sql\"\nprimary_key = \"id\"\n")), @r#"
larder.toml:6:12  models.c.sql_file: cannot be read: No such file or directory (os error 2)
  hint: relative paths are from the configuration file's directory
"#);
    assert_snapshot!(faults(&source("[models.c]\nsource = \"warehouse\"\nsql_file = \"src\"\nprimary_key = \"id\"\n")), @r#"
larder.toml:6:12  models.c.sql_file: cannot be read: it is not a regular file
  hint: relative paths are from the configuration file's directory
"#);
}

#[test]
fn overrides() {
    let env: Environment =
        [("LARDER_LISTEN", "hunter2"), ("LARDER_ROLES", "publisher,server")].into_iter().collect();
    let mut overrides =
        set(&["nod.x=1", "node.reigon=1", "log.reigon=1", "server.connections_max=many", "log.filter="]);
    overrides.set_flag(&SHORTHANDS[0], "no way");
    let faults = load_text("", Path::new("larder.toml"), &env, &overrides).unwrap_err();
    assert_snapshot!(faults, @r#"
LARDER_LISTEN  server.listen: "${LARDER_LISTEN}" is not an IP address and a port
  hint: write "0.0.0.0:8080", "127.0.0.1:8080" or "[::]:8080"
LARDER_ROLES  node.roles: "${LARDER_ROLES}" is not a list of roles
  hint: write "publisher,replica"
--region  node.region: "no way" cannot be used: a region name is 1 to 64 characters, letters, digits, `_` or `-`, and begins with a letter or digit
--set  nod: unknown key
  hint: did you mean "node"?
--set  node.reigon: unknown key
  hint: did you mean "region"?
--set  server.connections_max: must be an integer, not a string
--set  log.filter: "" is not a log filter
  hint: write a level, "info", or levels by module, "info,larder::replica=debug"
--set  log.reigon: unknown key
  hint: keys known here: "format", "filter"
"#);
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
    let load = |path: &str| {
        load(Some(Path::new(path)), &environment(), &Overrides::default()).unwrap_err().to_string()
    };
    assert_snapshot!(load("no/such.toml"), @r#"
no/such.toml  cannot be read: No such file or directory (os error 2)
  hint: name the configuration file with --config FILE; `larder quickstart` writes one to begin with
"#);
    assert_snapshot!(load("src"), @r#"src  cannot be read: it is not a regular file"#);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("larder.toml");
    std::fs::write(&path, b"# \xff").unwrap();
    assert!(load(path.to_str().unwrap()).ends_with("cannot be read: it is not UTF-8 text"));
    std::fs::write(&path, " ".repeat(usize::try_from(super::super::FILE_BYTES_MAX).unwrap() + 1)).unwrap();
    assert!(load(path.to_str().unwrap()).ends_with("cannot be read: it is larger than 4MiB"));
}
