//! Connections: reuse, pipelining, old clients, slow and hostile clients.

use std::{
    fmt::Write,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use larder::{
    api::Limits,
    telemetry::{self, LogFormat, Settings},
};
use tokio::net::TcpStream;

use crate::support::{
    http::{Client, soon},
    http2::{self, End},
    read_server::{RELAXED, Server, partner_record},
};

const RECORD: &str = "/v1/collections/customer/records/id/12345";
const LOOKUP: &str = "/v1/collections/customer/records/id";

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for _ in 0..100 {
        let answer = client.ask("GET", RECORD, &server.bearer()).await;
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let mut all = String::new();
    for number in 0..60 {
        let target = ["/livez", RECORD, "/nowhere"][number % 3];
        let id = format!("X-Request-Id: n{number}\r\n");
        write!(all, "GET {target} HTTP/1.1\r\nHost: test\r\n{id}{}\r\n", server.bearer()).unwrap();
    }
    client.send(&all).await;
    for number in 0..60 {
        let answer = client.answer().await;
        assert_eq!(answer.header("x-request-id"), Some(format!("n{number}").as_str()));
        assert_eq!(answer.status, [200, 200, 404][number % 3]);
    }
}

#[tokio::test]
async fn a_request_may_come_in_pieces() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let request = format!("GET {RECORD} HTTP/1.1\r\nHost: test\r\n{}\r\n", server.bearer());
    for byte in request.as_bytes() {
        client.send([*byte]).await;
    }
    assert_eq!(client.answer().await.text(), partner_record());
}

#[tokio::test]
async fn http_1_0_and_connection_close_are_honoured() {
    let server = Server::start();
    let key = server.bearer();
    for (request, keeps) in [
        (format!("GET {RECORD} HTTP/1.0\r\n{key}\r\n"), false),
        (format!("GET {RECORD} HTTP/1.0\r\nConnection: keep-alive\r\n{key}\r\n"), true),
        (format!("GET {RECORD} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{key}\r\n"), false),
        (format!("GET {RECORD} HTTP/1.1\r\nHost: test\r\n{key}\r\n"), true),
    ] {
        let mut client = Client::connect(server.public).await;
        client.send(&request).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text()), (200, partner_record().as_str()));
        if keeps {
            client.send(&request).await;
            assert_eq!(client.answer().await.status, 200);
        } else {
            client.closed().await;
        }
    }
}

#[tokio::test]
async fn request_without_exactly_one_valid_host_is_refused() {
    let server = Server::start();
    let key = server.bearer();
    for hosts in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a b\r\n",
        "Host: x/y\r\n",
        "Host: a,b\r\n",
        "Host:\r\n",
    ] {
        for (address, target) in
            [(server.public, RECORD), (server.public, "/livez"), (server.admin, "/status")]
        {
            let mut client = Client::connect(address).await;
            client.send(format!("GET {target} HTTP/1.1\r\n{hosts}{key}\r\n")).await;
            let answer = client.answer().await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "invalid_request"),
                "{target} {hosts:?}"
            );
            client.closed().await;
        }
    }
    let mut client = Client::connect(server.public).await;
    client.send(format!("GET {RECORD} HTTP/1.1\r\nhOST:  larder.example:8080 \r\n{key}\r\n")).await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn health_answers_options_also_over_http_1_0_without_a_host() {
    let mut server = Server::start();
    for (target, request) in [
        ("/livez", "OPTIONS /livez HTTP/1.0\r\n\r\n"),
        ("/readyz", "OPTIONS /readyz HTTP/1.0\r\n\r\n"),
        ("/readyz", "OPTIONS /readyz/ HTTP/1.1\r\nHost: test\r\n\r\n"),
    ] {
        for address in [server.public, server.admin] {
            let mut client = Client::connect(address).await;
            client.send(request).await;
            let answer = client.answer().await;
            let by_get = Client::connect(address).await.ask("GET", target, "").await;
            assert_eq!((answer.status, answer.text()), (200, by_get.text()), "{address}: {request}");
        }
    }
    server.board.update(|status| status.ready = false);
    for address in [server.public, server.admin] {
        assert_eq!(Client::connect(address).await.ask("OPTIONS", "/readyz", "").await.status, 503);
    }
    server.shutdown.cancel();
    server.ended().await;
}

