//! Gives sqlx a connection that this process has made: sqlx connects to a local socket, and a task copies between
//! the two. sqlx gives no access to its sockets, which need keepalives.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    time::timeout,
};

use super::{
    protocol::{self, FIRST_BYTES},
    random,
};

/// Bytes copied at once: many rows, and less than a socket's own buffer.
const BUFFER_BYTES: usize = 64 * 1024;
/// Longest wait for sqlx, which connects at once unless its caller has given up.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for the end of TLS with a server: the connection ends in any case.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to a server.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What the relay knows of its connection to the server.
#[derive(Debug)]
pub(crate) struct Link {
    opened: Instant,
    /// Milliseconds after `opened` since when the relay waits for the server; [`NOT_WAITING`] while it does not.
    waiting_since_ms: AtomicU64,
    lost: OnceLock<String>,
    /// The first bytes that came from the server.
    first: OnceLock<Box<[u8]>>,
}

const NOT_WAITING: u64 = u64::MAX;

impl Link {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            waiting_since_ms: AtomicU64::new(NOT_WAITING),
            lost: OnceLock::new(),
            first: OnceLock::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NOT_WAITING - 1)
    }

    /// How long nothing has come from the server while this side was ready for it.
    pub(crate) fn silence(&self) -> Duration {
        match self.waiting_since_ms.load(Ordering::Relaxed) {
            NOT_WAITING => Duration::ZERO,
            since_ms => Duration::from_millis(self.now_ms().saturating_sub(since_ms)),
        }
    }

    /// Why the connection to the server ended, if it was not closed: the system's error.
    pub(crate) fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// The protocol that the server speaks, if it is a well-known one by the first bytes that came.
    pub(crate) fn spoken(&self) -> Option<&'static str> {
        protocol::spoken(self.first.get()?)
    }
}

/// A local socket that waits for sqlx.
pub(crate) struct Relay {
    listener: UnixListener,
    /// The directory in whose place sqlx takes the socket to be.
    pub(crate) directory: PathBuf,
}

impl Relay {
    /// Listens on a name in Linux' abstract namespace: it needs no directory and vanishes with the listener. The name
    /// is random, and only this process is let in. `file` is the last part of the name.
    pub(crate) fn bind(file: &str) -> io::Result<Self> {
        let directory = PathBuf::from(format!("\0larder-{}", random::uuid().simple()));
        let listener = UnixListener::bind(directory.join(file))?;
        Ok(Self { listener, directory })
    }

    /// Copies between `server` and the first connection of this process, until either side ends. `observe` gets all
    /// that comes from the server, before sqlx does.
    pub(crate) fn serve(
        self,
        server: Box<dyn Stream>,
        observe: impl FnMut(&[u8]) + Send + 'static,
    ) -> Arc<Link> {
        let link = Arc::new(Link::new());
        let task_link = Arc::clone(&link);
        tokio::spawn(async move {
            while let Ok(Ok((client, _))) = timeout(ACCEPT_TIMEOUT, self.listener.accept()).await {
                if is_this_process(&client) {
                    drop(self.listener);
                    return copy(server, client, &task_link, observe).await;
                }
            }
        });
        link
    }
}

fn is_this_process(client: &UnixStream) -> bool {
    let own = i32::try_from(std::process::id()).ok();
    own.is_some() && client.peer_cred().is_ok_and(|peer| peer.pid() == own)
}

async fn copy(server: Box<dyn Stream>, client: UnixStream, link: &Link, mut observe: impl FnMut(&[u8])) {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = client.into_split();
    let answers = async {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            link.waiting_since_ms.store(link.now_ms(), Ordering::Relaxed);
            let read = from_server.read(&mut buffer).await;
            link.waiting_since_ms.store(NOT_WAITING, Ordering::Relaxed);
            match read {
                Ok(0) => return,
                Ok(count) => {
                    link.first.get_or_init(|| buffer[..count.min(FIRST_BYTES)].into());
                    // sqlx would read a length from these words, and reserve memory for it.
                    if matches!(link.spoken(), Some("HTTP" | "TLS" | "SSH")) {
                        return;
                    }
                    observe(&buffer[..count]);
                    if to_client.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
                // The server has closed the connection without ending TLS first.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return,
                Err(error) => {
                    let _ = link.lost.set(error.to_string());
                    return;
                }
            }
        }
    };
    let requests = async {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            let sent = async {
                to_server.write_all(&buffer[..count]).await?;
                to_server.flush().await
            };
            if sent.await.is_err() {
                // The other direction has the server's last words, or the cause.
                return std::future::pending().await;
            }
        }
        let _ = timeout(SHUTDOWN_TIMEOUT, to_server.shutdown()).await;
    };
    tokio::select! {
        () = answers => {}
        () = requests => {}
    }
}
