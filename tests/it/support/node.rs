//! A whole node in this process, with a configuration file and its own warehouse.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use larder::{
    admin::{NewKey, Principal, Publisher, SyncRequest},
    app::{self, Server},
    config::{self, Config, Environment, Overrides},
    domain::{
        keyset::{KeyLimits, Scope},
        name::CollectionName,
        run::RunStatus,
    },
    engine::{Progress, RunOutcome, RunRequest, Trigger},
    support::{clock::Clock, shutdown::Shutdown},
};
use serde_json::Value;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{
    admin,
    http::{Answer, Client, soon},
    postgres::{Database, Postgres},
    process::until,
};

/// The principal of changes in tests.
pub(crate) fn tester() -> Principal {
    Principal::internal("test")
}

/// The source of a node's rows.
pub(crate) enum Warehouse {
    Postgres(Box<Database>),
    Sqlite(PathBuf),
}

impl Warehouse {
    pub(crate) async fn postgres() -> Self {
        Self::Postgres(Box::new(Postgres::database().await))
    }

    pub(crate) fn sqlite(directory: &Path) -> Self {
        Self::Sqlite(directory.join("warehouse.db"))
    }

    /// Runs one or several SQL statements.
    pub(crate) async fn execute(&self, sql: &str) {
        match self {
            Self::Postgres(database) => database.execute(sql).await,
            Self::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// The `[sources.warehouse]` section.
    pub(crate) fn section(&self) -> String {
        match self {
            Self::Postgres(database) => {
                format!("[sources.warehouse]\ntype = \"postgres\"\nurl = \"{}\"\n", database.url())
            }
            Self::Sqlite(path) => {
                format!("[sources.warehouse]\ntype = \"sqlite\"\npath = \"{}\"\n", path.display())
            }
        }
    }
}

/// The sections that every test needs: free ports, a short poll interval, the source.
pub(crate) fn base_sections(warehouse: &Warehouse) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[storage]\npoll_interval = \"100ms\"\n{}",
        warehouse.section()
    )
}

/// A node and its directory.
pub(crate) struct Node {
    pub(crate) directory: TempDir,
    pub(crate) warehouse: Warehouse,
    server: Option<Server>,
    key: String,
}

impl Node {
    /// Starts a node whose configuration is [`base_sections`] and `sections`, in `directory`.
    pub(crate) async fn start(directory: TempDir, warehouse: Warehouse, sections: &str) -> Self {
        let mut node = Self { directory, warehouse, server: None, key: String::new() };
        node.configure(sections);
        node.resume().await;
        node.key = node.create_key(Scope::AllCollections, KeyLimits::default()).await;
        node
    }

    /// Creates a key, and waits until the server knows it.
    pub(crate) async fn create_key(&self, grant: Scope, limits: KeyLimits) -> String {
        let new = NewKey { name: "test".to_owned(), grant, expires_at: None, limits };
        let created = self.publisher().await.create_key(new, &tester()).await.unwrap().done;
        let key = created.expose().to_owned();
        until("key", async || self.server().knows_key(&key).then_some(())).await;
        key
    }

