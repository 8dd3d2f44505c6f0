//! The state that a connection's task shares with its listener: bytes received and sent, and the listener's
//! order. Counting bytes instead of setting timers keeps the clock off the request path.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::task::AtomicWaker;

use super::{Stream, fragment::BodyLength};

/// The listener's order to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Serve on.
    Serve,
    /// Answer the requests that have arrived, then close.
    Close,
    /// Close now.
    Abort,
}

impl Order {
    const fn of(number: u8) -> Self {
        match number {
            0 => Self::Serve,
            1 => Self::Close,
            _ => Self::Abort,
        }
    }
}

/// The first bytes of every HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A body whose length no field tells.
const CHUNKED: u64 = u64::MAX;

/// Shared by a connection's task, its socket and the listener.
#[derive(Default)]
pub(super) struct Link {
    received: AtomicU64,
    sent: AtomicU64,
    /// The value of `received` when something was last sent. More bytes than that are a request without an
    /// answer, most often an incomplete one.
    answered: AtomicU64,
    /// The last byte received does not end a head: it belongs to a head or to a body.
    is_within_head_or_body: AtomicBool,
    /// The length of the newest request's body; [`CHUNKED`] when it is unknown. With a body the last byte says
    /// nothing about a head.
    body: AtomicU64,
    /// The socket has not taken the length yet.
    is_body_new: AtomicBool,
    /// The first bytes are not the [`PREFACE`].
    is_http1: AtomicBool,
    /// The whole [`PREFACE`] was received.
    is_http2: AtomicBool,
    /// Requests whose answers are being made by tasks, which bound the time of their bodies.
    in_flight: AtomicU32,
    /// hyper has a piece of a large answer that is not sent whole.
    has_unsent_piece: AtomicBool,
    /// The connection's task, if it waits to give hyper the next piece.
    next_piece: AtomicWaker,
    has_ended: AtomicBool,
    order: AtomicU8,
    waker: AtomicWaker,
    stream: Mutex<Option<Stream>>,
}

impl Link {
    /// The client sent `bytes`.
    pub(super) fn received(&self, bytes: &[u8]) {
        let before = self.received.fetch_add(bytes.len() as u64, Relaxed);
        if before < PREFACE.len() as u64 && !self.is_http1.load(Relaxed) {
            self.match_preface(&PREFACE[before as usize..], bytes);
        }
    }

    /// Compares `bytes` with the `rest` of the preface, which may arrive in pieces.
    fn match_preface(&self, rest: &[u8], bytes: &[u8]) {
        if bytes.starts_with(rest) {
            self.is_http2.store(true, Relaxed);
        } else if !rest.starts_with(bytes) {
            self.is_http1.store(true, Relaxed);
        }
    }

    /// Whether the bytes received so far end with the end of a head.
    pub(super) fn set_at_end_of_head(&self, is_at_end: bool) {
        self.is_within_head_or_body.store(!is_at_end, Relaxed);
    }

    /// hyper has read the head of a request with this body.
    pub(super) fn set_body(&self, length: BodyLength) {
        let body = if let BodyLength::Known(length) = length { length } else { CHUNKED };
        self.body.store(body, Relaxed);
        self.is_body_new.store(true, Relaxed);
    }

    /// The body of a request whose head hyper has read since the last call.
    pub(super) fn take_body(&self) -> Option<BodyLength> {
        self.is_body_new.swap(false, Relaxed).then(|| match self.body.load(Relaxed) {
            CHUNKED => BodyLength::Chunked,
            length => BodyLength::Known(length),
        })
    }

    /// Whether the newest request has a body that ends with its last chunk.
    pub(super) fn has_chunked_body(&self) -> bool {
        self.body.load(Relaxed) == CHUNKED
    }

