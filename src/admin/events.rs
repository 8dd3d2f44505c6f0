//! Events for those who watch a node: the progress and ends of runs, and changes of collections.
//!
//! One task polls while somebody watches and tells all watchers what changed. A watcher begins with a snapshot, so that
//! it misses nothing; one that falls behind is cut off, and begins again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast, watch};

use super::{Publisher, RunsFilter};
use crate::{domain::RunId, status::Board, support::shutdown::Shutdown};

/// Most watchers of a node.
pub const WATCHERS_MAX: usize = 64;
/// Events that may wait for a watcher before it is cut off.
const WAITING_MAX: usize = 256;
/// Time between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Runs that are watched, the newest ones.
const RUNS_MAX: usize = 50;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What changed: `snapshot`, `run`, `collection`.
    pub name: &'static str,
    /// Its new state as JSON.
    pub data: Value,
}

/// The events of a node. Cheap to clone.
#[derive(Clone)]
pub struct EventFeed {
    sender: broadcast::Sender<Arc<Event>>,
    watchers: Arc<Semaphore>,
    begun: Arc<Notify>,
    publisher: watch::Receiver<Option<Publisher>>,
    board: Board,
    shutdown: Shutdown,
}

/// One watcher.
pub struct Watcher {
    /// The state at its beginning, until it was taken.
    snapshot: Option<Event>,
    events: broadcast::Receiver<Arc<Event>>,
    shutdown: Shutdown,
    _permit: OwnedSemaphorePermit,
}

/// The state of runs and collections.
#[derive(Debug, Clone, Default, PartialEq)]
struct State {
    runs: BTreeMap<RunId, Value>,
    collections: BTreeMap<String, Value>,
}

impl EventFeed {
    /// The events of the node that `board` shows, and of the runs of `publisher` while it is up.
    pub fn new(publisher: watch::Receiver<Option<Publisher>>, board: Board, shutdown: Shutdown) -> Self {
        let (sender, watchers) =
            (broadcast::Sender::new(WAITING_MAX), Arc::new(Semaphore::new(WATCHERS_MAX)));
        Self { sender, watchers, begun: Arc::default(), publisher, board, shutdown }
    }

    /// A new watcher; `None` when there are [`WATCHERS_MAX`].
    pub async fn watch(&self) -> Option<Watcher> {
        let permit = Arc::clone(&self.watchers).try_acquire_owned().ok()?;
        // Subscribed before the snapshot is read: a change in between comes twice, not never.
        let events = self.sender.subscribe();
        let state = self.read(&State::default()).await;
        self.begun.notify_one();
        let State { runs, collections } = state;
        let runs: Vec<Value> = runs.into_values().rev().collect();
        let collections: Vec<Value> = collections.into_values().collect();
        let data = json!({ "runs": runs, "collections": collections });
        let snapshot = Some(Event { name: "snapshot", data });
        Some(Watcher { snapshot, events, shutdown: self.shutdown.clone(), _permit: permit })
    }

    /// Tells watchers what changes, until the node shuts down.
    pub async fn run(self) {
        let mut known = None;
        loop {
            tokio::select! {
                () = self.poll(&mut known) => {}
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    async fn poll(&self, known: &mut Option<State>) {
        if self.sender.receiver_count() == 0 {
            *known = None;
            return self.begun.notified().await;
        }
        let before = known.clone().unwrap_or_default();
        let now = self.read(&before).await;
        if known.is_some() {
            for event in now.changes_since(&before) {
                // Without a watcher nobody misses it.
                let _ = self.sender.send(Arc::new(event));
            }
        }
        *known = Some(now);
        tokio::time::sleep(POLL_INTERVAL).await;
    }

    /// The present state. The runs of `before` stay while metadata does not answer.
    async fn read(&self, before: &State) -> State {
        let status = self.board.read();
        let collections = status.collections.iter().map(|(name, one)| {
            let mut shown = json!(one);
            shown["collection"] = json!(name);
            (name.to_string(), shown)
        });
        let runs = self.read_runs().await.unwrap_or_else(|| before.runs.clone());
        State { runs, collections: collections.collect() }
    }

    async fn read_runs(&self) -> Option<BTreeMap<RunId, Value>> {
        let publisher = self.publisher.borrow().clone()?;
        let admin = publisher.admin();
        let filter = RunsFilter { sync: None, announced: false, before: None, limit: RUNS_MAX };
        let mut runs = BTreeMap::new();
        for run in admin.runs(filter).await.ok()? {
            let progress = if run.status.is_open() { admin.run_progress(run.id).await.ok()? } else { None };
            runs.insert(run.id, json!({ "run": run, "progress": progress }));
        }
        Some(runs)
    }
}

impl State {
    fn changes_since(&self, before: &Self) -> Vec<Event> {
        let runs = self.runs.iter().filter(|(id, run)| before.runs.get(id) != Some(run));
        let runs = runs.map(|(_, run)| Event { name: "run", data: run.clone() });
        let collections =
            self.collections.iter().filter(|(name, one)| before.collections.get(*name) != Some(one));
        let collections = collections.map(|(_, one)| Event { name: "collection", data: one.clone() });
        runs.chain(collections).collect()
    }
}

impl Watcher {
    /// The next event; `None` when the node shuts down, or when this watcher has fallen behind.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        if let Some(snapshot) = self.snapshot.take() {
            return Some(Arc::new(snapshot));
        }
        tokio::select! {
            event = self.events.recv() => event.ok(),
            () = self.shutdown.cancelled() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_an_event() {
        let of = |version: u64| State {
            runs: BTreeMap::new(),
            collections: [("a".to_owned(), json!(version)), ("b".to_owned(), json!(7))].into(),
        };
        assert_eq!(of(1).changes_since(&of(1)), []);
        assert_eq!(of(2).changes_since(&of(1)), [Event { name: "collection", data: json!(2) }]);
    }
}
