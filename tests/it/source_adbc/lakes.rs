//! Lakes of Delta and Iceberg that their own libraries wrote, read by DuckDB with its extensions.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use super::{configure, duckdb};
use crate::support::{process::larder, service::installed};

/// Writes or changes both lakes in `directory`. Returns their rows as JSON, sorted.
fn lakes(directory: &Path, step: &str) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/source_adbc/lakes.py");
    let done =
        Command::new(installed("lake/bin/python")).arg(script).arg(directory).arg(step).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Puts the extensions where DuckDB installs them.
fn install_extensions(directory: &Path) {
    let version = "v1.5.5";
    let place = directory.join(format!("extensions/{version}/linux_amd64"));
    fs::create_dir_all(&place).unwrap();
    let lib = installed("lake/lib");
    let python = fs::read_dir(&lib).unwrap().next().unwrap().unwrap().path();
    for name in ["avro", "delta", "iceberg"] {
        let file = format!("{name}.duckdb_extension");
        let package = format!("site-packages/duckdb_extension_{name}/extensions/{version}/{file}");
        symlink(python.join(package), place.join(file)).unwrap();
    }
}

#[test]
fn changes_and_deletions_of_lakes_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    install_extensions(directory);
    let expected = lakes(directory, "write");
    let path = directory.display();
    let kinds = [
        ("delta", format!("delta_scan('{path}/delta')")),
        ("iceberg", format!("iceberg_scan('{path}/iceberg/shop/customers')")),
    ];
    let sync = |(name, table): &(&str, String)| {
        format!(
            "[models.{name}]\nsource = \"lake\"\nsql = \"select * from {table}\"\nprimary_key = \"id\"\n\
             [syncs.{name}]\nmodel = \"{name}\"\nindexes = {{ id = \"id\" }}\nschedule = \"manual\"\nmax_removed = \"50%\"\n"
        )
    };
    configure(
        directory,
        &format!(
            "[sources.lake]\ntype = \"duckdb\"\ndriver = {:?}\nextensions_dir = \"{path}/extensions\"\n\
             setup = [\"load delta\", \"load avro\", \"load iceberg\"]\n{}",
            duckdb(),
            kinds.iter().map(sync).collect::<String>()
        ),
    );
    let check = |expected: &[String], counts: [u64; 3]| {
        for (name, table) in &kinds {
            let query = format!("select * from {table}");
            let read = larder(directory, &["source", "query", "lake", &query, "--limit", "10000"]).expect(0);
            let mut rows: Vec<_> = read.stdout.lines().collect();
            rows.sort_unstable();
            assert_eq!(rows, expected, "{name}");
            larder(directory, &["sync", name]).expect(0);
            let runs = larder(directory, &["runs", name, "--json"]).expect(0).json();
            let newest = &runs[0];
            let found =
                ["added", "changed", "removed"].map(|count| newest["counts"][count].as_u64().unwrap());
            assert_eq!(found, counts, "{name}: {newest}");
        }
    };
    check(&expected, [5000, 0, 0]);
    let expected = lakes(directory, "change");
    assert_eq!(expected.len(), 4250);
    // Every fifth row that was written again is the same: it has no name.
    check(&expected, [250, 400, 1000]);
}
