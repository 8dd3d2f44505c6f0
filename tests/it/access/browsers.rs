//! Pages in a real browser: a page of an allowed origin reads the record of its token, and no other page reads any.

use std::net::SocketAddr;

use larder::domain::manifest::{CorsSettings, ServingSettings};
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{
    JANE, JOHN,
    signer::{Signer, claims, server},
};
use crate::support::{browser::Browser, http::Client, read_server::Server};

/// Sends a request as the page would, and returns what the page may read of the answer.
const FETCH: &str = "
    const answer = await fetch(argument.url, argument.options);
    const header = name => answer.headers.get(name);
    return {
        status: answer.status, type: answer.type, body: await answer.text(),
        version: header('x-data-version'), etag: header('etag'), cache: header('vary'),
    };";

/// Serves an empty page at every path. At `/sandboxed` it has an opaque origin, which browsers send as `null`.
async fn serve_pages() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let policy = if head.starts_with(b"GET /sandboxed ") {
                    "Content-Security-Policy: sandbox allow-scripts\r\n"
                } else {
                    ""
                };
                let page = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{policy}Content-Length: 15\r\nConnection: close\r\n\r\n\
                     <!doctype html>"
                );
                // The browser may go before all is sent.
                let _ = stream.write_all(page.as_bytes()).await;
            });
        }
    });
    address
}

/// A server whose records of `people` pages at `origin` may read, and a token of the record 1.
fn people(origin: &str) -> (Server, String) {
    let (directory, signer) = (tempdir().unwrap(), Signer::es256());
    std::fs::write(directory.path().join("key.pem"), &signer.public_pem).unwrap();
    let lines = "algorithms = [\"ES256\"]\npublic_key_file = \"key.pem\"\nall_collections = true\nrecord_index = \"id\"";
    let server = server(directory.path(), lines);
    let cors = CorsSettings { origins: vec![origin.to_owned()], max_age_seconds: 600 };
    let open = ServingSettings { cors: Some(cors), ..ServingSettings::default() };
    let rows = [("1", Some("jane@example.com"), JANE), ("2", Some("john@example.com"), JOHN)];
    server.collections.load("people", 2, open, &rows);
    (server, signer.token(&claims(json!({"sub": "1"}))))
}

/// A request of a page: its target below `/v1/collections/`, and the options of `fetch`.
fn fetch(server: &Server, target: &str, options: &Value) -> Value {
    json!({"url": format!("http://{}/v1/collections/{target}", server.public), "options": options})
}

fn with_token(token: &str) -> Value {
    json!({"headers": {"Authorization": format!("Bearer {token}")}})
}

/// The requests that the server has answered, but for preflights of a collection that is closed to pages.
async fn answered(server: &Server) -> Vec<String> {
    let metrics = Client::connect(server.admin).await.ask("GET", "/metrics", "").await;
    let is_counted = |line: &&str| {
        line.starts_with("larder_requests_total{")
            && !line.ends_with(" 0")
            && !line.contains("method_not_allowed")
    };
    metrics.text().lines().filter(is_counted).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_of_an_allowed_origin_reads_exactly_one_record_with_a_token() {
    let pages = serve_pages().await;
    let (server, token) = people(&format!("http://{pages}"));
    let browser = Browser::start().await;
    browser.open(&format!("http://{pages}/")).await;

    let read = browser.run(FETCH, fetch(&server, "people/records/id/1", &with_token(&token))).await.unwrap();
    assert_eq!((&read["status"], &read["type"], &read["body"]), (&json!(200), &json!("cors"), &json!(JANE)));
    assert!(read["etag"].is_string() && read["version"] == "2" && read["cache"].is_null(), "{read}");
    let known = json!({"headers": {
        "Authorization": format!("Bearer {token}"), "If-None-Match": read["etag"]
    }, "cache": "no-store"});
    let known = browser.run(FETCH, fetch(&server, "people/records/id/1", &known)).await.unwrap();
    assert_eq!((&known["status"], &known["body"]), (&json!(304), &json!("")));
    let posted = json!({
        "method": "POST", "body": "{\"values\":[1]}",
        "headers": {"Authorization": format!("Bearer {token}"), "Content-Type": "application/json"},
    });
    let posted = browser.run(FETCH, fetch(&server, "people/records/id/batch", &posted)).await.unwrap();
    assert_eq!(posted["body"], format!("{{\"1\":{JANE}}}"));

    for (target, options, status) in [
        ("people/records/id/2", with_token(&token), 403),
        ("people/records/id/3", with_token(&token), 403),
        ("people/records/email/jane@example.com", with_token(&token), 403),
        ("people/records/email/john@example.com", with_token(&token), 403),
        ("people/records/id/1", with_token(&format!("{token}x")), 401),
        ("people/records/id/1", json!({}), 401),
    ] {
        let refused = browser.run(FETCH, fetch(&server, target, &options)).await.unwrap();
        assert_eq!(refused["status"], status, "{target}: {refused}");
        assert!(!refused["body"].as_str().unwrap().contains("full_name"), "{target}: {refused}");
    }
    // A collection that names no origins is closed to all pages.
    let closed = browser.run(FETCH, fetch(&server, "orders/records/id/1", &with_token(&token))).await;
    assert_eq!(closed.unwrap_err(), "TypeError: Failed to fetch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_read_no_record() {
    let (pages, others) = (serve_pages().await, serve_pages().await);
    let (server, token) = people(&format!("http://{pages}"));
    let browser = Browser::start().await;
    let localhost = format!("localhost:{}", pages.port());
    for page in
        [format!("http://{others}/"), format!("http://{localhost}/"), format!("http://{pages}/sandboxed")]
    {
        browser.open(&page).await;
        let before = answered(&server).await;
        for target in ["people/records/id/1", "people/records/id/2", "orders/records/id/1"] {
            let refused = browser.run(FETCH, fetch(&server, target, &with_token(&token))).await;
            assert_eq!(refused.unwrap_err(), "TypeError: Failed to fetch", "{page} {target}");
        }
        assert_eq!(answered(&server).await, before, "{page}: the browser asked first, and sent nothing");
        // Requests that need no question are answered, but not to the page.
        let bare = browser.run(FETCH, fetch(&server, "people/records/id/1", &json!({}))).await;
        assert_eq!(bare.unwrap_err(), "TypeError: Failed to fetch", "{page}");
        let opaque = json!({"mode": "no-cors", "headers": {"Authorization": format!("Bearer {token}")}});
        let opaque = browser.run(FETCH, fetch(&server, "people/records/id/1", &opaque)).await.unwrap();
        assert_eq!((&opaque["status"], &opaque["body"]), (&json!(0), &json!("")), "{page}");
    }
    // The same browser and token read the record from the allowed page.
    browser.open(&format!("http://{pages}/")).await;
    let read = browser.run(FETCH, fetch(&server, "people/records/id/1", &with_token(&token))).await.unwrap();
    assert_eq!(read["body"], JANE);
}
