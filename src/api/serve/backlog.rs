//! Large answers that are in memory because their clients have not taken them.
//!
//! A client that asks and does not read costs as much memory as the record that it asked for. Small
//! answers fit what the system keeps for a socket; each larger one is counted here until its last byte
//! is handed to the socket. Of too many bytes, or after too long a time, the oldest have to go.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    bytes: usize,
}

/// The bytes of a large answer; dropped when the last of them is sent, or the connection is over.
struct Held {
    bytes: Bytes,
    number: u64,
    link: Arc<Link>,
    backlog: Arc<Backlog>,
}

impl Backlog {
    /// At most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize, metrics: ConnectionMetrics) -> Self {
        Self { queue: Mutex::default(), bytes_max, metrics }
    }

    /// Counts `bytes`, an answer for `link`, for as long as they are somewhere. When there are too many,
    /// the connections whose answers have waited longest are ended.
    pub(super) fn admit(self: &Arc<Self>, link: &Arc<Link>, bytes: Bytes) -> Bytes {
        link.hold(bytes.len());
        let number = {
            let mut queue = self.queue();
            let number = queue.next;
            queue.next += 1;
            queue.bytes += bytes.len();
            queue.waiting.insert(number, Waiting { link: Arc::clone(link), bytes: bytes.len() });
            while queue.bytes > self.bytes_max && queue.waiting.len() > 1 {
                self.end_first(&mut queue);
            }
            number
        };
        Bytes::from_owner(Held { bytes, number, link: Arc::clone(link), backlog: Arc::clone(self) })
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
        queue.bytes -= bytes;
        if link.give(Order::Abort) != Order::Abort {
            self.metrics.timed_out.inc();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.link.release(self.bytes.len());
        let mut queue = self.backlog.queue();
        if let Some(waiting) = queue.waiting.remove(&self.number) {
            queue.bytes -= waiting.bytes;
        }
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
        let mut answers: Vec<Bytes> =
            links.iter().take(3).map(|link| backlog.admit(link, Bytes::from(vec![1; 400]))).collect();
        assert!(is_aborted(&links[0]) && !is_aborted(&links[1]));
        // A piece holds the whole.
        let piece = answers[1].split_to(7);
        answers.clear();
        assert_eq!(backlog.queue().bytes, 400);
        drop(piece);
        assert_eq!((backlog.queue().bytes, backlog.queue().waiting.len()), (0, 0));
        // One that is larger than all may be alone.
        let large = backlog.admit(&links[3], Bytes::from(vec![1; 2000]));
        assert!(!is_aborted(&links[3]));
        drop(backlog.admit(&links[4], Bytes::from(vec![1])));
        assert!(is_aborted(&links[3]) && !is_aborted(&links[4]));
        drop(large);
        assert_eq!((backlog.queue().bytes, metrics.timed_out.get()), (0, 2));
    }

    #[test]
    fn an_answer_may_wait_for_some_ticks() {
        let (backlog, metrics) = backlog(1000);
        let [slow, other, quick] = [(); 3].map(|()| Arc::<Link>::default());
        let _slow = backlog.admit(&slow, Bytes::from_static(b"slow"));
        for tick in 0..3 {
            drop(backlog.admit(&quick, Bytes::from_static(b"quick")));
            backlog.judge(2);
            assert_eq!(is_aborted(&slow), tick == 2, "{tick}");
        }
        let _other = backlog.admit(&other, Bytes::from_static(b"other"));
        backlog.judge(2);
        backlog.judge(2);
        assert!(!is_aborted(&quick) && !is_aborted(&other));
        backlog.judge(2);
        assert!(is_aborted(&other));
        assert_eq!(metrics.timed_out.get(), 2);
    }
}
