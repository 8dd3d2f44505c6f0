//! Request bodies that no handler reads: of refused requests, and of paths and methods without one. They are
//! discarded before the answer; if that is impossible, HTTP/1 announces that the connection ends.

use crate::support::{
    http::Client,
    http2::{self, End},
    read_server::{Server, partner_record},
};

const LOOKUP: &str = "/v1/collections/customer/records/id";
const RECORD: &str = "/v1/collections/customer/records/id/12345";

/// Requests with a body that is not read: method, target, whether a key comes along, status, code.
fn unread() -> Vec<(&'static str, String, bool, u16, &'static str)> {
    vec![
        ("POST", "/nowhere".to_owned(), true, 404, "route_not_found"),
        ("POST", "/livez".to_owned(), true, 405, "method_not_allowed"),
        ("POST", RECORD.to_owned(), true, 405, "method_not_allowed"),
        ("POST", LOOKUP.to_owned(), false, 401, "key_missing"),
        ("POST", format!("{LOOKUP}?{}", "x".repeat(9000)), true, 414, "path_too_long"),
    ]
}

/// Waits until the server has read what was sent so far: it answers another connection after that.
async fn wait_for_server(server: &Server) {
    assert_eq!(Client::connect(server.public).await.ask("GET", "/livez", "").await.status, 200);
}

#[tokio::test]
async fn small_body_is_read_before_the_answer() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for (method, target, has_key, status, code) in unread() {
        let key = if has_key { server.bearer() } else { String::new() };
        client.request(method, &target, &format!("{key}Content-Length: 11\r\n")).await;
        // The server has read the head.
        wait_for_server(&server).await;
        client.send("value=12345").await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert_eq!(answer.header("connection"), None, "{code}");
    }
    // The same for a record, and for a refusal of a body that is too large.
    let length = format!("{}Content-Length: 2\r\n", server.bearer());
    client.request("GET", RECORD, &length).await;
    wait_for_server(&server).await;
    client.send("{}").await;
    let answer = client.answer().await;
    assert_eq!((answer.text(), answer.header("connection")), (partner_record().as_str(), None));
    let large = "x".repeat(100_000);
    client.request("POST", LOOKUP, &format!("{}Content-Length: 100000\r\n", server.bearer())).await;
    client.send(&large).await;
    let answer = client.answer().await;
    assert_eq!((answer.code().as_str(), answer.header("connection")), ("body_too_large", None));
    assert_eq!(client.ask("GET", RECORD, &server.bearer()).await.status, 200);
}

#[tokio::test]
async fn answer_before_the_end_of_a_body_announces_that_the_connection_ends() {
    let server = Server::start();
    for held_back in ["Content-Length: 11\r\nExpect: 100-continue\r\n", "Content-Length: 2000000\r\n"] {
        for (method, target, has_key, status, code) in unread() {
            let key = if has_key { server.bearer() } else { String::new() };
            let mut client = Client::connect(server.public).await;
            client.request(method, &target, &format!("{key}{held_back}")).await;
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
            assert_eq!(answer.header("connection"), Some("close"), "{code}");
            client.closed().await;
        }
    }
    // A body that does not arrive is awaited only for a moment.
    let mut client = Client::connect(server.public).await;
    client.request("POST", "/nowhere", "Content-Length: 11\r\n").await;
    client.send("value=").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (404, Some("close")));
    client.closed().await;
}

#[tokio::test]
async fn http2_refusal_does_not_reset_the_stream_of_its_body() {
    let server = Server::start();
    let mut client = http2::Client::connect(server.public).await;
    let bearer = format!("Bearer {}", server.all.expose());
    let mut stream = 1;
    let large = vec![b'x'; 50_000];
    let mut all: Vec<_> = unread().into_iter().map(|asked| (asked, &b"value=12345"[..])).collect();
    all.push((("POST", LOOKUP.to_owned(), true, 413, "body_too_large"), &large));
    for ((method, target, has_key, _, code), body) in all {
        let headers = [("authorization", bearer.as_str())];
        client.request(stream, method, &target, &headers[..usize::from(has_key)]).await;
        wait_for_server(&server).await;
        client.body(stream, body).await;
        match client.end(stream).await {
            End::Answered(body) => assert!(body.contains(code), "{body}"),
            other => panic!("{code}: {other:?}"),
        }
        client.is_untroubled(stream + 2).await;
        stream += 4;
    }
}
