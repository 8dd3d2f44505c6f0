//! Shutdown of the listener: readiness first, then the connections, and no answer lost.

use std::time::Duration;

use larder::api::Limits;
use tokio::net::TcpStream;

use crate::support::{
    http::{Client, soon},
    read_server::{RELAXED, Server, partner_record},
};

const RECORD: &str = "/v1/collections/customer/records/id/12345";
const LOOKUP: &str = "/v1/collections/customer/records/id";

#[tokio::test]
async fn incomplete_head_behind_a_request_is_awaited_at_shutdown() {
    let mut server = Server::start();
    let mut client = Client::connect(server.public).await;
    client
        .send(format!(
            "GET /livez HTTP/1.1\r\nHost: test\r\n\r\nGET {RECORD} HTTP/1.1\r\nHost: test\r\nX-Note: "
        ))
        .await;
    assert_eq!(client.answer().await.status, 200);
    server.shutdown.cancel();
    server.refuses().await;
    // The `#` is no part of a target.
    client.send(format!("a#b\r\n{}\r\n", server.bearer())).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    client.closed().await;
    drop(client);
    server.ended().await;
}

#[tokio::test]
async fn shutdown_fails_readiness_first_and_serves_on_for_the_grace() {
    let server = Server::with(Limits { grace: Duration::from_hours(1), ..RELAXED });
    let mut old = Client::connect(server.public).await;
    assert_eq!(old.ask("GET", RECORD, &server.bearer()).await.header("connection"), None);
    server.shutdown.cancel();
    let mut health = Client::connect(server.public).await;
    let answer = health.ask("GET", "/readyz", "").await;
    assert_eq!((answer.status, answer.text()), (503, r#"{"status":"draining"}"#));
    // The listener notices the token later. From then on every client is asked to close.
    let is_asked_to_close = async {
        loop {
            let answer = old.ask("GET", RECORD, &server.bearer()).await;
            assert_eq!(answer.status, 200);
            if answer.header("connection") == Some("close") {
                break;
            }
        }
    };
    soon("Connection: close", is_asked_to_close).await;
    old.closed().await;
    let mut new = Client::connect(server.public).await;
    let answer = new.ask("GET", RECORD, &server.bearer()).await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_finishes_requests_in_flight() {
    let mut server = Server::start();
    let mut idle = Client::connect(server.public).await;
    assert_eq!(idle.ask("GET", RECORD, &server.bearer()).await.status, 200);
    let mut fresh = Client::connect(server.public).await;
    let mut half = Client::connect(server.public).await;
    half.send(format!("GET {RECORD} HTTP/1.1\r\nHost: test\r\n{}", server.bearer())).await;
    // Answered on another connection: by now the server has read the incomplete request, or will before
    // it closes anything.
    assert_eq!(idle.ask("GET", "/livez", "").await.status, 200);
    server.shutdown.cancel();
    idle.closed().await;
    fresh.closed().await;
    half.send("\r\n").await;
    let answer = half.answer().await;
    assert_eq!((answer.status, answer.text()), (200, partner_record().as_str()));
    assert_eq!(answer.header("connection"), Some("close"));
    half.closed().await;
    drop((idle, fresh, half));
    server.ended().await;
    assert!(TcpStream::connect(server.public).await.is_err());
}

#[tokio::test]
async fn connection_opened_just_before_shutdown_is_answered() {
    let limits = Limits { first_request_grace: Duration::from_hours(1), ..RELAXED };
    let mut server = Server::with(limits);
    let mut fresh = Client::connect(server.public).await;
    let mut idle = Client::connect(server.public).await;
    assert_eq!(idle.ask("GET", "/livez", "").await.status, 200);
    server.shutdown.cancel();
    server.refuses().await;
    idle.closed().await;
    let answer = fresh.ask("GET", RECORD, &server.bearer()).await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    fresh.closed().await;
    drop((idle, fresh));
    server.ended().await;
}

#[tokio::test]
async fn connection_without_a_request_delays_shutdown_only_for_a_moment() {
    let limits = Limits { first_request_grace: Duration::from_millis(50), ..RELAXED };
    let mut server = Server::with(limits);
    let mut silent = Client::connect(server.public).await;
    server.shutdown.cancel();
    silent.closed().await;
    drop(silent);
    server.ended().await;
}

#[tokio::test]
async fn request_in_flight_at_shutdown_asks_its_client_to_close() {
    let server = Server::with(Limits { grace: Duration::from_hours(1), ..RELAXED });
    let mut client = Client::connect(server.public).await;
    let head = format!("{}Content-Length: 11\r\nExpect: 100-continue\r\n", server.bearer());
    client.request("POST", LOOKUP, &head).await;
    // The server waits for the body.
    assert_eq!(client.head().await.status, 100);
    server.shutdown.cancel();
    let mut other = Client::connect(server.public).await;
    let is_asked_to_close =
        async { while other.ask("GET", "/livez", "").await.header("connection").is_none() {} };
    soon("Connection: close", is_asked_to_close).await;
    client.send("value=12345").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    client.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_resets_no_busy_connection() {
    let mut server = Server::start();
    let request = format!("GET {RECORD} HTTP/1.1\r\nHost: test\r\n{}\r\n", server.bearer());
    let (address, expected) = (server.public, partner_record());
    let (started, mut all_started) = tokio::sync::mpsc::channel(20);
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let (request, expected, started) = (request.clone(), expected.clone(), started.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                loop {
                    client.send(&request).await;
                    // Whole answers, then a clean end; a reset panics.
                    let Some(answer) = client.answer_or_end().await else { return };
                    assert_eq!((answer.status, answer.text()), (200, expected.as_str()));
                    let _ = started.try_send(());
                    if answer.header("connection") == Some("close") {
                        return client.closed().await;
                    }
                }
            })
        })
        .collect();
    for _ in 0..20 {
        soon("first answers", all_started.recv()).await.unwrap();
    }
    server.shutdown.cancel();
    for client in clients {
        soon("end of a client", client).await.unwrap();
    }
    server.ended().await;
}

#[tokio::test]
async fn a_connection_that_never_ends_is_cut_off_after_the_drain_time() {
    let mut server = Server::with(Limits { drain_timeout: Duration::from_millis(50), ..RELAXED });
    let mut stuck = Client::connect(server.public).await;
    assert_eq!(stuck.ask("GET", "/livez", "").await.status, 200);
    let mut half = Client::connect(server.public).await;
    half.send("GET /livez HTTP/1.1\r\nHost: test\r\n").await;
    server.shutdown.cancel();
    server.ended().await;
    half.ended().await;
}
