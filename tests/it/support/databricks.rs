//! A workspace with the Statement Execution API as it is published, and the bucket of its results.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use super::http::soon;

pub(crate) const TOKEN: &str = "dapi-secret";
pub(crate) const CLIENT: (&str, &str) = ("client", "client secret ?#/@%");

/// The answer to a statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    /// Columns as a manifest has them.
    pub(crate) columns: Value,
    pub(crate) chunks: Vec<RecordBatch>,
    /// Questions for its state before it ends.
    pub(crate) polls: u32,
    /// How it ends, when not well: a status.
    pub(crate) failure: Option<Value>,
    /// Its first chunk comes only after its third one was asked for.
    pub(crate) is_first_slow: bool,
    /// Addresses that have expired already when they are given.
    pub(crate) expired: u32,
}

#[derive(Default)]
struct Shared {
    replies: HashMap<String, Reply>,
    running: Vec<Reply>,
    statements: Vec<Value>,
    cancelled: Vec<String>,
    tokens: u32,
    busy: u32,
    polled: u32,
}

#[derive(Clone)]
struct Server {
    shared: Arc<Mutex<Shared>>,
    /// The highest chunk that was asked for.
    asked: watch::Sender<usize>,
    address: SocketAddr,
}

/// A running workspace.
pub(crate) struct Databricks {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

type Answer = (StatusCode, Vec<u8>);

fn json_answer(body: &Value) -> Answer {
    (StatusCode::OK, body.to_string().into_bytes())
}

impl Databricks {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let server = Server { shared: Arc::clone(&shared), asked: watch::Sender::new(0), address };
        let statement = "/api/2.0/sql/statements/{id}";
        let routes = Router::new()
            .route("/oidc/v1/token", post(token))
            .route("/api/2.0/sql/statements", post(start))
            .route(statement, get(state))
            .route(&format!("{statement}/cancel"), post(cancel))
            .route(&format!("{statement}/result/chunks/{{chunk}}"), get(link))
            .route("/bucket/{id}/{chunk}/{signature}", get(bucket))
            .with_state(server);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, shared }
    }

    /// Answers a statement whose text has `part` in it.
    pub(crate) fn answer(&self, part: &str, reply: Reply) {
        self.shared.lock().unwrap().replies.insert(part.to_owned(), reply);
    }

    /// Refuses so many requests with 429.
    pub(crate) fn refuse(&self, count: u32) {
        self.shared.lock().unwrap().busy = count;
    }

    /// The bodies of the statements that came.
    pub(crate) fn statements(&self) -> Vec<Value> {
        self.shared.lock().unwrap().statements.clone()
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.shared.lock().unwrap().cancelled.len()
    }

    /// Questions for the state of a statement.
    pub(crate) fn polled(&self) -> u32 {
        self.shared.lock().unwrap().polled
    }

    /// Tokens that a service principal fetched.
    pub(crate) fn tokens(&self) -> u32 {
        self.shared.lock().unwrap().tokens
    }

    /// The keys of a source that reads it.
    pub(crate) fn section(&self) -> String {
        format!(
            "type = \"databricks\"\nurl = \"http://{}\"\nwarehouse = \"abc123\"\ntoken = \"{TOKEN}\"\n\
             catalog = \"main\"\n",
            self.address
        )
    }
}

fn refused(shared: &mut Shared, headers: &HeaderMap) -> Option<Answer> {
    if shared.busy > 0 {
        shared.busy -= 1;
        return Some((StatusCode::TOO_MANY_REQUESTS, Vec::new()));
    }
    let known = [format!("Bearer {TOKEN}"), "Bearer fetched".to_owned()];
    let sent = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if known.contains(&sent.unwrap_or_default()) {
        return None;
    }
    let body = json!({"error_code": "UNAUTHENTICATED", "message": "Credential was not sent or is wrong"});
    Some((StatusCode::UNAUTHORIZED, body.to_string().into_bytes()))
}

async fn token(State(server): State<Server>, headers: HeaderMap, body: String) -> Answer {
    let (id, secret) = CLIENT;
    let basic = reqwest::Client::new().get("http://h").basic_auth(id, Some(secret)).build().unwrap();
    if headers.get("authorization") != basic.headers().get("authorization")
        || body != "grant_type=client_credentials&scope=all-apis"
    {
        return (StatusCode::UNAUTHORIZED, b"{\"error\":\"invalid_client\"}".to_vec());
    }
    server.shared.lock().unwrap().tokens += 1;
    json_answer(&json!({"access_token": "fetched", "token_type": "Bearer", "expires_in": 3600}))
}

