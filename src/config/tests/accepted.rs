//! Right configurations, and the settings that they become.

use std::{path::Path, time::Duration};

use super::environment;
use super::{accepted, indexed, load, set, sync};
use crate::settings::Environment;
use crate::{
    config::{Overrides, Role, SHORTHANDS, changes_needing_restart, load_text},
    domain::{NormalForm, OnMiss},
    engine::{Compression, OnDelete},
    mapping::{FieldValue, FieldsSpec, TemplateOutput},
    metadata,
    scheduler::Schedule,
    source::Query,
    store::Location,
};

/// The system knows no empty path.
#[test]
fn a_dot_is_the_directory_of_the_configuration_file() {
    for (file, store, directory) in
        [("larder.toml", ".", "."), ("etc/larder.toml", "./", "etc"), ("/etc/larder.toml", ".", "/etc")]
    {
        let text = format!("[storage]\nurl = \"file:{store}\"\n[node]\ndata_dir = \"{store}/d/..\"\n");
        let config = load_text(&text, Path::new(file), &environment(), &Overrides::default()).unwrap();
        let Location::Directory(found) = &config.storage.location else { panic!("{file}") };
        assert_eq!(found.as_os_str(), directory, "{file}");
    }
}

/// Floats of constants are written as floats of columns, dates and integers as they are.
#[test]
fn numbers_of_constants_are_written_as_those_of_columns() {
    for (written, served) in [
        ("1e100", "1e+100"),
        ("1e3", "1000"),
        ("-0.0", "0"),
        ("7.0", "7"),
        ("2.50", "2.5"),
        ("1.5e-10", "1.5e-10"),
        ("123456789012345678900.0", "123456789012345680000"),
        ("-0", "0"),
        ("9007199254740993", "9007199254740993"),
    ] {
        let config = accepted(&indexed(&format!(
            "on_miss = {{ record = {{ a = {written} }} }}\nfields.a = {{ value = {written} }}\n"
        )));
        let sync = &config.syncs[0];
        assert_eq!(sync.spec.serving.on_miss, OnMiss::Record(format!("{{\"a\":{served}}}")));
        let FieldsSpec::Chosen(fields) = &sync.spec.mapping.fields else { panic!("{written}") };
        let FieldValue::Constant(constant) = &fields[0].value else { panic!("{written}") };
        assert_eq!(constant.to_string(), served, "{written}");
    }
}

#[test]
fn the_defaults_are_whole() {
    let config = accepted("");
    assert_eq!(config.node.region.as_str(), "local");
    assert_eq!(config.node.roles, [Role::Publisher, Role::Replica]);
    assert_eq!(config.node.data_dir, Path::new("data"));
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.server.public_url, None);
    assert_eq!(config.storage.location.shown(), "file:data/store");
    assert_eq!(config.catalog.keep_versions, 10);
    assert_eq!(config.replica.poll_interval, Duration::from_secs(1));
    assert_eq!(config.engine.run_timeout, Duration::from_hours(12));
    assert!(
        matches!(&config.metadata, Some(metadata::Settings::Sqlite { path }) if path == Path::new("data/metadata.db"))
    );
    assert!(config.sources.is_empty() && config.syncs.is_empty());
}

#[test]
fn a_node_has_a_name_and_a_place_for_its_status() {
    let config = accepted("");
    assert!(!config.node.name.as_str().is_empty(), "the machine has one");
    assert!(config.storage.status_location.is_none());
    let config = accepted("[node]\nname = \"us-west-2.a\"\n[storage]\nstatus_url = \"file:./status\"\n");
    assert_eq!(config.node.name.as_str(), "us-west-2.a");
    assert_eq!(
        config.storage.status_location.map(|location| location.shown()).as_deref(),
        Some("file:status")
    );
}

