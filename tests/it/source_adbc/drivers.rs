//! Drivers that are missing, are none, crash, hang, lie or grow; workers that are killed or left alone.

use std::{fs, path::Path, process::Command};

use rustix::process::{Pid, Signal, kill_process};

use super::{configure, directory, duckdb};
use crate::support::{
    postgres::Postgres,
    process::{Process, command, larder, wait_until},
};

/// Compiles `driver.c` into `directory`.
fn compile_drivers(directory: &Path) {
    compile(directory, "driver");
}

/// Compiles a C file of this module into a library in `directory`.
pub(super) fn compile(directory: &Path, name: &str) {
    let library = directory.join(format!("{name}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/source_adbc/{name}.c"));
    let status =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().unwrap();
    assert!(status.success());
}

/// The processes that `parent` has started and that run.
pub(super) fn children(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    children
        .flat_map(|list| list.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

fn is_running(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn driver_that_cannot_be_used_is_named_with_what_to_do() {
    let directory = directory("");
    compile_drivers(directory.path());
    fs::write(directory.path().join("text.so"), "no library").unwrap();
    // A library of ELF for another processor: 183 is aarch64, 62 is x86_64.
    let mut other = fs::read(directory.path().join("driver.so")).unwrap();
    other[18] = if other[18] == 183 { 62 } else { 183 };
    fs::write(directory.path().join("other.so"), other).unwrap();
    for (keys, code, part) in [
        ("driver = \"nowhere\"", "source_driver_missing", "dbc install nowhere"),
        ("driver = \"./nowhere.so\"", "source_driver_missing", "nowhere.so"),
        ("driver = \"./text.so\"", "source_driver_unusable", "text.so"),
        ("driver = \"./other.so\"", "source_driver_unusable", "and this machine is"),
        ("driver = \"./driver.so\"", "source_driver_unusable", "entrypoint"),
        (
            "driver = \"./driver.so\"\nentrypoint = \"NothereInit\"",
            "source_driver_unusable",
            "undefined symbol: NothereInit",
        ),
        ("driver = \"./driver.so\"\nentrypoint = \"RefuseInit\"", "source_driver_unusable", ""),
        ("driver = \"./driver.so\"\nentrypoint = \"CrashInit\"", "source_worker_crashed", "signal 6"),
        ("driver = \"./driver.so\"\nentrypoint = \"GarbageInit\"", "source_worker_crashed", "driver.so"),
        ("driver = \"./driver.so\"\nentrypoint = \"HangInit\"", "source_connect_timeout", "1000 ms"),
        (
            "driver = \"./driver.so\"\nentrypoint = \"GrowInit\"",
            "source_worker_memory",
            "more than 128MiB of memory",
        ),
    ] {
        let connect_timeout = if code == "source_worker_memory" { "30s" } else { "1s" };
        configure(
            directory.path(),
            &format!(
                "[sources.foreign]\ntype = \"adbc\"\nmemory_max = \"128 MiB\"\nconnect_timeout = {connect_timeout:?}\n{keys}\n"
            ),
        );
        let output = larder(directory.path(), &["source", "check", "foreign"]).expect(1);
        assert!(output.stderr.contains(&format!("code: {code}")), "{keys}: {output:?}");
        assert!(output.stderr.contains(part), "{keys}: {output:?}");
    }
}

#[test]
fn drivers_are_listed_with_their_places() {
    let directory = directory("");
    let drivers = directory.path().join("drivers");
    fs::create_dir(&drivers).unwrap();
    fs::write(drivers.join("libadbc_driver_exasol.so"), "").unwrap();
    let manifest = format!(
        "version = \"1.5.5\"\n[Driver]\nshared = {:?}\nentrypoint = \"duckdb_adbc_init\"\n",
        duckdb()
    );
    fs::write(drivers.join("duckdb.toml"), manifest).unwrap();
    fs::write(drivers.join("broken.toml"), "[Driver]\nshared = {}\n").unwrap();
    let listed = larder(directory.path(), &["drivers", "--json"]).expect(0).json();
    let find =
        |name: &str| listed.as_array().unwrap().iter().find(|driver| driver["name"] == name).unwrap().clone();
    assert_eq!(find("duckdb")["version"], "1.5.5");
    assert_eq!(find("duckdb")["path"], duckdb().to_str().unwrap());
    assert!(find("exasol")["path"].as_str().unwrap().ends_with("libadbc_driver_exasol.so"));
    assert!(find("snowflake")["path"].is_null());
    assert!(find("snowflake")["install"].as_str().unwrap().contains("adbc-driver-snowflake"));
    let broken = find("broken");
    assert!(
        broken["path"].is_null() && broken["fault"].as_str().unwrap().contains("broken.toml"),
        "{broken}"
    );
    // As `pip install --target drivers` leaves it.
    let package = super::python_driver("postgresql");
    let mut packages = command(directory.path(), &[], &["drivers"]);
    packages.env("ADBC_DRIVER_PATH", package.parent().unwrap().parent().unwrap());
    let listed = String::from_utf8(packages.output().unwrap().stdout).unwrap();
    let line = listed.lines().find(|line| line.starts_with("snowflake ")).unwrap();
    let version = line.split_whitespace().nth(1).unwrap();
    assert!(version.starts_with("1.") && line.contains("adbc_driver_snowflake/"), "{listed}");
    let table = larder(directory.path(), &["drivers"]).expect(0).stdout;
    let line = table.lines().find(|line| line.starts_with("broken ")).unwrap();
    assert!(line.contains("unusable: ") && table.contains("libadbc_driver_exasol.so"), "{table}");
    // Found by its manifest, beside the configuration.
    configure(directory.path(), "[sources.duck]\ntype = \"duckdb\"\n");
    let output = larder(directory.path(), &["source", "check", "duck"]).expect(0);
    assert!(output.stdout.contains("DuckDB v1.5.5"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_shows_a_secret() {
    let database = Postgres::database().await;
    let url = database.url_of("locked:hunter2%21");
    let driver = super::python_driver("postgresql");
    let directory = directory(&format!(
        "[sources.foreign]\ntype = \"adbc\"\ndriver = {driver:?}\noptions = {{ uri = {url:?} }}\n\
         setup = [\"set nothere = 'hunter3'\"]\n"
    ));
    let output = larder(directory.path(), &["source", "check", "foreign"]).expect(1);
    assert!(output.stderr.contains("source_"), "{output:?}");
    let printed = larder(directory.path(), &["config", "print"]).expect(0);
    // A password that is not encoded cannot be distinguished from the other parts of the URL.
    for section in [
        "type = \"adbc\"\ndriver = \"x\"\noptions = { uri = \"x://u:1234/hunter2@h\" }",
        "type = \"mssql\"\nurl = \"sqlserver://u:1234/hunter2@h\"",
    ] {
        configure(directory.path(), &format!("[sources.foreign]\n{section}\n"));
        let refused = larder(directory.path(), &["check"]).expect(2);
        assert!(refused.stderr.contains("percent-encode"), "{refused:?}");
        assert!(!refused.text().contains("1234") && !refused.text().contains("hunter2"), "{refused:?}");
    }
    let open = database.url();
    configure(
        directory.path(),
        &format!(
            "[sources.foreign]\ntype = \"adbc\"\ndriver = {driver:?}\noptions = {{ uri = {open:?} }}\n\
         setup = [\"set nothere = 'hunter3'\"]\n"
        ),
    );
    let refused = larder(directory.path(), &["source", "check", "foreign"]).expect(1);
    assert!(refused.stderr.contains("statement 1 of `setup`"), "{refused:?}");
    assert!(!refused.stderr.contains("model"), "{refused:?}");
    for text in [output.text(), printed.text(), refused.text()] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_that_is_killed_or_stopped_ends_its_run_and_nothing_else() {
    let sections = |sql: &str| {
        format!(
            "[sources.duck]\ntype = \"duckdb\"\ndriver = {:?}\n[models.m]\nsource = \"duck\"\nsql = {sql:?}\n\
             primary_key = \"id\"\n[syncs.m]\nmodel = \"m\"\nindexes = {{ id = \"id\" }}\n",
            duckdb()
        )
    };
    let directory = directory(&sections("select range as id from range(1000)"));
    larder(directory.path(), &["sync", "m"]).expect(0);
    let versions = || larder(directory.path(), &["versions", "m", "--json"]).expect(0).json();
    let before = versions();
    configure(
        directory.path(),
        &sections("select range as id, md5(range::text) as text from range(50000000)"),
    );
    for signal in [Signal::KILL, Signal::TERM, Signal::STOP] {
        let mut run = Process::spawn(command(directory.path(), &[], &["sync", "m", "--accept"]));
        let mut worker = 0;
        // The second worker of a run reads; the first describes.
        wait_until("a worker that reads", async || {
            let found = children(run.id());
            worker = found.first().copied().unwrap_or(worker);
            run.is_running() && has_read(worker)
        })
        .await;
        kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), signal).unwrap();
        let output = run.wait().await.expect(1);
        assert!(output.stderr.contains("source_worker_crashed"), "{output:?}");
        assert_eq!(versions(), before);
    }
}

/// Whether a worker has decoded enough to be in the middle of its rows.
fn has_read(worker: u32) -> bool {
    let io = fs::read_to_string(format!("/proc/{worker}/io")).unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse::<u64>().ok());
    written.is_some_and(|bytes| bytes > 1_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_ends_when_nobody_waits_for_it() {
    let directory = directory(&format!("[sources.duck]\ntype = \"duckdb\"\ndriver = {:?}\n", duckdb()));
    // Sorting gives no row for a long time.
    let sql = "select range as id from range(400000000) order by md5(range::text)";
    let run = Process::spawn(command(directory.path(), &[], &["source", "query", "duck", sql]));
    let mut worker = 0;
    wait_until("a worker that sorts", async || {
        worker = children(run.id()).first().copied().unwrap_or(0);
        let stat = fs::read_to_string(format!("/proc/{worker}/statm")).unwrap_or_default();
        stat.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).is_some_and(|pages| pages > 50_000)
    })
    .await;
    run.kill();
    wait_until("the end of the worker", async || !is_running(worker)).await;
}

/// It has nothing to cancel yet.
#[tokio::test(flavor = "multi_thread")]
async fn worker_that_begins_ends_when_nobody_waits_for_it() {
    let directory = directory(
        "[sources.foreign]\ntype = \"adbc\"\ndriver = \"./driver.so\"\nentrypoint = \"HangInit\"\nconnect_timeout = \"60s\"\n",
    );
    compile_drivers(directory.path());
    let check = Process::spawn(command(directory.path(), &[], &["source", "check", "foreign"]));
    let mut worker = 0;
    wait_until("a worker that waits for its driver", async || {
        worker = children(check.id()).first().copied().unwrap_or(0);
        let maps = fs::read_to_string(format!("/proc/{worker}/maps")).unwrap_or_default();
        maps.contains("driver.so")
    })
    .await;
    check.kill();
    wait_until("the end of the worker", async || !is_running(worker)).await;
}