    /// `count` bytes were sent to the client.
    pub(super) fn sent(&self, count: usize) {
        self.sent.fetch_add(count as u64, Relaxed);
        self.answered.store(self.received.load(Relaxed), Relaxed);
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Relaxed)
    }

    /// Whether the client has not sent anything yet: its first request may be on the way.
    pub(super) fn has_received_nothing(&self) -> bool {
        self.received.load(Relaxed) == 0
    }

    /// Whether part of a request's head has arrived. Unknown for HTTP/2, which has frames without an
    /// answer, and behind a request with a body.
    pub(super) fn is_receiving_head(&self) -> bool {
        let is_unanswered = self.received.load(Relaxed) > self.answered.load(Relaxed);
        let is_behind_request = self.is_within_head_or_body.load(Relaxed) && self.body.load(Relaxed) == 0;
        (is_unanswered || is_behind_request)
            && self.in_flight.load(Relaxed) == 0
            && !self.is_http2.load(Relaxed)
    }

    /// Notes that a request is being answered until the token is dropped.
    pub(super) fn start_request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// hyper has sent everything.
    pub(super) fn flushed(&self) {
        // Load and store need not be atomic together: only the connection's task does this.
        if self.has_unsent_piece.load(Relaxed) {
            self.has_unsent_piece.store(false, Relaxed);
            self.next_piece.wake();
        }
    }

    /// Ready when hyper may be given the next piece of a large answer; counts it as given.
    pub(super) fn poll_piece(&self, context: &Context<'_>) -> Poll<()> {
        if self.has_unsent_piece.load(Relaxed) {
            self.next_piece.register(context.waker());
            return Poll::Pending;
        }
        self.has_unsent_piece.store(true, Relaxed);
        Poll::Ready(())
    }

    /// The client closed its side, or the connection broke.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Relaxed);
    }

    /// Whether [`Link::end`] was called.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Relaxed)
    }

    /// The listener's order; a later one wakes `waker`.
    pub(super) fn order(&self, waker: &Waker) -> Order {
        self.waker.register(waker);
        Order::of(self.order.load(Acquire))
    }

    /// Waits until a connection without a request must end: `grace` after the order to close.
    pub(super) async fn end_without_request(&self, grace: Duration) {
        let order = poll_fn(|context| match self.order(context.waker()) {
            Order::Serve => Poll::Pending,
            order => Poll::Ready(order),
        });
        if order.await == Order::Close {
            tokio::time::sleep(grace).await;
        }
    }

    /// Gives an order, which replaces only a milder one, and returns the order before.
    pub(super) fn raise_order(&self, order: Order) -> Order {
        let before = Order::of(self.order.fetch_max(order as u8, AcqRel));
        self.waker.wake();
        before
    }

    /// Keeps the stream when hyper drops it.
    pub(super) fn give_back(&self, stream: Stream) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }

    /// Takes the stream that [`Link::give_back`] kept.
    pub(super) fn take_stream(&self) -> Option<Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request that is being answered.
pub(super) struct InFlight(Arc<Link>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// How long a client may keep a connection waiting, in ticks of the listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct TickLimits {
    /// For a request's head to arrive whole.
    pub(super) head: u32,
    /// Without a byte in either direction.
    pub(super) idle: u32,
}

/// The listener's record of a connection from tick to tick.
#[derive(Debug, Default)]
pub(super) struct ClientWatch {
    moved: u64,
    answered: u64,
    idle_ticks: u32,
    head_ticks: u32,
}

