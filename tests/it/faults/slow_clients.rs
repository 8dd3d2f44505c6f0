//! Thousands of good connections beside a thousand clients that are slow in every way.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    sync::Barrier,
};

use crate::support::http::{Client, soon};
use crate::support::{
    deployment::Deployment,
    process::{Process, until},
};

/// Good connections, and slow ones.
const GOOD: usize = 2000;
const SLOW: usize = 1000;
/// Requests on each good connection.
const ROUNDS: usize = 4;
/// Open files that the numbers above need: two ends of each connection, in two processes that start alike,
/// and what other tests of this one need meanwhile.
const FILES: u64 = 8000;
/// How long the good ones have in all, many times what they take.
const GOOD_MAX: Duration = Duration::from_mins(1);
/// The most that a server holds of large answers, and the length of this one.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
const LARGE_BYTES: usize = 900_000;

const SECTIONS: &str = "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
    [models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nindexes = { id = \"id\" }\n";

/// Raises the soft limit of open files to the hard one, and says how much of the numbers it allows.
fn scale() -> impl Fn(usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let files = maximum.unwrap_or(FILES).min(FILES);
    move |count| count * files as usize / FILES as usize
}

/// What a slow client does after it has connected.
#[derive(Clone, Copy)]
enum Slow {
    Silent,
    HalfHead,
    /// A byte of a head now and then.
    Trickle,
    /// Asks for large records and reads none.
    Deaf,
}

async fn slow(server: &Process, key: &str, how: Slow) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = soon("connection", socket.connect(server.public().unwrap())).await.unwrap();
    let request = format!(
        "GET /v1/collections/person/records/id/1 HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    let sent = match how {
        Slow::Silent => String::new(),
        Slow::HalfHead => request[..request.len() - 2].to_owned(),
        Slow::Trickle => "GET / HTTP/1.1\r\nX-Slow: ".to_owned(),
        // More than the system keeps for a socket.
        Slow::Deaf => request.repeat(12),
    };
    stream.write_all(sent.as_bytes()).await.unwrap();
    stream
}

/// All requests of one good connection, each when all others are as far.
async fn good(server: Arc<Process>, key: String, all: Arc<Barrier>) {
    let mut client = Client::connect(server.public().unwrap()).await;
    let bearer = format!("Authorization: Bearer {key}\r\n");
    for _ in 0..ROUNDS {
        all.wait().await;
        let answer = client.ask("GET", "/v1/collections/person/records/id/2", &bearer).await;
        assert_eq!((answer.status, answer.text()), (200, r#"{"id":2,"name":"Bob"}"#));
        assert_eq!(answer.header("connection"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_take_nothing_from_good_ones() {
    let scaled = scale();
    let deployment = Deployment::new();
    let text = "larder ".repeat(LARGE_BYTES / 7);
    let rows =
        "create table people (id integer primary key, name text); insert into people values (2, 'Bob')";
    deployment.execute("warehouse.db", &format!("{rows}, (1, '{text}')")).await;
    let node = deployment.node("data", SECTIONS);
    let key = node.key().await;
    node.output(&["sync", "person"]).await;
    let mut server = node.serve().await;
    let admin = server.admin().await;
    let server = Arc::new(server);

    let mut slow_ones = Vec::new();
    for number in 0..scaled(SLOW) {
        let how = [Slow::Silent, Slow::HalfHead, Slow::Trickle, Slow::Deaf][number % 4];
        slow_ones.push((how, slow(&server, &key, how).await));
    }
    let all = Arc::new(Barrier::new(scaled(GOOD)));
    let good_ones = (0..scaled(GOOD)).map(|_| tokio::spawn(good(server.clone(), key.clone(), all.clone())));
    let mut good_ones = std::pin::pin!(tokio::time::timeout(GOOD_MAX, join_all(good_ones)));
    let mut trickle = tokio::time::interval(Duration::from_millis(500));
    let ended = loop {
        tokio::select! {
            ended = &mut good_ones => break ended,
            _ = trickle.tick() => for (how, stream) in &mut slow_ones {
                if matches!(how, Slow::Trickle) {
                    // The server ends it in its time.
                    let _ = stream.try_write(b"x");
                }
            },
        }
    };
    for good in ended.expect("good clients do not wait for slow ones") {
        good.unwrap();
    }

    // Of those who do not read no more are there than may be; the others have been ended.
    let deaf = slow_ones.iter().filter(|(how, _)| matches!(how, Slow::Deaf)).count();
    let ended_min = deaf.saturating_sub(HELD_BYTES_MAX / LARGE_BYTES);
    let name = r#"larder_connections_timed_out_total{listener="public"} "#;
    until("the end of those who do not read", async || {
        let metrics = Client::connect(admin).await.ask("GET", "/metrics", "").await;
        let count = metrics.text().lines().find_map(|line| line.strip_prefix(name)?.parse::<usize>().ok());
        (count? >= ended_min).then_some(())
    })
    .await;
    // And one who reads gets the large record.
    let answer = server.get(&key, "person", 1).await;
    assert_eq!((answer.status, answer.json()["name"].as_str()), (200, Some(text.as_str())));
}
