//! Whole configurations: what is accepted, what is refused with which words, what is printed.

mod accepted;
mod access;
mod examples;
mod exported;
mod fuzz;
mod lookups;
mod models;
mod oidc;
mod printed;
mod refused;
mod refused_syncs;
mod sources;
mod stores;

use std::path::Path;

use super::{Config, Overrides, load_text};
use crate::settings::Environment;
use crate::settings::Faults;

/// What no message may ever contain.
const SECRET: &str = "hunter2";

fn environment() -> Environment {
    [("WAREHOUSE_URL", "postgres://larder:hunter2@db.example.com/analytics"), ("SECRET", SECRET)]
        .into_iter()
        .collect()
}

fn load(text: &str) -> Result<Config, Faults> {
    load_text(text, Path::new("larder.toml"), &environment(), &Overrides::default())
}

fn accepted(text: &str) -> Config {
    load(text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// What `--set` gives for each of `assignments`.
fn set(assignments: &[&str]) -> Overrides {
    let mut overrides = Overrides::default();
    for assignment in assignments {
        overrides.set(assignment).unwrap();
    }
    overrides
}

/// The faults of a wrong configuration, as a user reads them.
fn faults(text: &str) -> String {
    let faults = load(text).expect_err("this configuration is wrong").to_string();
    assert!(!faults.contains(SECRET), "{faults}");
    assert!(!format!("{:?}", load(text)).contains(SECRET));
    faults
}

/// Asserts the places and keys of the faults of a wrong configuration, in their order.
#[track_caller]
fn assert_faults(text: &str, expected: &[&str]) {
    faults(text);
    assert_eq!(places(&load(text).unwrap_err()), expected);
}

/// The place and key of each fault.
fn places(faults: &Faults) -> Vec<String> {
    faults
        .as_slice()
        .iter()
        .map(|fault| format!("{} {}", fault.place, fault.key).trim_end().to_owned())
        .collect()
}

/// Nine lines that a sync needs, with `lines` in the sync's table from line 10 on.
fn sync(lines: &str) -> String {
    format!(
        "[sources.warehouse]
type = \"sqlite\"
path = \"warehouse.db\"
[models.customers]
source = \"warehouse\"
sql = \"select * from customers\"
primary_key = \"user_id\"
[syncs.customer]
model = \"customers\"
{lines}"
    )
}

/// As [`sync`], with `lines` behind a primary index (from line 12 on).
fn indexed(lines: &str) -> String {
    sync(&format!("indexes.id = \"user_id\"\n\n{lines}"))
}