    /// Sends a request for `target` below `/v1/collections/` with `key`; with a body it is a POST of JSON.
    pub(crate) async fn ask_as(&self, key: &str, target: &str, body: Option<&str>, headers: &str) -> Answer {
        let mut client = Client::connect(self.server().public_address()).await;
        let target = format!("/v1/collections/{target}");
        let headers = format!("Authorization: Bearer {key}\r\n{headers}");
        let Some(body) = body else { return client.ask("GET", target, &headers).await };
        let headers =
            format!("{headers}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        client.request("POST", target, &headers).await;
        client.send(body).await;
        client.answer().await
    }

    /// As [`Node::ask_as`], with the key for all collections.
    pub(crate) async fn ask(&self, target: &str, body: Option<&str>) -> Answer {
        self.ask_as(&self.key, target, body, "").await
    }

    /// Writes another configuration. A running server keeps the old one.
    pub(crate) fn configure(&self, sections: &str) {
        let text = format!("{}{sections}", base_sections(&self.warehouse));
        std::fs::write(self.config_path(), text).unwrap();
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.directory.path().join("larder.toml")
    }

    pub(crate) fn config(&self) -> Config {
        config::load(Some(&self.config_path()), &Environment::default(), &Overrides::default()).unwrap()
    }

    /// Starts the server in its directory and waits until it is ready.
    pub(crate) async fn resume(&mut self) {
        let server = Server::start(self.config(), Clock::default()).await.unwrap();
        soon("readiness", server.ready()).await;
        self.server = Some(server);
    }

    /// Shuts the server down.
    pub(crate) async fn stop(&mut self) {
        soon("end", self.server.take().unwrap().stop()).await;
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub(crate) async fn publisher(&self) -> Publisher {
        soon("publisher", self.server().publisher()).await
    }

    /// Runs a sync of the configuration file once. Waits until an announced version is served.
    pub(crate) async fn sync(&self, name: &str) -> RunOutcome {
        self.sync_with(name, false, false).await
    }

    pub(crate) async fn sync_with(&self, name: &str, accept: bool, full: bool) -> RunOutcome {
        let registry = app::open_registry(&self.config()).unwrap();
        let publisher = Publisher { registry, ..self.publisher().await };
        let (progress, cancel) = (Progress::default(), Shutdown::new());
        let sync = &CollectionName::new(name).unwrap();
        let request =
            SyncRequest { sync, accept, full, dry_run: false, progress: &progress, cancel: &cancel };
        let by = tester();
        let run = Box::pin(publisher.sync(request, &by));
        let ended = soon("end of the run", run).await.unwrap().ended;
        if ended.record.status == RunStatus::Announced {
            self.await_version(name, ended.record.version.unwrap().0).await;
        }
        ended
    }

    /// A run of a sync of the configuration file, for the engine.
    pub(crate) fn run_request(&self, sync: &str, trigger: Trigger) -> RunRequest {
        let config = self.config();
        let sync = config.syncs.iter().find(|one| one.spec.collection.as_str() == sync).unwrap();
        RunRequest::new(sync.spec.clone(), config.sources[&sync.spec.source].clone(), trigger)
    }

    /// The node's own admin key; that of a viewer, or of an admin once the publishing side is up.
    pub(crate) fn admin_key(&self) -> String {
        let file = self.config().node.data_dir.join("admin.key");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// Sends a request to the admin listener; with a body it is JSON.
    pub(crate) async fn admin(&self, method: &str, target: &str, body: Option<&str>) -> Answer {
        admin::ask(self.server().admin_address(), &self.admin_key(), method, target, body).await
    }

    /// Waits until `collection` serves `version` or a later one.
    pub(crate) async fn await_version(&self, collection: &str, version: u64) {
        until("version", async || self.version(collection).await.filter(|&served| served >= version)).await;
    }

    /// The served version.
    pub(crate) async fn version(&self, collection: &str) -> Option<u64> {
        let answer = self.get(collection, "id", "0").await;
        answer.header("x-data-version").map(|version| version.parse().unwrap())
    }

    pub(crate) async fn get(&self, collection: &str, index: &str, value: &str) -> Answer {
        let mut client = Client::connect(self.server().public_address()).await;
        let target = format!("/v1/collections/{collection}/records/{index}/{value}");
        client.ask("GET", target, &format!("Authorization: Bearer {}\r\n", self.key)).await
    }

    /// The answers for these values of an index, pipelined over a few connections.
    pub(crate) async fn get_many(&self, collection: &str, index: &str, values: &[String]) -> Vec<Answer> {
        /// Requests in flight on a connection.
        const AT_ONCE: usize = 32;
        let address = self.server().public_address();
        let answers = values.chunks(values.len().div_ceil(2).max(1)).map(async |values| {
            let mut client = Client::connect(address).await;
            let mut answers = Vec::new();
            for values in values.chunks(AT_ONCE) {
                let requests = values.iter().map(|value| {
                    let value = encoded(value);
                    format!(
                        "GET /v1/collections/{collection}/records/{index}/{value} HTTP/1.1\r\nHost: test\r\n\
                         Authorization: Bearer {}\r\n\r\n",
                        self.key
                    )
                });
                client.send(requests.collect::<String>()).await;
                for _ in values {
                    answers.push(client.answer().await);
                }
            }
            answers
        });
        futures::future::join_all(answers).await.concat()
    }

    /// The record, or `None` when there is none.
    pub(crate) async fn record(&self, collection: &str, index: &str, value: &str) -> Option<Value> {
        let answer = self.get(collection, index, value).await;
        match answer.status {
            200 => Some(answer.json()),
            404 => {
                assert_eq!(answer.code(), "record_not_found");
                None
            }
            _ => panic!("{answer:?}"),
        }
    }
}

/// A value for a path: all but ASCII letters and digits are percent-encoded.
pub(crate) fn encoded(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
    }
    encoded
}
