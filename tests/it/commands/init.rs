//! `larder init`: a first configuration from flags and from answers on stdin, which the other commands accept.

use std::{fs, io::Write as _, path::Path, process::Stdio};

use tempfile::TempDir;

use crate::{
    source_adbc::duckdb,
    support::{
        node::Warehouse,
        postgres::Postgres,
        process::{CommandOutput, command, larder},
    },
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

#[test]
fn directory_of_files_needs_no_bucket() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("people.csv"), "id,name\n1,Ann\n2,Bob\n").unwrap();
    let asked = init(directory.path(), &[], "files\n.\npeople.csv\nid\n\n\n").expect(0).stderr;
    assert!(asked.contains("Directory") && !asked.contains("bucket"), "{asked}");
    expect_works(directory.path(), "people");

    let elsewhere = TempDir::new().unwrap();
    let asked = init(elsewhere.path(), &[], "files\n\n\n").expect(2).stderr;
    assert!(asked.contains("bucket") && asked.contains("give --source url="), "{asked}");
}

#[test]
fn duckdb_needs_no_file() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("people.csv"), "id,name\n1,Ann\n2,Bob\n").unwrap();
    let driver = duckdb().display().to_string();
    let setup = "setup=create view people as select * from 'people.csv'";
    let flags = ["--type", "duckdb", "--source", &format!("driver={driver}"), "--source", setup];
    let more = ["--table", "main.people", "--primary-key", "id", "--collection", "people", "--index", "id"];
    init(directory.path(), &[&flags[..], &more].concat(), "").expect(0);
    expect_works(directory.path(), "people");
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
        (
            &["--type", "sqlite", "--source", "paht=x"],
            "",
            2,
            "--source paht: unknown key\n  hint: did you mean \"path\"?",
        ),
        (&["--type", "nope"], "", 2, "--type: \"nope\" is not one of"),
        (&["--type", "sqlite", "--source", "path=sqlite:x"], "", 2, "--source path: is a URL"),
        (
            &["--index", "a/b", "--type", "sqlite"],
            "nowhere.db\n",
            2,
            "the name of an index has 1 to 64 characters",
        ),
        (&["--collection", "a b", "--type", "sqlite"], "nowhere.db\n", 2, "--collection"),
        (&["--primary-key", "", "--type", "sqlite"], "nowhere.db\n", 2, "--primary-key"),
        (&["--type", "sqlite"], "warehouse.db\ncustomers\nid\n", 2, "give --collection"),
    ] {
        let refused = init(directory.path(), arguments, answers).expect(code);
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
        assert!(!refused.stderr.contains("larder.toml"), "cites a file that does not exist: {refused:?}");
        assert!(!directory.path().join("larder.toml").exists());
    }
}

#[test]
fn key_that_is_given_twice_is_named() {
    let directory = TempDir::new().unwrap();
    let flags = ["--type", "files", "--source", "path=a", "--source", "path=b"];
    let refused = init(directory.path(), &flags, "").expect(2);
    assert!(refused.stderr.contains("--source path is given twice"), "{refused:?}");
}
