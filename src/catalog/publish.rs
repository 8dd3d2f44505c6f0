//! Writing segments, manifests and key sets, each read back through the code that followers use.
//! Nothing here makes anything visible: that takes an announcement.

use std::{
    fs::File,
    io::Read,
    path::{Path as FilePath, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use object_store::path::Path;

use crate::catalog::decode;
use crate::disk::SegmentDirectory;
use crate::disk::{PIECE_BYTES, local};
use crate::store::error::{Error, blocking};
use crate::store::paths;
use crate::store::{PUT_BYTES_MAX, Store};
use crate::{
    domain::{
        catalog::{CollectionEntry, KeySetReference},
        digest::{Digest, Hasher},
        error::ErrorKind,
        id::RunId,
        keyset::KeySetDocument,
        limits::{DOCUMENT_BYTES_MAX, SEGMENT_BYTES_MAX},
        manifest::{Manifest, SegmentKind, SegmentReference, Version},
        name::CollectionName,
    },
    support::{backoff::Backoff, random},
};

/// Times that one object is written before its run fails: rides out a short outage, and a run is
/// repeated anyway.
const ATTEMPTS_MAX: u32 = 5;
/// Waiting time after the first failed attempt; doubles.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// Longest waiting time between attempts.
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// Bytes of a large file read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// A segment about to be published.
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
    /// Deletes among them.
    pub deletes: u64,
    /// Base or changes.
    pub kind: SegmentKind,
    /// The version that the collection has when this segment and all before it are applied.
    pub version: Version,
}

/// The bytes of a segment about to be published.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a file, which stays where it is.
    File(PathBuf),
}

/// Writes a segment, reads it back, and says how to name it. What came back over a network is in
/// the local directory then.
pub async fn publish_segment(
    store: &Store,
    directory: &SegmentDirectory,
    draft: &SegmentDraft,
    content: Content,
) -> Result<SegmentReference, Error> {
    let path = paths::segment(&draft.collection, draft.run_id, draft.number);
    let (sha256, bytes) = measure(content.clone()).await?;
    if bytes > SEGMENT_BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_string(), bytes, limit: SEGMENT_BYTES_MAX });
    }
    let reference = SegmentReference {
        object: path.to_string(),
        sha256,
        bytes,
        rows: draft.rows,
        deletes: draft.deletes,
        kind: draft.kind,
        version: draft.version,
    };
    persist(|| async {
        upload(store, &path, &content, bytes).await?;
        directory.read_back(store, &reference).await
    })
    .await?;
    Ok(reference)
}

/// Writes a manifest and reads it back. Returns what a catalog entry names: path and digest.
pub async fn publish_manifest(store: &Store, manifest: &Manifest) -> Result<(String, Digest), Error> {
    let path = paths::manifest(&manifest.collection, manifest.run_id);
    let (bytes, sha256) = document(&path, manifest)?;
    let entry = CollectionEntry {
        version: manifest.version,
        run_id: manifest.run_id,
        regions: None,
        manifest: path.to_string(),
        sha256,
    };
    // Refused here rather than by every follower.
    decode::manifest(&manifest.collection, &entry, &bytes)?;
    persist(|| async {
        store.put(&path, bytes.clone()).await?;
        store.manifest(&manifest.collection, &entry).await.map(drop)
    })
    .await?;
    Ok((entry.manifest, sha256))
}

/// Writes a key set under a name of its own and reads it back.
pub async fn publish_key_set(store: &Store, keys: &KeySetDocument) -> Result<KeySetReference, Error> {
    let path = paths::key_set(keys.revision, u128::from_le_bytes(random::bytes()));
    let (bytes, sha256) = document(&path, keys)?;
    let reference = KeySetReference { object: path.to_string(), sha256, revision: keys.revision };
    persist(|| async {
        store.put(&path, bytes.clone()).await?;
        store.key_set(&reference).await.map(drop)
    })
    .await?;
    Ok(reference)
}

/// The bytes of a document and their digest, within the bound that readers hold it to.
pub(crate) fn document(path: &Path, value: &impl serde::Serialize) -> Result<(Bytes, Digest), Error> {
    let malformed = |source| Error::Malformed { path: path.to_string(), source };
    let text = serde_json::to_vec(value).map_err(malformed)?;
    let bytes = text.len() as u64;
    if bytes > DOCUMENT_BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_string(), bytes, limit: DOCUMENT_BYTES_MAX });
    }
    let digest = Digest::of(&text);
    Ok((text.into(), digest))
}

/// Tries again what may help: the store did not answer, or did not hold what it was given.
async fn persist<F: Future<Output = Result<(), Error>>>(attempt: impl Fn() -> F) -> Result<(), Error> {
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(error) if is_worth_a_retry(&error) => {
                tracing::warn!(code = error.code(), %error, "publishing is tried again");
                tokio::time::sleep(backoff.next_delay()).await;
            }
            outcome => return outcome,
        }
    }
    attempt().await
}

fn is_worth_a_retry(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::NotFound)
}

/// Digest and length of a content.
async fn measure(content: Content) -> Result<(Digest, u64), Error> {
    blocking(move || match content {
        Content::Bytes(bytes) => Ok((Digest::of(&bytes), bytes.len() as u64)),
        Content::File(path) => {
            let mut file = open(&path)?;
            let mut hasher = Hasher::new();
            let mut length = 0;
            let mut piece = vec![0; PIECE_BYTES];
            loop {
                let read = file.read(&mut piece).map_err(|source| local("read", &path, source))?;
                if read == 0 {
                    return Ok((hasher.finish(), length));
                }
                hasher.update(&piece[..read]);
                length += read as u64;
            }
        }
    })
    .await
}

async fn upload(store: &Store, path: &Path, content: &Content, bytes: u64) -> Result<(), Error> {
    match content {
        Content::Bytes(content) if bytes <= PUT_BYTES_MAX => store.put(path, content.clone()).await,
        Content::Bytes(content) => {
            let mut rest = content.clone();
            let next = async move || {
                let piece = rest.split_to(READ_BYTES.min(rest.len()));
                Ok((!piece.is_empty()).then_some(piece))
            };
            store.put_parts(path, next).await
        }
        Content::File(file) if bytes <= PUT_BYTES_MAX => {
            let file = file.clone();
            let content = blocking(move || {
                std::fs::read(&file).map_err(|source| local("read", &file, source)).map(Bytes::from)
            });
            store.put(path, content.await?).await
        }
        Content::File(name) => {
            let mut file = Some(open(name)?);
            let name = name.clone();
            let next = async move || {
                let Some(mut open) = file.take() else { return Ok(None) };
                let name = name.clone();
                let (open, piece) = blocking(move || {
                    let mut piece = Vec::with_capacity(READ_BYTES);
                    let read = open.by_ref().take(READ_BYTES as u64).read_to_end(&mut piece);
                    read.map_err(|source| local("read", &name, source))?;
                    Ok((open, piece))
                })
                .await?;
                file = Some(open);
                Ok((!piece.is_empty()).then(|| Bytes::from(piece)))
            };
            store.put_parts(path, next).await
        }
    }
}

fn open(path: &FilePath) -> Result<File, Error> {
    File::open(path).map_err(|source| local("read", path, source))
}
