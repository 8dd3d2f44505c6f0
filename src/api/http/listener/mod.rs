//! A listener: its socket, its connections, and how it ends.
//!
//! When its shutdown token is cancelled, `/readyz` fails at once, and for a grace given by the
//! caller the listener serves on: load balancers notice, and every answer asks its client to close.
//! Then it stops accepting, lets requests in flight finish and closes idle connections without a
//! reset. Connections without a request and those in a TLS handshake are closed a moment later. What is
//! still open after the drain time is cut off.

pub(super) mod connection;
mod fragment;
mod link;
mod socket;
pub mod tls;
pub(super) mod unsent;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::{Id, JoinSet},
    time::MissedTickBehavior,
};

use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use self::{
    connection::{Common, Protocol},
    link::{ClientWatch, Link, Order, TickLimits},
    tls::Tls,
    unsent::UnsentAnswers,
};
use super::answer::Endpoint;
use crate::{
    api::Settings, domain::error::codes, support::shutdown::Shutdown, telemetry::metrics::ConnectionMetrics,
};

/// How long a client may read nothing of a large answer: Braze gives up after 2 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of large answers, 64 of the largest records, above which those are dropped of which nothing was
/// read for a whole tick.
const UNSENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a connection without a request is kept when the listener ends: its client connected a moment
/// ago, and its first request is a round trip away. So is the end of a TLS handshake.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(150);
/// Connections that the system queues until they are accepted: a burst of Braze's.
const BACKLOG: u32 = 4096;
/// Pause after a failed accept, most often because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bytes of a connection: plain TCP, or TLS over it. TLS is boxed: its state is a kilobyte, which plain
/// connections do not need.
type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at once; one more is closed as soon as it is accepted.
    pub connections_max: usize,
    /// Longest time for a request's head to arrive; up to half more is tolerated. While more than seven
    /// eighths of `connections_max` are open it is also the longest idle time.
    pub header_timeout: Duration,
    /// Longest time without a byte in either direction.
    pub idle_timeout: Duration,
    /// Longest time in which a client reads nothing of an answer of more than 32 kB, in whole ticks.
    pub answer_timeout: Duration,
    /// Bytes of such answers in memory above which those are dropped of which nothing was read for a tick.
    pub unsent_bytes_max: usize,
    /// How long the listener serves on after the shutdown began.
    pub grace: Duration,
    /// How long after that a first request may arrive on an open connection, and a TLS handshake may end.
    pub first_request_grace: Duration,
    /// Longest time for connections to end after that.
    pub drain_timeout: Duration,
}

impl Limits {
    /// The limits of `settings`, with `grace` before the listener stops accepting.
    pub const fn new(settings: &Settings, grace: Duration) -> Self {
        Self {
            connections_max: settings.connections_max,
            header_timeout: settings.header_timeout,
            idle_timeout: settings.idle_timeout,
            answer_timeout: ANSWER_TIMEOUT,
            unsent_bytes_max: UNSENT_BYTES_MAX,
            grace,
            first_request_grace: FIRST_REQUEST_GRACE,
            drain_timeout: settings.drain_timeout,
        }
    }

    /// Connections are checked twice per header timeout, and four times per idle timeout.
    fn tick(&self) -> Duration {
        (self.header_timeout / 2).min(self.idle_timeout / 4).max(Duration::from_millis(1))
    }

    fn ticks(&self, time: Duration) -> u32 {
        (time.as_nanos() / self.tick().as_nanos()).clamp(1, 1 << 30) as u32
    }

    fn tick_limits(&self, open: usize) -> TickLimits {
        let is_nearly_full = open >= self.connections_max - self.connections_max / 8;
        let idle =
            if is_nearly_full { self.idle_timeout.min(self.header_timeout) } else { self.idle_timeout };
        TickLimits { head: self.ticks(self.header_timeout), idle: self.ticks(idle) }
    }
}

/// Why a listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}; is another process using the address?")]
    Bind(SocketAddr, #[source] io::Error),
}

codes! {
    Error {
        "listen_failed" Unavailable: Bind,
    }
}

/// A socket that listens; connections wait until [`Listener::serve`] runs.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    limits: Limits,
    metrics: ConnectionMetrics,
    tls: Option<Tls>,
}

