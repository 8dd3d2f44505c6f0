//! A TCP proxy that hurts what passes: it cuts, delays, throttles, truncates, or answers itself.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What happens to connections; a change of it ends those that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything passes.
    Fair,
    /// New connections are closed at once.
    Refuse,
    /// Connections are taken, and nothing is ever answered.
    Silent,
    /// Each piece of an answer comes so much later.
    Delay(Duration),
    /// An answer comes at so many bytes a second.
    Throttle(u64),
    /// A connection is cut after so many bytes of answers.
    Cut(u64),
    /// Every condition of a request is gone before it arrives.
    Careless,
    /// Each request is answered with this status line and body, and reaches nobody.
    Answer(&'static str, &'static str),
}

/// What S3 says when it has enough.
pub(crate) const SLOW_DOWN: Weather = Weather::Answer(
    "503 Slow Down",
    "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
);
/// What S3 says when it is broken.
pub(crate) const INTERNAL_ERROR: Weather = Weather::Answer(
    "500 Internal Server Error",
    "<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
);

/// Largest piece moved at once.
const PIECE_BYTES: usize = 16 * 1024;

/// A proxy; it ends when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of `target`, in fair weather.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), target).await
    }

    /// The same, which listens on `address`.
    pub(crate) async fn start_at(address: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, seen) = watch::channel(Weather::Fair);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut seen = seen.clone();
                tokio::spawn(async move {
                    let weather = *seen.borrow_and_update();
                    tokio::select! {
                        () = pass(client, target, weather) => {}
                        _ = seen.changed() => {}
                    }
                });
            }
        });
        Self { address, weather, accepting }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on; connections that are open end.
    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.weather.send_replace(Weather::Refuse);
    }
}

async fn pass(mut client: TcpStream, target: SocketAddr, weather: Weather) {
    let _ = client.set_nodelay(true);
    match weather {
        Weather::Refuse => {}
        Weather::Silent => {
            let mut bytes = vec![0; PIECE_BYTES];
            while matches!(client.read(&mut bytes).await, Ok(1..)) {}
        }
        Weather::Answer(status, body) => Box::pin(answer_all(client, status, body)).await,
        _ => {
            let Ok(server) = TcpStream::connect(target).await else { return };
            let _ = server.set_nodelay(true);
            let (mut from_client, to_client) = client.split();
            let (from_server, mut to_server) = { server }.into_split();
            let forward = async {
                if weather == Weather::Careless {
                    carelessly(&mut from_client, &mut to_server).await;
                } else {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                }
            };
            tokio::select! {
                () = forward => {}
                () = slowly(from_server, to_client, weather) => {}
            }
        }
    }
}

/// Moves requests, and renames the header with the condition; a head comes in one piece here.
async fn carelessly(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) {
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

/// Moves answers, as the weather has it.
async fn slowly(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, weather: Weather) {
    let mut left = if let Weather::Cut(bytes) = weather { bytes } else { u64::MAX };
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        let most = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let Ok(count @ 1..) = from.read(&mut bytes[..most]).await else { return };
        match weather {
            Weather::Delay(delay) => tokio::time::sleep(delay).await,
            Weather::Throttle(rate) => {
                tokio::time::sleep(Duration::from_secs_f64(count as f64 / rate as f64)).await;
            }
            _ => {}
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
        left -= count as u64;
        if left == 0 {
            return;
        }
    }
}

/// Answers every request of a connection alike. Bodies are read by their length.
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
