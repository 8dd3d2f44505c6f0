//! Writes segments, manifests and key sets, and reads each back through the code that followers use. Nothing
//! becomes visible: that takes an announcement.

use std::time::Duration;

use bytes::Bytes;

use super::{Catalog, Error, compression::compress_manifest, decode, paths};
use crate::{
    disk::SegmentDirectory,
    domain::{
        CollectionEntry, CollectionName, Digest, ErrorKind, KeySetDocument, KeySetReference, Manifest, RunId,
        SegmentKind, SegmentReference, Version,
        limits::{DOCUMENT_BYTES_MAX, SEGMENT_BYTES_MAX},
    },
    store::{self, Path, blocking},
    support::{backoff::Backoff, random},
};

/// Attempts to write one object before its run fails: enough for a short outage. The next run tries again.
const ATTEMPTS_MAX: u32 = 5;
/// Pause after the first failed attempt; doubles.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// Longest pause between attempts.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The description of a segment to publish.
#[derive(Debug, Clone)]
pub struct SegmentDraft {
    /// Its collection.
    pub collection: CollectionName,
    /// The run that made it.
    pub run_id: RunId,
    /// Its number within the run.
    pub number: u32,
    /// Puts and deletes together.
    pub rows: u64,
    /// Number of deletes.
    pub deletes: u64,
    /// Base or changes.
    pub kind: SegmentKind,
    /// The version of the collection once this segment and all before it are applied.
    pub version: Version,
}

impl Catalog {
    /// Writes a segment, reads it back, and returns the reference to it. If the store is remote, the local
    /// directory keeps what was read back, as far as its budget allows.
    pub async fn publish_segment(
        &self,
        directory: &SegmentDirectory,
        draft: &SegmentDraft,
        content: Bytes,
    ) -> Result<SegmentReference, Error> {
        let path = paths::segment(&draft.collection, draft.run_id, draft.number);
        let (bytes, hashed) = (content.len() as u64, content.clone());
        let sha256 = blocking(move || Ok::<_, Error>(Digest::of(&hashed))).await?;
        check_size(&path, bytes, SEGMENT_BYTES_MAX)?;
        let reference = SegmentReference {
            object: path.to_string(),
            sha256,
            bytes,
            rows: draft.rows,
            deletes: draft.deletes,
            kind: draft.kind,
            version: draft.version,
        };
        retry(|| async {
            self.store.put(&path, content.clone()).await?;
            Ok(directory.read_back(&self.store, &reference).await?)
        })
        .await?;
        Ok(reference)
    }

    /// Deletes a segment that a run has published and that its manifest will not reference.
    pub async fn discard_segment(
        &self,
        collection: &CollectionName,
        run_id: RunId,
        number: u32,
    ) -> Result<(), Error> {
        Ok(self.store.delete(&paths::segment(collection, run_id, number)).await?)
    }

    /// Writes a manifest and reads it back. Returns its path and digest, for a catalog entry.
    pub async fn publish_manifest(&self, manifest: &Manifest) -> Result<(String, Digest), Error> {
        let path = paths::manifest(&manifest.collection, manifest.run_id);
        let (bytes, sha256) = encode(&path, manifest)?;
        let entry = CollectionEntry {
            version: manifest.version,
            run_id: manifest.run_id,
            regions: None,
            manifest: path.to_string(),
            sha256,
        };
        // A manifest that followers would refuse is not written.
        decode::manifest(&manifest.collection, &entry, &bytes)?;
        let stored = compress_manifest(bytes);
        retry(|| async {
            self.store.put(&path, stored.clone()).await?;
            self.manifest(&manifest.collection, &entry).await.map(drop)
        })
        .await?;
        Ok((entry.manifest, sha256))
    }

    /// Writes a key set under a unique path and reads it back.
    pub async fn publish_key_set(&self, keys: &KeySetDocument) -> Result<KeySetReference, Error> {
        let path = paths::key_set(keys.revision, u128::from_le_bytes(random::bytes()));
        let (bytes, sha256) = encode(&path, keys)?;
        let reference = KeySetReference { object: path.to_string(), sha256, revision: keys.revision };
        retry(|| async {
            self.store.put(&path, bytes.clone()).await?;
            self.key_set(&reference).await.map(drop)
        })
        .await?;
        Ok(reference)
    }
}

/// Encodes a document, within the bound that readers check. Returns its bytes and their digest.
pub(super) fn encode(path: &Path, document: &impl serde::Serialize) -> Result<(Bytes, Digest), Error> {
    let malformed = |source| Error::Malformed { path: path.to_string(), source };
    let text = serde_json::to_vec(document).map_err(malformed)?;
    check_size(path, text.len() as u64, DOCUMENT_BYTES_MAX)?;
    let digest = Digest::of(&text);
    Ok((text.into(), digest))
}

fn check_size(path: &Path, bytes: u64, limit: u64) -> Result<(), Error> {
    let path = path.to_string();
    if bytes > limit { Err(store::Error::TooLarge { path, bytes, limit }.into()) } else { Ok(()) }
}

/// Repeats an attempt while its error may go away: the store did not answer, or did not hold what was written.
async fn retry<F: Future<Output = Result<(), Error>>>(attempt: impl Fn() -> F) -> Result<(), Error> {
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(error) if is_retryable(&error) => {
                tracing::warn!(code = error.code(), %error, "publishing an object failed; it is tried again");
                tokio::time::sleep(backoff.next_delay()).await;
            }
            outcome => return outcome,
        }
    }
    attempt().await
}

fn is_retryable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_that_readers_would_refuse_is_not_written() {
        let path = paths::head();
        check_size(&path, 9, 10).unwrap();
        check_size(&path, 10, 10).unwrap();
        let error = check_size(&path, 11, 10).unwrap_err();
        assert_eq!(error.code(), "object_too_large");
    }
}
