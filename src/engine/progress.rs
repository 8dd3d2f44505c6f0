//! The progress of a run: counters that other tasks may read while it is under way.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

use crate::domain::{RunId, RunProgress};

/// Counters of one run. Cheap to clone; all clones count the same run.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    rows: AtomicU64,
    puts: AtomicU64,
    expected: AtomicU64,
    /// The run, once it has a record. A run that starts again has another one.
    run: watch::Sender<Option<RunId>>,
}

impl Progress {
    /// What the run has done so far.
    pub fn counts(&self) -> RunProgress {
        RunProgress { rows: self.rows(), changed: self.puts(), expected: self.expected() }
    }

    /// The run, once it has a record.
    pub fn run(&self) -> Option<RunId> {
        *self.0.run.borrow()
    }

    /// Waits until the run has a record; for ever, if it never gets one.
    pub async fn recorded(&self) -> RunId {
        let mut run = self.0.run.subscribe();
        let found = run.wait_for(Option::is_some).await.ok().and_then(|run| *run);
        match found {
            Some(run) => run,
            None => std::future::pending().await,
        }
    }

    pub(super) fn record(&self, run: RunId) {
        self.0.run.send_replace(Some(run));
    }

    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.0.rows.load(Ordering::Relaxed)
    }

    /// New and changed records so far.
    pub fn puts(&self) -> u64 {
        self.0.puts.load(Ordering::Relaxed)
    }

    /// Records served when the run began, an estimate of its rows; 0 when unknown.
    pub fn expected(&self) -> u64 {
        self.0.expected.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, rows: u64, puts: u64) {
        self.0.rows.fetch_add(rows, Ordering::Relaxed);
        self.0.puts.fetch_add(puts, Ordering::Relaxed);
    }

    pub(super) fn begin(&self, expected: u64) {
        self.0.rows.store(0, Ordering::Relaxed);
        self.0.puts.store(0, Ordering::Relaxed);
        self.0.expected.store(expected, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_clones_are_those_of_the_run() {
        let progress = Progress::default();
        progress.begin(7);
        progress.clone().add(5, 3);
        progress.add(10, 2);
        assert_eq!((progress.rows(), progress.puts(), progress.expected()), (15, 5, 7));
        progress.begin(9);
        assert_eq!((progress.rows(), progress.puts(), progress.expected()), (0, 0, 9));
    }
}