#[test]
fn a_sync_takes_the_defaults() {
    let config = accepted(&indexed(""));
    let sync = &config.syncs[0];
    assert_eq!(sync.schedule, Schedule::Manual);
    assert_eq!(sync.spec.source, "warehouse");
    assert_eq!(sync.spec.model.configured(), Some(&Query::Sql("select * from customers".to_owned())));
    assert_eq!(sync.spec.on_delete, OnDelete::Delete);
    assert_eq!((sync.spec.guards.max_removed, sync.spec.guards.max_rejected), (0.3, 0.1));
    assert_eq!(sync.spec.serving.on_miss, OnMiss::NotFound);
    assert_eq!(sync.spec.serving.cache_control.as_deref(), Some("private, no-store"));
    assert_eq!(sync.spec.serving.regions, None);
    assert_eq!(sync.spec.compression, Compression::Auto);
    assert_eq!(sync.spec.mapping.fields, FieldsSpec::All);
    let source = &config.sources["warehouse"];
    let timeouts = "lock_timeout: 10s, statement_timeout: 3600s";
    assert!(format!("{source:?}").contains(timeouts), "{source:?}");
}

#[test]
fn own_defaults_hold_unless_a_sync_says_otherwise() {
    let config = accepted(&indexed(
        "on_delete = \"keep\"
cron = \"0 3 * * *\"
[syncs.second]
model = \"customers\"
indexes.id = \"user_id\"
[defaults.sync]
schedule = \"every 5m\"
timezone = \"Europe/Berlin\"
on_delete = \"clear\"
on_miss = { record = { found = false } }
[defaults.source]
connect_timeout = \"3s\"
",
    ));
    let [first, second] = config.syncs.as_slice() else { panic!() };
    assert_eq!((first.spec.on_delete, second.spec.on_delete), (OnDelete::Keep, OnDelete::Clear));
    assert_eq!(second.schedule, Schedule::Every(Duration::from_mins(5)));
    let timezone = chrono_tz::Europe::Berlin;
    assert_eq!(first.schedule, Schedule::Cron { expression: "0 3 * * *".to_owned(), timezone });
    assert_eq!(first.spec.serving.on_miss, OnMiss::Record("{\"found\":false}".to_owned()));
    let source = format!("{:?}", config.sources["warehouse"]);
    assert!(source.contains("lock_timeout: 3s"), "{source}");
}

#[test]
fn schedules_are_written_in_several_ways() {
    for (lines, expected) in [
        ("schedule = \"manual\"", Some(Schedule::Manual)),
        ("schedule = \"every 1h30m\"", Some(Schedule::Every(Duration::from_mins(90)))),
        ("cron = \"@hourly\"", None),
        ("cron = \"0 0 29 2 *\"", None),
        ("cron = \"*/10 * * * * *\"\ntimezone = \"UTC\"", None),
        ("schedule = { cron = \"30 2 * * MON-FRI\", timezone = \"America/New_York\" }", None),
    ] {
        let config = accepted(&indexed(lines));
        match expected {
            Some(expected) => assert_eq!(config.syncs[0].schedule, expected),
            None => assert!(matches!(config.syncs[0].schedule, Schedule::Cron { .. }), "{lines}"),
        }
    }
}

