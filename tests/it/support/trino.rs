//! A coordinator of Trino's client protocol, whose queries a test answers.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const USER: &str = "reader";
pub(crate) const PASSWORD: &str = "secret ß ?#/@%";
pub(crate) const TOKEN: &str = "header.payload.signature";

/// The answer to a query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    /// Names and types.
    pub(crate) columns: Vec<(String, String)>,
    /// The rows of each page, as JSON.
    pub(crate) pages: Vec<String>,
    /// The error after the last page.
    pub(crate) error: Option<Value>,
    /// The last page comes again and again.
    pub(crate) is_endless: bool,
}

#[derive(Default)]
struct Shared {
    replies: HashMap<String, Reply>,
    queries: Vec<(String, HeaderMap)>,
    running: Vec<Reply>,
    ended: Vec<usize>,
    /// Requests that are still refused, and how.
    busy: (u32, u16),
    requests: u32,
    /// The host of the next page's address; empty for the server's own.
    next_host: String,
}

/// A running coordinator.
pub(crate) struct Trino {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

type Answer = (StatusCode, [(&'static str, &'static str); 1], String);

impl Trino {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let routes = Router::new()
            .route("/v1/statement", post(start))
            .route("/v1/statement/executing/{query}/{token}", get(page).delete(end))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, shared }
    }

    /// Answers a query whose text has `part` in it.
    pub(crate) fn answer(&self, part: &str, reply: Reply) {
        self.shared.lock().unwrap().replies.insert(part.to_owned(), reply);
    }

    /// Refuses so many requests with `status`.
    pub(crate) fn refuse(&self, count: u32, status: u16) {
        self.shared.lock().unwrap().busy = (count, status);
    }

    pub(crate) fn name_next_host(&self, host: &str) {
        host.clone_into(&mut self.shared.lock().unwrap().next_host);
    }

    /// The queries that came, with their headers.
    pub(crate) fn queries(&self) -> Vec<(String, HeaderMap)> {
        self.shared.lock().unwrap().queries.clone()
    }

    /// Queries that were ended by their client.
    pub(crate) fn ended(&self) -> usize {
        self.shared.lock().unwrap().ended.len()
    }

    /// Every request that came, refused ones too.
    pub(crate) fn requests(&self) -> u32 {
        self.shared.lock().unwrap().requests
    }

    /// The keys of a source that reads it.
    pub(crate) fn section(&self) -> String {
        format!(
            "type = \"trino\"\nurl = \"http://{}\"\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\ncatalog = \"lake\"\n",
            self.address
        )
    }
}

/// The refusal of a request, if it is refused.
fn refused(shared: &mut Shared, headers: &HeaderMap) -> Option<Answer> {
    shared.requests += 1;
    if shared.busy.0 > 0 {
        shared.busy.0 -= 1;
        let status = StatusCode::from_u16(shared.busy.1).unwrap();
        return Some((status, [("retry-after", "0")], "busy".to_owned()));
    }
    let sent = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let basic = reqwest::Client::new().get("http://h").basic_auth(USER, Some(PASSWORD)).build().unwrap();
    let known = [basic.headers()["authorization"].to_str().unwrap().to_owned(), format!("Bearer {TOKEN}")];
    if headers.get("x-trino-user").is_none_or(|user| user != USER)
        || !known.contains(&sent.unwrap_or_default())
    {
        return Some((StatusCode::UNAUTHORIZED, [("x", "y")], "Access Denied".to_owned()));
    }
    None
}

async fn start(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, sql: String) -> Answer {
    let mut shared = shared.lock().unwrap();
    if let Some(refused) = refused(&mut shared, &headers) {
        return refused;
    }
    let reply =
        shared.replies.iter().filter(|(part, _)| sql.contains(&***part)).max_by_key(|(part, _)| part.len());
    let mut reply = reply.map_or_else(
        || Reply {
            error: Some(json!({"message": "line 1:15: Table 'lake.shop.nothere' does not exist",
                "errorName": "TABLE_NOT_FOUND", "errorType": "USER_ERROR", "errorCode": 46})),
            ..Reply::default()
        },
        |(_, reply)| reply.clone(),
    );
    if sql.ends_with("limit 0") {
        reply.pages.clear();
        reply.is_endless = false;
        reply.error = reply.error.filter(|_| reply.columns.is_empty());
    }
    shared.queries.push((sql, headers));
    shared.running.push(reply);
    let query = shared.running.len() - 1;
    (
        StatusCode::OK,
        [("x", "y")],
        json!({"id": query.to_string(), "nextUri": next(&shared, query, 0), "stats": {}}).to_string(),
    )
}

fn next(shared: &Shared, query: usize, token: usize) -> String {
    let host = match &*shared.next_host {
        "" => shared.queries[query].1["host"].to_str().unwrap(),
        host => host,
    };
    format!("http://{host}/v1/statement/executing/{query}/{token}")
}

async fn page(
    State(shared): State<Arc<Mutex<Shared>>>,
    Path((query, token)): Path<(usize, usize)>,
    headers: HeaderMap,
) -> Answer {
    let mut shared = shared.lock().unwrap();
    if let Some(refused) = refused(&mut shared, &headers) {
        return refused;
    }
    let reply = shared.running[query].clone();
    let columns: Vec<Value> =
        reply.columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    let page = if reply.is_endless { reply.pages.last() } else { reply.pages.get(token) };
    let data = page.map_or_else(String::new, |rows| format!("\"data\":{rows},"));
    let is_last = page.is_none();
    let columns = if columns.is_empty() { String::new() } else { format!("\"columns\":{},", json!(columns)) };
    let end = match (is_last, reply.error) {
        (true, Some(error)) => format!("\"error\":{error},"),
        (true, None) => String::new(),
        (false, _) => format!("\"nextUri\":\"{}\",", next(&shared, query, token + 1)),
    };
    (StatusCode::OK, [("x", "y")], format!("{{{columns}{data}{end}\"stats\":{{}}}}"))
}

async fn end(State(shared): State<Arc<Mutex<Shared>>>, Path((query, _)): Path<(usize, usize)>) -> StatusCode {
    shared.lock().unwrap().ended.push(query);
    StatusCode::NO_CONTENT
}