impl Listener {
    /// Listens on `address`; port 0 takes any free one. Must run inside a Tokio runtime.
    pub fn bind(address: SocketAddr, limits: Limits, metrics: ConnectionMetrics) -> Result<Self, Error> {
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let socket = socket.listen(BACKLOG)?;
            let address = socket.local_addr()?;
            io::Result::Ok(Self { socket, address, limits, metrics, tls: None })
        };
        bind().map_err(|error| Error::Bind(address, error))
    }

    /// Accepts only TLS if there is a certificate.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The address it listens on.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then drains; returns when every connection has ended or was cut
    /// off. Dropping the future cuts all off at once.
    pub async fn serve(self, endpoint: Endpoint, shutdown: Shutdown) {
        let (limits, grace) = (self.limits, self.limits.grace);
        let mut connections = Connections::new(endpoint, limits, self.metrics, self.tls);
        let is_draining = Arc::clone(&connections.common.is_draining);
        let mut end = std::pin::pin!(async move {
            shutdown.cancelled().await;
            is_draining.store(true, Ordering::Relaxed);
            tokio::time::sleep(grace).await;
        });
        let mut ticks = tokio::time::interval(limits.tick());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut end => break,
                Some(id) = connections.next_ended() => connections.forget(id),
                _ = ticks.tick() => connections.check_clients(),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => connections.open(stream, peer.ip()),
                    Err(error) => {
                        tracing::warn!(error = %error.kind(), "cannot accept connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        // Closing the socket resets connections in its queue: accept them first.
        while let Some(Ok((stream, peer))) = self.socket.accept().now_or_never() {
            connections.open(stream, peer.ip());
        }
        drop(self.socket);
        connections.drain(limits.drain_timeout).await;
    }
}

/// The open connections of a listener.
struct Connections {
    tasks: JoinSet<()>,
    links: HashMap<Id, (Arc<Link>, ClientWatch)>,
    protocol: Arc<Protocol>,
    common: Common,
    limits: Limits,
    metrics: ConnectionMetrics,
    tls: Option<Tls>,
}

impl Connections {
    fn new(endpoint: Endpoint, limits: Limits, metrics: ConnectionMetrics, tls: Option<Tls>) -> Self {
        let unsent = Arc::new(UnsentAnswers::new(limits.unsent_bytes_max, metrics.clone()));
        Self {
            tasks: JoinSet::new(),
            links: HashMap::new(),
            protocol: Arc::new(connection::protocol()),
            common: Common { endpoint, is_draining: Arc::default(), unsent },
            limits,
            metrics,
            tls,
        }
    }

    /// Serves `stream`, a connection from `peer`, in a new task, unless too many connections are open.
    fn open(&mut self, stream: TcpStream, peer: IpAddr) {
        if self.tasks.len() >= self.limits.connections_max {
            self.metrics.shed.inc();
            return;
        }
        // An answer is one write: waiting for more would only delay it. A socket that refuses the
        // option is already broken, which shows when it is read.
        let _ = stream.set_nodelay(true);
        let link = Arc::new(Link::default());
        let Limits { header_timeout: timeout, first_request_grace, .. } = self.limits;
        let tls = self.tls.clone();
        let tls_failed = self.metrics.tls_failed.clone();
        let (protocol, common) = (Arc::clone(&self.protocol), self.common.clone());
        let connection = {
            let link = Arc::clone(&link);
            async move {
                match accept(stream, tls, timeout, &link, first_request_grace).await {
                    Ok(stream) => {
                        connection::drive(stream, protocol, common, link, peer, first_request_grace).await;
                    }
                    Err(_) => _ = tls_failed.inc(),
                }
            }
        };
        let id = self.tasks.spawn(connection).id();
        self.links.insert(id, (link, ClientWatch::default()));
        self.metrics.accepted.inc();
        self.metrics.open.inc();
    }

    /// The next connection that ended; `None` when none is open.
    async fn next_ended(&mut self) -> Option<Id> {
        match self.tasks.join_next_with_id().await? {
            Ok((id, ())) => Some(id),
            Err(error) => Some(error.id()),
        }
    }

    fn forget(&mut self, id: Id) {
        if self.links.remove(&id).is_some() {
            self.metrics.open.dec();
        }
    }

    /// Ends connections whose clients are idle or too slow.
    fn check_clients(&mut self) {
        let tick_limits = self.limits.tick_limits(self.links.len());
        for (link, watch) in self.links.values_mut() {
            let order = watch.tick(link, tick_limits);
            if order != Order::Serve && link.raise_order(order) == Order::Serve {
                self.metrics.timed_out.inc();
            }
        }
        self.common.unsent.drop_stalled(self.limits.ticks(self.limits.answer_timeout) as usize);
    }

    /// Lets every connection finish; cuts off those that are open after `longest`.
    async fn drain(mut self, longest: Duration) {
        // Let connections notice what has arrived before the order.
        tokio::task::yield_now().await;
        for (link, _) in self.links.values() {
            link.raise_order(Order::Close);
        }
        if tokio::time::timeout(longest, self.ended_in_time()).await.is_err() {
            tracing::warn!(connections = self.links.len(), "cut off at the end of the drain time");
            self.tasks.abort_all();
            self.ended().await;
        }
    }

    /// Waits until no connection is open, and ends those of slow clients as before.
    async fn ended_in_time(&mut self) {
        let mut ticks = tokio::time::interval(self.limits.tick());
        loop {
            tokio::select! {
                ended = self.next_ended() => match ended {
                    Some(id) => self.forget(id),
                    None => return,
                },
                _ = ticks.tick() => self.check_clients(),
            }
        }
    }

    /// Waits until no connection is open.
    async fn ended(&mut self) {
        while let Some(id) = self.next_ended().await {
            self.forget(id);
        }
    }
}

/// The stream of a new connection, after the handshake if the listener speaks TLS. Boxed: its state
/// would make every connection's task larger.
async fn accept(
    stream: TcpStream,
    tls: Option<Tls>,
    timeout: Duration,
    link: &Link,
    grace: Duration,
) -> io::Result<Stream> {
    let Some(tls) = tls else { return Ok(Stream::Left(stream)) };
    let handshake = async {
        tokio::select! {
            biased;
            opened = tls.accept(stream) => opened,
            () = link.end_without_request(grace) => Err(io::ErrorKind::TimedOut.into()),
        }
    };
    let handshake = Box::pin(tokio::time::timeout(timeout, handshake));
    Ok(Stream::Right(Box::new(handshake.await??)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_shrinks_when_the_listener_is_nearly_full() {
        let limits = Limits {
            connections_max: 80,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            answer_timeout: Duration::from_secs(30),
            unsent_bytes_max: 0,
            grace: Duration::ZERO,
            first_request_grace: Duration::ZERO,
            drain_timeout: Duration::from_secs(1),
        };
        let (calm, full) = (limits.tick_limits(69), limits.tick_limits(70));
        assert_eq!((calm.head, calm.idle), (2, 15));
        assert_eq!((full.head, full.idle), (2, 2));
        let brief = Limits { idle_timeout: Duration::from_secs(1), ..limits };
        let brief = brief.tick_limits(0);
        assert_eq!((brief.head, brief.idle), (40, 4), "an idle timeout below that of heads holds, too");
    }
}
