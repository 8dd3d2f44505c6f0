//! Keeps head up to date: after each document, and when a sync confirms that a collection is unchanged.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant, timeout},
};

use super::{
    AnnounceError, Announced, AnnouncerPace, head,
    known::{KnownCatalog, Newest},
};
use crate::{
    catalog::{
        Catalog, Error, FreshnessByCollection, paths, publish, read::check_deployment, record_freshness,
        signature::SignedKind,
    },
    domain::{CollectionName, Freshness, Head, Version, limits::CLOCK_SKEW_MAX},
    support::{backoff::Backoff, clock::Clock},
};

/// Bound of the last write of head while the process ends. Without it followers find the document later.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Times that head is written again because another process overwrote it with an older one.
const CORRECTIONS_MAX: u32 = 3;

/// A caller that waits for head to confirm a version of a collection.
#[derive(Debug)]
pub(super) struct Confirmation {
    pub(super) name: CollectionName,
    pub(super) version: Version,
    pub(super) data_as_of: DateTime<Utc>,
    pub(super) since: Instant,
    pub(super) reply: oneshot::Sender<Result<Announced, AnnounceError>>,
}

impl Confirmation {
    fn answer(self, outcome: Result<Announced, AnnounceError>) {
        // A caller that is gone does not need it.
        let _ = self.reply.send(outcome);
    }
}

#[derive(Debug)]
pub(super) struct HeadWriter {
    /// What this process has announced or confirmed.
    fresh: FreshnessByCollection,
    waiting: Vec<Confirmation>,
    /// When head must be written or checked; `None` if never.
    due: Option<Instant>,
    /// Head must not be written again before this time.
    earliest: Instant,
    backoff: Backoff,
    corrections: u32,
}

impl HeadWriter {
    pub(super) fn new(pace: &AnnouncerPace, now: Instant) -> Self {
        Self {
            fresh: FreshnessByCollection::new(),
            waiting: Vec::new(),
            due: None,
            earliest: now,
            backoff: pace.backoff(),
            corrections: 0,
        }
    }

    /// When [`HeadWriter::update`] must be called next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn confirm(&mut self, confirmation: Confirmation) {
        self.waiting.push(confirmation);
        self.request_write();
    }

    /// Records the freshness of an announced version.
    pub(super) fn record(&mut self, name: &CollectionName, version: Version, data_as_of: DateTime<Utc>) {
        // Versions start again when the catalog has forgotten the last one of a dropped collection.
        self.fresh.retain(|known, fresh| known != name || fresh.version <= version);
        record_freshness(&mut self.fresh, name, Freshness { version, data_as_of });
    }

    /// Schedules a write. Returns whether it may happen now.
    pub(super) fn request_write(&mut self) -> bool {
        self.due = Some(self.earliest);
        self.corrections = 0;
        self.earliest <= Instant::now()
    }

    /// Writes head if it is out of date. A failure is retried later and never fails an announcement.
    pub(super) async fn update(
        &mut self,
        catalog: &Catalog,
        clock: &Clock,
        pace: &AnnouncerPace,
        known: &mut KnownCatalog,
        stored: Option<Head>,
    ) {
        match self.write(catalog, clock, known, stored).await {
            Ok(written) => {
                self.backoff.reset();
                self.due = None;
                if written {
                    self.earliest = Instant::now() + pace.interval;
                    // Another process may have written an older head at the same time: check once more.
                    self.corrections += 1;
                    if self.corrections <= CORRECTIONS_MAX {
                        self.due = Some(self.earliest);
                    }
                }
            }
            Err(error) => self.postpone(error, pace),
        }
    }

    fn postpone(&mut self, error: Error, pace: &AnnouncerPace) {
        tracing::warn!(code = error.code(), %error, "the catalog's head cannot be written; it is tried again");
        let error = Arc::new(error);
        let now = Instant::now();
        let is_final = matches!(
            *error,
            Error::ForeignCatalog { .. }
                | Error::ForeignMetadata { .. }
                | Error::NewerFormat { .. }
                | Error::NoSigningKey
        );
        let has_ended = |waiting: &mut Confirmation| is_final || now - waiting.since >= pace.patience;
        for waiting in self.waiting.extract_if(.., has_ended) {
            let error = Arc::clone(&error);
            waiting.answer(Err(if is_final {
                AnnounceError::Refused(error)
            } else {
                AnnounceError::Unreachable(error)
            }));
        }
        self.due = Some((now + self.backoff.next_delay()).max(self.earliest));
    }

    /// Returns whether head was written; it is not if it is up to date.
    async fn write(
        &mut self,
        catalog: &Catalog,
        clock: &Clock,
        known: &mut KnownCatalog,
        stored: Option<Head>,
    ) -> Result<bool, Error> {
        let stored = match stored {
            Some(head) => Some(head),
            None => match catalog.head().await {
                Ok(head) => head,
                Err(error) if error.is_unusable_head() => None,
                Err(error) => return Err(error),
            },
        };
        let path = paths::head();
        if let Some(head) = &stored {
            check_deployment(path.as_ref(), head.deployment, known.deployment)?;
        }
        let is_behind = match (&stored, &known.newest) {
            (Some(head), Some(newest)) => head.n > newest.document.n,
            (_, None) => true,
            (None, Some(_)) => false,
        };
        if is_behind {
            let read_at = clock.now();
            let newest = catalog.newest(known.deployment).await?;
            known.newest = newest.map(|document| Newest { document, read_at });
        }
        let Some(Newest { document: newest, .. }) = &known.newest else {
            // Nothing was ever announced, so nothing can be confirmed.
            for waiting in self.waiting.drain(..) {
                waiting.answer(Err(AnnounceError::Superseded));
            }
            return Ok(false);
        };
        known.check_authority()?;
        known.deployment = Some(newest.deployment);
        let is_announced = |name: &CollectionName, version: Version| {
            newest.collections.get(name).is_some_and(|entry| entry.version == version)
        };
        self.fresh.retain(|name, fresh| is_announced(name, fresh.version));
        for Confirmation { name, version, data_as_of, .. } in &self.waiting {
            if is_announced(name, *version) {
                let fresh = Freshness { version: *version, data_as_of: *data_as_of };
                record_freshness(&mut self.fresh, name, fresh);
            }
        }
        let until = clock.now() + CLOCK_SKEW_MAX;
        let head = head::merge(newest, stored.as_ref(), &self.fresh, until);
        let must_write = stored.as_ref() != Some(&head);
        if must_write {
            let (bytes, _) = publish::encode(&path, &head)?;
            catalog.store.put(&path, catalog.keys.sign(SignedKind::Head, bytes)?).await?;
        }
        let announced = Announced { n: newest.n, deployment: newest.deployment };
        for waiting in self.waiting.drain(..) {
            let is_announced = is_announced(&waiting.name, waiting.version);
            waiting.answer(if is_announced { Ok(announced) } else { Err(AnnounceError::Superseded) });
        }
        Ok(must_write)
    }

    /// Writes head a last time and answers the callers that still wait.
    pub(super) async fn end(
        mut self,
        catalog: &Catalog,
        clock: &Clock,
        pace: &AnnouncerPace,
        known: &mut KnownCatalog,
    ) {
        // With corrections, the due work is a check of what was written already.
        if self.due.is_some() && self.corrections == 0 {
            let _ = timeout(LAST_WRITE_TIMEOUT, self.update(catalog, clock, pace, known, None)).await;
        }
        for waiting in self.waiting {
            waiting.answer(Err(AnnounceError::Ending));
        }
    }
}