#[tokio::test]
async fn a_client_that_closed_its_side_still_gets_its_answer() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    client.request("GET", RECORD, &server.bearer()).await;
    client.finish_sending().await;
    assert_eq!(client.answer().await.text(), partner_record());
    client.closed().await;
}

#[tokio::test]
async fn a_body_on_a_get_changes_nothing() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let extra = format!("{}Content-Length: 2\r\n", server.bearer());
    for _ in 0..3 {
        client.request("GET", RECORD, &extra).await;
        client.send("{}").await;
        assert_eq!(client.answer().await.status, 200);
    }
    let upgrade = format!("{}Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n", server.bearer());
    assert_eq!(client.ask("GET", RECORD, &upgrade).await.status, 200);
    let expect = format!("{}Expect: 100-continue\r\n", server.bearer());
    assert_eq!(client.ask("GET", RECORD, &expect).await.status, 200);
}

#[tokio::test]
async fn large_headers_are_refused_and_the_answer_arrives() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let (line, key) = (format!("X-Fat: {}\r\n", "x".repeat(8000)), server.bearer());
    // 64 kB: refused with a code, and the connection stays open.
    let answer = client.ask("GET", RECORD, &line.repeat(8)).await;
    assert_eq!((answer.status, answer.code().as_str()), (431, "headers_too_large"));
    assert_eq!(client.ask("GET", RECORD, &key).await.status, 200);
    let one = format!("X-Fat: {}\r\n", "x".repeat(64_000));
    assert_eq!(client.ask("GET", RECORD, &one).await.code(), "headers_too_large");
    // 24 kB are fine.
    assert_eq!(client.ask("GET", RECORD, &(line.repeat(3) + &key)).await.status, 200);
    // Too many or far too large: hyper refuses without a body, and the client still sees it.
    for hostile in ["X-A: 1\r\n".repeat(200), line.repeat(100)] {
        let mut client = Client::connect(server.public).await;
        let answer = client.ask("GET", RECORD, &hostile).await;
        assert_eq!((answer.status, answer.header("connection")), (431, Some("close")));
        client.closed().await;
    }
}

#[tokio::test]
async fn large_heads_of_http_2_are_refused_with_a_reason() {
    let server = Server::start();
    let mut client = http2::Client::connect(server.public).await;
    let (fat, bearer) = ("x".repeat(8000), format!("Bearer {}", server.all.expose()));
    let headers = |count| [("x-fat", fat.as_str())].repeat(count);
    let target = |bytes| format!("{RECORD}?{}", "x".repeat(bytes));
    let answered = |code: &str, end: End| match end {
        End::Answered(body) => assert!(body.contains(code), "not {code}: {body}"),
        other => panic!("not {code}: {other:?}"),
    };
    // 140 kB of headers, and a target of nearly 64.
    client.request(1, "GET", RECORD, &headers(17)).await;
    answered("headers_too_large", client.end(1).await);
    client.request(3, "GET", &target(65_000), &[]).await;
    answered("path_too_long", client.end(3).await);
    // Larger heads are refused by hyper: one stream ends, the connection stays open.
    client.request(5, "GET", RECORD, &headers(22)).await;
    assert_eq!(client.end(5).await, End::Answered(String::new()));
    client.request(7, "GET", &target(70_000), &[]).await;
    assert_eq!(client.end(7).await, End::Reset(1));
    client.request(9, "GET", RECORD, &[("authorization", &bearer)]).await;
    assert_eq!(client.end(9).await, End::Answered(partner_record()));
}

