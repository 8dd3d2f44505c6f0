//! `larder config print`: complete, without secrets, usable as input.

use std::path::Path;

use insta::assert_snapshot;

use super::environment;
use super::{accepted, indexed, set};
use crate::config::{Config, Overrides, changes_needing_restart, effective, load_text, print};
use crate::settings::{Environment, Place, Report, Section};

#[test]
fn the_effective_configuration() {
    let config = accepted(
        "[server]
public_url = \"https://x.example.com\"
[metadata]
url = \"postgres://larder:hunter2@db/larder\"
[sources.w]
type = \"postgres\"
url = \"${WAREHOUSE_URL}\"
[models.c]
source = \"w\"
sql = '''
select *
from \"c\"
'''
primary_key = \"id\"
[syncs.c]
model = \"c\"
cron = \"0 3 * * *\"
on_miss = { record = { at = 1979-05-27T07:32:00Z, list = [1, 0.5, \"$${x}\"], \"a b\" = { c = true } } }
[syncs.c.indexes]
id = \"id\"
email = { column = \"email\", normalize = [\"trim\"] }
[syncs.c.fields]
\"a.b\" = \"x\"
a.c = \"y\"
",
    );
    assert_snapshot!(config.print(), @r#"
# Effective configuration of larder.toml; relative paths are from its directory.

[node]
region = "local"
roles = ["publisher", "replica"]
data_dir = "./data"
segments_bytes_max = "200GB"

[server]
listen = "0.0.0.0:8080"
admin_listen = "127.0.0.1:8081"
tls_reload_interval = "10s"
connections_max = 10000
header_timeout = "10s"
idle_timeout = "75s"
body_timeout = "10s"
compress_min_bytes = "16kB"
metrics_open = true
sign_in_failures_per_minute_max = 20
drain_timeout = "20s"
public_url = "https://x.example.com"

[storage]
url = "file:./data/store"
poll_interval = "1s"
keep_versions = 10

[metadata]
url = "postgres://larder:***@db/larder"

[engine]
max_concurrent_runs = 2
spool_bytes_max = "20GB"
run_timeout = "12h"

[log]
format = "text"
filter = "info"

[sources.w]
type = "postgres"
url = "${WAREHOUSE_URL}"
statement_timeout = "1h"
connect_timeout = "10s"

[models.c]
source = "w"
sql = """
select *
from "c"
"""
primary_key = "id"

[syncs.c]
model = "c"
cron = "0 3 * * *"
timezone = "UTC"
on_delete = "delete"
max_removed = "30%"
max_rejected = "10%"
allow_empty = false
compression = "auto"
cache_control = "private, no-store"

[syncs.c.on_miss]
record = { at = 1979-05-27T07:32:00Z, list = [1, 0.5, "$${x}"], "a b" = { c = true } }

[syncs.c.indexes]
id = "id"
email = { column = "email", normalize = ["trim"] }

[syncs.c.fields]
"a.b" = "x"
a = { c = "y" }
"#);
}

/// Everything but the tree, in which places and ways of writing differ.
fn settings(config: &Config) -> String {
    let Config {
        node, server, storage, catalog, replica, metadata, engine, telemetry, sources, syncs, ..
    } = config;
    format!(
        "{node:?} {server:?} {storage:?} {catalog:?} {replica:?} {metadata:?} {engine:?} {telemetry:?} {sources:?} {syncs:?}"
    )
}

#[test]
fn what_is_printed_reads_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let examples =
        ["default", "examples/minimal", "examples/postgres", "examples/templates", "examples/replica"];
    let variables = [("WAREHOUSE_URL", "postgres://w"), ("METADATA_URL", "postgres://m")];
    for env in [
        variables.into_iter().collect::<Environment>(),
        variables.into_iter().chain([("LARDER_REGION", "moon"), ("LARDER_ROLES", "publisher")]).collect(),
    ] {
        for example in examples {
            let path = root.join(example).with_extension("toml");
            let text = std::fs::read_to_string(&path).unwrap();
            let overrides = set(&["log.filter=info,a=debug"]);
            let config =
                load_text(&text, &path, &env, &overrides).unwrap_or_else(|faults| panic!("{faults}"));
            let printed = config.print();
            let again = load_text(&printed, &path, &env, &Overrides::default());
            let again = again.unwrap_or_else(|faults| panic!("{faults}\n{printed}"));
            assert_eq!(settings(&config), settings(&again), "{example}");
            assert_eq!(changes_needing_restart(&config, &again), [""; 0], "{example}");
            assert_eq!(printed, again.print(), "{example}");
        }
    }
}

#[test]
fn a_string_that_no_reader_declares_printable_is_masked() {
    let text = "[part]\nname = \"a\"\nurl = \"x://u:hunter2@h\"\nkey = \"hunter2\"\nlist = [\"hunter2\"]\n\
                variable = \"${SECRET}\"\nboth = \"x${SECRET}\"\nnumber = 1\n[part.table]\nkey = \"hunter2\"\n";
    let (path, report) = (Path::new("larder.toml").into(), Report::default());
    let effective = effective::build(text, &path, &environment(), &Overrides::default(), &report).unwrap();
    let place = Place::File { path, line: 0, column: 0 };
    Section::new(&report, String::new(), place, &effective.root).read_table("part", |section| {
        section.get("name")?.printable().word();
        section.get("url")?.url();
        for key in ["key", "variable", "both"] {
            section.get(key)?.word();
        }
        section.get("list")?.list(|item| item.word().map(str::to_owned));
        section.get("number")?.count(0..=1)
    });
    let printed = print::print(&effective, &report.take_printable());
    assert!(printed.ends_with(
        "[part]\nname = \"a\"\nurl = \"x://u:***@h\"\nkey = \"***\"\nlist = [\"***\"]\nvariable = \"${SECRET}\"\n\
         both = \"***\"\nnumber = 1\n\n[part.table]\nkey = \"***\"\n"
    ), "{printed}");
}

#[test]
fn values_of_the_environment_are_never_printed() {
    let text = indexed("[node]\nregion = \"${SECRET}\"\n[metadata]\nurl = \"postgres://u:${SECRET}@h/d\"\n");
    let env = environment();
    let overrides = set(&["storage.url=file:/srv/${store"]);
    let printed = load_text(&text, Path::new("larder.toml"), &env, &overrides).unwrap().print();
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("url = \"postgres://u:${SECRET}@h/d\""), "{printed}");
    assert!(printed.contains("url = \"file:/srv/$${store\""), "{printed}");
}
