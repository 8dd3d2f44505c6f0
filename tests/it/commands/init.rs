//! `larder init`: a first configuration from flags and from answers on stdin, which the other commands accept.

use std::{fs, io::Write as _, path::Path, process::Stdio};

use tempfile::TempDir;

use crate::support::{
    node::Warehouse,
    postgres::Postgres,
    process::{CommandOutput, command, larder},
};

const TABLE: &str = "create table customers (name varchar(20), id integer); \
                     insert into customers values ('Ann', 1), ('Bob', 2)";

/// Runs `larder init` with `answers` on stdin, which is no terminal.
fn init(directory: &Path, arguments: &[&str], answers: &str) -> CommandOutput {
    let mut command = command(directory, &[], &[&["init"], arguments].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that needs no more answers has gone.
    let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    CommandOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What was written works: it is accepted, and the rows are synced.
fn expect_works(directory: &Path, collection: &str) {
    larder(directory, &["check"]).expect(0);
    let synced = larder(directory, &["sync", collection]).expect(0);
    assert!(synced.stdout.contains("2 rows: 2 added"), "{synced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_make_a_configuration_that_works() {
    let directory = TempDir::new().unwrap();
    Warehouse::sqlite(directory.path()).execute(TABLE).await;
    let written = init(directory.path(), &[], "sqlite\nwarehouse.db\ncustomers\n\n\n\n").expect(0);
    assert!(written.stdout.contains("larder sync customers"), "{written:?}");
    assert!(written.stderr.contains("  customers\n") && written.stderr.contains("[id]"), "{written:?}");
    expect_works(directory.path(), "customers");

    let before = fs::read_to_string(directory.path().join("larder.toml")).unwrap();
    let again = init(directory.path(), &[], "sqlite\nother.db\n").expect(2);
    assert!(again.stderr.contains("exists and stays as it is"), "{again:?}");
    assert_eq!(fs::read_to_string(directory.path().join("larder.toml")).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_answer_every_question() {
    let database = Postgres::database().await;
    database.execute(TABLE).await;
    let directory = TempDir::new().unwrap();
    let url = format!("url={}", database.url());
    let flags =
        ["--type", "postgres", "--source", &url, "--table", "public.customers", "--primary-key", "id"];
    let more = ["--collection", "people", "--index", "number"];
    init(directory.path(), &[&flags[..], &more].concat(), "").expect(0);
    expect_works(directory.path(), "people");
    let text = fs::read_to_string(directory.path().join("larder.toml")).unwrap();
    assert!(text.contains("indexes = { number = \"id\" }"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_write_nothing() {
    let directory = TempDir::new().unwrap();
    Warehouse::sqlite(directory.path()).execute(TABLE).await;
    for (arguments, answers, code, part) in [
        (&[][..], "", 2, "--type"),
        (&[], "oracel\n", 2, "did you mean \"oracle\""),
        (&["--type", "sqlite"], "nowhere.db\n", 1, "source_file_missing"),
        (&["--type", "sqlite"], "warehouse.db\npeople\n", 1, "source_unknown_table"),
        (&["--type", "sqlite"], "warehouse.db\ncustomers\nnumber\n", 2, "it has: name, id"),
        (&["--type", "sqlite"], "warehouse.db\ncustomers\nid\nno such name\n", 2, "--collection"),
        (&["--type", "sqlite", "--source", "pfad=x"], "warehouse.db\n", 2, "unknown key"),
        (&["--type", "sqlite"], "warehouse.db\ncustomers\nid\n", 2, "give --collection"),
    ] {
        let refused = init(directory.path(), arguments, answers).expect(code);
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
        assert!(!directory.path().join("larder.toml").exists());
    }
}