#[tokio::test]
async fn bytes_that_are_not_http_are_refused_and_the_connection_closed() {
    let server = Server::start();
    for (hostile, is_answered) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n"[..], true),
        (b"GET / HTTP/9.9\r\n\r\n", true),
        (b"GET  / HTTP/1.1\r\n\r\n", true),
        (b"GET / HTTP/1.1\r\nBroken Header: 1\r\n\r\n", true),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", true),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", true),
        (b"\0\0\0\0\0\0\0\0", true),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is not a frame of HTTP/2", false),
    ] {
        let mut client = Client::connect(server.public).await;
        client.send(hostile).await;
        client.finish_sending().await;
        if is_answered {
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{hostile:?}");
        }
        client.ended().await;
    }
    let mut admin = Client::connect(server.admin).await;
    let nowhere = admin.ask("GET", "/nowhere", &server.admin_bearer()).await;
    assert_eq!((nowhere.status, nowhere.code().as_str()), (404, "route_not_found"));
    for target in ["/metrics", "/metrics/", "/status/"] {
        assert_eq!(admin.ask("GET", target, &server.admin_bearer()).await.status, 200, "{target}");
    }
    let mut client = Client::connect(server.public).await;
    assert_eq!(client.ask("GET", RECORD, &server.bearer()).await.status, 200);
}

