//! Large answers that are in memory because their clients have not taken them.
//!
//! A client that asks and does not read costs as much memory as the record that it asked for. Small
//! answers fit what the system keeps for a socket. The bytes of a larger one lie here, and HTTP gets them
//! piece by piece. Of too many bytes, or after too long a time, the oldest go at once, and their
//! connections with them.

use std::{
    collections::{BTreeMap, VecDeque},
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
    /// What `next` was at the last ticks, oldest first.
    ticks: VecDeque<u64>,
}

struct Waiting {
    link: Arc<Link>,
    bytes: Bytes,
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

impl Backlog {
    /// At most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize, metrics: ConnectionMetrics) -> Self {
        Self { queue: Mutex::default(), bytes_max, metrics }
    }

    /// Takes in `bytes`, an answer for `link`. When there are too many, the connections whose answers
    /// have waited longest are ended.
    pub(super) fn admit(self: &Arc<Self>, link: &Arc<Link>, bytes: Bytes, is_http1: bool) -> Held {
        let length = bytes.len();
        link.hold(length);
        let mut queue = self.queue();
        let number = queue.next;
        queue.next += 1;
        queue.bytes += length;
        queue.waiting.insert(number, Waiting { link: Arc::clone(link), bytes });
        while queue.bytes > self.bytes_max && queue.waiting.len() > 1 {
            self.end_first(&mut queue);
        }
        drop(queue);
        let (link, backlog) = (Arc::clone(link), Arc::clone(self));
        Held { number, bytes: length, left: length, link, is_http1, backlog }
    }

    /// To be called once per tick: ends connections with an answer that was here `ticks` ticks ago.
    pub(super) fn judge(&self, ticks: usize) {
        let mut queue = self.queue();
        let next = queue.next;
        queue.ticks.push_back(next);
        if queue.ticks.len() <= ticks {
            return;
        }
        let too_old = queue.ticks.pop_front().unwrap_or_default();
        while queue.waiting.first_key_value().is_some_and(|(number, _)| *number < too_old) {
            self.end_first(&mut queue);
        }
    }

    fn end_first(&self, queue: &mut Queue) {
        let Some((_, Waiting { link, bytes })) = queue.waiting.pop_first() else { return };
        queue.bytes -= bytes.len();
        if link.give(Order::Abort) != Order::Abort {
            self.metrics.timed_out.inc();
        }
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

    /// The next at most `bytes` bytes. For ever pending when the answer had to go: so has the connection.
    pub(in crate::api) fn poll_piece(&mut self, context: &Context<'_>, bytes: usize) -> Poll<Bytes> {
        if self.is_http1 {
            ready!(self.link.poll_piece(context));
        }
        let queue = self.backlog.queue();
        let Some(Waiting { bytes: whole, .. }) = queue.waiting.get(&self.number) else {
            return Poll::Pending;
        };
        let start = whole.len() - self.left;
        let piece = whole.slice(start..start + bytes.min(self.left));
        drop(queue);
        self.left -= piece.len();
        // hyper copies it at once for HTTP/1. For HTTP/2 it waits, and would keep the whole in memory.
        Poll::Ready(if self.is_http1 { piece } else { Bytes::copy_from_slice(&piece) })
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

    fn backlog(bytes_max: usize) -> (Arc<Backlog>, ConnectionMetrics) {
        let metrics = Metrics::new().connections("public");
        (Arc::new(Backlog::new(bytes_max, metrics.clone())), metrics)
    }

    fn is_aborted(link: &Link) -> bool {
        link.order(&futures::task::noop_waker()) == Order::Abort
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_bytes() {
        let (backlog, metrics) = backlog(1000);
        let links: Vec<Arc<Link>> = (0..5).map(|_| Arc::default()).collect();
        let admit = |link: usize, bytes: usize| {
            backlog.admit(&links[link], Bytes::from(vec![link as u8; bytes]), false)
        };
        let mut answers: Vec<Held> = (0..3).map(|link| admit(link, 400)).collect();
        assert!(is_aborted(&links[0]) && !is_aborted(&links[1]));
        assert_eq!(backlog.queue().bytes, 800);
        let waker = futures::task::noop_waker();
        let context = Context::from_waker(&waker);
        assert!(answers[0].poll_piece(&context, 300).is_pending());
        for (left, piece) in [(100, 300), (0, 100)] {
            assert_eq!(answers[1].poll_piece(&context, 300), Poll::Ready(vec![1; piece].into()));
            assert_eq!(answers[1].left(), left);
        }
        answers.clear();
        assert_eq!(backlog.queue().bytes, 0);
        assert!(backlog.queue().waiting.is_empty());
        // One that is larger than all may be alone.
        let _large = admit(3, 2000);
        assert!(!is_aborted(&links[3]));
        drop(admit(4, 1));
        assert!(is_aborted(&links[3]) && !is_aborted(&links[4]));
        assert_eq!(metrics.timed_out.get(), 2);
    }

    #[test]
    fn an_answer_may_wait_for_some_ticks() {
        let (backlog, metrics) = backlog(1000);
        let [slow, other, quick] = [(); 3].map(|()| Arc::<Link>::default());
        let admit = |link| backlog.admit(link, Bytes::from_static(b"text"), true);
        let _slow = admit(&slow);
        for tick in 0..3 {
            drop(admit(&quick));
            backlog.judge(2);
            assert_eq!(is_aborted(&slow), tick == 2, "{tick}");
        }
        let _other = admit(&other);
        backlog.judge(2);
        backlog.judge(2);
        assert!(!is_aborted(&quick) && !is_aborted(&other));
        backlog.judge(2);
        assert!(is_aborted(&other));
        assert_eq!(metrics.timed_out.get(), 2);
    }
}
