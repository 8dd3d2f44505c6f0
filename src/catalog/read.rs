//! Reading the catalog: head, documents, manifests, key sets.

use bytes::Bytes;
use object_store::path::Path;

use crate::catalog::decode;
use crate::domain::{
    catalog::{CatalogDocument, CollectionEntry, Head, KeySetReference},
    digest::Digest,
    id::{AnnouncementId, DeploymentId},
    keyset::KeySet,
    limits::DOCUMENT_BYTES_MAX,
    manifest::Manifest,
    name::CollectionName,
};
use crate::store::Kind;
use crate::store::error::Error;
use crate::store::paths::{self, Object};
use crate::store::{Conditional, Store};

/// Documents asked for one by one before the store is asked for a list: a head that lags is a few
/// numbers behind; one that could not be written for hours is not worth walking after.
const STEPS_MAX: usize = 16;

/// What a conditional look at head finds.
#[derive(Debug, Clone)]
pub enum HeadAnswer {
    /// It is as it was.
    Unchanged,
    /// There is none.
    Missing,
    /// It is new to the asker.
    Found {
        /// What it says.
        head: Head,
        /// What to ask with the next time.
        etag: Option<String>,
    },
}

impl Store {
    /// The head, unless there is none.
    pub async fn head(&self) -> Result<Option<Head>, Error> {
        match self.head_if_changed(None).await? {
            HeadAnswer::Found { head, .. } => Ok(Some(head)),
            HeadAnswer::Missing | HeadAnswer::Unchanged => Ok(None),
        }
    }

    /// The head, unless it still has `etag`: one conditional request.
    pub async fn head_if_changed(&self, etag: Option<&str>) -> Result<HeadAnswer, Error> {
        let path = paths::head();
        Ok(match self.small_if_changed(&path, etag, DOCUMENT_BYTES_MAX).await? {
            Conditional::Unchanged => HeadAnswer::Unchanged,
            Conditional::Missing => HeadAnswer::Missing,
            Conditional::Found(small) => {
                let bytes = self.seal.open(Kind::Head, path.as_ref(), small.bytes)?;
                HeadAnswer::Found { head: decode::head(path.as_ref(), &bytes)?, etag: small.etag }
            }
        })
    }