/// The end of a request's body must be certain: a proxy might see other requests behind it.
#[tokio::test]
async fn request_with_an_uncertain_end_is_refused() {
    let server = Server::start();
    let chunked = "b\r\nvalue=12345\r\n0\r\n\r\n";
    for (version, lines, body, status, code, is_kept) in [
        ("1.1", "Transfer-Encoding: chunked", chunked, 200, "", false),
        ("1.1", "Transfer-Encoding: CHUNKED", chunked, 200, "", false),
        ("1.1", "Transfer-Encoding: chunked, chunked", chunked, 400, "invalid_request", false),
        (
            "1.1",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            chunked,
            400,
            "invalid_request",
            false,
        ),
        ("1.1", "Transfer-Encoding: gzip, chunked", chunked, 400, "invalid_request", false),
        (
            "1.1",
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            chunked,
            400,
            "invalid_request",
            false,
        ),
        ("1.1", "Transfer-Encoding: chunked, identity", chunked, 400, "", false),
        ("1.1", "Transfer-Encoding: chunked;a=b", chunked, 400, "", false),
        ("1.1", "Transfer-Encoding: \"chunked\"", chunked, 400, "", false),
        ("1.0", "Transfer-Encoding: chunked", chunked, 400, "", false),
        // The length is not looked at, and nothing may follow.
        ("1.1", "Content-Length: 3\r\nTransfer-Encoding: chunked", chunked, 200, "", false),
        ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 3", chunked, 200, "", false),
        ("1.1", "Transfer-Encoding: chunked", "b;a=b\r\nvalue=12345\r\n0\r\nX: 1\r\n\r\n", 200, "", false),
        ("1.1", "Transfer-Encoding: chunked", "-1\r\nv\r\n0\r\n\r\n", 400, "body_incomplete", false),
        ("1.1", "Transfer-Encoding: chunked", "10000000000000000\r\nv", 400, "body_incomplete", false),
        ("1.1", "Transfer-Encoding: chunked", "1\r\nvalue=12345\r\n0\r\n\r\n", 400, "body_incomplete", false),
        ("1.1", "Content-Length: 11\r\nContent-Length: 11", "value=12345", 200, "", true),
        ("1.1", "Content-Length: 11\r\nContent-Length: 3", "value=12345", 400, "", false),
        ("1.1", "Content-Length: 11, 11", "value=12345", 400, "", false),
        ("1.1", "Content-Length: +11", "value=12345", 400, "", false),
        ("1.1", "Content-Length: 0xb", "value=12345", 400, "", false),
        ("1.1", "Content-Length:", "value=12345", 400, "", false),
        ("1.1", "Content-Length : 11", "value=12345", 400, "", false),
        ("1.1", "Content-Length: 18446744073709551613", "v", 413, "body_too_large", false),
        // hyper has no number for these two lengths.
        ("1.1", "Content-Length: 18446744073709551614", "v", 431, "", false),
        ("1.1", "Content-Length: 18446744073709551615", "v", 431, "", false),
        ("1.1", "Content-Length: 18446744073709551616", "v", 400, "", false),
    ] {
        let mut client = Client::connect(server.public).await;
        let head =
            format!("POST {LOOKUP} HTTP/{version}\r\nHost: test\r\n{}{lines}\r\n\r\n", server.bearer());
        client.send(head + body).await;
        let answer = client.answer().await;
        // hyper refuses without a body.
        let reported = if status == 200 || answer.body.is_empty() { String::new() } else { answer.code() };
        assert_eq!((answer.status, reported.as_str()), (status, code), "{lines} {body}");
        assert_eq!(answer.header("connection"), if is_kept { None } else { Some("close") }, "{lines} {body}");
        if is_kept {
            assert_eq!(client.ask("GET", "/livez", "").await.status, 200, "{lines} {body}");
        } else {
            client.closed().await;
        }
    }
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_spoken() {
    let server = Server::start();
    let stream = TcpStream::connect(server.public).await.unwrap();
    let (mut sender, connection) =
        conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let key = format!("Bearer {}", server.all.expose());
    for (method, target, key, status, length) in [
        ("GET", RECORD, key.as_str(), 200, Some(partner_record().len())),
        ("HEAD", RECORD, key.as_str(), 200, Some(0)),
        ("GET", "/livez", "", 200, None),
        ("HEAD", "/nowhere", "", 404, Some(0)),
        ("GET", RECORD, "", 401, None),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://test{target}"))
            .header("authorization", key)
            .body(Empty::new())
            .unwrap();
        let answer = soon("answer", sender.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {target}");
        assert!(answer.headers().contains_key("x-request-id"));
        assert!(answer.headers().contains_key("content-length"));
        let body = soon("body", answer.into_body().collect()).await.unwrap().to_bytes();
        if let Some(length) = length {
            assert_eq!(body.len(), length, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn two_servers_in_one_process_know_nothing_of_each_other() {
    let (one, other) = (Server::start(), Server::start());
    let mut client = Client::connect(one.public).await;
    assert_eq!(client.ask("GET", RECORD, &one.bearer()).await.status, 200);
    assert_eq!(client.ask("GET", RECORD, &other.bearer()).await.code(), "key_unknown");
    let mut admin = Client::connect(other.admin).await;
    let metrics = admin.ask("GET", "/metrics", "").await;
    assert!(!metrics.text().contains(r#"code="hit""#));
    one.shutdown.cancel();
    let mut client = Client::connect(other.public).await;
    assert_eq!(client.ask("GET", RECORD, &other.bearer()).await.status, 200);
}

#[tokio::test]
async fn a_full_listener_sheds_new_connections_and_recovers() {
    let server = Server::with(Limits { connections_max: 2, ..RELAXED });
    let mut one = Client::connect(server.public).await;
    let mut two = Client::connect(server.public).await;
    for client in [&mut one, &mut two] {
        assert_eq!(client.ask("GET", "/livez", "").await.status, 200);
    }
    Client::connect(server.public).await.ended().await;
    assert_eq!(one.ask("GET", "/livez", "").await.status, 200);
    drop(two);
    let recovered = async {
        loop {
            // The server notices the close later: try until it has.
            let mut client = TcpStream::connect(server.public).await.unwrap();
            let request = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n";
            let mut answer = [0; 12];
            let asked = async {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                client.write_all(request).await?;
                client.read_exact(&mut answer).await
            };
            if asked.await.is_ok() && &answer == b"HTTP/1.1 200" {
                break;
            }
        }
    };
    soon("room for a connection", recovered).await;
    let mut admin = Client::connect(server.admin).await;
    let metrics = admin.ask("GET", "/metrics", "").await;
    assert!(!metrics.text().contains(r#"larder_connections_shed_total{listener="public"} 0"#));
}

#[tokio::test]
async fn slow_and_idle_clients_are_closed_and_others_served() {
    let quick = Duration::from_millis(400);
    let server = Server::with(Limits { header_timeout: quick, idle_timeout: quick * 2, ..RELAXED });
    let mut slow = Client::connect(server.public).await;
    slow.send("GET /livez HTTP/1.1\r\nX-Slow: ").await;
    let mut silent = Client::connect(server.public).await;
    let mut idle = Client::connect(server.public).await;
    assert_eq!(idle.ask("GET", "/livez", "").await.status, 200);
    slow.closed().await;
    idle.closed().await;
    silent.closed().await;
    let mut client = Client::connect(server.public).await;
    assert_eq!(client.ask("GET", RECORD, &server.bearer()).await.status, 200);
    let mut admin = Client::connect(server.admin).await;
    let metrics = admin.ask("GET", "/metrics", "").await;
    let line = r#"larder_connections_timed_out_total{listener="public"} 3"#;
    assert!(metrics.text().contains(line), "{}", metrics.text());
}

#[tokio::test]
async fn incomplete_head_behind_a_request_has_the_header_timeout() {
    let server = Server::with(Limits { header_timeout: Duration::from_millis(200), ..RELAXED });
    let mut slow = Client::connect(server.public).await;
    slow.send("GET /livez HTTP/1.1\r\nHost: test\r\n\r\nGET /livez HTTP/1.1\r\nX-Slow: ").await;
    assert_eq!(slow.answer().await.status, 200);
    // An idle connection has a minute.
    slow.closed().await;
}

#[tokio::test]
async fn readiness_follows_the_node() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    server.board.update(|status| status.ready = false);
    let answer = client.ask("GET", "/readyz", "").await;
    assert_eq!((answer.status, answer.text()), (503, r#"{"status":"starting"}"#));
    assert_eq!(client.ask("GET", "/livez", "").await.status, 200);
    server.board.update(|status| status.ready = true);
    for target in ["/readyz", "/readyz/"] {
        let answer = client.ask("GET", target, "").await;
        assert_eq!((answer.status, answer.text()), (200, r#"{"status":"ready"}"#));
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// One thread, so that everything that the server logs meets the subscriber of this test.
#[tokio::test(flavor = "current_thread")]
async fn no_log_line_has_a_target_or_a_header() {
    let lines = Lines::default();
    let writer = lines.clone();
    let settings = Settings { format: LogFormat::Json, filter: "trace".to_owned() };
    let subscriber = telemetry::subscriber(&settings, move || writer.clone(), false).unwrap();
    // While there is one subscriber only, `tracing` lets whichever thread meets a log statement
    // first decide for all whether it is wanted, and the threads of other tests have none.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let extra = format!("{}X-Secret: hush-header\r\nX-Request-Id: harmless-1\r\n", server.bearer());
    for target in [
        "/v1/collections/customer/records/id/hush-value",
        "/v1/collections/hush-collection/records/hush-index/%zz?hush-query=1",
        "/hush-path",
        RECORD,
    ] {
        client.ask("GET", target, &extra).await;
    }
    client.ask("HUSHMETHOD", RECORD, "Authorization: Bearer hush-key\r\n").await;
    client.request("GET", b"/hush-bytes\xff", "X-Secret: hush-header\r\n").await;
    client.ended().await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let answered = text.lines().filter(|line| line.contains(r#""message":"answered""#)).count();
    assert_eq!(answered, 5, "{text}");
    assert!(text.contains(r#""route":"record""#) && text.contains(r#""request_id":"harmless-1""#), "{text}");
    let lower = text.to_lowercase();
    for secret in ["hush", "12345", "lrd_", "bearer", "customer"] {
        assert!(!lower.contains(secret), "{secret} in:\n{text}");
    }
}
