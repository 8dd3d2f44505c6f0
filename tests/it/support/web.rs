//! A web service of a test: a function from requests to answers.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};

/// A request as the service got it.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: String,
    /// Path and parameters.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    /// A header, empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Method and target: `GET /path?a=1`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// Status, headers and body of an answer.
pub(crate) type Reply = (u16, Vec<(&'static str, &'static str)>, String);

/// An answer of JSON.
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Reply {
    (status, vec![("content-type", "application/json")], body.to_string())
}

/// A service that runs until the test ends.
pub(crate) struct WebService {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Got>>>,
}

impl WebService {
    pub(crate) async fn start(respond: impl Fn(&Got) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<Got>>>::default();
        let (kept, respond) = (requests.clone(), Arc::new(respond));
        let handler = move |request: Request| {
            let (kept, respond) = (kept.clone(), respond.clone());
            async move {
                let got = read(request).await;
                let (status, headers, body) = respond(&got);
                kept.lock().unwrap().push(got);
                let mut answer = (StatusCode::from_u16(status).unwrap(), Body::from(body)).into_response();
                for (name, value) in headers {
                    answer.headers_mut().insert(name, value.parse().unwrap());
                }
                answer
            }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { address, requests }
    }

    /// What was requested so far, in order.
    pub(crate) fn requests(&self) -> Vec<Got> {
        self.requests.lock().unwrap().clone()
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn read(request: Request) -> Got {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Got {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}
