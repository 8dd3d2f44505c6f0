//! Entries of metadata by id, as they were read last.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tracing::warn;

use crate::metadata::Error;

/// Longest time that entries are used before they are read again. Every publisher refuses a revoked key or an ended
/// session after this time.
pub(super) const FRESH: Duration = Duration::from_secs(1);
/// Longest time that a read may take. After it the entries of the last successful read stay in use.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Entries by id.
type Entries<T> = Arc<HashMap<String, T>>;

/// Entries of one kind.
#[derive(Debug)]
pub(super) struct Cached<T> {
    /// The kind, for the log.
    kind: &'static str,
    id: fn(&T) -> &String,
    /// The result of the last read, and its time. The caller that holds the lock reads; others find its result.
    known: Mutex<Option<(Instant, Entries<T>)>>,
}

impl<T> Cached<T> {
    pub(super) fn new(kind: &'static str, id: fn(&T) -> &String) -> Self {
        Self { kind, id, known: Mutex::new(None) }
    }

    /// Returns the entries, a second old at most. Reads them again when none has this id, because it may have been
    /// created just now. If metadata does not answer, returns those of the last successful read, or `None`
    /// before the first one.
    pub(super) async fn holding<F>(&self, id: &str, read: impl Fn() -> Option<F>) -> Option<Entries<T>>
    where
        F: Future<Output = Result<Vec<T>, Error>>,
    {
        let known = self.read(FRESH, read()).await;
        if known.as_ref().is_some_and(|known| known.contains_key(id)) {
            return known;
        }
        self.read(Duration::ZERO, read()).await
    }

    /// The entries, `age_max` old at most unless metadata does not answer or there is nothing to `read`.
    pub(super) async fn read<F>(&self, age_max: Duration, read: Option<F>) -> Option<Entries<T>>
    where
        F: Future<Output = Result<Vec<T>, Error>>,
    {
        let kind = self.kind;
        let mut known = self.known.lock().await;
        let is_fresh = known.as_ref().is_some_and(|(at, _)| at.elapsed() < age_max);
        if let (Some(read), false) = (read, is_fresh) {
            match timeout(READ_TIMEOUT, read).await {
                Ok(Ok(entries)) => {
                    let entries = entries.into_iter().map(|entry| ((self.id)(&entry).clone(), entry));
                    *known = Some((Instant::now(), Arc::new(entries.collect())));
                }
                Ok(Err(error)) => {
                    warn!(code = error.code(), %error, "cannot read {kind}; using those of the last read");
                }
                Err(_) => warn!("cannot read {kind} in time; using those of the last read"),
            }
        }
        known.as_ref().map(|(_, entries)| Arc::clone(entries))
    }
}
