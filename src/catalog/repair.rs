//! Lost and damaged documents: finding the last one that can be read, and announcing on from there.

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{
    Catalog, Error, announce, compression::compress_manifest, paths, publish, read::check_deployment,
    signature::SignedKind,
};
use crate::{
    domain::{
        AnnouncementId, CatalogDocument, CollectionEntry, CollectionName, DeploymentId, Digest, Head, Object,
        SegmentReference,
        limits::{FORMAT, NUMBER_MAX},
    },
    store::{Path, StoredObject},
    support::{clock::Clock, random},
};

/// Documents tried, from the highest number down, until one can be read.
const TRIES_MAX: usize = 64;
/// Most numbers by which a head that is trusted may be ahead of the documents: eleven days of announcements.
const LOST_MAX: u64 = 1_000_000;

/// The last document that can be read.
#[derive(Debug)]
pub struct LastReadable {
    /// The document; `None` when there is none.
    pub document: Option<CatalogDocument>,
    /// Why it is not the newest one that was announced, or cannot be known to be.
    pub problem: Option<Error>,
    /// The highest number that a document has, or has had as far as head shows.
    pub highest: u64,
}

impl Catalog {
    /// Reads the head, unless it is missing, damaged or not accepted: it is only a hint.
    pub async fn usable_head(&self) -> Result<Option<Head>, Error> {
        match self.head().await {
            Err(error) if error.is_of_object() => Ok(None),
            head => head,
        }
    }

    /// Reads the newest document, or else the last one of this deployment that can be read.
    pub async fn last_readable(&self, expected: Option<DeploymentId>) -> Result<LastReadable, Error> {
        let problem = match self.newest(expected).await {
            Ok(document) => {
                let highest = document.as_ref().map_or(0, |document| document.n);
                return Ok(LastReadable { document, problem: None, highest });
            }
            Err(error) if error.is_of_object() || matches!(error, Error::ForeignCatalog { .. }) => error,
            Err(error) => return Err(error),
        };
        let mut numbers = BTreeSet::new();
        let visit = |object: StoredObject| {
            if let Some(Object::Document(n)) = Object::parse(object.path.as_ref()) {
                numbers.insert(n);
                if numbers.len() > TRIES_MAX {
                    numbers.pop_first();
                }
            }
        };
        self.store.list(&paths::catalog(), None, visit).await?;
        let listed = numbers.last().copied().unwrap_or(0);
        let head = self.usable_head().await?;
        let head = head.filter(|head| expected.is_none_or(|expected| head.deployment == expected));
        let head = head.map_or(0, |head| head.n).min(NUMBER_MAX - 1);
        let highest = if head > listed.saturating_add(LOST_MAX) { listed } else { listed.max(head) };
        for n in numbers.into_iter().rev() {
            match self.document(n).await {
                Ok(Some(document)) if expected.is_none_or(|expected| document.deployment == expected) => {
                    return Ok(LastReadable { document: Some(document), problem: Some(problem), highest });
                }
                Ok(_) => {}
                Err(error) if error.is_of_object() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(LastReadable { document: None, problem: Some(problem), highest })
    }

    /// When document `n` was written, by the store's clock; `None` when it does not exist.
    pub async fn announced_at(&self, n: u64) -> Result<Option<DateTime<Utc>>, Error> {
        Ok(self.store.modified(&paths::document(n)).await?)
    }

    /// Puts a document that a node has kept back under its number, unless an object has that number. Returns whether
    /// the store has it now.
    pub async fn restore_document(&self, document: &CatalogDocument, clock: &Clock) -> Result<bool, Error> {
        announce::create_alone(self, clock, document).await
    }

    /// Creates document `n` with the content of `document`, and the entries of `raised` that have higher versions.
    /// Returns whether it was announced.
    pub async fn announce_again(
        &self,
        document: &CatalogDocument,
        n: u64,
        raised: Vec<(CollectionName, CollectionEntry)>,
        clock: &Clock,
    ) -> Result<bool, Error> {
        let announced_by = AnnouncementId::from_uuid(uuid::Uuid::from_bytes(random::bytes()));
        let mut next = CatalogDocument { format: FORMAT, n, announced_by, ..document.clone() };
        for (name, entry) in raised {
            next.dropped.remove(&name);
            next.collections.insert(name, entry);
        }
        announce::create_alone(self, clock, &next).await
    }

    /// Writes a head for `document`, and keeps the freshness that the stored head has for its versions.
    pub async fn rewrite_head(&self, document: &CatalogDocument, clock: &Clock) -> Result<(), Error> {
        let stored = self.usable_head().await?;
        let stored = stored.filter(|head| {
            check_deployment(paths::head().as_ref(), head.deployment, Some(document.deployment)).is_ok()
        });
        let head = announce::merge_head(document, stored.as_ref(), clock.now());
        let path = paths::head();
        let (bytes, _) = publish::encode(&path, &head)?;
        Ok(self.store.put(&path, self.keys.sign(SignedKind::Head, bytes)?).await?)
    }

    /// Puts the manifest of `entry` back under its name, from bytes with its digest.
    pub async fn restore_manifest(
        &self,
        name: &CollectionName,
        entry: &CollectionEntry,
        bytes: Bytes,
    ) -> Result<(), Error> {
        super::decode_manifest(name, entry, &bytes)?;
        let path = paths::referenced(&entry.manifest, Object::Manifest(name.as_str()), "the catalog")?;
        check_copy(&path, entry.sha256, &bytes)?;
        Ok(self.store.put(&path, compress_manifest(bytes)).await?)
    }

    /// Puts a segment back under its name, from bytes with its digest.
    pub async fn restore_segment(
        &self,
        name: &CollectionName,
        reference: &SegmentReference,
        bytes: Bytes,
    ) -> Result<(), Error> {
        let path = paths::referenced(&reference.object, Object::Segment(name.as_str()), "a manifest")?;
        check_copy(&path, reference.sha256, &bytes)?;
        Ok(self.store.put(&path, bytes).await?)
    }
}

fn check_copy(path: &Path, sha256: Digest, bytes: &Bytes) -> Result<(), Error> {
    if Digest::of(bytes) == sha256 {
        return Ok(());
    }
    Err(super::error::corrupt(path.as_ref(), "the local copy has another SHA-256"))
}