impl ClientWatch {
    /// Call once per tick; returns the order that the connection needs.
    pub(super) fn tick(&mut self, link: &Link, limits: TickLimits) -> Order {
        let moved = link.received.load(Relaxed) + link.sent.load(Relaxed);
        self.idle_ticks = if moved == self.moved { self.idle_ticks + 1 } else { 0 };
        self.moved = moved;
        // After an answer another head is being received, however often a tick meets an incomplete one.
        let answered = link.answered.load(Relaxed);
        let is_receiving = link.is_receiving_head();
        let is_same_head = answered == self.answered && is_receiving;
        self.head_ticks = if is_same_head { self.head_ticks + 1 } else { u32::from(is_receiving) };
        self.answered = answered;
        if self.head_ticks > limits.head || self.idle_ticks > limits.idle + 1 {
            Order::Abort
        } else if self.idle_ticks >= limits.idle {
            Order::Close
        } else {
            Order::Serve
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TickLimits = TickLimits { head: 2, idle: 4 };

    fn ticks(watch: &mut ClientWatch, link: &Link, ticks: u32) -> Vec<Order> {
        (0..ticks).map(|_| watch.tick(link, LIMITS)).collect()
    }

    #[test]
    fn connection_with_answers_is_served_on() {
        let (link, mut watch) = (Link::default(), ClientWatch::default());
        for _ in 0..20 {
            link.received(b"GET / HTTP/1.1\r\n\r\n");
            link.sent(100);
            assert_eq!(watch.tick(&link, LIMITS), Order::Serve);
        }
    }

    #[test]
    fn busy_connection_is_no_slow_head_though_each_tick_meets_an_incomplete_one() {
        let (link, mut watch) = (Link::default(), ClientWatch::default());
        for _ in 0..20 {
            link.received(b"GET / HT");
            assert_eq!(watch.tick(&link, LIMITS), Order::Serve);
            link.received(b"TP/1.1\r\n\r\n");
            link.sent(100);
        }
    }

    #[test]
    fn head_that_arrives_too_slowly_is_aborted() {
        let (link, mut watch) = (Link::default(), ClientWatch::default());
        let orders: Vec<Order> = (0..3)
            .map(|_| {
                link.received(b"x");
                watch.tick(&link, LIMITS)
            })
            .collect();
        assert_eq!(orders, [Order::Serve, Order::Serve, Order::Abort]);
    }

    #[test]
    fn slow_body_is_no_slow_head() {
        let (link, mut watch) = (Arc::new(Link::default()), ClientWatch::default());
        let in_flight = link.start_request();
        for _ in 0..5 {
            link.received(b"x");
            assert_eq!(watch.tick(&link, LIMITS), Order::Serve);
        }
        drop(in_flight);
        assert!(link.is_receiving_head());
    }

    #[test]
    fn idle_connection_is_closed_and_a_stalled_one_aborted() {
        use Order::{Abort, Close, Serve};
        let (link, mut watch) = (Link::default(), ClientWatch::default());
        link.received(b"GET / HTTP/1.1\r\n\r\n");
        link.sent(100);
        assert_eq!(ticks(&mut watch, &link, 7), [Serve, Serve, Serve, Serve, Close, Close, Abort]);
    }

    #[test]
    fn http2_frames_are_no_slow_head() {
        let (link, mut watch) = (Link::default(), ClientWatch::default());
        link.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        for _ in 0..20 {
            link.received(b"ping");
            assert_eq!(watch.tick(&link, LIMITS), Order::Serve);
        }
    }

    #[test]
    fn preface_may_arrive_in_pieces() {
        for at in 1..PREFACE.len() {
            let link = Link::default();
            link.received(&PREFACE[..at]);
            assert!(link.is_receiving_head(), "half a preface is an incomplete head: {at}");
            link.received(&PREFACE[at..]);
            link.received(b"ping");
            assert!(!link.is_receiving_head(), "{at}");
        }
        for other in [&b"PRINT / HTTP/1.1"[..], b"G", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"] {
            let link = Link::default();
            link.received(other);
            link.received(&PREFACE[other.len().min(PREFACE.len())..]);
            link.received(PREFACE);
            assert!(link.is_receiving_head(), "{}", other.escape_ascii());
        }
    }

    #[test]
    fn order_only_replaces_a_milder_one() {
        let link = Link::default();
        let waker = futures::task::noop_waker();
        assert_eq!(link.order(&waker), Order::Serve);
        assert_eq!(link.raise_order(Order::Abort), Order::Serve);
        assert_eq!(link.raise_order(Order::Close), Order::Abort);
        assert_eq!(link.order(&waker), Order::Abort);
    }
}
