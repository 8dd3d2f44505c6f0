//! The announcer's loop: collects waiting changes, creates a document, updates head.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{
    AnnounceError, Announced, AnnouncerHandle, AnnouncerPace, CHANGES_WAITING_MAX, Change, Waiting,
    create::{Creator, Draft, Outcome},
    draft,
    head_writer::{Confirmation, HeadWriter},
    known::{KnownCatalog, Newest},
};
use crate::{
    catalog::{Authority, Catalog, Error, paths, publish, signature::SignedKind},
    domain::{AnnouncementId, CatalogDocument, DeploymentId, Head},
    support::{backoff::Backoff, clock::Clock, random, shutdown::Shutdown},
};

/// The service that makes all announcements of a process. Run it once.
#[derive(Debug)]
pub struct Announcer {
    catalog: Catalog,
    clock: Clock,
    pace: AnnouncerPace,
    queue: mpsc::Receiver<Waiting>,
    known: KnownCatalog,
    /// The next document is not created before this time.
    next_document: Instant,
    head: HeadWriter,
}

/// The catalog that the next document is based on.
enum Base {
    /// It was read at this time.
    Read(DateTime<Utc>),
    /// It must be read again.
    Retry,
    Failed(AnnounceError),
}

impl Announcer {
    /// An announcer and its handle. `deployment` is that of the metadata database: a catalog of another one is
    /// refused, and the first document gets it. Without it, the catalog's is used, or a new one is made.
    pub fn new(
        catalog: Catalog,
        clock: Clock,
        deployment: Option<DeploymentId>,
        pace: AnnouncerPace,
    ) -> (Self, AnnouncerHandle) {
        let (sender, queue) = mpsc::channel(CHANGES_WAITING_MAX);
        let now = Instant::now();
        let head = HeadWriter::new(&pace, now);
        let handle = AnnouncerHandle { queue: sender, clock: clock.clone() };
        let known = KnownCatalog { deployment, authority: None, newest: None, highest_seen: 0 };
        (Self { catalog, clock, pace, queue, known, next_document: now, head }, handle)
    }

    /// The same announcer for the publishers of one metadata database: a catalog that names another one is not
    /// changed, and one that names none will name this one.
    #[must_use]
    pub fn with_authority(mut self, authority: Authority) -> Self {
        self.known.deployment = Some(authority.deployment());
        self.known.authority = Some(authority);
        self
    }

    /// The same announcer, knowing that document `n` exists: a store without it has lost documents.
    #[must_use]
    pub fn with_known_document(mut self, n: u64) -> Self {
        self.known.highest_seen = n;
        self
    }

