//! ClickHouse's own engine behind a small HTTP server, one per test process, one database per call.
//!
//! `scripts/test.sh` installs the engine in `target/chdb`.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use reqwest::Client;
use tokio::sync::OnceCell;

use super::service::{Service, installed};

const USER: &str = "reader";
/// With the characters that a URL cannot hold.
pub(crate) const PASSWORD: &str = "secret ?#/@%";

/// A database for one test.
pub(crate) struct ClickHouse {
    address: SocketAddr,
    name: String,
    /// A server of its own.
    _server: Option<Service>,
}

static SERVER: OnceCell<Service> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

impl ClickHouse {
    /// An empty database.
    pub(crate) async fn database() -> Self {
        let address = SERVER.get_or_init(start).await.address;
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let database = Self { address, name, _server: None };
        database.run_in("default", &format!("create database {}", database.name)).await;
        database
    }

    /// An empty database of a server of its own, whose settings a test may change.
    pub(crate) async fn alone() -> Self {
        let server = start().await;
        let (address, name) = (server.address, "alone".to_owned());
        let database = Self { address, name, _server: Some(server) };
        database.run_in("default", "create database alone").await;
        database
    }

    /// Runs a statement in it.
    pub(crate) async fn run(&self, sql: &str) {
        self.run_in(&self.name, sql).await;
    }

    /// What the engine prints of a query's result, as CSV.
    pub(crate) async fn print(&self, sql: &str) -> String {
        self.run_in(&self.name, sql).await
    }

    async fn run_in(&self, database: &str, sql: &str) -> String {
        let request = Client::new().post(format!("http://{}/?database={database}", self.address));
        let request = request.header("x-clickhouse-user", USER).header("x-clickhouse-key", PASSWORD);
        let answer = request.body(sql.to_owned()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{sql}: {text}");
        text
    }

    /// The ids of the queries that were ended by `KILL QUERY`, of all tests.
    pub(crate) async fn killed(&self) -> Vec<String> {
        let answer = reqwest::get(format!("http://{}/", self.address)).await.unwrap().text().await.unwrap();
        answer.lines().map(str::to_owned).collect()
    }

    /// The keys of a source that reads it.
    pub(crate) fn section(&self) -> String {
        let Self { address, name, .. } = self;
        format!(
            "type = \"clickhouse\"\nurl = \"http://{address}\"\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n\
             database = \"{name}\"\n"
        )
    }
}

async fn start() -> Service {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/clickhouse_server.py");
    let script = script.to_str().unwrap().to_owned();
    let arguments = |address: SocketAddr| vec![script, address.port().to_string()];
    Service::start(&installed("chdb/bin/python"), arguments).await
}