async fn start(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Answer {
    let mut shared = server.shared.lock().unwrap();
    if let Some(refused) = refused(&mut shared, &headers) {
        return refused;
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    if body["warehouse_id"] != "abc123" {
        let body =
            json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "SQL warehouse does not exist"});
        return (StatusCode::NOT_FOUND, body.to_string().into_bytes());
    }
    let sql = body["statement"].as_str().unwrap().to_owned();
    let found =
        shared.replies.iter().find(|(part, _)| sql.contains(&***part)).map(|(_, reply)| reply.clone());
    let mut reply = found.unwrap_or_else(|| Reply {
        failure: Some(json!({"state": "FAILED", "sql_state": "42P01", "error": {"error_code": "BAD_REQUEST",
            "message": "[TABLE_OR_VIEW_NOT_FOUND] The table or view `nothere` cannot be found."}})),
        ..Reply::default()
    });
    if sql.ends_with("limit 0") {
        reply.chunks.clear();
        reply.failure = reply.failure.filter(|_| reply.columns.is_null());
    }
    shared.statements.push(body);
    shared.running.push(reply);
    let id = format!("01ef-{}", shared.running.len() - 1);
    json_answer(&json!({"statement_id": id, "status": {"state": "PENDING"}}))
}

fn number(id: &str) -> usize {
    id.strip_prefix("01ef-").unwrap().parse().unwrap()
}

async fn state(State(server): State<Server>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let mut shared = server.shared.lock().unwrap();
    if let Some(refused) = refused(&mut shared, &headers) {
        return refused;
    }
    shared.polled += 1;
    let reply = &mut shared.running[number(&id)];
    if reply.polls > 0 {
        reply.polls -= 1;
        return json_answer(&json!({"statement_id": id, "status": {"state": "RUNNING"}}));
    }
    if let Some(failure) = &reply.failure {
        return json_answer(&json!({"statement_id": id, "status": failure}));
    }
    json_answer(&json!({
        "statement_id": id, "status": {"state": "SUCCEEDED"},
        "manifest": {"format": "ARROW_STREAM", "schema": {"columns": reply.columns},
            "total_chunk_count": reply.chunks.len(), "truncated": false},
    }))
}

async fn cancel(State(server): State<Server>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let mut shared = server.shared.lock().unwrap();
    if let Some(refused) = refused(&mut shared, &headers) {
        return refused;
    }
    shared.cancelled.push(id);
    json_answer(&json!({}))
}

async fn link(
    State(server): State<Server>,
    headers: HeaderMap,
    Path((id, chunk)): Path<(String, usize)>,
) -> Answer {
    let mut shared = server.shared.lock().unwrap();
    if let Some(refused) = refused(&mut shared, &headers) {
        return refused;
    }
    let reply = &mut shared.running[number(&id)];
    let signature = if reply.expired > 0 { "expired" } else { "valid" };
    reply.expired = reply.expired.saturating_sub(1);
    let address = format!("http://{}/bucket/{id}/{chunk}/{signature}", server.address);
    json_answer(&json!({"external_links": [
        {"external_link": address, "chunk_index": chunk, "http_headers": {"x-key": "of the bucket"}}
    ]}))
}

async fn bucket(
    State(server): State<Server>,
    headers: HeaderMap,
    Path((id, chunk, signature)): Path<(String, usize, String)>,
) -> Answer {
    if headers.contains_key("authorization") || headers["x-key"] != "of the bucket" {
        return (StatusCode::BAD_REQUEST, Vec::new());
    }
    if signature != "valid" {
        return (StatusCode::FORBIDDEN, Vec::new());
    }
    server.asked.send_modify(|highest| *highest = chunk.max(*highest));
    let reply = server.shared.lock().unwrap().running[number(&id)].clone();
    if reply.is_first_slow && chunk == 0 {
        soon("third chunk", server.asked.subscribe().wait_for(|highest| *highest >= 2)).await.unwrap();
    }
    let batch = &reply.chunks[chunk];
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    (StatusCode::OK, writer.into_inner().unwrap())
}
