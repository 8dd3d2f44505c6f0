//! Directories for the real binary: what the nodes of a deployment share, and what one node has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use serde_json::Value;
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{
    node::{Warehouse, base_sections},
    process::{self, CommandOutput, Process},
};

/// A directory with a store, a metadata file and SQLite warehouses, which its nodes share.
pub(crate) struct Deployment {
    directory: Arc<TempDir>,
}

impl Deployment {
    pub(crate) fn new() -> Self {
        Self { directory: Arc::new(TempDir::new().unwrap()) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs SQL on the SQLite file `name`.
    pub(crate) async fn execute(&self, name: &str, sql: &str) {
        Warehouse::Sqlite(self.path(name)).execute(sql).await;
    }

    /// The first column of the first row that `sql` finds in the SQLite file `name`.
    pub(crate) async fn text(&self, name: &str, sql: &'static str) -> Option<String> {
        let options = SqliteConnectOptions::new().filename(self.path(name));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let row = sqlx::query(sql).fetch_optional(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        row.map(|row| row.get(0))
    }

    /// A node with `data_dir` `name`, on the deployment's store and metadata file.
    pub(crate) fn node(&self, name: &str, sections: &str) -> NodeDirectory {
        self.node_with_metadata(name, "sqlite:./metadata.db", sections)
    }

    pub(crate) fn node_with_metadata(&self, name: &str, metadata: &str, sections: &str) -> NodeDirectory {
        let base = format!(
            "[node]\ndata_dir = \"{name}\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
             admin_listen = \"127.0.0.1:0\"\n[storage]\nurl = \"file:./store\"\npoll_interval = \"50ms\"\n\
             [metadata]\nurl = \"{metadata}\"\n[log]\nformat = \"json\"\n"
        );
        self.node_from(name, base, sections)
    }

    /// A node whose configuration is `base` and `sections`.
    pub(crate) fn node_from(&self, name: &str, base: String, sections: &str) -> NodeDirectory {
        let node = NodeDirectory { directory: self.directory.clone(), config: format!("{name}.toml"), base };
        node.configure(sections);
        node
    }

    /// Catalog documents in the order of their numbers.
    pub(crate) fn catalog(&self) -> Vec<Value> {
        let mut paths = files(&self.path("store/catalog"));
        paths.retain(|path| has_suffix(path, ".json"));
        paths.sort();
        paths.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
    }

    /// The manifest that the newest document names.
    pub(crate) fn manifest(&self, collection: &str) -> Value {
        let document = self.catalog().pop().unwrap();
        let object = document["collections"][collection]["manifest"].as_str().unwrap();
        serde_json::from_slice(&fs::read(self.path("store").join(object)).unwrap()).unwrap()
    }

    /// The version that the newest document names.
    pub(crate) fn announced(&self, collection: &str) -> Option<u64> {
        self.catalog().pop()?["collections"][collection]["version"].as_u64()
    }
}

/// Files directly in a directory; none when there is no directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

/// Every file below a directory, with its length. A file that is deleted meanwhile may be missing.
pub(crate) fn files_below(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.extend(path.metadata().ok().map(|metadata| (path, metadata.len())));
        }
    }
    found.sort();
    found
}

pub(crate) fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(suffix))
}

/// A configuration file and the directory in which processes start with it.
pub(crate) struct NodeDirectory {
    directory: Arc<TempDir>,
    /// The file's name, relative to the directory.
    config: String,
    /// The sections that [`Self::configure`] keeps.
    base: String,
}

impl NodeDirectory {
    /// A node alone in its directory. Its configuration is `larder.toml`, and its source a SQLite
    /// file that `sql` fills.
    pub(crate) async fn new(sql: &str, sections: &str) -> Self {
        let deployment = Deployment::new();
        let warehouse = Warehouse::sqlite(deployment.directory.path());
        warehouse.execute(sql).await;
        deployment.node_from("larder", base_sections(&warehouse), sections)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces the configuration by the base and `sections`.
    pub(crate) fn configure(&self, sections: &str) {
        self.write(&self.config, &format!("{}{sections}", self.base));
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs SQL on the SQLite warehouse of [`Self::new`].
    pub(crate) async fn execute(&self, sql: &str) {
        Warehouse::sqlite(self.path()).execute(sql).await;
    }

    /// Every file below `name`, with its length.
    pub(crate) fn files(&self, name: &str) -> Vec<(PathBuf, u64)> {
        files_below(&self.path().join(name))
    }

    fn command(&self, wrapper: &[&str], arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = process::command(self.path(), wrapper, arguments);
        if self.config != "larder.toml" {
            command.env("LARDER_CONFIG", &self.config);
        }
        command.envs(variables.iter().copied());
        command
    }

    /// Runs a command to its end. It blocks the thread, on which nothing may run that the command needs.
    pub(crate) fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> CommandOutput {
        process::run(self.command(&[], arguments, variables))
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Process {
        self.spawn_with(arguments, &[])
    }

    pub(crate) fn spawn_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
        Process::spawn(self.command(&[], arguments, variables))
    }

    /// Spawns through `wrapper`, a program and its arguments, which replaces itself by the command.
    pub(crate) fn spawn_within(&self, wrapper: &[&str], arguments: &[&str]) -> Process {
        Process::spawn(self.command(wrapper, arguments, &[]))
    }

    /// Runs a command that must succeed; its stdout.
    pub(crate) async fn output(&self, arguments: &[&str]) -> String {
        self.spawn(arguments).wait().await.expect(0).stdout
    }

    /// A server that is ready.
    pub(crate) async fn serve(&self) -> Process {
        self.serve_with(&[]).await
    }

    pub(crate) async fn serve_with(&self, variables: &[(&str, &str)]) -> Process {
        let mut server = self.spawn_with(&["serve"], variables);
        server.ready().await;
        server
    }

    /// A new key for every collection.
    pub(crate) async fn key(&self) -> String {
        self.output(&["keys", "create", "--name", "test", "--all-collections"]).await.trim().to_owned()
    }

    /// All runs, newest first.
    pub(crate) async fn runs(&self) -> Vec<Value> {
        let text = self.output(&["runs", "--json", "--limit", "1000"]).await;
        serde_json::from_str(&text).unwrap()
    }
}