    /// Works until `shutdown`, or until every handle is dropped. Writes head a last time at the end.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut changes = Vec::new();
        loop {
            let head_due = self.head.due();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                received = self.queue.recv_many(&mut changes, CHANGES_WAITING_MAX) => {
                    if received == 0 {
                        break;
                    }
                }
                () = sleep_until(head_due.unwrap_or_else(Instant::now)), if head_due.is_some() => {
                    self.update_head(None).await;
                }
            }
            changes = self.take_confirmations(changes);
            if changes.is_empty() {
                continue;
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = sleep_until(self.next_document) => {}
            }
            // Changes that arrived during the wait go into the same document.
            while changes.len() < CHANGES_WAITING_MAX
                && let Ok(change) = self.queue.try_recv()
            {
                changes.push(change);
            }
            changes = self.take_confirmations(changes);
            self.announce(std::mem::take(&mut changes), &shutdown).await;
        }
        self.end(changes).await;
    }

    /// Gives the changes that only head shows to the head writer. Returns those that need a document.
    fn take_confirmations(&mut self, changes: Vec<Waiting>) -> Vec<Waiting> {
        let since = Instant::now();
        let mut others = Vec::with_capacity(changes.len());
        for waiting in changes {
            match waiting.change {
                Change::Freshness { name, version, data_as_of } => {
                    let reply = waiting.reply;
                    self.head.confirm(Confirmation { name, version, data_as_of, since, reply });
                }
                _ => others.push(waiting),
            }
        }
        others
    }

    /// Announces `changes` in one document, which is rebuilt each time another document takes its number.
    async fn announce(&mut self, mut changes: Vec<Waiting>, shutdown: &Shutdown) {
        let began = Instant::now();
        let mut backoff = self.pace.backoff();
        loop {
            changes.retain(|waiting| !waiting.reply.is_closed());
            if changes.is_empty() {
                return;
            }
            let read_at = match self.read_base(&changes, began, &mut backoff, shutdown).await {
                Base::Read(read_at) => read_at,
                Base::Retry => continue,
                Base::Failed(error) => return answer_all(changes, &error),
            };
            let document;
            (document, changes) = self.draft(changes);
            let Some(ends_at) = changes.iter().map(Waiting::ends_at).min() else { return };
            let signed = publish::encode(&paths::document(document.n), &document)
                .and_then(|(bytes, _)| self.catalog.keys.sign(SignedKind::Document, bytes));
            let object = match signed {
                Ok(object) => object,
                Err(error) => return answer_all(changes, &AnnounceError::Refused(Arc::new(error))),
            };
            let put_at = self.clock.now();
            let draft = Draft { document: &document, object, read_at, ends_at };
            let (outcome, stored_head) = self.create_beside_head(draft, shutdown).await;
            self.next_document = Instant::now() + self.pace.interval;
            match outcome {
                Outcome::Announced => {
                    let newest = Newest { document, read_at: put_at };
                    return self.announced(newest, changes, stored_head).await;
                }
                // It was created after the reading; later documents are not known.
                Outcome::Lost(winner) => self.known.newest = Some(Newest { document: *winner, read_at }),
                Outcome::Refused(error) => return answer_all(changes, &self.refused(error)),
                Outcome::Unknown => {
                    self.known.newest = None;
                    return answer_all(changes, &AnnounceError::Unknown);
                }
            }
        }
    }

    /// Reads the newest document, unless it was read recently. Waits after a failure.
    async fn read_base(
        &mut self,
        changes: &[Waiting],
        began: Instant,
        backoff: &mut Backoff,
        shutdown: &Shutdown,
    ) -> Base {
        match self.read_newest(shutdown).await {
            // Another process may have replaced what was read earlier: no change is refused because of it.
            Ok((_, true)) if self.would_refuse(changes) => {
                self.known.newest = None;
                Base::Retry
            }
            Ok((read_at, _)) => Base::Read(read_at),
            Err(
                error @ (Error::ForeignCatalog { .. } | Error::NewerFormat { .. } | Error::Untrusted { .. }),
            ) => Base::Failed(self.refused(Arc::new(error))),
            Err(error) if began.elapsed() >= self.pace.patience => {
                Base::Failed(AnnounceError::Unreachable(Arc::new(error)))
            }
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the catalog cannot be read; it is tried again");
                if self.creator(shutdown).wait(backoff).await {
                    Base::Retry
                } else {
                    Base::Failed(AnnounceError::Ending)
                }
            }
        }
    }

    /// Reads the newest document, unless it was read recently: then creating the next number decides. Returns the
    /// time of the reading, and whether it is an earlier one.
    async fn read_newest(&mut self, shutdown: &Shutdown) -> Result<(DateTime<Utc>, bool), Error> {
        let earlier = self.known.newest.as_ref().map(|newest| newest.read_at);
        if let Some(read_at) = earlier.filter(|read_at| self.creator(shutdown).is_recent(*read_at)) {
            return Ok((read_at, true));
        }
        let read_at = self.known.read(&self.catalog, &self.clock).await?;
        if self.creator(shutdown).is_recent(read_at) {
            Ok((read_at, false))
        } else {
            Err(KnownCatalog::timeout(self.pace.reading_age))
        }
    }

    /// Creates a document, and reads head at the same time so that it can be written at once. Does not wait for a
    /// head that is slower than the document.
    async fn create_beside_head(&self, draft: Draft<'_>, shutdown: &Shutdown) -> (Outcome, Option<Head>) {
        use futures::future::{Either, select};
        let creator = self.creator(shutdown);
        let create = std::pin::pin!(creator.create(draft));
        let head = std::pin::pin!(self.catalog.head());
        match select(create, head).await {
            Either::Left((outcome, _)) => (outcome, None),
            Either::Right((stored, create)) => (create.await, stored.ok().flatten()),
        }
    }

    /// The answer to changes of a catalog that this process must not change.
    fn refused(&self, error: Arc<Error>) -> AnnounceError {
        if let Some(authority) = &self.known.authority {
            authority.note(&error);
        }
        AnnounceError::Refused(error)
    }

    fn creator<'a>(&'a self, shutdown: &'a Shutdown) -> Creator<'a> {
        Creator { catalog: &self.catalog, clock: &self.clock, pace: &self.pace, shutdown }
    }

    /// Whether one of `changes` is based on something else than the newest known document.
    fn would_refuse(&self, changes: &[Waiting]) -> bool {
        let Some(newest) = &self.known.newest else { return false };
        let mut document = newest.document.clone();
        let authority = self.known.authority.as_ref();
        changes.iter().any(|waiting| draft::apply(&mut document, &waiting.change, authority).is_err())
    }

    /// The next document with every change that is still valid. The other changes are answered.
    fn draft(&mut self, changes: Vec<Waiting>) -> (CatalogDocument, Vec<Waiting>) {
        let deployment = *self.known.deployment.get_or_insert_with(|| DeploymentId::from_uuid(all_random()));
        let base = self.known.newest.as_ref().map(|newest| &newest.document);
        let mut document = draft::follow(base, deployment, AnnouncementId::from_uuid(all_random()));
        let mut valid = Vec::with_capacity(changes.len());
        let now = self.clock.now();
        for waiting in changes {
            if now >= waiting.ends_at() {
                waiting.answer(Err(AnnounceError::Late));
                continue;
            }
            match draft::apply(&mut document, &waiting.change, self.known.authority.as_ref()) {
                Ok(()) => valid.push(waiting),
                Err(error) => waiting.answer(Err(error)),
            }
        }
        (document, valid)
    }

    /// Answers the changes of an announced document and updates head.
    async fn announced(&mut self, newest: Newest, changes: Vec<Waiting>, stored_head: Option<Head>) {
        let announced = Announced { n: newest.document.n, deployment: newest.document.deployment };
        for waiting in changes {
            if let Change::Collection { name, entry, data_as_of, .. } = &waiting.change {
                self.head.record(name, entry.version, *data_as_of);
            }
            waiting.answer(Ok(announced));
        }
        self.known.highest_seen = self.known.highest_seen.max(announced.n);
        self.catalog.keep_copy(&newest.document);
        self.known.newest = Some(newest);
        if self.head.request_write() {
            self.update_head(stored_head).await;
        }
    }

    async fn update_head(&mut self, stored: Option<Head>) {
        self.head.update(&self.catalog, &self.clock, &self.pace, &mut self.known, stored).await;
    }

    /// Answers all waiting changes and writes head a last time.
    async fn end(mut self, mut changes: Vec<Waiting>) {
        self.queue.close();
        while let Ok(waiting) = self.queue.try_recv() {
            changes.push(waiting);
        }
        answer_all(self.take_confirmations(changes), &AnnounceError::Ending);
        self.head.end(&self.catalog, &self.clock, &self.pace, &mut self.known).await;
    }
}

fn answer_all(changes: Vec<Waiting>, error: &AnnounceError) {
    for waiting in changes {
        waiting.answer(Err(error.clone()));
    }
}

/// 128 random bits. Our identifiers have no UUID version.
fn all_random() -> Uuid {
    Uuid::from_bytes(random::bytes())
}
