//! The files in `config/` and the tables of the documentation are right.

use std::path::Path;

use crate::config::{DEFAULT, Overrides, SHORTHANDS, Shorthand, load, load_text};
use crate::settings::Environment;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_example_loads() {
    let env: Environment = [
        ("WAREHOUSE_URL", "postgres://larder:x@warehouse.example.com/analytics"),
        ("METADATA_URL", "postgres://larder:x@metadata.example.com/larder"),
    ]
    .into_iter()
    .collect();
    let mut loaded = 0;
    let files = std::fs::read_dir(root().join("config/examples")).unwrap().map(|file| file.unwrap().path());
    let default = root().join("config/default.toml");
    for path in files.chain([default]).filter(|path| path.extension().is_some_and(|end| end == "toml")) {
        let config = load(Some(&path), &env, &Overrides::default());
        config.unwrap_or_else(|faults| panic!("{faults}"));
        loaded += 1;
    }
    assert!(loaded >= 5, "{loaded} files");
}

/// Each key of `default.toml`, and each commented one, is described.
#[test]
fn every_key_is_documented() {
    let docs = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let keys = DEFAULT.lines().filter_map(|line| line.trim_start_matches("# ").split_once(" = "));
    for (key, _) in keys.filter(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    {
        assert!(docs.contains(&format!("`{key}`")), "{key} is not in docs/configuration.md");
    }
    for Shorthand { key, variable, flag } in SHORTHANDS {
        let row = format!("| `{key}` | `{variable}` | `{flag}` |");
        assert!(docs.contains(&row), "docs/configuration.md needs the row {row}");
    }
}

#[test]
fn the_documentation_s_defaults_are_the_defaults() {
    let docs = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let defaults: toml::Table = DEFAULT.parse().unwrap();
    let mut compared = 0;
    let mut section = Vec::new();
    for line in docs.lines() {
        if let Some(header) = line.strip_prefix("## `[").and_then(|rest| rest.split(']').next()) {
            section = match header {
                "sources.NAME" => vec!["defaults", "source"],
                "syncs.NAME" => vec!["defaults", "sync"],
                header => header.split('.').collect(),
            };
        }
        let mut cells = line.strip_prefix("| ").into_iter().flat_map(|row| row.split(" | "));
        let (Some(key), Some(_), Some(default)) = (cells.next(), cells.next(), cells.next()) else {
            continue;
        };
        let table = section.iter().try_fold(&defaults, |table, part| table.get(*part)?.as_table());
        let key = key.trim_matches('`');
        if let Some(value) = table.and_then(|table| table.get(key)) {
            assert_eq!(default, format!("`{value}`"), "the default of {key}");
            compared += 1;
        }
    }
    assert_eq!(compared, 35, "keys whose default the documentation tells");
}

/// The examples of the documentation, each indented block with the others of its kind, and the variables that they need.
pub(super) fn documentation() -> (String, Environment) {
    let docs = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut blocks: Vec<String> = Vec::new();
    for line in docs.lines() {
        match line.strip_prefix("    ") {
            Some(code) if code.starts_with('[') => blocks.push(format!("{code}\n")),
            Some(code) if code.contains(" = ") => blocks.last_mut().unwrap().extend([code, "\n"]),
            _ => {}
        }
    }
    // A table may be shown twice: the later one is another way to write it.
    let mut seen = std::collections::BTreeSet::new();
    blocks.retain(|block| seen.insert(block.lines().next().unwrap().to_owned()));
    assert_eq!(blocks.len(), 22, "{blocks:#?}");
    let variables =
        ["WAREHOUSE_URL", "METADATA_URL", "MINIO_ID", "MINIO_SECRET", "EMAIL_SECRET", "OIDC_CLIENT_SECRET"];
    (blocks.concat(), variables.map(|name| (name, "postgres://warehouse")).into_iter().collect())
}

/// Every example of the documentation is right.
#[test]
fn the_documentation_s_examples_load() {
    let (text, env) = documentation();
    let config = load_text(&text, Path::new("larder.toml"), &env, &Overrides::default());
    assert_eq!(config.unwrap_or_else(|faults| panic!("{faults}")).syncs.len(), 2);
}