#[test]
fn indexes_keep_the_order_of_the_file() {
    let config = accepted(&sync(
        "[syncs.customer.indexes]
z = { column = \"user_id\", normalize = \"integer\" }
email = { column = \"email\", normalize = [\"trim\", \"lowercase\"] }
a = { column = \"devices\", each = true }
",
    ));
    let indexes = &config.syncs[0].spec.mapping.indexes;
    let names: Vec<_> = indexes.iter().map(|index| index.name.as_str()).collect();
    assert_eq!(names, ["z", "email", "a"]);
    assert_eq!(indexes[0].normalize, [NormalForm::Integer]);
    assert_eq!(indexes[1].normalize, [NormalForm::Trim, NormalForm::Lowercase]);
    assert!(indexes[2].each);
}

#[test]
fn fields_keep_their_order_and_nest() {
    let config = accepted(&sync(
        "indexes.id = \"user_id\"
[syncs.customer.fields]
z = \"user_id\"
address.zip = \"zip\"
\"address.city\" = \"city\"
ltv = { column = \"ltv\", as = \"string\" }
tier = { liquid = \"{{ tier }}\" }
score = { liquid = \"{{ score }}\", as = \"number\" }
extra = { inner = { deep = { value = [1, 2.5, \"$${x}\", 1979-05-27, { b = true, a = {} }] } } }
\"address.value\" = \"v\"
",
    ));
    let FieldsSpec::Chosen(fields) = &config.syncs[0].spec.mapping.fields else { panic!() };
    let targets: Vec<_> = fields.iter().map(|field| field.target.as_str()).collect();
    assert_eq!(
        targets,
        ["z", "address.zip", "address.city", "ltv", "tier", "score", "extra.inner.deep", "address.value"]
    );
    assert_eq!(fields[3].value, FieldValue::Column { column: "ltv".to_owned(), as_string: true });
    assert!(matches!(&fields[5].value, FieldValue::Template { output: TemplateOutput::Number, .. }));
    let FieldValue::Constant(constant) = &fields[6].value else { panic!() };
    assert_eq!(constant.to_string(), "[1,2.5,\"${x}\",\"1979-05-27\",{\"b\":true,\"a\":{}}]");
}

#[test]
fn queries() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.sql"), "\u{feff}-- ${NOT_REPLACED}\nselect 1;\n ;\n").unwrap();
    let query = |lines: &str| {
        let text = format!(
            "[sources.w]\ntype = \"sqlite\"\npath = \"w.db\"\n[models.m]\nsource = \"w\"\nprimary_key = \"id\"\n{lines}
             [syncs.s]\nmodel = \"m\"\nindexes.id = \"id\"\n"
        );
        let path = dir.path().join("larder.toml");
        let config = load_text(&text, &path, &Environment::default(), &Overrides::default());
        config.unwrap_or_else(|faults| panic!("{faults}")).syncs[0].spec.model.configured().unwrap().clone()
    };
    assert_eq!(query("sql_file = \"a.sql\""), Query::Sql("-- ${NOT_REPLACED}\nselect 1".to_owned()));
    let table = |columns| Query::Table { name: "public.c".to_owned(), columns };
    assert_eq!(query("table = \"public.c\""), table(None));
    let columns = vec!["id".to_owned(), "a".to_owned()];
    assert_eq!(query("table = \"public.c\"\ncolumns = [\"id\", \"a\"]"), table(Some(columns)));
}

#[test]
fn paths_are_from_the_file_and_overrides_from_the_working_directory() {
    let env: Environment =
        [("LARDER_STORAGE_URL", "file:env/store"), ("LARDER_REGION", ""), ("LARDER_SERVICE_PORT", "x")]
            .into_iter()
            .collect();
    let overrides = set(&["node.data_dir=./flag"]);
    let text = "[node]\ndata_dir = \"d\"\n[metadata]\nurl = \"sqlite:///abs/m.db\"\n[sources.s]\ntype = \"sqlite\"\npath = \"./w.db\"\n";
    let config = load_text(text, Path::new("/etc/larder/larder.toml"), &env, &overrides).unwrap();
    assert_eq!(config.node.data_dir, Path::new("flag"));
    assert_eq!(config.replica.data_dir, Path::new("flag"));
    assert_eq!(config.node.region.as_str(), "local");
    assert_eq!(config.storage.location.shown(), "file:env/store");
    assert!(
        matches!(&config.metadata, Some(metadata::Settings::Sqlite { path }) if path == Path::new("/abs/m.db"))
    );
    let source = format!("{:?}", config.sources["s"]);
    assert!(source.contains("\"/etc/larder/w.db\""), "{source}");
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let env: Environment =
        [("LARDER_REGION", "variable"), ("LARDER_LOG", "debug"), ("LARDER_ROLES", "replica")]
            .into_iter()
            .collect();
    let overrides = set(&["node.region=flag"]);
    let text =
        "[node]\nregion = \"file\"\nroles = [\"publisher\"]\n[log]\nfilter = \"warn\"\nformat = \"json\"\n";
    let config = load_text(text, Path::new("larder.toml"), &env, &overrides).unwrap();
    assert_eq!(config.node.region.as_str(), "flag");
    assert_eq!(config.node.roles, [Role::Replica]);
    assert_eq!(config.telemetry.filter, "debug");
}

#[test]
fn any_key_is_set_by_a_flag() {
    let overrides = set(&[
        "node.roles=[\"publisher\"]",
        "server.connections_max = 7",
        "log.filter=info,larder::replica=debug",
        "defaults.source.connect_timeout=3s",
        "syncs.customer.max_removed=5%",
        "syncs.customer.on_miss={ record = { a = \"${SECRET}\" } }",
        "syncs.customer.fields.\"a.b\"=email",
        "node.region=first",
        "node.region=second",
    ]);
    let text = indexed("fields.x = \"x\"\n[node]\nregion = \"file\"\n");
    let config = load_text(&text, Path::new("larder.toml"), &environment(), &overrides).unwrap();
    assert_eq!(config.node.region.as_str(), "second");
    assert_eq!(config.node.roles, [Role::Publisher]);
    assert_eq!(config.server.connections_max, 7);
    assert_eq!(config.telemetry.filter, "info,larder::replica=debug");
    let source = format!("{:?}", config.sources["warehouse"]);
    assert!(source.contains("lock_timeout: 3s"), "{source}");
    let spec = &config.syncs[0].spec;
    assert!((spec.guards.max_removed - 0.05).abs() < f64::EPSILON);
    assert_eq!(spec.serving.on_miss, OnMiss::Record("{\"a\":\"${SECRET}\"}".to_owned()));
    let FieldsSpec::Chosen(fields) = &spec.mapping.fields else { panic!() };
    assert_eq!(fields.iter().map(|field| &*field.target).collect::<Vec<_>>(), ["x", "a.b"]);
}

#[test]
fn a_shorthand_sets_the_key_that_it_names() {
    let value = |key: &str| match key {
        "node.roles" => "replica",
        "server.listen" | "server.admin_listen" => "127.0.0.1:7",
        "server.public_url" => "http://x",
        "metadata.url" => "sqlite:m.db",
        "storage.url" => "file:s",
        "log.format" => "json",
        _ => "warn",
    };
    for shorthand in SHORTHANDS {
        let mut flag = Overrides::default();
        flag.set_flag(&shorthand, value(shorthand.key));
        let set = set(&[&format!("{}={}", shorthand.key, value(shorthand.key))]);
        let printed = |overrides| {
            load_text("", Path::new("larder.toml"), &Environment::default(), &overrides).unwrap().print()
        };
        assert_eq!(printed(flag), printed(set));
    }
}

#[test]
fn a_node_that_only_serves_needs_no_variable_of_publishers() {
    let text = "[node]
roles = [\"replica\"]
[metadata]
url = \"${METADATA_URL}\"
[sources.w]
type = \"postgres\"
url = \"${NOT_HERE}\"
[models.c]
source = \"w\"
table = \"c\"
primary_key = \"id\"
[syncs.c]
model = \"c\"
indexes.id = \"id\"
";
    let config = accepted(text);
    assert!(config.metadata.is_none() && config.sources.is_empty() && config.syncs.is_empty());
    // All else is still checked, and a publisher needs them all.
    assert_eq!(load(&text.replace("\"c\"\nprimary", "\"\"\nprimary")).unwrap_err().as_slice().len(), 1);
    assert_eq!(load(&text.replace("\"replica\"", "\"publisher\"")).unwrap_err().as_slice().len(), 2);
}

#[test]
fn secrets_come_from_the_environment() {
    let text = "[sources.w]\ntype = \"postgres\"\nurl = \"${WAREHOUSE_URL}?application_name=larder\"\n";
    let config = accepted(text);
    let source = format!("{:?}", config.sources["w"]);
    assert!(source.contains("\"db.example.com:5432\""), "{source}");
    assert!(!format!("{config:?} {:?}", environment()).contains("hunter2"));
}

#[test]
fn what_a_reload_cannot_take_over_is_named() {
    let old = accepted(&indexed(""));
    let new = accepted(&indexed(
        "on_delete = \"keep\"\n[node]\nregion = \"${SECRET}\"\n[server]\npublic_url = \"http://x\"\ndrain_timeout = \"20s\"\n[log]\nfilter = \"debug\"\n[defaults.sync]\nmax_removed = 0.5\n",
    ));
    assert_eq!(changes_needing_restart(&old, &new), ["node.region", "server.public_url", "log.filter"]);
    assert_eq!(changes_needing_restart(&new, &old).len(), 3);
    assert!(changes_needing_restart(&old, &accepted(&indexed("max_removed = \"1%\"\n"))).is_empty());
}
