//! What a connection's task and its listener know of each other: how many bytes moved, and what
//! the listener orders. Counting bytes instead of setting timers keeps the clock off the request.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::sync::Notify;

use super::stream::Stream;

/// Bytes of large answers above which a connection's further requests wait: four of the largest records
/// keep a client of HTTP/2 busy.
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a listener orders a connection to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Serve on.
    Serve,
    /// Answer what was asked, then close.
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

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Shared by a connection's task, its socket and the listener.
#[derive(Default)]
pub(super) struct Link {
    received: AtomicU64,
    sent: AtomicU64,
    /// What `received` was when something was last sent: bytes above it are a request that has not
    /// been answered, most often one that has not arrived whole.
    answered: AtomicU64,
    /// The first bytes are no [`PREFACE`].
    is_http1: AtomicBool,
    /// The [`PREFACE`] has come whole.
    is_http2: AtomicBool,
    /// Requests whose heads are whole and whose answers are on their way: whoever makes them bounds
    /// the time of their bodies.
    under_way: AtomicU32,
    /// A piece of a large answer was given to hyper and has not been sent whole.
    has_unsent_piece: AtomicBool,
    /// The connection's task, when it waits to give the next one.
    next_piece: AtomicWaker,
    /// Bytes of large answers that are not sent yet.
    held: AtomicUsize,
    /// Tells requests that wait for fewer.
    relief: Notify,
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
            self.look_for_preface(&PREFACE[before as usize..], bytes);
        }
    }

    /// `count` bytes were sent before, and are no [`PREFACE`].
    pub(super) fn received_more(&self, count: usize) {
        self.received.fetch_add(count as u64, Relaxed);
    }

    /// A preface may come in pieces: `rest` is what it still lacks.
    fn look_for_preface(&self, rest: &[u8], bytes: &[u8]) {
        if bytes.starts_with(rest) {
            self.is_http2.store(true, Relaxed);
        } else if !rest.starts_with(bytes) {
            self.is_http1.store(true, Relaxed);
        }
    }

    /// `count` bytes were sent to the client.
    pub(super) fn sent(&self, count: usize) {
        self.sent.fetch_add(count as u64, Relaxed);
        self.answered.store(self.received.load(Relaxed), Relaxed);
    }

    /// Whether all that has come was answered: the next byte begins a request.
    pub(super) fn is_between_requests(&self) -> bool {
        self.received.load(Relaxed) == self.answered.load(Relaxed)
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Relaxed)
    }

    /// Whether the client has not sent anything yet: its first request may be on the way.
    pub(super) fn is_fresh(&self) -> bool {
        self.received.load(Relaxed) == 0
    }

    /// Whether part of a request's head has come. Of HTTP/2 nothing is known: it sends frames that need
    /// no answer.
    pub(super) fn is_receiving(&self) -> bool {
        self.received.load(Relaxed) > self.answered.load(Relaxed)
            && self.under_way.load(Relaxed) == 0
            && !self.is_http2.load(Relaxed)
    }

    /// Notes that a request is being answered until the token is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// All that hyper had to send is sent.
    pub(super) fn flushed(&self) {
        // Of one task: no other thread looks at it meanwhile.
        if self.has_unsent_piece.load(Relaxed) {
            self.has_unsent_piece.store(false, Relaxed);
            self.next_piece.wake();
        }
    }

    /// Ready when the next piece of a large answer may be given, which is then taken for given.
    pub(super) fn poll_piece(&self, context: &Context<'_>) -> Poll<()> {
        if self.has_unsent_piece.load(Relaxed) {
            self.next_piece.register(context.waker());
            return Poll::Pending;
        }
        self.has_unsent_piece.store(true, Relaxed);
        Poll::Ready(())
    }

    /// `bytes` of an answer wait to be sent.
    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Relaxed);
    }

    /// `bytes` of an answer wait no more.
    pub(super) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
        self.relief.notify_one();
    }

    /// Whether so much waits to be sent that another answer should not be made yet.
    pub(super) fn is_laden(&self) -> bool {
        self.held.load(Relaxed) > HELD_BYTES_MAX
    }

    /// Waits until [`Link::is_laden`] is over; whoever waited calls [`Link::pass_on`] afterwards.
    pub(super) async fn relieved(&self) {
        loop {
            let relief = self.relief.notified();
            if !self.is_laden() {
                return;
            }
            relief.await;
        }
    }

    /// Lets the next request go on that waits, when it may.
    pub(super) fn pass_on(&self) {
        if !self.is_laden() {
            self.relief.notify_one();
        }
    }

    /// The client closed its side, or the connection broke.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Relaxed);
    }

    /// Whether [`Link::end`] was called.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Relaxed)
    }

    /// The listener's order, and the waker that a later one will wake.
    pub(super) fn order(&self, waker: &Waker) -> Order {
        self.waker.register(waker);
        Order::of(self.order.load(Acquire))
    }

    /// Waits until the connection must end before it has begun: `grace` after the order to close.
    pub(super) async fn must_end(&self, grace: Duration) {
        let order = poll_fn(|context| match self.order(context.waker()) {
            Order::Serve => Poll::Pending,
            order => Poll::Ready(order),
        });
        if order.await == Order::Close {
            tokio::time::sleep(grace).await;
        }
    }

    /// Gives an order, which only replaces a milder one, and says what was in force before.
    pub(super) fn give(&self, order: Order) -> Order {
        let before = Order::of(self.order.fetch_max(order as u8, AcqRel));
        self.waker.wake();
        before
    }

    /// The socket, back from the HTTP machinery.
    pub(super) fn give_back(&self, stream: Stream) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }

    /// Takes what [`Link::give_back`] left.
    pub(super) fn take_stream(&self) -> Option<Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request that is being answered.
