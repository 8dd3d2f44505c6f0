//! Large answers that are in memory because their clients have not read them yet.
//!
//! A client that sends a request and does not read costs as much memory as the record it requested. A small
//! answer fits the system's socket buffer. The bytes of a large one are registered here, and hyper takes
//! them piece by piece. An answer that made no progress for long is dropped; if too many bytes are
//! registered, after one tick without progress. An answer that its client reads is never dropped.
//!
//! A semaphore by bytes could bound the sum, but it would make clients that read wait for those that do
//! not. The bytes of a stalled answer must be freed from outside: hyper does not poll its body.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::link::{Link, Order};
use crate::telemetry::metrics::ConnectionMetrics;

/// The large answers of a listener.
pub(super) struct UnsentAnswers {
    registry: Mutex<Registry>,
    bytes_max: usize,
    metrics: ConnectionMetrics,
}

#[derive(Default)]
struct Registry {
    /// The number of the next answer; numbers rise.
    next: u64,
    bytes: usize,
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    /// The HTTP/1 connection, which ends with its answer. HTTP/2 ends only the stream.
    link: Option<Arc<Link>>,
    bytes: Bytes,
    /// Bytes that were not given to hyper, now and at the last tick.
    unsent: usize,
    unsent_before: usize,
    /// Ticks without progress.
    stalled_ticks: usize,
}

/// One large answer, held by the body that gives it to hyper. Its bytes are freed when it is dropped.
pub(in crate::api) struct UnsentAnswer {
    number: u64,
    bytes: usize,
    unsent: usize,
    /// Of HTTP/1: each piece waits until the one before has been sent. HTTP/2 has windows.
    link: Option<Arc<Link>>,
    answers: Arc<UnsentAnswers>,
    /// The bytes of the connection's budget that the answer takes; only on HTTP/2.
    _budget: Option<OwnedSemaphorePermit>,
}

impl UnsentAnswers {
    /// Of more than `bytes_max` bytes, those without progress are dropped.
    pub(super) fn new(bytes_max: usize, metrics: ConnectionMetrics) -> Self {
        Self { registry: Mutex::default(), bytes_max, metrics }
    }

    /// Registers `bytes`, an answer for the HTTP/1 connection `link`, or for an HTTP/2 stream whose
    /// connection gave it `budget`.
    pub(super) fn register(
        self: &Arc<Self>,
        link: Option<&Arc<Link>>,
        bytes: Bytes,
        budget: Option<OwnedSemaphorePermit>,
    ) -> UnsentAnswer {
        let (length, link) = (bytes.len(), link.cloned());
        let mut registry = self.registry();
        let number = registry.next;
        registry.next += 1;
        registry.bytes += length;
        // At the first tick it counts as having moved: it may have been registered just before.
        let (unsent, unsent_before) = (length, usize::MAX);
        let entry = Entry { link: link.clone(), bytes, unsent, unsent_before, stalled_ticks: 0 };
        registry.entries.insert(number, entry);
        drop(registry);
        let answers = Arc::clone(self);
        UnsentAnswer { number, bytes: length, unsent: length, link, answers, _budget: budget }
    }

