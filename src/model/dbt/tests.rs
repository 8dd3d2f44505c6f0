//! Manifests of every version that is read, and results of runs.

use std::{fs, time::Duration};

use super::{
    DbtProject,
    invocation::{self, Command},
    manifest::Manifest,
    place::Place,
    settings::Selector,
};
use crate::{domain::CollectionName, model::error::Error};

/// A manifest with these nodes, which are JSON without braces around it.
fn manifest(nodes: &str) -> String {
    format!(r#"{{"metadata":{{"adapter_type":"postgres","generated_at":"now"}},"nodes":{{{nodes}}}}}"#)
}

fn node(id: &str, more: &str) -> String {
    let name = id.split('.').nth(2).unwrap();
    let kind = id.split('.').next().unwrap();
    format!(r#""{id}":{{"resource_type":"{kind}","name":"{name}","relation_name":"r_{name}"{more}}}"#)
}

fn found(text: &str, name: &str) -> Result<String, &'static str> {
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    let named = manifest.named("main");
    let sync = CollectionName::new("sync").unwrap();
    let found = named.find(&Selector::Name(name.to_owned()), &sync);
    found.map(|(id, _)| id.to_owned()).map_err(|error| error.code())
}

#[test]
fn models_are_found_by_name_version_and_id() {
    let text = manifest(
        &[
            node("model.shop.customers.v1", r#","version":1,"latest_version":2"#),
            node("model.shop.customers.v2", r#","version":2,"latest_version":2"#),
            node("model.shop.orders", ""),
            node("model.other.orders", ""),
            node("seed.shop.countries", ""),
            node("test.shop.unique_orders", ""),
        ]
        .join(","),
    );
    for (name, expected) in [
        ("customers", Ok("model.shop.customers.v2")),
        ("customers.v1", Ok("model.shop.customers.v1")),
        ("model.shop.customers.v1", Ok("model.shop.customers.v1")),
        ("orders", Err("dbt_model_ambiguous")),
        ("model.other.orders", Ok("model.other.orders")),
        ("countries", Ok("seed.shop.countries")),
        ("unique_orders", Err("dbt_model_missing")),
        ("test.shop.unique_orders", Err("dbt_model_missing")),
    ] {
        assert_eq!(found(&text, name).as_deref(), expected.as_ref().copied(), "{name}");
    }
}

#[test]
fn key_is_what_the_manifest_says_in_any_way() {
    let test = |name: &str, kind: &str, column: &str| {
        node(
            &format!("test.shop.{name}"),
            &format!(
                r#","attached_node":"model.shop.m","column_name":"{column}","test_metadata":{{"name":"{kind}"}}"#
            ),
        )
    };
    let unique = test("a", "unique", "id");
    let not_null = test("b", "not_null", "id");
    let (second, second_not_null) = (test("c", "unique", "email"), test("d", "not_null", "email"));
    let of_some =
        unique.replacen(",\"test_metadata\"", ",\"config\":{\"where\":\"id > 7\"},\"test_metadata\"", 1);
    for (more, tests, key, code) in [
        (r#","primary_key":["id"]"#, vec![], "id", None),
        (r#","primary_key":["ID"]"#, vec![], "id", None),
        (r#","primary_key":["a","b"]"#, vec![], "a", Some("dbt_primary_key_mismatch")),
        (r#","config":{"unique_key":"id"}"#, vec![], "id", None),
        (r#","config":{"unique_key":["id"]}"#, vec![], "email", Some("dbt_primary_key_mismatch")),
        (r#","constraints":[{"type":"primary_key","columns":["id"]}]"#, vec![], "id", None),
        (
            r#","columns":{"id":{"name":"id","constraints":[{"type":"not_null"},{"type":"primary_key"}]},"b":{"name":"b"}}"#,
            vec![],
            "id",
            None,
        ),
        ("", vec![&unique, &not_null], "id", None),
        // Each column with both tests is a key of its own, also as version 12 of the manifest infers them.
        ("", vec![&unique, &not_null, &second, &second_not_null], "email", None),
        (r#","primary_key":["email","id"]"#, vec![&unique, &not_null, &second, &second_not_null], "id", None),
        ("", vec![&unique, &not_null, &second, &second_not_null], "b", Some("dbt_primary_key_mismatch")),
        ("", vec![&unique], "id", Some("dbt_primary_key_unknown")),
        ("", vec![&of_some, &not_null], "id", Some("dbt_primary_key_unknown")),
        ("", vec![], "id", Some("dbt_primary_key_unknown")),
    ] {
        let nodes: Vec<String> =
            std::iter::once(node("model.shop.m", more)).chain(tests.into_iter().cloned()).collect();
        let text = manifest(&nodes.join(","));
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        let named = manifest.named("main");
        let sync = CollectionName::new("sync").unwrap();
        let (id, node) = named.find(&Selector::Name("m".to_owned()), &sync).unwrap();
        let checked = named.check_key(id, node, key);
        assert_eq!(checked.err().map(|error| error.code()), code, "{more}");
    }
}

/// The unique key of a snapshot is no longer unique in it after the first change.
#[test]
fn key_of_a_snapshot_is_the_id_of_a_version() {
    let renamed = r#","config":{"unique_key":"id","snapshot_meta_column_names":{"dbt_scd_id":"version"}}"#;
    for (more, key, code) in [
        (r#","config":{"unique_key":"id"}"#, "id", Some("dbt_primary_key_mismatch")),
        (r#","config":{"unique_key":"id"}"#, "DBT_SCD_ID", None),
        (r#","config":{"snapshot_meta_column_names":{"dbt_scd_id":null}}"#, "dbt_scd_id", None),
        (renamed, "dbt_scd_id", Some("dbt_primary_key_mismatch")),
        (renamed, "version", None),
    ] {
        let text = manifest(&node("snapshot.shop.s", more));
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        let named = manifest.named("main");
        let sync = CollectionName::new("sync").unwrap();
        let (id, node) = named.find(&Selector::Name("s".to_owned()), &sync).unwrap();
        let error = named.check_key(id, node, key).err();
        assert_eq!(error.as_ref().map(Error::code), code, "{more} {key}");
        assert!(error.is_none_or(|error| error.to_string().contains("docs/models.md")));
    }
}

#[test]
fn manifest_of_an_earlier_command_is_older_than_the_results() {
    let stamp = |id: &str, at: &str| invocation::Stamp { id: id.into(), generated_at: at.into() };
    let text = r#"{"metadata":{"invocation_id":"a","generated_at":"2026-12-01T10:00:05Z"},"nodes":{}}"#;
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    for (id, at, expected) in [
        ("a", "2026-12-01T10:00:09.5Z", true),
        ("b", "2026-12-01T10:00:09.500000Z", false),
        // `dbt docs generate` and the like after a build.
        ("b", "2026-12-01T10:00:04.999999Z", true),
        ("b", "", true),
    ] {
        assert_eq!(manifest.is_as_new_as(&stamp(id, at)), expected, "{id} {at}");
    }
    let text = r#"{"metadata":{"generated_at":"2026-12-01T10:00:05Z"},"nodes":{}}"#;
    assert!(Manifest::parse(text.as_bytes()).unwrap().is_as_new_as(&stamp("b", "2026-12-01T10:00:09Z")));
}

#[test]
fn models_of_another_package_are_not_renamed_ones() {
    let named = |id: &str, alias: &str| node(id, &format!(r#","alias":"{alias}""#));
    let text = manifest(
        &[named("model.shop.customers", "customers"), named("model.shop.clients", "people")].join(","),
    );
    let message = |name: &str| {
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        let sync = CollectionName::new("sync").unwrap();
        let found =
            manifest.named("main").find(&Selector::Name(name.to_owned()), &sync).map(|(id, _)| id.to_owned());
        let error = found.unwrap_err();
        format!("{} {error}", error.code())
    };
    let other = message("model.other.customers");
    assert!(other.starts_with("dbt_model_missing") && other.contains("model.shop.customers"), "{other}");
    assert!(message("model.other.people").starts_with("dbt_model_missing"));
    assert!(message("model.shop.people").starts_with("dbt_model_renamed"));
    assert!(message("people").starts_with("dbt_model_renamed"));
}

#[test]
fn only_commands_that_build_are_invocations() {
    for (which, is_build) in [
        ("build", true),
        ("run", true),
        ("retry", true),
        ("seed", true),
        ("snapshot", true),
        ("generate", false),
        ("compile", false),
        ("test", false),
    ] {
        let text = format!(
            r#"{{"metadata":{{"invocation_id":"i1"}},"args":{{"which":"{which}"}},
                "results":[{{"unique_id":"model.shop.m","status":"success","timing":[]}}]}}"#
        );
        let parsed = invocation::parse(text.as_bytes()).unwrap();
        match parsed {
            Command::Build(it) => assert!(is_build && it.id() == "i1" && it.has_no_failure(), "{which}"),
            Command::Other(stamp) => assert!(!is_build && &*stamp.id == "i1", "{which}"),
        }
    }
    assert!(invocation::parse(b"{\"metadata\":{}}").is_err());
}

#[test]
fn model_is_built_when_all_that_it_is_made_of_and_its_tests_succeeded() {
    let ephemeral = |nodes: &str| {
        format!(r#","config":{{"materialized":"ephemeral"}},"depends_on":{{"macros":[],"nodes":[{nodes}]}}"#)
    };
    let text = manifest(
        &[
            node("model.shop.m", r#","depends_on":{"nodes":["model.shop.other"]}"#),
            node("seed.shop.s", r#","depends_on":{"macros":[]}"#),
            node("model.shop.inner", &ephemeral(r#""model.shop.m","source.shop.raw.t""#)),
            node("model.shop.e", &ephemeral(r#""model.shop.inner","seed.shop.s""#)),
            node("model.shop.raw", &ephemeral(r#""source.shop.raw.t""#)),
            node("test.shop.t", r#","attached_node":"model.shop.m""#),
            node("test.shop.u", r#","attached_node":"model.shop.inner""#),
        ]
        .join(","),
    );
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    let sync = CollectionName::new("sync").unwrap();
    // Of each node its status; then whether `m`, `e` and `raw` are built.
    for (results, expected) in [
        (&["model.shop.m success", "seed.shop.s success"][..], [true, true, true]),
        (&["model.shop.m success"], [true, false, true]),
        (&["seed.shop.s success"], [false, false, true]),
        (&["model.shop.other success"], [false, false, true]),
        (&["model.shop.m error", "seed.shop.s success"], [false, false, false]),
        (&["model.shop.m skipped", "seed.shop.s success"], [false, false, true]),
        (&["model.shop.m success", "seed.shop.s success", "model.shop.other error"], [true, true, false]),
        (&["model.shop.m success", "seed.shop.s success", "test.shop.t fail"], [false, false, false]),
        (&["model.shop.m success", "seed.shop.s success", "test.shop.t warn"], [true, true, true]),
        (&["model.shop.m success", "seed.shop.s success", "test.shop.u fail"], [true, false, false]),
    ] {
        let outcome = |result: &&str| {
            let (id, status) = result.split_once(' ').unwrap();
            format!(r#"{{"unique_id":"{id}","status":"{status}"}}"#)
        };
        let listed = results.iter().map(outcome).collect::<Vec<_>>().join(",");
        let text = format!(
            r#"{{"metadata":{{"invocation_id":"i"}},"args":{{"which":"build"}},"results":[{listed}]}}"#
        );
        let Command::Build(invocation) = invocation::parse(text.as_bytes()).unwrap() else { panic!() };
        for (name, is_built) in ["m", "e", "raw"].into_iter().zip(expected) {
            let (id, _) = manifest.named("main").find(&Selector::Name(name.to_owned()), &sync).unwrap();
            assert_eq!(invocation.has_built(id, &manifest), is_built, "{name} {results:?}");
        }
    }
}

#[tokio::test]
async fn build_stays_known_while_later_commands_overwrite_its_results() {
    let directory = tempfile::tempdir().unwrap();
    let project =
        DbtProject::new("main", Place::File(directory.path().join("manifest.json")), Duration::ZERO);
    let write = |id: &str, which: &str| {
        let text =
            format!(r#"{{"metadata":{{"invocation_id":"{id}"}},"args":{{"which":"{which}"}},"results":[]}}"#);
        fs::write(directory.path().join("run_results.json"), text).unwrap();
    };
    let newest = async || project.newest_build().await.map(|found| found.map(|it| it.id().to_owned()));
    assert_eq!(newest().await.unwrap_err().code(), "dbt_artifact_missing");
    for (id, which, expected) in [
        ("a", "generate", None),
        ("b", "build", Some("b")),
        ("ccc", "generate", Some("b")),
        ("dddd", "run", Some("dddd")),
    ] {
        write(id, which);
        assert_eq!(newest().await.unwrap().as_deref(), expected);
    }
    fs::write(directory.path().join("run_results.json"), "{").unwrap();
    assert_eq!(newest().await.unwrap_err().code(), "dbt_artifact_invalid");
    write("eeeee", "docs");
    assert_eq!(newest().await.unwrap().as_deref(), Some("dddd"));
}