    /// Catalog document `n`, unless it does not exist.
    pub async fn document(&self, n: u64) -> Result<Option<CatalogDocument>, Error> {
        let path = paths::document(n);
        match self.small(&path, DOCUMENT_BYTES_MAX).await? {
            Some(small) => {
                let bytes = self.seal.open(Kind::Document, path.as_ref(), small.bytes)?;
                decode::document(n, path.as_ref(), &bytes).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Whether document `n` stands as `announced_by` made it: one conditional request. `etag` is what this
    /// returned when it last did; what to ask with the next time comes back.
    ///
    /// # Errors
    /// [`Error::Missing`] when it has gone, [`Error::Forked`] when it is another one, and what makes a
    /// document unreadable.
    pub async fn document_stands(
        &self,
        n: u64,
        announced_by: AnnouncementId,
        etag: Option<String>,
    ) -> Result<Option<String>, Error> {
        let path = paths::document(n);
        let small = match self.small_if_changed(&path, etag.as_deref(), DOCUMENT_BYTES_MAX).await? {
            Conditional::Unchanged => return Ok(etag),
            Conditional::Missing => return Err(Error::Missing { path: path.to_string() }),
            Conditional::Found(small) => small,
        };
        let bytes = self.seal.open(Kind::Document, path.as_ref(), small.bytes)?;
        if decode::document(n, path.as_ref(), &bytes)?.announced_by == announced_by {
            Ok(small.etag)
        } else {
            Err(Error::Forked { path: path.to_string() })
        }
    }

    /// The newest document, or `None` in an empty store. Starts at the document that head names and
    /// asks on until there is none; without a usable head it looks at a list.
    ///
    /// A head that names a document which is not there is an error: the store has lost objects, and
    /// building on an older document would fork the catalog.
    pub async fn newest(&self, expected: Option<DeploymentId>) -> Result<Option<CatalogDocument>, Error> {
        let head = match self.head().await {
            Ok(head) => head,
            // A hint that cannot be read is no hint.
            Err(error) if error.is_no_hint() => None,
            Err(error) => return Err(error),
        };
        let start = match &head {
            Some(head) => {
                belongs(paths::head().as_ref(), head.deployment, expected)?;
                let start = self.document(head.n).await?;
                Some(start.ok_or_else(|| Error::Missing { path: paths::document(head.n).to_string() })?)
            }
            None => match self.highest_after(0).await? {
                Some(n) => self.document(n).await?,
                None => None,
            },
        };
        let Some(start) = start else { return Ok(None) };
        belongs(paths::document(start.n).as_ref(), start.deployment, expected)?;
        let later = self.newest_after(start.n, Some(start.deployment)).await?;
        Ok(Some(later.unwrap_or(start)))
    }

    /// The newest document above number `n`, or `None` when `n` is the newest.
    pub async fn newest_after(
        &self,
        n: u64,
        expected: Option<DeploymentId>,
    ) -> Result<Option<CatalogDocument>, Error> {
        let mut newest: Option<CatalogDocument> = None;
        let mut at = n;
        for step in 1.. {
            let Some(document) = self.document(at + 1).await? else { break };
            belongs(paths::document(document.n).as_ref(), document.deployment, expected)?;
            at = document.n;
            newest = Some(document);
            if step % STEPS_MAX == 0
                && let Some(highest) = self.highest_after(at).await?
                && let Some(document) = self.document(highest).await?
            {
                belongs(paths::document(document.n).as_ref(), document.deployment, expected)?;
                at = document.n;
                newest = Some(document);
            }
        }
        Ok(newest)
    }

    /// The highest document number above `n`, by listing.
    async fn highest_after(&self, n: u64) -> Result<Option<u64>, Error> {
        let mut highest = None;
        let offset = paths::document(n);
        self.list(&Path::from(paths::CATALOG), Some(&offset), |object| {
            if let Some(Object::Document(found)) = Object::parse(object.location.as_ref())
                && found > n
            {
                highest = highest.max(Some(found));
            }
        })
        .await?;
        Ok(highest)
    }

    /// The manifest that `entry` names, checked.
    pub async fn manifest(&self, name: &CollectionName, entry: &CollectionEntry) -> Result<Manifest, Error> {
        self.manifest_object(name, entry).await.map(|(manifest, _)| manifest)
    }

    /// The manifest that `entry` names, checked, with the bytes that its digest is of.
    pub async fn manifest_object(
        &self,
        name: &CollectionName,
        entry: &CollectionEntry,
    ) -> Result<(Manifest, Bytes), Error> {
        let path = paths::named_manifest(name, &entry.manifest, "the catalog")?;
        let bytes = self.present(&path).await?;
        Ok((decode::manifest(name, entry, &bytes)?, bytes))
    }

    /// The manifest of `name` that metadata names by path and digest, checked; its version may be any.
    pub async fn manifest_by_digest(
        &self,
        name: &CollectionName,
        object: &str,
        sha256: &Digest,
    ) -> Result<Manifest, Error> {
        let path = paths::named_manifest(name, object, "the metadata database")?;
        let bytes = self.present(&path).await?;
        decode::manifest_by_digest(name, object, sha256, &bytes)
    }

    /// The key set that `reference` names, checked.
    pub async fn key_set(&self, reference: &KeySetReference) -> Result<KeySet, Error> {
        self.key_set_object(reference).await.map(|(keys, _)| keys)
    }

    /// The key set that `reference` names, checked, with the bytes that its digest is of.
    pub async fn key_set_object(&self, reference: &KeySetReference) -> Result<(KeySet, Bytes), Error> {
        let path = paths::named_key_set(reference.revision, &reference.object, "the catalog")?;
        let bytes = self.present(&path).await?;
        Ok((decode::key_set(reference, &bytes)?, bytes))
    }

    /// A small object that something names.
    pub(crate) async fn present(&self, path: &Path) -> Result<Bytes, Error> {
        let small = self.small(path, DOCUMENT_BYTES_MAX).await?;
        small.map(|small| small.bytes).ok_or_else(|| Error::Missing { path: path.to_string() })
    }
}

/// Refuses a document of another deployment than the expected one.
pub(crate) fn belongs(path: &str, found: DeploymentId, expected: Option<DeploymentId>) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != found => {
            Err(Error::ForeignCatalog { path: path.to_owned(), expected, found })
        }
        _ => Ok(()),
    }
}