    /// Call once per tick: drops answers without progress for `ticks` ticks, and while there are too many
    /// bytes those without progress for one, the oldest first.
    pub(super) fn drop_stalled(&self, ticks: usize) {
        let mut registry = self.registry();
        let Registry { bytes, entries, .. } = &mut *registry;
        entries.retain(|_, entry| {
            let has_moved = entry.unsent != entry.unsent_before;
            entry.stalled_ticks = if has_moved { 0 } else { entry.stalled_ticks + 1 };
            entry.unsent_before = entry.unsent;
            if entry.stalled_ticks < ticks.max(1) && (has_moved || *bytes <= self.bytes_max) {
                return true;
            }
            *bytes -= entry.bytes.len();
            if entry.link.as_ref().is_none_or(|link| link.raise_order(Order::Abort) != Order::Abort) {
                self.metrics.timed_out.inc();
            }
            false
        });
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnsentAnswer {
    /// Bytes that were not given to hyper yet.
    pub(in crate::api) fn unsent(&self) -> usize {
        self.unsent
    }

    /// The next at most `bytes` bytes; `None` if the answer was dropped.
    pub(in crate::api) fn poll_piece(&mut self, context: &Context<'_>, bytes: usize) -> Poll<Option<Bytes>> {
        if let Some(link) = &self.link {
            ready!(link.poll_piece(context));
        }
        let mut registry = self.answers.registry();
        let Some(entry) = registry.entries.get_mut(&self.number) else { return Poll::Ready(None) };
        let start = entry.bytes.len() - self.unsent;
        let piece = entry.bytes.slice(start..start + bytes.min(self.unsent));
        self.unsent -= piece.len();
        entry.unsent = self.unsent;
        drop(registry);
        // hyper copies a piece at once on HTTP/1. On HTTP/2 the piece waits, and would keep the whole in memory.
        Poll::Ready(Some(if self.link.is_some() { piece } else { Bytes::copy_from_slice(&piece) }))
    }
}

impl Drop for UnsentAnswer {
    fn drop(&mut self) {
        let mut registry = self.answers.registry();
        if registry.entries.remove(&self.number).is_some() {
            registry.bytes -= self.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    const TICKS: usize = 3;

    struct Setup {
        answers: Arc<UnsentAnswers>,
        metrics: ConnectionMetrics,
        links: Vec<Arc<Link>>,
    }

    impl Setup {
        fn new(bytes_max: usize) -> Self {
            let metrics = Metrics::new().connections("public");
            let answers = Arc::new(UnsentAnswers::new(bytes_max, metrics.clone()));
            Self { answers, metrics, links: (0..4).map(|_| Arc::default()).collect() }
        }

        fn register(&self, link: usize, bytes: usize, is_http1: bool) -> UnsentAnswer {
            let bytes = Bytes::from(vec![link as u8; bytes]);
            self.answers.register(is_http1.then_some(&self.links[link]), bytes, None)
        }

        fn is_aborted(&self, link: usize) -> bool {
            self.links[link].order(&futures::task::noop_waker()) == Order::Abort
        }
    }

    fn take(answer: &mut UnsentAnswer, bytes: usize) -> Poll<Option<Bytes>> {
        answer.poll_piece(&Context::from_waker(&futures::task::noop_waker()), bytes)
    }

    #[test]
    fn answer_that_is_read_is_never_dropped_however_many_there_are() {
        let setup = Setup::new(1000);
        let mut answers: Vec<_> = (0..4).map(|link| setup.register(link, 900, false)).collect();
        for _ in 0..8 {
            for answer in &mut answers {
                assert!(matches!(take(answer, 100), Poll::Ready(Some(piece)) if piece.len() == 100));
            }
            setup.answers.drop_stalled(TICKS);
        }
        assert_eq!(answers.iter().map(UnsentAnswer::unsent).collect::<Vec<_>>(), [100; 4]);
        answers.clear();
        assert_eq!((setup.answers.registry().bytes, setup.metrics.timed_out.get()), (0, 0));
    }

    #[test]
    fn of_too_many_bytes_the_oldest_stalled_answers_are_dropped() {
        let setup = Setup::new(1000);
        let mut answers: Vec<_> = (0..3).map(|link| setup.register(link, 400, true)).collect();
        setup.answers.drop_stalled(TICKS);
        assert!(!(0..3).any(|link| setup.is_aborted(link)), "they may have been registered just before");
        assert!(take(&mut answers[0], 100).is_ready());
        setup.answers.drop_stalled(TICKS);
        let aborted: Vec<usize> = (0..3).filter(|&link| setup.is_aborted(link)).collect();
        assert_eq!(aborted, [1], "the first was read, without the second the rest fits");
        assert_eq!(setup.answers.registry().bytes, 800);
        assert!(matches!(take(&mut answers[1], 100), Poll::Ready(None)));
        drop(answers);
        assert_eq!(setup.answers.registry().bytes, 0);
        assert!(setup.answers.registry().entries.is_empty());
    }

    #[test]
    fn answer_may_stall_for_some_ticks() {
        for is_http1 in [true, false] {
            let setup = Setup::new(1000);
            let mut slow = setup.register(0, 4, is_http1);
            for tick in 0..=TICKS {
                drop(setup.register(1, 4, is_http1));
                setup.answers.drop_stalled(TICKS);
                assert_eq!(setup.metrics.timed_out.get(), u64::from(tick == TICKS), "{tick}");
            }
            // HTTP/2 goes on with its other streams.
            assert_eq!((setup.is_aborted(0), setup.is_aborted(1)), (is_http1, false));
            assert!(matches!(take(&mut slow, 4), Poll::Ready(None)));
        }
    }
}
