//! Faults of DuckDB that its own words do not explain.

use std::fs;

use super::{configure, directory, duckdb};
use crate::support::process::larder;

#[test]
fn faults_of_duckdb_say_what_to_do() {
    let directory = directory("");
    fs::write(directory.path().join("people.csv"), "id,name\n1,Ann\n2,Bob\n").unwrap();
    fs::write(directory.path().join("short"), "").unwrap();
    let run = |keys: &str, sql: &str| {
        let section = format!("[sources.duck]\ntype = \"duckdb\"\ndriver = {:?}\n{keys}\n", duckdb());
        configure(directory.path(), &section);
        larder(directory.path(), &["source", "query", "duck", sql])
    };
    for path in ["people.csv", "short"] {
        let failed = run(&format!("path = {path:?}"), "select 1 as one").expect(1).stderr;
        assert!(failed.contains("is not a database of DuckDB"), "{failed}");
        assert!(failed.contains("type = \"files\""), "{failed}");
    }
    let failed = run("path = \"nothere.duckdb\"", "select 1 as one").expect(1).stderr;
    assert!(failed.contains("code: source_file_missing") && failed.contains("nothere.duckdb"), "{failed}");
    // The file is the source's matter, so the server starts without it.
    larder(directory.path(), &["check"]).expect(0);
    let checked = larder(directory.path(), &["check", "--connect"]).expect(1).stdout;
    assert!(checked.contains("source_file_missing"), "{checked}");
    let refused = run("path = \"md:shop?motherduck_token=hunter2\"", "select 1 as one").expect(2).stderr;
    assert!(refused.contains("attach 'md:shop'") && !refused.contains("hunter2"), "{refused}");
    let setup = "setup = [\"load nothere\"]";
    for (keys, sql, part) in [
        (setup, "select 1 as one", "statement 1 of `setup`: IO Error: Extension"),
        (setup, "select 1 as one", "`extensions_dir`"),
        (
            "memory_limit = \"20MB\"",
            "select md5(range::text) as text from range(10000000) order by 1",
            "raise the source's `memory_limit`",
        ),
        ("", "create table t (id integer)", "between parentheses, where nothing can write"),
        ("", "select {'a': 1}::variant as v", "cast(x as json)"),
    ] {
        let failed = run(keys, sql).expect(1).stderr;
        assert!(failed.contains(part), "{sql}: {failed}");
    }
}
