//! Applies results: catalog documents, freshness, key sets and finished collections.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    super::{error::Error, fetch::Applied, poll::PollResult, target::Target, tracked::Tracked},
    Replica, wanted_versions,
};
use crate::{
    catalog::{self, record_freshness},
    domain::{
        catalog::{CatalogDocument, CollectionEntry, Freshness, KeySetReference},
        error::ErrorKind,
        keyset::KeySet,
        name::CollectionName,
    },
    status::Problem,
};

impl<T: Target> Replica<T> {
    /// Applies the result of a poll.
    pub(super) fn apply_poll(&mut self, result: Result<PollResult, catalog::Error>) {
        self.must_publish = true;
        let result = match result.and_then(|result| self.refuse_fork(result)) {
            Ok(result) => result,
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "cannot follow the catalog; serving the last version");
                self.next_poll = Instant::now() + self.backoff.next_delay();
                // Repeat the probe with the next poll.
                self.next_probe = self.next_poll;
                return self.raise_problem(&error);
            }
        };
        self.backoff.reset();
        let now = self.clock.now();
        self.polled_at = Some(now);
        if let Some(document) = result.document {
            self.follow_document(document);
        }
        self.document_etag = result.document_etag.or(self.document_etag.take());
        if let Some((head, etag)) = result.head {
            self.etag = etag;
            self.persistence.must_save |= !head.data_as_of.is_empty();
            for (name, fresh) in head.data_as_of {
                self.apply_freshness(&name, fresh);
            }
        }
        let problem = result.problem;
        match result.keys {
            Some(Ok((reference, keys, bytes))) => {
                self.apply_keys(reference, keys, bytes);
                self.problem = None;
            }
            Some(Err(error)) => {
                tracing::warn!(code = error.code(), %error, "cannot read a key set; the last one stays in force");
                self.raise_problem(&error);
            }
            // A lasting problem keeps its time.
            None if problem.is_some() => {}
            None => self.problem = None,
        }
        if let Some(error) = &problem {
            tracing::warn!(code = error.code(), %error, "cannot use the catalog head; following document by document");
            self.raise_problem(error);
        }
        // Without a usable head, later documents may be lost, and keys revoked in them.
        if self.keys_wanted.is_none() && problem.is_none() {
            self.keys_at = Some(now);
        }
        let tracked = &self.tracked;
        self.readiness.store_answered(|| wanted_versions(tracked));
    }

    /// Refuses a document that cannot succeed the followed one.
    fn refuse_fork(&self, result: PollResult) -> Result<PollResult, catalog::Error> {
        match (&self.document, &result.document) {
            (Some(own), Some(next)) if next.n > own.n && !next.succeeds(own) => {
                Err(catalog::Error::forked(next.n))
            }
            _ => Ok(result),
        }
    }

    fn raise_problem(&mut self, error: &catalog::Error) {
        let (before, now) = (self.problem.as_ref(), self.clock.now());
        self.problem = Some(Problem::lasting(before, error.code(), error.to_string(), now));
    }

    /// Follows a newer document. A document that is not newer is ignored.
    pub(super) fn follow_document(&mut self, document: CatalogDocument) {
        if document.n <= self.document_number() {
            return;
        }
        let in_force = self.keys.revision.max(self.keys_wanted.as_ref().map_or(0, |wanted| wanted.revision));
        if let Some(keys) = document.keys.as_ref().filter(|keys| keys.revision > in_force) {
            self.keys_wanted = Some(keys.clone());
        }
        for (name, entry) in &document.collections {
            // The regions come from the collection's newest entry, also while another version is pinned.
            let regions = entry.regions.as_ref().filter(|_| !entry.is_served_in(&self.region));
            let other_regions = regions.map(|regions| regions.clone().into());
            let tracked = self.tracked.entry(name.clone()).or_insert_with(|| Tracked::new(&self.pace));
            tracked.set_wanted(document.pin(&self.region, name).unwrap_or(entry), other_regions);
        }
        for (name, tracked) in &mut self.tracked {
            if !document.collections.contains_key(name) {
                tracked.wanted = None;
            }
        }
        let tracked = &self.tracked;
        let wanted = |name: &CollectionName| tracked.get(name).and_then(|tracked| tracked.wanted.as_ref());
        self.fresh.retain(|name, fresh| wanted(name).is_some_and(|entry| entry.version == fresh.version));
        self.document = Some(document);
        self.document_etag = None;
        let names: Vec<_> = self.tracked.keys().cloned().collect();
        for name in names {
            self.update_target(&name);
        }
        self.persistence.must_save = true;
    }

    /// Updates the target for a collection that is removed, served elsewhere or not loaded.
    fn update_target(&mut self, name: &CollectionName) {
        let Some(tracked) = self.tracked.get(name) else { return };
        let target = &self.applier.target;
        match (&tracked.wanted, &tracked.other_regions) {
            (None, _) => {
                target.remove(name);
                self.applier.release_segments(name);
                // Work on it may still be running; it is removed again when that ends.
                if !tracked.is_applying {
                    self.tracked.remove(name);
                }
            }
            (Some(_), Some(regions)) => {
                target.set_elsewhere(name, Arc::clone(regions));
                self.applier.release_segments(name);
            }
            (Some(_), None) if target.served(name).is_none() => target.set_loading(name),
            (Some(_), None) => {}
        }
        self.mark_collections_changed();
    }

    /// Records how fresh a collection is, if that is about the version that the catalog names.
    pub(super) fn apply_freshness(&mut self, name: &CollectionName, mut fresh: Freshness) {
        let Some(tracked) = self.tracked.get_mut(name) else { return };
        if tracked.wanted.as_ref().is_some_and(|wanted| wanted.version == fresh.version) {
            fresh.data_as_of = tracked.without_skew(fresh.data_as_of, self.clock.now());
            record_freshness(&mut self.fresh, name, fresh);
            self.show_freshness(name);
        }
    }

    fn show_freshness(&mut self, name: &CollectionName) {
        let (Some(tracked), Some(fresh)) = (self.tracked.get_mut(name), self.fresh.get(name)) else { return };
        if tracked.version() == Some(fresh.version) && tracked.data_as_of < Some(fresh.data_as_of) {
            tracked.data_as_of = Some(fresh.data_as_of);
            self.applier.target.set_freshness(name, fresh.data_as_of);
            self.mark_collections_changed();
        }
    }

    /// Puts `keys` in force.
    pub(super) fn use_keys(&mut self, keys: KeySet, reference: KeySetReference) {
        self.applier.target.use_keys(&keys);
        self.keys = Arc::new(keys);
        self.keys_reference = Some(reference);
    }

    /// Puts a key set of a higher revision in force.
    fn apply_keys(&mut self, reference: KeySetReference, keys: KeySet, bytes: Bytes) {
        let floor = self.keys_wanted.as_ref().map_or(0, |wanted| wanted.revision);
        if keys.revision > self.keys.revision && keys.revision >= floor {
            if keys.refused > 0 {
                tracing::warn!(
                    refused = keys.refused,
                    "refusing keys with limits that this version does not know; upgrade this node"
                );
            }
            self.persistence.set_unsaved_keys(reference.clone(), bytes);
            self.use_keys(keys, reference);
        }
        let revision = self.keys.revision;
        self.keys_wanted = self.keys_wanted.take().filter(|wanted| wanted.revision > revision);
        self.persistence.must_save = true;
    }

    /// Handles the end of work on a collection.
    pub(super) fn finish_apply(
        &mut self,
        name: &CollectionName,
        entry: CollectionEntry,
        outcome: Result<Applied, Error>,
    ) {
        let Some(tracked) = self.tracked.get_mut(name) else { return };
        tracked.is_applying = false;
        if tracked.wanted.is_none() || !tracked.is_served_here() {
            return self.update_target(name);
        }
        match outcome {
            // The target has lost this version meanwhile; it is applied again.
            Ok(applied) if self.applier.target.served(name).as_ref() != Some(&applied.manifest) => {}
            Ok(Applied { manifest, ahead }) => {
                tracing::info!(collection = %name, version = %manifest.version, "serving a new version");
                tracked.record_applied(entry, manifest);
                tracked.ahead = ahead.or(tracked.ahead);
                // A rebuild of the same version keeps its freshness.
                if let Some(data_as_of) = tracked.data_as_of {
                    self.applier.target.set_freshness(name, data_as_of);
                }
                self.persistence.must_save = true;
                self.show_freshness(name);
            }
            Err(error) => {
                tracing::warn!(code = error.code(), collection = %name, %error, "cannot apply a new version; serving the last one");
                // A missing object may have been deleted because the catalog has moved on.
                self.must_poll |= error.kind() == ErrorKind::NotFound;
                tracked.record_failure(&entry, &error, Instant::now(), self.clock.now());
            }
        }
        self.mark_collections_changed();
    }

    fn mark_collections_changed(&mut self) {
        self.collections_changed = true;
        self.must_publish = true;
    }
}
