//! A driver that breaks its standard, `liar.c`: each run fails with a code, and what is served stays.

use std::path::Path;

use super::{configure, directory, drivers::compile};
use crate::support::process::larder;

/// How the driver lies, and the code of the run's error.
const LIES: [(&str, &str); 23] = [
    ("another schema", "columns_changed"),
    ("unknown format", "source_answer_malformed"),
    ("format that is no text", "source_answer_malformed"),
    ("name that is no text", "source_answer_malformed"),
    ("no format", "source_answer_malformed"),
    ("no schema", "source_answer_malformed"),
    ("no children", "source_answer_malformed"),
    ("no columns", "source_no_columns"),
    ("stream that is released", "source_answer_malformed"),
    ("no function for batches", "source_answer_malformed"),
    ("failure without words", "source_query_failed"),
    ("column without rows", "source_answer_malformed"),
    ("batch of negative length", "source_answer_malformed"),
    ("fewer columns", "source_answer_malformed"),
    ("text in place of numbers", "source_answer_malformed"),
    ("numbers in place of text", "source_answer_malformed"),
    ("no buffer", "source_answer_malformed"),
    ("no buffers", "source_answer_malformed"),
    ("falling offsets", "source_answer_malformed"),
    ("negative offsets", "source_answer_malformed"),
    ("nulls in a column without", "source_answer_malformed"),
    ("endless rows", "source_statement_timeout"),
    ("endless empty batches", "source_statement_timeout"),
];

fn configure_query(directory: &Path, query: &str) {
    let bound = if query.starts_with("endless") { "statement_timeout = \"2s\"\n" } else { "" };
    configure(
        directory,
        &format!(
            "[sources.foreign]\ntype = \"adbc\"\ndriver = \"./liar.so\"\nentrypoint = \"LiarInit\"\n{bound}\
             [models.m]\nsource = \"foreign\"\nsql = {query:?}\nprimary_key = \"id\"\n\
             [syncs.m]\nmodel = \"m\"\nindexes = {{ id = \"id\" }}\n"
        ),
    );
}

#[test]
fn driver_that_lies_fails_the_run_with_a_code_and_changes_nothing() {
    let directory = directory("");
    let root = directory.path();
    compile(root, "liar");
    configure_query(root, "good");
    larder(root, &["sync", "m"]).expect(0);
    let versions = || larder(root, &["versions", "m", "--json"]).expect(0).json();
    let before = versions();
    for (lie, code) in LIES {
        configure_query(root, lie);
        let output = larder(root, &["sync", "m", "--json"]);
        let error = &output.json()["error"];
        assert_eq!(error["code"], code, "{lie}: {error}");
        if code == "source_answer_malformed" {
            assert!(error["message"].as_str().unwrap().contains("liar.so"), "{lie}: {error}");
        }
        assert!(!error.to_string().contains("Ann"), "{lie}: {error}");
    }
    assert_eq!(versions(), before);
}

/// By the standard a batch without a release function is the end of the rows.
#[test]
fn batch_that_is_released_is_the_end_of_the_rows() {
    let directory = directory("");
    compile(directory.path(), "liar");
    configure_query(directory.path(), "good");
    let rows =
        |query| larder(directory.path(), &["source", "query", "foreign", query, "--limit", "5"]).expect(0);
    assert_eq!(rows("good").stdout.lines().count(), 3);
    assert_eq!(rows("batch that is released").stdout, rows("good").stdout);
    assert_eq!(rows("endless rows").stdout.lines().count(), 5, "a limit ends the driver");
}
