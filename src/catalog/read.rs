//! Reading the catalog: head, documents, manifests, key sets.

use bytes::Bytes;

use super::{
    Error, SigningKeys, compression::decompress, copies::DocumentCopies, decode, paths, signature::SignedKind,
};
use crate::{
    domain::{
        AnnouncementId, CatalogDocument, CollectionEntry, CollectionName, DeploymentId, Digest, Head, KeySet,
        KeySetReference, Manifest, Object, limits::DOCUMENT_BYTES_MAX,
    },
    store::{ConditionalRead, Path, Store, StoredObject},
};

/// Documents read one by one before the store is listed. A head that lags is a few numbers behind; one
/// that could not be written for hours is many.
const STEPS_MAX: usize = 16;

/// The catalog of one store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub(super) store: Store,
    pub(super) keys: SigningKeys,
    /// Of a publisher.
    pub(super) copies: Option<DocumentCopies>,
}

/// The result of a conditional read of head.
#[derive(Debug, Clone)]
pub enum HeadAnswer {
    /// It has not changed.
    Unchanged,
    /// It does not exist.
    Missing,
    /// It has changed, or was read for the first time.
    Found {
        /// The head.
        head: Head,
        /// Identifies this content in the next conditional read.
        etag: Option<String>,
    },
}

impl Catalog {
    /// The catalog in `store`, signed and verified with `keys`.
    pub fn new(store: Store, keys: SigningKeys) -> Self {
        Self { store, keys, copies: None }
    }

    /// The store that holds the catalog and the segments.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Checks that announcements are safe in this store: see [`Store::check_conditional_create`].
    pub async fn check_conditional_create(&self) -> Result<(), Error> {
        Ok(self.store.check_conditional_create().await?)
    }

    /// Reads the head; `None` when it does not exist.
    pub async fn head(&self) -> Result<Option<Head>, Error> {
        match self.head_if_changed(None).await? {
            HeadAnswer::Found { head, .. } => Ok(Some(head)),
            HeadAnswer::Missing | HeadAnswer::Unchanged => Ok(None),
        }
    }

    /// Reads the head, unless it still has `etag`: one conditional request.
    pub async fn head_if_changed(&self, etag: Option<&str>) -> Result<HeadAnswer, Error> {
        let path = paths::head();
        Ok(match self.store.read_small_if_changed(&path, etag, DOCUMENT_BYTES_MAX).await? {
            ConditionalRead::Unchanged => HeadAnswer::Unchanged,
            ConditionalRead::Missing => HeadAnswer::Missing,
            ConditionalRead::Found(object) => {
                let bytes = self.keys.verify(SignedKind::Head, path.as_ref(), object.bytes)?;
                HeadAnswer::Found { head: decode::head(path.as_ref(), &bytes)?, etag: object.etag }
            }
        })
    }

    /// Reads document `n`; `None` when it does not exist.
    pub async fn document(&self, n: u64) -> Result<Option<CatalogDocument>, Error> {
        let path = paths::document(n);
        let object = self.store.read_small(&path, DOCUMENT_BYTES_MAX).await?;
        object.map(|object| self.verify_document(n, &path, object.bytes)).transpose()
    }

    fn verify_document(&self, n: u64, path: &Path, object: Bytes) -> Result<CatalogDocument, Error> {
        let bytes = self.keys.verify_document(n, path.as_ref(), object)?;
        decode::document(n, path.as_ref(), &bytes)
    }

    /// Reads document `n`, which a document or head refers to.
    ///
    /// # Errors
    /// As [`Catalog::document`], and `object_missing`.
    pub async fn referenced_document(&self, n: u64) -> Result<CatalogDocument, Error> {
        self.document(n).await?.ok_or_else(|| Error::missing(paths::document(n)))
    }

    /// Checks that document `n` is still the one of `announced_by`: one conditional request. `etag` is the
    /// result of the last call for this document.
    ///
    /// # Errors
    /// `object_missing` when the document does not exist, [`Error::Forked`] when it is another one, and those
    /// of [`Catalog::document`].
    pub async fn check_document(
        &self,
        n: u64,
        announced_by: AnnouncementId,
        etag: Option<String>,
    ) -> Result<Option<String>, Error> {
        let path = paths::document(n);
        match self.store.read_small_if_changed(&path, etag.as_deref(), DOCUMENT_BYTES_MAX).await? {
            ConditionalRead::Unchanged => Ok(etag),
            ConditionalRead::Missing => Err(Error::missing(path)),
            ConditionalRead::Found(object) => {
                if self.verify_document(n, &path, object.bytes)?.announced_by == announced_by {
                    Ok(object.etag)
                } else {
                    Err(Error::forked(n))
                }
            }
        }
    }

    /// Reads the newest document; `None` in an empty store. After [`Catalog::newest_by_head`] it lists the documents: head may
    /// be an old one, and the store may have lost the document after it. An announcement in such a gap would be behind
    /// newer documents, which do not have it.
    ///
    /// # Errors
    /// Those of [`Catalog::newest_by_head`].
    pub async fn newest(&self, expected: Option<DeploymentId>) -> Result<Option<CatalogDocument>, Error> {
        let Some(mut newest) = self.newest_by_head(expected).await? else { return Ok(None) };
        if let Some(highest) = self.highest_after(newest.n).await? {
            let deployment = newest.deployment;
            newest = self.referenced_document(highest).await?;
            check_deployment(paths::document(highest).as_ref(), newest.deployment, Some(deployment))?;
            self.keep_copy(&newest);
        }
        Ok(Some(newest))
    }