pub(super) struct UnderWay(Arc<Link>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

/// How long, in ticks of the listener, a client may keep a connection waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a request's head to arrive whole.
    pub(super) head: u32,
    /// Without a byte in either direction.
    pub(super) idle: u32,
}

/// What the listener remembers of a connection from tick to tick.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    moved: u64,
    answered: u64,
    quiet: u32,
    receiving: u32,
}

impl Pulse {
    /// To be called once per tick: what the connection deserves.
    pub(super) fn judge(&mut self, link: &Link, patience: Patience) -> Order {
        let (received, sent) = (link.received.load(Relaxed), link.sent.load(Relaxed));
        let moved = received + sent;
        self.quiet = if moved == self.moved { self.quiet + 1 } else { 0 };
        self.moved = moved;
        // Of HTTP/2 the idle time alone is watched. After an answer another head is on its way, however
        // often a tick meets one.
        let answered = link.answered.load(Relaxed);
        let is_same_head = answered == self.answered && link.is_receiving();
        self.receiving = if is_same_head { self.receiving + 1 } else { u32::from(link.is_receiving()) };
        self.answered = answered;
        if self.receiving > patience.head || self.quiet > patience.idle + 1 {
            Order::Abort
        } else if self.quiet >= patience.idle {
            Order::Close
        } else {
            Order::Serve
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { head: 2, idle: 4 };

    fn judged(pulse: &mut Pulse, link: &Link, ticks: u32) -> Vec<Order> {
        (0..ticks).map(|_| pulse.judge(link, PATIENCE)).collect()
    }

    #[test]
    fn a_connection_that_answers_is_served_on() {
        let (link, mut pulse) = (Link::default(), Pulse::default());
        for _ in 0..20 {
            link.received(b"GET / HTTP/1.1\r\n\r\n");
            link.sent(100);
            assert_eq!(pulse.judge(&link, PATIENCE), Order::Serve);
        }
    }

    #[test]
    fn a_busy_connection_is_no_slow_head_though_each_tick_meets_half_a_one() {
        let (link, mut pulse) = (Link::default(), Pulse::default());
        for _ in 0..20 {
            link.received(b"GET / HT");
            assert_eq!(pulse.judge(&link, PATIENCE), Order::Serve);
            link.received(b"TP/1.1\r\n\r\n");
            link.sent(100);
        }
    }

    #[test]
    fn a_head_that_trickles_in_is_aborted() {
        let (link, mut pulse) = (Link::default(), Pulse::default());
        let orders: Vec<Order> = (0..3)
            .map(|_| {
                link.received(b"x");
                pulse.judge(&link, PATIENCE)
            })
            .collect();
        assert_eq!(orders, [Order::Serve, Order::Serve, Order::Abort]);
    }

    #[test]
    fn a_body_that_trickles_in_is_no_slow_head() {
        let (link, mut pulse) = (Arc::new(Link::default()), Pulse::default());
        let under_way = link.begin();
        for _ in 0..5 {
            link.received(b"x");
            assert_eq!(pulse.judge(&link, PATIENCE), Order::Serve);
        }
        drop(under_way);
        assert!(link.is_receiving());
    }

    #[test]
    fn an_idle_connection_is_closed_and_a_stuck_one_aborted() {
        use Order::{Abort, Close, Serve};
        let (link, mut pulse) = (Link::default(), Pulse::default());
        link.received(b"GET / HTTP/1.1\r\n\r\n");
        link.sent(100);
        assert_eq!(judged(&mut pulse, &link, 7), [Serve, Serve, Serve, Serve, Close, Close, Abort]);
    }

    #[test]
    fn frames_of_http2_are_no_slow_head() {
        let (link, mut pulse) = (Link::default(), Pulse::default());
        link.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        for _ in 0..20 {
            link.received(b"ping");
            assert_eq!(pulse.judge(&link, PATIENCE), Order::Serve);
        }
    }

    #[test]
    fn a_preface_may_come_in_pieces() {
        for at in 1..PREFACE.len() {
            let link = Link::default();
            link.received(&PREFACE[..at]);
            assert!(link.is_receiving(), "half a preface is half a head: {at}");
            link.received(&PREFACE[at..]);
            link.received(b"ping");
            assert!(!link.is_receiving(), "{at}");
        }
        for other in [&b"PRINT / HTTP/1.1"[..], b"G", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"] {
            let link = Link::default();
            link.received(other);
            link.received(&PREFACE[other.len().min(PREFACE.len())..]);
            link.received(PREFACE);
            assert!(link.is_receiving(), "{}", other.escape_ascii());
        }
    }

    #[test]
    fn orders_only_become_harder() {
        let link = Link::default();
        let waker = futures::task::noop_waker();
        assert_eq!(link.order(&waker), Order::Serve);
        assert_eq!(link.give(Order::Abort), Order::Serve);
        assert_eq!(link.give(Order::Close), Order::Abort);
        assert_eq!(link.order(&waker), Order::Abort);
    }
}
