//! The configuration as a file: without secrets, accepted again, and the same when it is imported elsewhere.

use std::{collections::BTreeSet, fs, path::Path};

use chrono::DateTime;
use serde_json::Value;

use super::{SECRET, environment};
use crate::{
    admin::{Adopted, ConfigurationFile as _, Import, Layered, OpenEntry},
    config::{Config, ImportFile, Overrides, load, load_text},
    console::{Fields, entry as form},
    domain::{StoredName, StoredSection},
    metadata::StoredVersion,
    scheduler::ScheduledSync,
    settings::Environment,
};

/// What an operator notices of syncs: the digest of what they serve, guards and schedule.
fn digests(syncs: &[ScheduledSync]) -> Vec<String> {
    let digest = |sync: &ScheduledSync| {
        let spec = &sync.spec;
        let (sha256, guards) = (spec.configuration().sha256, spec.guards);
        format!("{} {sha256} {guards:?} {:?}", spec.collection, sync.schedule)
    };
    let mut digests: Vec<String> = syncs.iter().map(digest).collect();
    digests.sort();
    digests
}

/// The environment with other variables.
fn with(variables: &[(&str, &str)]) -> Environment {
    let known = environment();
    let own = known.names().map(|name| (name.to_owned(), known.get(name).unwrap().to_owned()));
    own.chain(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect()
}

/// A configuration with stored entries.
fn store(file: &Config, adopted: Adopted) -> Layered {
    let open = |(entry, document)| OpenEntry {
        stored: StoredVersion {
            entry,
            version: 1,
            document: None,
            author: String::new(),
            created_at: DateTime::UNIX_EPOCH,
        },
        document: Ok(document),
    };
    let entries: Vec<OpenEntry> = adopted.entries.into_iter().map(open).collect();
    let layered = file.layer(&entries);
    for (entry, state) in &layered.configuration.stored {
        assert!(state.faults.is_empty(), "{entry}: {:?}", state.faults);
    }
    layered
}

/// The document that the form of an entry makes of it when nobody changes anything. Browsers send other line breaks.
fn through_form(entry: &StoredName, document: &Value) -> Value {
    let fields = form::fields(entry.section, &entry.name, document).to_body().replace("%0A", "%0D%0A");
    let (made, faults) = form::document(entry.section, &Fields::parse(fields.as_bytes()));
    assert!(faults.is_empty(), "{entry}: {faults:?}");
    Value::Object(made)
}

/// Exports, loads the export, and imports it beside its sections that are in files alone: each time the syncs are the
/// same. Returns the export.
fn check_round_trip(config: &Config, env: &Environment) -> String {
    let exported = config.exported();
    // Relative paths are from the directory of the file, so that the export has the path of its origin.
    let origin = &config.effective.path;
    let loaded = load_text(&exported.toml, origin, env, &Overrides::default());
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}\n{}", exported.toml));
    assert_eq!(digests(&loaded.scheduled_syncs()), digests(&config.scheduled_syncs()));
    assert_eq!(loaded.exported().toml, exported.toml, "an export of an export is the same");

    let mut file: toml::Table = exported.toml.parse().unwrap();
    for section in ["sources", "models", "syncs", "defaults"] {
        file.remove(section);
    }
    let file = load_text(&file.to_string(), origin, env, &Overrides::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export.toml");
    fs::write(&path, &exported.toml).unwrap();
    let import = ImportFile::read(&path, env).unwrap();
    let adopted = file.adopt(import.import());
    assert!(adopted.conflicts.is_empty() && adopted.declared.is_empty());
    let made = adopted.entries.iter().map(|(entry, document)| (entry.clone(), through_form(entry, document)));
    let edited = Adopted { entries: made.collect(), declared: BTreeSet::new(), conflicts: BTreeSet::new() };
    let edited = store(&file, edited);
    assert_eq!(digests(&edited.syncs), digests(&config.scheduled_syncs()), "what its form makes of it");
    let imported = store(&file, adopted);
    assert_eq!(digests(&imported.syncs), digests(&config.scheduled_syncs()));

    // The configuration itself has all of it already.
    let adopted = config.adopt(import.import());
    assert!(adopted.entries.is_empty() && adopted.conflicts.is_empty(), "{adopted:?}");
    exported.toml
}

#[test]
fn the_documentation_s_examples_are_the_same_when_they_are_exported_and_edited() {
    let (text, env) = super::examples::documentation();
    // Secrets of an export are variables, which an import finds.
    let env: Environment = env.names().map(|name| (name, "postgres://warehouse")).collect();
    let config = load_text(&text, Path::new("larder.toml"), &env, &Overrides::default()).unwrap();
    assert_eq!(config.scheduled_syncs().len(), 2);
    check_round_trip(&config, &env);
}

#[test]
fn every_example_is_the_same_when_it_is_exported_and_imported() {
    let env = with(&[("METADATA_URL", "postgres://larder:x@metadata.example.com/larder")]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut seen = 0;
    for path in files.filter(|path| path.extension().is_some_and(|end| end == "toml")) {
        let config = load(Some(&path), &env, &Overrides::default()).unwrap();
        check_round_trip(&config, &env);
        seen += config.scheduled_syncs().len();
    }
    assert!(seen >= 4, "{seen} syncs");
}

/// Secrets in every place, variables, defaults of its own, names that variables cannot have.
const FILE: &str = "
[node]
region = \"eu\"
[metadata]
url = \"postgres://larder:hunter2@db/larder\"
[defaults.sync]
schedule = \"every 7m\"
max_removed = 0.05
[defaults.source]
statement_timeout = \"9m\"
[sources.crm-1]
type = \"postgres\"
url = \"postgres://u:hunter2@h/d?password=hunter2\"
[sources.crm_1]
type = \"databricks\"
url = \"https://dbc-a1b2.cloud.databricks.com\"
warehouse = \"1a2b3c\"
token = \"hunter2\"
[sources.own]
type = \"postgres\"
url = \"${WAREHOUSE_URL}\"
[models.c]
source = \"crm-1\"
sql = \"select '$${x}' as x, 1 as id from t\"
primary_key = \"id\"
[syncs.c]
model = \"c\"
on_miss = { record = { at = 1979-05-27T07:32:00Z, list = [1, 0.5, \"$${x}\"], \"a b\" = { c = true } } }
[syncs.c.indexes]
id = \"id\"
email = { column = \"email\", hash = { hmac = \"hunter2hunter2hunter2\" } }
[syncs.c.fields]
\"a.b\" = \"x\"
a.c = \"y\"
[syncs.d]
model = \"c\"
cron = \"0 3 * * *\"
indexes = { id = \"id\" }
";

#[test]
fn secrets_are_variables_with_telling_names_and_variables_stay() {
    let env = with(&[
        ("METADATA_URL_PASSWORD", SECRET),
        ("SOURCES_CRM_1_URL_PASSWORD", SECRET),
        ("SOURCES_CRM_1_URL_PASSWORD_2", SECRET),
        ("SOURCES_CRM_1_TOKEN", SECRET),
        ("SYNCS_C_INDEXES_EMAIL_HASH_HMAC", "hunter2hunter2hunter2"),
    ]);
    let config = load_text(FILE, Path::new("larder.toml"), &env, &Overrides::default());
    let config = config.unwrap_or_else(|faults| panic!("{faults}"));
    let toml = check_round_trip(&config, &env);
    assert!(!toml.contains(SECRET), "{toml}");
    for line in [
        "url = \"postgres://u:${SOURCES_CRM_1_URL_PASSWORD}@h/d?password=${SOURCES_CRM_1_URL_PASSWORD_2}\"",
        "token = \"${SOURCES_CRM_1_TOKEN}\"",
        "url = \"${WAREHOUSE_URL}\"",
        "# ${WAREHOUSE_URL}: sources.own.url",
        "[defaults.sync]",
    ] {
        assert!(toml.contains(line), "no {line} in {toml}");
    }
    let variables = config.exported().variables;
    let hmac = variables.iter().find(|variable| variable.name.ends_with("HMAC")).unwrap();
    assert_eq!(hmac.keys, ["syncs.c.indexes.email.hash.hmac"]);
}

/// What a file without a path imports.
fn read(text: &str) -> Result<ImportFile, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("import.toml");
    fs::write(&path, text).unwrap();
    let shown =
        |faults: crate::settings::Faults| faults.to_string().replace(path.to_str().unwrap(), "import.toml");
    ImportFile::read(&path, &environment()).map_err(shown)
}

#[test]
fn files_that_cannot_be_imported_are_explained_with_every_place() {
    let faults = read(
        "[sources.a]\nurl = \"${NOT_SET}\"\n[soruces.b]\n[models.c]\nsql_file = \"none.sql\"\n\
         limit = 99999999999999999999\n[syncs]\nd = 1\n",
    );
    let faults = faults.unwrap_err();
    for words in [
        "import.toml:2:7  sources.a.url: the environment variable NOT_SET is not set",
        "import.toml:3:2  soruces: ",
        "import.toml:5:12  models.c.sql_file: cannot be read",
        "import.toml:6:9  models.c.limit: is a number out of range",
    ] {
        assert!(faults.contains(words), "no {words} in {faults}");
    }
    assert!(read("syncs = 1").unwrap_err().contains("syncs: must be a table"));
}

#[test]
fn defaults_of_the_other_file_are_written_out_where_they_differ() {
    let name = |section, name: &str| StoredName { section, name: name.to_owned() };
    let file = read(FILE).unwrap();
    let import: &Import = file.import();
    let here = "[defaults.sync]\nschedule = \"every 7m\"\nmax_rejected = 0.2\n";
    let here = load_text(here, Path::new("larder.toml"), &environment(), &Overrides::default()).unwrap();
    let adopted = here.adopt(import);
    let (c, d) = (
        &adopted.entries[&name(StoredSection::Syncs, "c")],
        &adopted.entries[&name(StoredSection::Syncs, "d")],
    );
    assert_eq!(
        (&c["max_removed"], &c["max_rejected"], c.get("schedule")),
        (&0.05.into(), &"10%".into(), None)
    );
    assert_eq!((d.get("schedule"), &d["cron"]), (None, &"0 3 * * *".into()));
    assert_eq!(adopted.entries[&name(StoredSection::Sources, "own")]["statement_timeout"], "9m");

    // The same name in the file: another entry, and the same one.
    let other = FILE.replace("cron = \"0 3 * * *\"", "cron = \"0 4 * * *\"");
    let other = load_text(&other, Path::new("larder.toml"), &environment(), &Overrides::default()).unwrap();
    let adopted = other.adopt(import);
    assert_eq!(adopted.conflicts, [name(StoredSection::Syncs, "d")].into());
    assert_eq!((adopted.declared.len(), adopted.entries.len()), (import.entries.len() - 1, 0));
    let order = FILE.replace("\"a.b\" = \"x\"\na.c = \"y\"", "a.c = \"y\"\n\"a.b\" = \"x\"");
    assert_ne!(order, FILE);
    let other = load_text(&order, Path::new("larder.toml"), &environment(), &Overrides::default()).unwrap();
    assert_eq!(
        other.adopt(import).conflicts,
        [name(StoredSection::Syncs, "c")].into(),
        "the order of fields counts"
    );
}