    /// Reads the newest document that head leads to; `None` in an empty store. It starts at the document that head refers
    /// to and reads on until there is none. Without a usable head it lists the documents.
    ///
    /// # Errors
    /// `object_missing` when head refers to a document that does not exist, and no later one does: the store has lost
    /// objects, and an announcement based on an older document would fork the catalog. A publisher with a copy of the
    /// document puts it back.
    pub async fn newest_by_head(
        &self,
        expected: Option<DeploymentId>,
    ) -> Result<Option<CatalogDocument>, Error> {
        let head = match self.head().await {
            Ok(head) => head,
            Err(error) if error.is_unusable_head() => None,
            Err(error) => return Err(error),
        };
        let start = match &head {
            Some(head) => {
                check_deployment(paths::head().as_ref(), head.deployment, expected)?;
                Some(self.document_of_head(head).await?)
            }
            None => match self.highest_after(0).await? {
                Some(n) => self.document(n).await?,
                None => None,
            },
        };
        let Some(start) = start else { return Ok(None) };
        let expected = expected.or(head.map(|head| head.deployment));
        check_deployment(paths::document(start.n).as_ref(), start.deployment, expected)?;
        let later = self.newest_after(start.n, Some(start.deployment)).await?;
        let newest = later.unwrap_or(start);
        self.keep_copy(&newest);
        Ok(Some(newest))
    }

    /// Reads the document that head refers to. If the store has lost it, a later one has all that it had.
    async fn document_of_head(&self, head: &Head) -> Result<CatalogDocument, Error> {
        if let Some(document) = self.document(head.n).await? {
            return Ok(document);
        }
        if let Some(later) = self.highest_after(head.n).await? {
            return self.referenced_document(later).await;
        }
        self.restore_from_copy(head).await?;
        self.referenced_document(head.n).await
    }

    /// Reads the newest document above number `n`; `None` when `n` is the newest.
    pub async fn newest_after(
        &self,
        n: u64,
        expected: Option<DeploymentId>,
    ) -> Result<Option<CatalogDocument>, Error> {
        let mut newest: Option<CatalogDocument> = None;
        let mut at = n;
        for step in 1.. {
            let Some(document) = self.document(at + 1).await? else { break };
            check_deployment(paths::document(document.n).as_ref(), document.deployment, expected)?;
            at = document.n;
            newest = Some(document);
            if step % STEPS_MAX == 0
                && let Some(highest) = self.highest_after(at).await?
                && let Some(document) = self.document(highest).await?
            {
                check_deployment(paths::document(document.n).as_ref(), document.deployment, expected)?;
                at = document.n;
                newest = Some(document);
            }
        }
        Ok(newest)
    }

    /// Finds the highest document number above `n` by listing.
    async fn highest_after(&self, n: u64) -> Result<Option<u64>, Error> {
        let mut highest = None;
        let visit = |object: StoredObject| {
            if let Some(Object::Document(found)) = Object::parse(object.path.as_ref())
                && found > n
            {
                highest = highest.max(Some(found));
            }
        };
        self.store.list(&paths::catalog(), Some(&paths::document(n)), visit).await?;
        Ok(highest)
    }

    /// Reads and verifies the manifest of `entry`.
    pub async fn manifest(&self, name: &CollectionName, entry: &CollectionEntry) -> Result<Manifest, Error> {
        self.manifest_object(name, entry).await.map(|(manifest, _)| manifest)
    }

    /// Reads and verifies the manifest of `entry`. Also returns the bytes, which its digest is of.
    pub async fn manifest_object(
        &self,
        name: &CollectionName,
        entry: &CollectionEntry,
    ) -> Result<(Manifest, Bytes), Error> {
        let path = paths::referenced(&entry.manifest, Object::Manifest(name.as_str()), "the catalog")?;
        let bytes = self.read_referenced(&path).await?;
        Ok((decode::manifest(name, entry, &bytes)?, bytes))
    }

    /// Reads and verifies the manifest of `name` that the metadata database refers to. Its version is not checked.
    pub async fn manifest_by_digest(
        &self,
        name: &CollectionName,
        object: &str,
        sha256: &Digest,
    ) -> Result<Manifest, Error> {
        let path = paths::referenced(object, Object::Manifest(name.as_str()), "the metadata database")?;
        let bytes = self.read_referenced(&path).await?;
        decode::manifest_by_digest(name, object, sha256, &bytes)
    }

    /// Reads and verifies a key set.
    pub async fn key_set(&self, reference: &KeySetReference) -> Result<KeySet, Error> {
        self.key_set_object(reference).await.map(|(keys, _)| keys)
    }

    /// Reads and verifies a key set. Also returns the bytes, which its digest is of.
    pub async fn key_set_object(&self, reference: &KeySetReference) -> Result<(KeySet, Bytes), Error> {
        let path = paths::referenced(&reference.object, Object::KeySet(reference.revision), "the catalog")?;
        let bytes = self.read_referenced(&path).await?;
        Ok((decode::key_set(reference, &bytes)?, bytes))
    }

    /// Reads a small object that must exist. Returns what its digest is of, which is not compressed.
    pub(super) async fn read_referenced(&self, path: &Path) -> Result<Bytes, Error> {
        let object = self.store.read_small(path, DOCUMENT_BYTES_MAX).await?;
        decompress(path.as_ref(), object.ok_or_else(|| Error::missing(path.clone()))?.bytes)
    }
}

/// Refuses a document of another deployment than the expected one.
pub(super) fn check_deployment(
    path: &str,
    found: DeploymentId,
    expected: Option<DeploymentId>,
) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != found => {
            Err(Error::ForeignCatalog { path: path.to_owned(), expected, found })
        }
        _ => Ok(()),
    }
}
