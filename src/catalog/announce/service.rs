//! The announcer's loop: gathers what waits, creates a document, writes head.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::Either;
use object_store::path::Path;
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep_until, timeout},
};
use uuid::Uuid;

use super::{
    AnnounceError, Announced, AnnouncerHandle, CHANGES_WAITING_MAX, Change, Pace, Waiting,
    create::{Creation, Outcome},
    draft, head,
};
use crate::catalog::freshness::{Fresh, remember};
use crate::catalog::publish;
use crate::catalog::read::belongs;
use crate::store::Kind;
use crate::store::Store;
use crate::store::error::Error;
use crate::store::paths;
use crate::{
    domain::{
        catalog::{CatalogDocument, Freshness, Head},
        id::{AnnouncementId, DeploymentId},
    },
    support::{backoff::Backoff, clock::Clock, random, shutdown::Shutdown},
};

/// Time for the last write of head while the process ends; followers find the document without it,
/// later.
const LAST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Times that head is written again because another process wrote an older one over it.
const HEAD_CORRECTIONS_MAX: u32 = 3;

/// The service that owns a process's announcements. Run it once.
#[derive(Debug)]
pub struct Announcer {
    store: Store,
    clock: Clock,
    pace: Pace,
    deployment: Option<DeploymentId>,
    queue: mpsc::Receiver<Waiting>,
    /// The newest document known, and a time when no higher number had been taken: one from before the
    /// store was asked, not from after it answered, for the machine may have slept in between.
    newest: Option<(CatalogDocument, DateTime<Utc>)>,
    /// The highest number that this process has met: a store that has none as high has lost documents.
    highest_seen: u64,
    next_document: Instant,
    head: HeadWork,
}

/// What is to be done about head.
#[derive(Debug)]
struct HeadWork {
    /// What this process has announced or confirmed.
    known: Fresh,
    /// Callers that wait for their freshness to be written, since when.
    waiting: Vec<(Waiting, Instant)>,
    /// When head is to be written or checked; `None` when there is nothing to do.
    due: Option<Instant>,
    /// Head may not be written again before.
    earliest: Instant,
    backoff: Backoff,
    corrections: u32,
}

impl Announcer {
    /// An announcer and its handle. `deployment` is what metadata has: a catalog with another one is
    /// refused, and the first document gets it. Without it the catalog's is taken, or a new one made.
    pub fn new(store: Store, clock: Clock, deployment: Option<DeploymentId>) -> (Self, AnnouncerHandle) {
        Self::with_pace(store, clock, deployment, Pace::default())
    }

    /// As [`Announcer::new`], at another pace.
    pub fn with_pace(
        store: Store,
        clock: Clock,
        deployment: Option<DeploymentId>,
        pace: Pace,
    ) -> (Self, AnnouncerHandle) {
        let (sender, queue) = mpsc::channel(CHANGES_WAITING_MAX);
        let now = Instant::now();
        let head = HeadWork {
            known: Fresh::new(),
            waiting: Vec::new(),
            due: None,
            earliest: now,
            backoff: Backoff::new(pace.backoff.0, pace.backoff.1),
            corrections: 0,
        };
        let handle = AnnouncerHandle { queue: sender, clock: clock.clone() };
        let announcer = Self {
            store,
            clock,
            pace,
            deployment,
            queue,
            newest: None,
            highest_seen: 0,
            next_document: now,
            head,
        };
        (announcer, handle)
    }

    /// The same, which knows that there is a document `n`.
    #[must_use]
    pub fn after(self, n: u64) -> Self {
        Self { highest_seen: n, ..self }
    }

