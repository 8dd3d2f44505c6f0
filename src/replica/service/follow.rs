//! What the replica makes of what it sees: documents, freshness, key sets, ended work.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    super::{error::Error, look::Seen, target::Target, tracked::Tracked},
    Replica, named,
};
use crate::{
    catalog::{self, record_freshness},
    domain::{
        catalog::{CatalogDocument, CollectionEntry, Freshness, KeySetReference},
        error::ErrorKind,
        keyset::KeySet,
        manifest::Manifest,
        name::CollectionName,
    },
    status::Problem,
};

impl<T: Target> Replica<T> {
    /// Takes what a look has seen.
    pub(super) fn seen(&mut self, seen: Result<Seen, catalog::Error>) {
        self.must_tell = true;
        let seen = match seen.and_then(|seen| self.in_one_catalog(seen)) {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the catalog cannot be followed");
                self.next_look = Instant::now() + self.backoff.next_delay();
                // What this look should have found beyond head is asked for by the next one.
                self.next_probe = self.next_look;
                return self.has_problem(&error);
            }
        };
        self.backoff.reset();
        let now = self.clock.now();
        self.polled_at = Some(now);
        if let Some(document) = seen.document {
            self.take(document);
        }
        self.document_etag = seen.document_etag.or(self.document_etag.take());
        if let Some((head, etag)) = seen.head {
            self.etag = etag;
            self.upkeep.must_save |= !head.data_as_of.is_empty();
            for (name, fresh) in head.data_as_of {
                self.freshen(&name, fresh);
            }
        }
        match seen.keys {
            Some(Ok((reference, keys, bytes))) => {
                self.take_keys(reference, keys, bytes);
                self.problem = None;
            }
            Some(Err(error)) => {
                tracing::warn!(code = error.code(), %error, "a key set cannot be read; the last one stays in force");
                self.has_problem(&error);
            }
            None => self.problem = None,
        }
        if self.keys_wanted.is_none() {
            self.keys_at = Some(now);
        }
        let tracked = &self.tracked;
        self.readiness.answered(|| named(tracked));
    }

    /// Refuses a document that cannot have come after the one followed.
    fn in_one_catalog(&self, seen: Seen) -> Result<Seen, catalog::Error> {
        match (&self.document, &seen.document) {
            (Some(own), Some(next)) if next.n > own.n && !next.succeeds(own) => {
                Err(catalog::Error::forked(next.n))
            }
            _ => Ok(seen),
        }
    }

    fn has_problem(&mut self, error: &catalog::Error) {
        let (before, now) = (self.problem.as_ref(), self.clock.now());
        self.problem = Some(Problem::lasting(before, error.code(), error.to_string(), now));
    }

    /// Follows a newer document. A lower number than the known one is ignored.
    pub(super) fn take(&mut self, document: CatalogDocument) {
        if document.n <= self.n() {
            return;
        }
        let in_force = self.keys.revision.max(self.keys_wanted.as_ref().map_or(0, |wanted| wanted.revision));
        if let Some(keys) = document.keys.as_ref().filter(|keys| keys.revision > in_force) {
            self.keys_wanted = Some(keys.clone());
        }
        for (name, entry) in &document.collections {
            // Where it is served is the collection's own affair, also while another version is pinned.
            let regions = entry.regions.as_ref().filter(|_| !entry.is_served_in(&self.region));
            let other_regions = regions.map(|regions| regions.clone().into());
            let tracked = self.tracked.entry(name.clone()).or_insert_with(|| Tracked::new(&self.pace));
            tracked.want(document.pin(&self.region, name).unwrap_or(entry), other_regions);
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
            self.place(&name);
        }
        self.upkeep.must_save = true;
    }

    /// Shows the target where a collection without content stands, and forgets removed ones.
    fn place(&mut self, name: &CollectionName) {
        let Some(tracked) = self.tracked.get(name) else { return };
        let target = &self.tools.target;
        match (&tracked.wanted, &tracked.other_regions) {
            (None, _) => {
                target.remove(name);
                self.tools.forget(name);
                // Its last work may still end; then it is removed once more.
                if !tracked.is_running {
                    self.tracked.remove(name);
                }
            }
            (Some(_), Some(regions)) => {
                target.set_elsewhere(name, Arc::clone(regions));
                self.tools.forget(name);
            }
            (Some(_), None) if target.served(name).is_none() => target.set_loading(name),
            (Some(_), None) => {}
        }
        self.has_moved();
    }

    /// Notes how fresh a collection is, when that speaks of the version that the catalog names.
    pub(super) fn freshen(&mut self, name: &CollectionName, fresh: Freshness) {
        let wanted = self.tracked.get(name).and_then(|tracked| tracked.wanted.as_ref());
        if wanted.is_some_and(|wanted| wanted.version == fresh.version) {
            record_freshness(&mut self.fresh, name, fresh);
            self.show_freshness(name);
        }
    }

    fn show_freshness(&mut self, name: &CollectionName) {
        let (Some(tracked), Some(fresh)) = (self.tracked.get_mut(name), self.fresh.get(name)) else { return };
        if tracked.version() == Some(fresh.version) && tracked.data_as_of < Some(fresh.data_as_of) {
            tracked.data_as_of = Some(fresh.data_as_of);
            self.tools.target.set_freshness(name, fresh.data_as_of);
            self.has_moved();
        }
    }

    /// Puts `keys` in force.
    pub(super) fn use_keys(&mut self, keys: KeySet, reference: KeySetReference) {
        self.tools.target.use_keys(&keys);
        self.keys = Arc::new(keys);
        self.keys_reference = Some(reference);
    }

    /// A key set of a higher revision comes into force.
    fn take_keys(&mut self, reference: KeySetReference, keys: KeySet, bytes: Bytes) {
        let floor = self.keys_wanted.as_ref().map_or(0, |wanted| wanted.revision);
        if keys.revision > self.keys.revision && keys.revision >= floor {
            if keys.refused > 0 {
                tracing::warn!(
                    refused = keys.refused,
                    "keys with limits unknown to this build are refused; upgrade this node"
                );
            }
            self.upkeep.keep_keys(reference.sha256, bytes);
            self.use_keys(keys, reference);
        }
        let revision = self.keys.revision;
        self.keys_wanted = self.keys_wanted.take().filter(|wanted| wanted.revision > revision);
        self.upkeep.must_save = true;
    }

    /// Work on a collection has ended.
    pub(super) fn brought(
        &mut self,
        name: &CollectionName,
        entry: CollectionEntry,
        outcome: Result<Arc<Manifest>, Error>,
    ) {
        let Some(tracked) = self.tracked.get_mut(name) else { return };
        tracked.is_running = false;
        if tracked.wanted.is_none() || !tracked.is_here() {
            return self.place(name);
        }
        match outcome {
            // Taken away again before this was noted: it is brought once more.
            Ok(manifest) if self.tools.target.served(name).as_ref() != Some(&manifest) => {}
            Ok(manifest) => {
                tracing::info!(collection = %name, version = %manifest.version, "applied");
                tracked.brought(entry, manifest);
                // What was built anew may be as fresh as what it replaces.
                if let Some(data_as_of) = tracked.data_as_of {
                    self.tools.target.set_freshness(name, data_as_of);
                }
                self.upkeep.must_save = true;
                self.show_freshness(name);
            }
            Err(error) => {
                tracing::warn!(code = error.code(), collection = %name, %error, "a collection stays as it is");
                // What is missing may have been collected because the catalog has moved on.
                self.must_look |= error.kind() == ErrorKind::NotFound;
                tracked.failed(&entry, &error, Instant::now(), self.clock.now());
            }
        }
        self.has_moved();
    }

    fn has_moved(&mut self) {
        self.has_moved = true;
        self.must_tell = true;
    }
}
