//! A node with people in a SQLite file, and requests to its admin API.

use larder::{admin::AdminRole, auth::AdminKey, domain::RunId};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    admin::ask,
    http::Answer,
    node::{Node, Warehouse, tester},
    process::until,
};

/// A sync of people, and one that does not fit its model.
pub(crate) const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nindexes = { id = \"id\" }\n\
    [syncs.broken]\nmodel = \"people\"\nschedule = \"manual\"\n\
    indexes = { id = \"id\", email = \"no_such_column\" }\nfields = { a = \"neither\" }\n";

/// A node whose first admin key is an admin's.
pub(crate) struct Fixture {
    pub(crate) node: Node,
}

/// Starts `node` again with `keys` in `[server]`.
pub(crate) async fn with_server(mut node: Node, keys: &str) -> Node {
    if !keys.is_empty() {
        node.stop().await;
        let file = std::fs::read_to_string(node.config_path()).unwrap();
        let file = file.replacen("[server]\n", &format!("[server]\n{keys}"), 1);
        std::fs::write(node.config_path(), file).unwrap();
        node.resume().await;
    }
    node
}

/// Starts `node` again with these lines in place of its `admin_listen`.
pub(crate) async fn with_admin_listen(mut node: Node, lines: &str) -> Node {
    node.stop().await;
    let file = std::fs::read_to_string(node.config_path()).unwrap();
    let file = file.replacen("admin_listen = \"127.0.0.1:0\"\n", lines, 1);
    std::fs::write(node.config_path(), file).unwrap();
    node.resume().await;
    node
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// With these keys in `[server]`.
    pub(crate) async fn start_with(server: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let warehouse = Warehouse::sqlite(directory.path());
        let people = "create table people (id integer primary key, name text);
            insert into people values (1, 'Ann'), (2, 'Bob'), (3, 'Cyd'), (4, 'Dee'), (5, 'Eve'), (6, 'Fay')";
        warehouse.execute(people).await;
        let node = Node::start(directory, warehouse, SECTIONS).await;
        Self::of(with_server(node, server).await).await
    }

    /// With `node`.
    pub(crate) async fn of(node: Node) -> Self {
        let fixture = Self { node };
        fixture.until_admin().await;
        fixture
    }

    /// Waits until the first admin key has its role: until the publishing side is up, it is that of a viewer.
    pub(crate) async fn until_admin(&self) {
        until("the first admin key", async || {
            (self.get("/admin/v1/whoami").await["role"] == "admin").then_some(())
        })
        .await;
    }

    /// Sends a request with the first admin key.
    pub(crate) async fn ask(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        self.node.admin(method, target, body.as_deref()).await
    }

    /// The body of a successful `GET`.
    pub(crate) async fn get(&self, target: &str) -> Value {
        let answer = self.ask("GET", target, None).await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        answer.json()
    }

    /// The status and code of a refused request.
    pub(crate) async fn refused(&self, method: &str, target: &str, body: Option<Value>) -> (u16, String) {
        let answer = self.ask(method, target, body).await;
        (answer.status, answer.code())
    }

    /// Sends a request with extra header lines.
    pub(crate) async fn ask_with(&self, method: &str, target: &str, body: &Value, lines: &str) -> Answer {
        let mut client = crate::support::http::Client::connect(self.node.server().admin_address()).await;
        let (body, bearer) = (body.to_string(), crate::support::admin::bearer(&self.node.admin_key()));
        let length = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        client.request(method, target, &format!("{bearer}{length}{lines}")).await;
        client.send(body).await;
        client.answer().await
    }

    /// Starts a run and waits for its end; the operation.
    pub(crate) async fn run(&self, body: Value) -> Value {
        let started = self.ask("POST", "/admin/v1/syncs/person/runs", Some(body)).await;
        assert_eq!(started.status, 202, "{started:?}");
        let location = started.header("location").unwrap().to_owned();
        self.ended(&location).await
    }

    /// Waits for the end of an operation.
    pub(crate) async fn ended(&self, location: &str) -> Value {
        until("the end of an operation", async || {
            let operation = self.get(location).await;
            (!operation["ended_at"].is_null()).then_some(operation)
        })
        .await
    }

    /// A new admin key of a role.
    pub(crate) async fn key(&self, role: AdminRole) -> AdminKey {
        let new = larder::admin::NewAdminKey { name: role.to_string(), role, expires_at: None };
        let key = self.node.publisher().await.admin().create_admin_key(new, &tester()).await.unwrap();
        let address = self.node.server().admin_address();
        until("the key", async || {
            let answer = ask(address, key.expose(), "GET", "/admin/v1/whoami", None).await;
            (answer.status == 200).then_some(())
        })
        .await;
        key
    }
}

/// The run of an ended operation.
pub(crate) fn run_of(operation: &Value) -> RunId {
    operation["run"].as_str().unwrap_or_else(|| panic!("{operation}")).parse().unwrap()
}

/// A body that names a version.
#[expect(clippy::unnecessary_wraps, reason = "a request may have no body")]
pub(crate) fn version(version: u64) -> Option<Value> {
    Some(json!({ "version": version }))
}