    /// Works until `shutdown`, or until every handle is gone. Head is written a last time at the end.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut changes = Vec::new();
        loop {
            let head_due = self.head.due;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                received = self.queue.recv_many(&mut changes, CHANGES_WAITING_MAX) => {
                    if received == 0 {
                        break;
                    }
                }
                () = sleep_until(head_due.unwrap_or_else(Instant::now)), if head_due.is_some() => {
                    self.work_on_head(None).await;
                }
            }
            self.sort_out_freshness(&mut changes);
            if changes.is_empty() {
                continue;
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = sleep_until(self.next_document) => {}
            }
            // What came while it waited goes into the same document.
            while changes.len() < CHANGES_WAITING_MAX
                && let Ok(change) = self.queue.try_recv()
            {
                changes.push(change);
            }
            self.sort_out_freshness(&mut changes);
            self.announce(std::mem::take(&mut changes), &shutdown).await;
        }
        self.end(changes).await;
    }

    /// Takes the changes that need no document.
    fn sort_out_freshness(&mut self, changes: &mut Vec<Waiting>) {
        let now = Instant::now();
        let (fresh, documents): (Vec<_>, Vec<_>) =
            changes.drain(..).partition(|waiting| matches!(waiting.change, Change::Freshness { .. }));
        *changes = documents;
        for waiting in fresh {
            self.head.waiting.push((waiting, now));
            self.head.due = Some(self.head.earliest);
            self.head.corrections = 0;
        }
    }

    /// Announces `changes` in one document, however often it must be rebuilt.
    async fn announce(&mut self, mut changes: Vec<Waiting>, shutdown: &Shutdown) {
        let began = Instant::now();
        let mut backoff = Backoff::new(self.pace.backoff.0, self.pace.backoff.1);
        loop {
            changes.retain(|waiting| !waiting.reply.is_closed());
            if changes.is_empty() {
                return;
            }
            let read_at = match self.read_newest(shutdown).await {
                // What was known may be what another process has replaced: nobody is refused for it.
                Ok((_, true)) if self.would_refuse(&changes) => {
                    self.newest = None;
                    continue;
                }
                Ok((read_at, _)) => read_at,
                Err(
                    error @ (Error::ForeignCatalog { .. }
                    | Error::NewerFormat { .. }
                    | Error::Untrusted { .. }),
                ) => {
                    return answer_all(changes, &AnnounceError::Refused(Arc::new(error)));
                }
                Err(error) if began.elapsed() >= self.pace.patience => {
                    return answer_all(changes, &AnnounceError::Unreachable(Arc::new(error)));
                }
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "the catalog cannot be read");
                    if !self.creation(shutdown).wait(&mut backoff).await {
                        return answer_all(changes, &AnnounceError::Ending);
                    }
                    continue;
                }
            };
            let document;
            (document, changes) = self.draft(changes);
            let Some(ends_at) = changes.iter().map(Waiting::ends_at).min() else { return };
            let bytes = match publish::document(&paths::document(document.n), &document) {
                Ok((bytes, _)) => self.store.seal.close(Kind::Document, bytes),
                Err(error) => return answer_all(changes, &AnnounceError::Refused(Arc::new(error))),
            };
            let put_at = self.clock.now();
            let (outcome, stored) =
                self.create_beside_head(&document, &bytes, (read_at, ends_at), shutdown).await;
            self.next_document = Instant::now() + self.pace.interval;
            match outcome {
                Outcome::Announced => return self.announced((document, put_at), changes, stored).await,
                // It came after the reading; whether others have come since is not known.
                Outcome::Lost(winner) => self.newest = Some((*winner, read_at)),
                Outcome::Refused(error) => return answer_all(changes, &AnnounceError::Refused(error)),
                Outcome::Unknown => {
                    self.newest = None;
                    return answer_all(changes, &AnnounceError::Unknown);
                }
            }
        }
    }

    /// Creates a document; head is read beside it, so that it can be written at once. A head that is
    /// slower than the document is not waited for.
    async fn create_beside_head(
        &self,
        document: &CatalogDocument,
        bytes: &Bytes,
        (read_at, ends_at): (DateTime<Utc>, DateTime<Utc>),
        shutdown: &Shutdown,
    ) -> (Outcome, Option<Head>) {
        let creation = self.creation(shutdown);
        let create = std::pin::pin!(creation.create(document, bytes, read_at, ends_at));
        let head = std::pin::pin!(self.store.head());
        match futures::future::select(create, head).await {
            Either::Left((outcome, _)) => (outcome, None),
            Either::Right((stored, create)) => (create.await, stored.ok().flatten()),
        }
    }

    fn creation<'a>(&'a self, shutdown: &'a Shutdown) -> Creation<'a> {
        Creation { store: &self.store, clock: &self.clock, pace: &self.pace, shutdown }
    }

    /// Reads the newest document, unless it was known recently; then its number decides. Returns the
    /// time of the reading, and whether it was known.
    async fn read_newest(&mut self, shutdown: &Shutdown) -> Result<(DateTime<Utc>, bool), Error> {
        let known = self.newest.as_ref().map(|(_, read_at)| *read_at);
        if let Some(read_at) = known.filter(|read_at| self.creation(shutdown).is_recent(*read_at)) {
            return Ok((read_at, true));
        }
        let read_at = self.clock.now();
        let newest = self.store.newest(self.deployment).await?;
        self.highest_seen = not_below(self.highest_seen, newest.as_ref().map(|newest| newest.n))?;
        self.newest = newest.map(|newest| (newest, read_at));
        if let Some((newest, _)) = &self.newest {
            self.deployment = Some(newest.deployment);
        }
        if self.creation(shutdown).is_recent(read_at) {
            Ok((read_at, false))
        } else {
            let (path, seconds) = (paths::CATALOG.to_owned(), self.pace.reading_age.as_secs());
            Err(Error::Timeout { operation: "read", path, seconds })
        }
    }

    /// Whether one of `changes` is made from something else than what is known to be the newest.
    fn would_refuse(&self, changes: &[Waiting]) -> bool {
        let Some((newest, _)) = &self.newest else { return false };
        let mut document = newest.clone();
        changes.iter().any(|waiting| draft::put(&mut document, &waiting.change).is_err())
    }

    /// The next document with every change that still stands; the others are answered.
    fn draft(&mut self, changes: Vec<Waiting>) -> (CatalogDocument, Vec<Waiting>) {
        let deployment = *self.deployment.get_or_insert_with(|| DeploymentId::from_uuid(all_random()));
        let base = self.newest.as_ref().map(|(newest, _)| newest);
        let mut document = draft::follow(base, deployment, AnnouncementId::from_uuid(all_random()));
        let mut standing = Vec::with_capacity(changes.len());
        let now = self.clock.now();
        for waiting in changes {
            if now >= waiting.ends_at() {
                waiting.answer(Err(AnnounceError::Late));
                continue;
            }
            match draft::put(&mut document, &waiting.change) {
                Ok(()) => standing.push(waiting),
                Err(error) => waiting.answer(Err(error)),
            }
        }
        (document, standing)
    }

    /// `document`, put at this time or later, stands: tells everyone, then head.
    async fn announced(
        &mut self,
        (document, put_at): (CatalogDocument, DateTime<Utc>),
        changes: Vec<Waiting>,
        stored: Option<Head>,
    ) {
        let announced = Announced { n: document.n, deployment: document.deployment };
        for waiting in changes {
            if let Change::Collection { name, entry, data_as_of, .. } = &waiting.change {
                let fresh = Freshness { version: entry.version, data_as_of: *data_as_of };
                // One whose last version was forgotten after a drop counts from the start.
                self.head.known.retain(|known, fresh| known != name || fresh.version <= entry.version);
                remember(&mut self.head.known, name, fresh);
            }
            waiting.answer(Ok(announced));
        }
        self.highest_seen = self.highest_seen.max(document.n);
        self.newest = Some((document, put_at));
        self.head.due = Some(self.head.earliest);
        self.head.corrections = 0;
        if self.head.earliest <= Instant::now() {
            self.work_on_head(stored).await;
        }
    }

    /// Writes head when it does not say what it should. A failure is tried again later and is never
    /// an announcement's.
    async fn work_on_head(&mut self, stored: Option<Head>) {
        match self.write_head(stored).await {
            Ok(written) => {
                self.head.backoff.reset();
                let now = Instant::now();
                self.head.due = None;
                if written {
                    self.head.earliest = now + self.pace.interval;
                    // Another process may have written an older one at the same time: look again.
                    self.head.corrections += 1;
                    if self.head.corrections <= HEAD_CORRECTIONS_MAX {
                        self.head.due = Some(self.head.earliest);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the catalog's head cannot be written; it is tried again");
                let error = Arc::new(error);
                let now = Instant::now();
                let patience = self.pace.patience;
                let is_final = matches!(*error, Error::ForeignCatalog { .. } | Error::NewerFormat { .. });
                let late = |(_, since): &mut (_, Instant)| is_final || now - *since >= patience;
                for (waiting, _) in self.head.waiting.extract_if(.., late) {
                    let error = Arc::clone(&error);
                    waiting.answer(Err(if is_final {
                        AnnounceError::Refused(error)
                    } else {
                        AnnounceError::Unreachable(error)
                    }));
                }
                self.head.due = Some((now + self.head.backoff.next_delay()).max(self.head.earliest));
            }
        }
    }

    /// True when head was written, false when it said everything already.
    async fn write_head(&mut self, stored: Option<Head>) -> Result<bool, Error> {
        let path: Path = paths::head();
        let stored = match stored {
            Some(head) => Some(head),
            None => match self.store.head().await {
                Ok(head) => head,
                Err(error) if error.is_no_hint() => None,
                Err(error) => return Err(error),
            },
        };
        if let Some(head) = &stored {
            belongs(path.as_ref(), head.deployment, self.deployment)?;
        }
        let known = self.newest.as_ref().map(|(newest, _)| newest.n);
        let is_behind = match (&stored, known) {
            (Some(head), Some(known)) => head.n > known,
            (_, None) => true,
            (None, Some(_)) => false,
        };
        if is_behind {
            let read_at = self.clock.now();
            self.newest = self.store.newest(self.deployment).await?.map(|newest| (newest, read_at));
        }
        let Some((newest, _)) = &self.newest else {
            // Nothing was ever announced: there is nothing to confirm.
            for (waiting, _) in self.head.waiting.drain(..) {
                waiting.answer(Err(AnnounceError::Superseded));
            }
            return Ok(false);
        };
        self.deployment = Some(newest.deployment);
        let entries = &newest.collections;
        let stands = |waiting: &Waiting| match &waiting.change {
            Change::Freshness { name, version, .. } => {
                entries.get(name).is_some_and(|entry| entry.version == *version)
            }
            _ => false,
        };
        let known = &mut self.head.known;
        known.retain(|name, fresh| entries.get(name).is_some_and(|entry| entry.version == fresh.version));
        for (waiting, _) in self.head.waiting.iter().filter(|(waiting, _)| stands(waiting)) {
            if let Change::Freshness { name, version, data_as_of } = &waiting.change {
                remember(known, name, Freshness { version: *version, data_as_of: *data_as_of });
            }
        }
        let head = head::merge(newest, stored.as_ref(), &self.head.known);
        let must_write = stored.as_ref() != Some(&head);
        if must_write {
            let (bytes, _) = publish::document(&path, &head)?;
            self.store.put(&path, self.store.seal.close(Kind::Head, bytes)).await?;
        }
        let announced = Announced { n: newest.n, deployment: newest.deployment };
        for (waiting, _) in self.head.waiting.drain(..) {
            let stands = stands(&waiting);
            waiting.answer(if stands { Ok(announced) } else { Err(AnnounceError::Superseded) });
        }
        Ok(must_write)
    }

    /// Answers whoever still waits and brings head up to date one last time.
    async fn end(mut self, mut changes: Vec<Waiting>) {
        self.queue.close();
        while let Ok(waiting) = self.queue.try_recv() {
            changes.push(waiting);
        }
        self.sort_out_freshness(&mut changes);
        answer_all(changes, &AnnounceError::Ending);
        // Without corrections, what is due is a first write and not a second look.
        if self.head.due.is_some() && self.head.corrections == 0 {
            let _ = timeout(LAST_HEAD_TIMEOUT, self.work_on_head(None)).await;
        }
        for (waiting, _) in self.head.waiting {
            waiting.answer(Err(AnnounceError::Ending));
        }
    }
}

fn answer_all(changes: Vec<Waiting>, error: &AnnounceError) {
    for waiting in changes {
        waiting.answer(Err(error.clone()));
    }
}

/// 128 random bits; an identifier of ours needs no UUID version.
fn all_random() -> Uuid {
    Uuid::from_bytes(random::bytes())
}

/// The number of the newest document, which is not below the highest one `seen`.
fn not_below(seen: u64, found: Option<u64>) -> Result<u64, Error> {
    let there = match found {
        Some(n) if n >= seen => return Ok(n),
        None if seen == 0 => return Ok(0),
        Some(n) => format!("its newest document is {n}"),
        None => "it is empty".to_owned(),
    };
    Err(Error::CatalogLost { there, known: format!("this process has met document {seen}") })
}
