//! Large answers that are in memory because their clients have not taken them.
//!
//! A client that asks and does not read costs as much memory as the record that it asked for. Small
//! answers fit what the system keeps for a socket. The bytes of a larger one lie here, and HTTP gets them
//! piece by piece. Progress decides: an answer of which nothing was taken for long goes, earlier when too
//! many bytes wait. One that its client reads is never cut.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::link::{Link, Order};
use crate::telemetry::metrics::ConnectionMetrics;

/// The large answers of a listener.
pub(super) struct Backlog {
    queue: Mutex<Queue>,
    bytes_max: usize,
    metrics: ConnectionMetrics,
}

#[derive(Default)]
struct Queue {
    /// The number of the next answer: they rise.
    next: u64,
    bytes: usize,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    /// The connection, when it can do nothing else meanwhile: it ends with its answer. HTTP/2 ends the
    /// stream alone.
    link: Option<Arc<Link>>,
    bytes: Bytes,
    /// What has not been handed over yet, and what that was at the last tick.
    left: usize,
    seen: usize,
    /// Ticks without progress.
    stuck: usize,
}

/// One large answer, for the body that hands it over. Its bytes leave the memory with it.
pub(in crate::api) struct Held {
    number: u64,
    bytes: usize,
    left: usize,
    link: Arc<Link>,
    /// On HTTP/1 each piece waits until the one before has been sent; HTTP/2 has windows.
    is_http1: bool,
    backlog: Arc<Backlog>,
}

/// What a request of HTTP/2 with a body waits for before its answer is made: that its client has taken more
/// of what it asked for before. The body comes first, or it would keep those behind it waiting.
#[derive(Clone)]
pub(in crate::api) struct Turn(Arc<Link>);

impl Turn {
    /// The turn of a request that came over `link`.
    pub(super) fn of(link: &Arc<Link>) -> Self {
        Self(Arc::clone(link))
    }

    /// Waits for it.
    pub(in crate::api) async fn come(&self) {
        self.0.relieved().await;
    }
}

impl Backlog {
    /// Of more than `bytes_max` bytes, those that are stuck go.
    pub(super) fn new(bytes_max: usize, metrics: ConnectionMetrics) -> Self {
        Self { queue: Mutex::default(), bytes_max, metrics }
    }

    /// Takes in `bytes`, an answer for `link`.
    pub(super) fn admit(self: &Arc<Self>, link: &Arc<Link>, bytes: Bytes, is_http1: bool) -> Held {
        let length = bytes.len();
        link.hold(length);
        let mut queue = self.queue();
        let number = queue.next;
        queue.next += 1;
        queue.bytes += length;
        // At the first tick it counts as having moved: it may have come just before.
        let (left, seen) = (length, usize::MAX);
        let of = is_http1.then(|| Arc::clone(link));
        queue.waiting.insert(number, Waiting { link: of, bytes, left, seen, stuck: 0 });
        drop(queue);
        let (link, backlog) = (Arc::clone(link), Arc::clone(self));
        Held { number, bytes: length, left: length, link, is_http1, backlog }
    }

