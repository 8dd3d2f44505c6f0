//! A project of dbt over a Postgres database of its own. `scripts/test.sh` installs dbt in `target/dbt`.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::support::{
    node::{Node, Warehouse},
    postgres::{Database, Postgres},
    service::installed,
};

/// A table with tests of its key, an ephemeral model, a disabled one, one without a key, and a seed.
const FILES: [(&str, &str); 6] = [
    (
        "models/customers.sql",
        "select id, name, amount from {{ source('raw', 'people') }} where id is not null",
    ),
    (
        "models/recent.sql",
        "{{ config(materialized = 'ephemeral', tags = ['larder']) }}\n\
         select id, upper(name) as name from {{ ref('customers') }} where id > 1",
    ),
    ("models/off.sql", "{{ config(enabled = false) }}\nselect 1 as id"),
    ("models/keyless.sql", "select id, name from {{ ref('customers') }}"),
    ("seeds/countries.csv", "code,name\nde,Germany\nse,Sweden\n"),
    (
        "models/schema.yml",
        "sources:\n- name: raw\n  schema: public\n  tables: [{name: people}]\n\
         models:\n- name: customers\n  columns:\n  - name: id\n    data_tests: [unique, not_null]\n",
    ),
];

/// A project and its warehouse.
pub(super) struct Project {
    directory: TempDir,
}

impl Project {
    /// Writes the project over a database of Postgres. Nothing is built.
    pub(super) fn new(database: &Database) -> Self {
        let (port, name) = (database.port(), database.name());
        let project = Self::empty(&format!(
            "{{type: postgres, host: 127.0.0.1, port: {port}, user: postgres, password: unused, dbname: {name}, \
             schema: marts, threads: 1}}"
        ));
        for (path, text) in FILES {
            project.write(path, text);
        }
        project
    }

    /// A project without models, whose warehouse is what `target` says, in YAML.
    pub(super) fn empty(target: &str) -> Self {
        let project = Self { directory: TempDir::new().unwrap() };
        project.write(
            "dbt_project.yml",
            "name: shop\nversion: '1.0'\nprofile: shop\nmodels: {shop: {+materialized: table}}\n",
        );
        project.write("profiles.yml", &format!("shop: {{target: test, outputs: {{test: {target}}}}}\n"));
        project
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Runs dbt, which must end with success or not.
    #[track_caller]
    pub(super) fn dbt_ends(&self, arguments: &[&str], is_success: bool) {
        let mut command = Command::new(installed("dbt/bin/dbt"));
        command.args(["--quiet", "--no-use-colors"]).args(arguments).current_dir(&self.directory);
        command.args(["--profiles-dir", "."]);
        command.env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false").env("HOME", self.directory.path());
        let output = command.output().unwrap();
        assert_eq!(
            output.status.success(),
            is_success,
            "dbt {arguments:?}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }

    #[track_caller]
    pub(super) fn dbt(&self, arguments: &[&str]) {
        self.dbt_ends(arguments, true);
    }

    /// `[dbt.main]` of the project.
    pub(super) fn section(&self) -> String {
        format!("[dbt.main]\nmanifest = {:?}\npoll_interval = \"200ms\"\n", self.path("target/manifest.json"))
    }
}

/// A warehouse with the table that the project reads.
pub(super) async fn database() -> Database {
    let database = Postgres::database().await;
    database
        .execute(
            "create table people (id int, name text, amount numeric);
             insert into people values (1, 'Ann', 1.50), (2, 'Bob', null), (3, 'Cyd', 0)",
        )
        .await;
    database
}

/// A node over `database`, whose configuration has `sections`.
pub(super) async fn node(database: Database, sections: &str) -> Node {
    Node::start(TempDir::new().unwrap(), Warehouse::Postgres(Box::new(database)), sections).await
}
