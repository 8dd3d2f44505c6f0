//! A TCP proxy with faults: it refuses, delays, throttles and cuts connections, or answers itself.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What happens to connections. A change ends the open ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    /// Everything passes.
    None,
    /// New connections are closed at once.
    Refuse,
    /// Connections are accepted and never answered.
    Silent,
    /// Each piece of an answer is delayed.
    Delay(Duration),
    /// Answers pass at this many bytes a second.
    Throttle(u64),
    /// A connection is cut after this many bytes of answers.
    Cut(u64),
    /// After this many bytes of answers nothing is forwarded, and nothing is closed: a NAT that forgets.
    Swallow(u64),
    /// Requests lose their `If-None-Match`.
    DropCondition,
    /// Each request is answered with this status line and body, and is not forwarded.
    Answer(&'static str, &'static str),
}

/// S3's answer to too many requests.
pub(crate) const SLOW_DOWN: NetworkFault = NetworkFault::Answer(
    "503 Slow Down",
    "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
);
/// S3's answer when it fails.
pub(crate) const INTERNAL_ERROR: NetworkFault = NetworkFault::Answer(
    "500 Internal Server Error",
    "<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
);

/// Largest piece forwarded at once.
const PIECE_BYTES: usize = 16 * 1024;

/// A running proxy. It ends when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<NetworkFault>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of `target`, without a fault.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), target).await
    }

    /// Starts a proxy that listens on `address`.
    pub(crate) async fn start_at(address: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, seen) = watch::channel(NetworkFault::None);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut seen = seen.clone();
                tokio::spawn(async move {
                    let fault = *seen.borrow_and_update();
                    tokio::select! {
                        () = forward(client, target, fault) => {}
                        _ = seen.changed() => {}
                    }
                });
            }
        });
        Self { address, fault, accepting }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the fault of new connections, and ends the open ones.
    pub(crate) fn set(&self, fault: NetworkFault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.fault.send_replace(NetworkFault::Refuse);
    }
}

async fn forward(mut client: TcpStream, target: SocketAddr, fault: NetworkFault) {
    let _ = client.set_nodelay(true);
    match fault {
        NetworkFault::Refuse => {}
        NetworkFault::Silent => {
            let mut bytes = vec![0; PIECE_BYTES];
            while matches!(client.read(&mut bytes).await, Ok(1..)) {}
        }
        NetworkFault::Answer(status, body) => Box::pin(answer_all(client, status, body)).await,
        _ => {
            let Ok(server) = TcpStream::connect(target).await else { return };
            let _ = server.set_nodelay(true);
            let (mut from_client, to_client) = client.split();
            let (from_server, mut to_server) = { server }.into_split();
            let requests = async {
                if fault == NetworkFault::DropCondition {
                    forward_without_condition(&mut from_client, &mut to_server).await;
                } else {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                }
            };
            tokio::select! {
                () = requests => {}
                () = forward_answers(from_server, to_client, fault) => {}
            }
        }
    }
}

/// Forwards requests and renames the header with the condition. A head arrives in one piece here.
async fn forward_without_condition(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
) {
    let (condition, unknown) = (b"if-none-match:", b"x-none-matches:");
    let mut bytes = vec![0; PIECE_BYTES];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let mut piece = bytes[..count].to_vec();
        if let Some(at) = piece.windows(condition.len()).position(|found| found == condition) {
            piece.splice(at..at + condition.len(), unknown.iter().copied());
        }
        if to.write_all(&piece).await.is_err() {
            return;
        }
    }
}

/// Forwards answers under the fault.
async fn forward_answers(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    fault: NetworkFault,
) {
    let mut left = match fault {
        NetworkFault::Cut(bytes) | NetworkFault::Swallow(bytes) => bytes,
        _ => u64::MAX,
    };
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        let most = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let Ok(count @ 1..) = from.read(&mut bytes[..most]).await else { return };
        match fault {
            NetworkFault::Delay(delay) => tokio::time::sleep(delay).await,
            NetworkFault::Throttle(rate) => {
                tokio::time::sleep(Duration::from_secs_f64(count as f64 / rate as f64)).await;
            }
            _ => {}
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
        left -= count as u64;
        if left == 0 {
            if matches!(fault, NetworkFault::Swallow(_)) {
                std::future::pending::<()>().await;
            }
            return;
        }
    }
}

/// Gives every request of a connection the same answer. Bodies are read by their length.
async fn answer_all(mut client: TcpStream, status: &str, body: &str) {
    let mut received = Vec::new();
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        let end = loop {
            if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let Ok(count @ 1..) = client.read(&mut bytes).await else { return };
            received.extend_from_slice(&bytes[..count]);
        };
        let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let whole = end + length.map_or(0, |length| length.trim().parse().unwrap_or(0));
        while received.len() < whole {
            let Ok(count @ 1..) = client.read(&mut bytes).await else { return };
            received.extend_from_slice(&bytes[..count]);
        }
        received.drain(..whole);
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if client.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