    /// To be called once per tick: ends answers that did not move for `ticks` ticks, and while there are
    /// too many bytes those that did not for one, the oldest first.
    pub(super) fn judge(&self, ticks: usize) {
        let mut queue = self.queue();
        let Queue { bytes, waiting, .. } = &mut *queue;
        waiting.retain(|_, one| {
            one.stuck = if one.left == one.seen { one.stuck + 1 } else { 0 };
            one.seen = one.left;
            if one.stuck < ticks.max(1) && (one.stuck == 0 || *bytes <= self.bytes_max) {
                return true;
            }
            *bytes -= one.bytes.len();
            if one.link.as_ref().is_none_or(|link| link.give(Order::Abort) != Order::Abort) {
                self.metrics.timed_out.inc();
            }
            false
        });
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// What has not been handed over yet, in bytes.
    pub(in crate::api) fn left(&self) -> usize {
        self.left
    }

    /// The next at most `bytes` bytes; `None` when the answer had to go.
    pub(in crate::api) fn poll_piece(&mut self, context: &Context<'_>, bytes: usize) -> Poll<Option<Bytes>> {
        if self.is_http1 {
            ready!(self.link.poll_piece(context));
        }
        let mut queue = self.backlog.queue();
        let Some(waiting) = queue.waiting.get_mut(&self.number) else { return Poll::Ready(None) };
        let start = waiting.bytes.len() - self.left;
        let piece = waiting.bytes.slice(start..start + bytes.min(self.left));
        self.left -= piece.len();
        waiting.left = self.left;
        drop(queue);
        // hyper copies it at once for HTTP/1. For HTTP/2 it waits, and would keep the whole in memory.
        Poll::Ready(Some(if self.is_http1 { piece } else { Bytes::copy_from_slice(&piece) }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut queue = self.backlog.queue();
        if queue.waiting.remove(&self.number).is_some() {
            queue.bytes -= self.bytes;
        }
        drop(queue);
        self.link.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    const TICKS: usize = 3;

    struct Bed {
        backlog: Arc<Backlog>,
        metrics: ConnectionMetrics,
        links: Vec<Arc<Link>>,
    }

    impl Bed {
        fn new(bytes_max: usize) -> Self {
            let metrics = Metrics::new().connections("public");
            let backlog = Arc::new(Backlog::new(bytes_max, metrics.clone()));
            Self { backlog, metrics, links: (0..4).map(|_| Arc::default()).collect() }
        }

        fn admit(&self, link: usize, bytes: usize, is_http1: bool) -> Held {
            self.backlog.admit(&self.links[link], Bytes::from(vec![link as u8; bytes]), is_http1)
        }

        fn is_aborted(&self, link: usize) -> bool {
            self.links[link].order(&futures::task::noop_waker()) == Order::Abort
        }
    }

    fn take(held: &mut Held, bytes: usize) -> Poll<Option<Bytes>> {
        held.poll_piece(&Context::from_waker(&futures::task::noop_waker()), bytes)
    }

    #[test]
    fn an_answer_that_is_read_is_never_cut_however_many_there_are() {
        let bed = Bed::new(1000);
        let mut answers: Vec<Held> = (0..4).map(|link| bed.admit(link, 900, false)).collect();
        for _ in 0..8 {
            for answer in &mut answers {
                assert!(matches!(take(answer, 100), Poll::Ready(Some(piece)) if piece.len() == 100));
            }
            bed.backlog.judge(TICKS);
        }
        assert_eq!(answers.iter().map(Held::left).collect::<Vec<_>>(), [100; 4]);
        answers.clear();
        assert_eq!((bed.backlog.queue().bytes, bed.metrics.timed_out.get()), (0, 0));
    }

    #[test]
    fn of_too_many_bytes_the_stuck_ones_go_the_oldest_first() {
        let bed = Bed::new(1000);
        let mut answers: Vec<Held> = (0..3).map(|link| bed.admit(link, 400, true)).collect();
        bed.backlog.judge(TICKS);
        assert!(!(0..3).any(|link| bed.is_aborted(link)), "they may have come just before");
        assert!(take(&mut answers[0], 100).is_ready());
        bed.backlog.judge(TICKS);
        let aborted: Vec<usize> = (0..3).filter(|&link| bed.is_aborted(link)).collect();
        assert_eq!(aborted, [1], "the first was read, without the second the rest fits");
        assert_eq!(bed.backlog.queue().bytes, 800);
        assert!(matches!(take(&mut answers[1], 100), Poll::Ready(None)));
        drop(answers);
        assert_eq!(bed.backlog.queue().bytes, 0);
        assert!(bed.backlog.queue().waiting.is_empty());
    }

    #[test]
    fn an_answer_may_be_stuck_for_some_ticks() {
        for is_http1 in [true, false] {
            let bed = Bed::new(1000);
            let mut slow = bed.admit(0, 4, is_http1);
            for tick in 0..=TICKS {
                drop(bed.admit(1, 4, is_http1));
                bed.backlog.judge(TICKS);
                assert_eq!(bed.metrics.timed_out.get(), u64::from(tick == TICKS), "{tick}");
            }
            // HTTP/2 goes on with its other streams.
            assert_eq!((bed.is_aborted(0), bed.is_aborted(1)), (is_http1, false));
            assert!(matches!(take(&mut slow, 4), Poll::Ready(None)));
        }
    }
}
