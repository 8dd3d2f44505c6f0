//! Clients that do not read the answers to their requests.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use larder::{api::Limits, domain::manifest::ServingSettings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::watch,
};

use crate::support::{
    http::{Client, soon},
    read_server::{RELAXED, Server},
};

const LARGE: &str = "/v1/collections/large/records/id/1";
const LOOKUP: &str = "/v1/collections/large/records/id";
const SMALL: &str = "/v1/collections/customer/records/id/2";

/// A server with a record near the largest, and that record.
fn start(limits: Limits) -> (Server, String) {
    let server = Server::with(limits);
    let record = format!("{{\"text\":\"{}\"}}", "larder ".repeat(130_000));
    server.collections.load("large", 1, ServingSettings::default(), &[("1", None, &record)]);
    (server, record)
}

/// More answers than the system's socket buffers hold.
const ASKED: usize = 12;

/// A client that sends requests and reads nothing.
async fn slow(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = soon("connection", socket.connect(server.public)).await.unwrap();
    let request = |extra| format!("GET {LARGE} HTTP/1.1\r\nHost: test\r\n{}{extra}\r\n", server.bearer());
    let all = request("").repeat(ASKED - 1) + &request("Connection: close\r\n");
    stream.write_all(all.as_bytes()).await.unwrap();
    stream
}

/// How many whole answers a client gets that begins to read now.
async fn answers(mut stream: TcpStream, record: &str) -> usize {
    let mut received = Vec::new();
    // A connection that was ended is reset.
    let _ = soon("end", stream.read_to_end(&mut received)).await;
    memchr::memmem::find_iter(&received, record).count()
}

/// Waits until as many connections of `server` have been ended.
async fn timed_out(server: &Server, count: usize) {
    let line = format!("larder_connections_timed_out_total{{listener=\"public\"}} {count}\n");
    let mut admin = Client::connect(server.admin).await;
    soon("connections that were ended", async {
        while !admin.ask("GET", "/metrics", "").await.text().contains(&line) {}
    })
    .await;
}

#[tokio::test]
async fn answer_that_is_not_read_in_time_ends_the_connection() {
    let quick = Duration::from_millis(200);
    let (server, record) = start(Limits { header_timeout: quick, answer_timeout: quick, ..RELAXED });
    let stuck = slow(&server).await;
    let mut good = Client::connect(server.public).await;
    timed_out(&server, 1).await;
    assert!(answers(stuck, &record).await < ASKED);
    // A client that reads is served, on the same connection again and again.
    for _ in 0..3 {
        let answer = good.ask("GET", LARGE, &server.bearer()).await;
        assert!(answer.text() == record && answer.header("connection").is_none());
        assert_eq!(good.ask("GET", SMALL, &server.bearer()).await.text(), r#"{"a":1}"#);
    }
}

#[tokio::test]
async fn bytes_of_unread_answers_are_bounded() {
    let quick = Duration::from_millis(200);
    let (server, record) = start(Limits { header_timeout: quick, unsent_bytes_max: 2_500_000, ..RELAXED });
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(slow(&server).await);
    }
    timed_out(&server, 3).await;
    let mut served = 0;
    for client in clients {
        served += usize::from(answers(client, &record).await == ASKED);
    }
    assert_eq!(served, 2, "two answers are not too many");
    timed_out(&server, 3).await;
}

/// Clients that read request far more at once than may wait.
#[tokio::test]
async fn clients_that_read_are_never_cut_however_many_there_are() {
    let quick = Duration::from_millis(200);
    let (server, record) = start(Limits { header_timeout: quick, unsent_bytes_max: 1_000_000, ..RELAXED });
    let (server, record) = (&server, &record);
    let clients = (0..40).map(|_| async move {
        let mut client = Client::connect(server.public).await;
        for _ in 0..5 {
            assert!(client.ask("GET", LARGE, &server.bearer()).await.text() == *record);
        }
    });
    join_all(clients).await;
    timed_out(server, 0).await;
}

#[tokio::test]
async fn http2_connection_may_request_more_than_its_budget() {
    let (server, record) = start(Limits { unsent_bytes_max: 8_000_000, ..RELAXED });
    let stream = TcpStream::connect(server.public).await.unwrap();
    let (sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let key = format!("Bearer {}", server.all.expose());
    let answers = (0..40).map(|number| {
        let target = if number % 4 == 3 { SMALL } else { LARGE };
        let request = Request::get(format!("http://test{target}")).header("authorization", &key);
        let answer = sender.clone().send_request(request.body(Empty::new()).unwrap());
        async move { (target, answer.await.unwrap().into_body().collect().await.unwrap().to_bytes()) }
    });
    for (target, body) in soon("all answers", join_all(answers)).await {
        assert!(body == if target == SMALL { r#"{"a":1}"# } else { &record });
    }
    timed_out(&server, 0).await;
}

/// Look-ups by POST, and requests with an ignored body, wait for the budget like all others.
#[tokio::test]
async fn http2_requests_with_bodies_stay_within_the_budget() {
    let quick = Duration::from_millis(200);
    let limits = Limits { header_timeout: quick, unsent_bytes_max: 8_000_000, ..RELAXED };
    let (server, record) = start(limits);
    let stream = TcpStream::connect(server.public).await.unwrap();
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(40_000)
        .initial_connection_window_size(100_000)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let (reads, _) = watch::channel(false);
    let answers: Vec<_> = (0..40)
        .map(|number| {
            let (method, target) = if number % 4 == 3 { ("GET", LARGE) } else { ("POST", LOOKUP) };
            let request = Request::builder()
                .method(method)
                .uri(format!("http://test{target}"))
                .header("authorization", format!("Bearer {}", server.all.expose()))
                .body(Full::from("value=1"));
            let answer = sender.clone().send_request(request.unwrap());
            let mut reads = reads.subscribe();
            tokio::spawn(async move {
                let answer = answer.await.unwrap();
                reads.wait_for(|reads| *reads).await.unwrap();
                answer.into_body().collect().await.unwrap().to_bytes()
            })
        })
        .collect();
    // Nothing is read for longer than a slow head is awaited. All answers together would be dropped.
    let mut slow = Client::connect(server.public).await;
    slow.send("GET /").await;
    slow.closed().await;
    timed_out(&server, 1).await;
    reads.send_replace(true);
    for body in soon("all answers", join_all(answers)).await {
        assert!(body.unwrap() == record);
    }
    timed_out(&server, 1).await;
}
