//! The node's local state, from which it can start without the store: the last catalog document, the manifests
//! and key sets that the document names, and which of them were applied.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::Error;
use crate::{
    catalog::{self, Catalog, FreshnessByCollection},
    disk::ContentDirectory,
    domain::{
        catalog::{CatalogDocument, CollectionEntry, KeySetReference},
        digest::Digest,
        keyset::KeySet,
        limits::{DOCUMENT_BYTES_MAX, FORMAT},
        manifest::Manifest,
        name::CollectionName,
    },
    support::clock::Clock,
};

/// The node's state when it was last saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SavedState {
    /// Format number.
    pub(super) format: u32,
    /// The newest document followed.
    pub(super) document: CatalogDocument,
    /// The served entry of each collection; it may be behind the document.
    pub(super) served: BTreeMap<CollectionName, CollectionEntry>,
    /// When the sources of the document's versions were last seen unchanged.
    pub(super) data_as_of: FreshnessByCollection,
    /// The key set in force.
    pub(super) keys: Option<KeySetReference>,
    /// When the store last confirmed that.
    pub(super) keys_at: Option<DateTime<Utc>>,
}

/// The file: the state and its digest, so that damage is detected.
#[derive(Serialize, Deserialize)]
struct Envelope {
    sha256: Digest,
    state: Box<RawValue>,
}

impl SavedState {
    /// Decodes the file `text`; `None` when it is damaged or of a newer format.
    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Envelope>(text)
            .ok()
            .filter(|envelope| Digest::of(envelope.state.get().as_bytes()) == envelope.sha256)
            .and_then(|envelope| serde_json::from_str::<Self>(envelope.state.get()).ok())
            .filter(|state| state.format <= FORMAT)
    }

    /// Encodes the state as its file.
    pub(super) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        Envelope::of(serde_json::value::to_raw_value(self)?).encode()
    }
}

impl Envelope {
    fn of(state: Box<RawValue>) -> Self {
        Self { sha256: Digest::of(state.get().as_bytes()), state }
    }

    fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

/// Encodes a file around `state`, which need not be valid.
#[cfg(any(test, fuzzing))]
pub(super) fn encode_envelope(state: String) -> serde_json::Result<Vec<u8>> {
    Envelope::of(RawValue::from_string(state)?).encode()
}

/// The directories `state`, `manifests` and `keys` of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Local {
    file: PathBuf,
    pub(super) manifests: ContentDirectory,
    pub(super) keys: ContentDirectory,
}

impl Local {
    /// Opens the directories, and creates missing ones. Blocks.
    pub(super) fn open(data_dir: &Path, clock: &Clock) -> Result<Self, Error> {
        let directory = data_dir.join("state");
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        created.map_err(|source| Error::State { path: directory.clone(), source })?;
        Ok(Self {
            file: directory.join("catalog.json"),
            manifests: ContentDirectory::open(&data_dir.join("manifests"), "json", clock.clone())?,
            keys: ContentDirectory::open(&data_dir.join("keys"), "json", clock.clone())?,
        })
    }

    /// Reads the saved state; `None` when there is none or it is damaged. Blocks.
    pub(super) fn load(&self) -> Option<SavedState> {
        let text = match fs::read(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "cannot read the node's state; fetching everything from the store");
                return None;
            }
        };
        let state = SavedState::decode(&text);
        if state.is_none() {
            tracing::warn!("the node's state is damaged; fetching everything from the store");
        }
        state
    }

    /// Replaces the saved state. It is durable once this returns. Blocks.
    pub(super) fn save(&self, state: &SavedState) -> Result<(), Error> {
        let failed = |source| Error::State { path: self.file.clone(), source };
        let text = state.encode().map_err(|error| failed(error.into()))?;
        let temporary = self.file.with_extension("json.tmp");
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.file)?;
            self.file.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
        };
        write().map_err(failed)
    }

    /// The manifest that `entry` names. It is read from the local file, or fetched from the store and kept.
    pub(super) async fn manifest(
        &self,
        catalog: &Catalog,
        name: &CollectionName,
        entry: &CollectionEntry,
    ) -> Result<Manifest, Error> {
        if let Some(manifest) = self.local_manifest(name, entry).await {
            return Ok(manifest);
        }
        let (manifest, bytes) = catalog.manifest_object(name, entry).await?;
        self.manifests.put(entry.sha256, bytes).await?;
        Ok(manifest)
    }

    /// The local copy of the manifest that `entry` names, when it is intact.
    pub(super) async fn local_manifest(
        &self,
        name: &CollectionName,
        entry: &CollectionEntry,
    ) -> Option<Manifest> {
        let bytes = self.manifests.read(entry.sha256, DOCUMENT_BYTES_MAX).await.ok()?;
        catalog::decode_manifest(name, entry, &Bytes::copy_from_slice(bytes.as_slice())).ok()
    }

    /// The local copy of the key set that `reference` names, when it is intact.
    pub(super) async fn local_key_set(&self, reference: &KeySetReference) -> Option<KeySet> {
        let bytes = self.keys.read(reference.sha256, DOCUMENT_BYTES_MAX).await.ok()?;
        catalog::decode_key_set(reference, &Bytes::copy_from_slice(bytes.as_slice())).ok()
    }

    /// Deletes local manifests and key sets that `state` does not reference.
    pub(super) async fn delete_unreferenced(&self, state: &SavedState) -> Result<(), Error> {
        let named = state.served.values().chain(state.document.collections.values());
        self.manifests.delete_unreferenced(named.map(|entry| entry.sha256).collect()).await?;
        let keys: HashSet<_> =
            state.keys.iter().chain(&state.document.keys).map(|reference| reference.sha256).collect();
        self.keys.delete_unreferenced(keys).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::id::{AnnouncementId, DeploymentId};

    #[test]
    fn damaged_state_is_not_loaded() {
        let root = tempfile::tempdir().unwrap();
        let local = Local::open(root.path(), &Clock::default()).unwrap();
        assert!(local.load().is_none());
        let mut state = SavedState {
            format: FORMAT,
            document: CatalogDocument {
                format: FORMAT,
                deployment: DeploymentId::from_uuid(Uuid::from_u128(1)),
                n: 7,
                announced_by: AnnouncementId::from_uuid(Uuid::from_u128(1)),
                keys: None,
                collections: BTreeMap::new(),
                pins: BTreeMap::new(),
                dropped: BTreeMap::new(),
                last_release: 0,
            },
            served: BTreeMap::new(),
            data_as_of: FreshnessByCollection::new(),
            keys: None,
            keys_at: None,
        };
        local.save(&state).unwrap();
        state.document.n = 8;
        local.save(&state).unwrap();
        assert_eq!(local.load().unwrap().document.n, 8);

        let text = fs::read_to_string(&local.file).unwrap();
        for damaged in [text.replace("\"n\":8", "\"n\":9"), text[..text.len() / 2].into(), String::new()] {
            fs::write(&local.file, damaged).unwrap();
            assert!(local.load().is_none());
        }
    }
}
