//! The node's local state, from which it can start without the store: the last catalog document, the manifests that
//! the document names, which of them were applied, and the key set in force. The key set has a file of its own, so
//! that a revocation is durable also while nothing else can be saved.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::error::Error;
use crate::{
    catalog::{self, Catalog, FreshnessByCollection},
    disk::{self, ContentDirectory},
    domain::{
        catalog::{CatalogDocument, CollectionEntry, KeySetReference},
        digest::Digest,
        keyset::KeySet,
        limits::{DOCUMENT_BYTES_MAX, FORMAT},
        manifest::Manifest,
        name::CollectionName,
    },
    support::{clock::Clock, private_file},
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
    /// Times that were ahead of this node's clock, and when each arrived.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) ahead: BTreeMap<CollectionName, (DateTime<Utc>, DateTime<Utc>)>,
    /// The key set in force, or the one that should be. An older set must not come back.
    pub(super) keys: Option<KeySetReference>,
    /// When the store last confirmed the keys in force.
    pub(super) keys_at: Option<DateTime<Utc>>,
}

/// The key set in force: its object as the store has it, and the reference to it.
#[derive(Serialize, Deserialize)]
struct SavedKeys {
    format: u32,
    reference: KeySetReference,
    set: Box<RawValue>,
}

/// A file: its content and the digest of that, so that damage is detected.
#[derive(Serialize, Deserialize)]
struct Envelope {
    sha256: Digest,
    state: Box<RawValue>,
}

impl SavedState {
    /// Decodes the file `text`; `None` when it is damaged or of a newer format.
    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        Envelope::decode::<Self>(text).filter(|state| state.format <= FORMAT)
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

    fn decode<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
        let envelope = serde_json::from_slice::<Self>(text).ok()?;
        let content = envelope.state.get();
        let is_whole = Digest::of(content.as_bytes()) == envelope.sha256;
        is_whole.then(|| serde_json::from_str(content).ok())?
    }
}

/// Encodes a file around `state`, which need not be valid.
#[cfg(any(test, fuzzing))]
pub(super) fn encode_envelope(state: String) -> serde_json::Result<Vec<u8>> {
    Envelope::of(RawValue::from_string(state)?).encode()
}

/// The directories `state` and `manifests` of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Local {
    file: PathBuf,
    keys_file: PathBuf,
    pub(super) manifests: ContentDirectory,
}

/// The catalog document that the node of `data_dir` has followed last; `None` when there is none or it is damaged.
/// Blocks.
pub fn kept_document(data_dir: &Path) -> Option<CatalogDocument> {
    let text = fs::read(data_dir.join("state/catalog.json")).ok()?;
    SavedState::decode(&text).map(|state| state.document)
}

/// The manifests that the node of `data_dir` keeps. Blocks.
pub fn kept_manifests(data_dir: &Path, clock: Clock) -> Result<ContentDirectory, disk::Error> {
    ContentDirectory::open(&data_dir.join("manifests"), "json", clock)
}

impl Local {
    /// Opens the directories, and creates missing ones. Blocks.
    pub(super) fn open(data_dir: &Path, clock: &Clock) -> Result<Self, Error> {
        let directory = data_dir.join("state");
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        created.map_err(|source| Error::State { path: directory.clone(), source })?;
        Ok(Self {
            file: directory.join("catalog.json"),
            keys_file: directory.join("keys.json"),
            manifests: kept_manifests(data_dir, clock.clone())?,
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
        write_durably(&self.file, state.encode())
    }

    /// Reads the saved key set; `None` when there is none or it is damaged. Blocks.
    pub(super) fn load_keys(&self) -> Option<(KeySetReference, KeySet)> {
        let text = fs::read(&self.keys_file).ok()?;
        let saved = Envelope::decode::<SavedKeys>(&text).filter(|saved| saved.format <= FORMAT);
        let keys = saved.and_then(|saved| {
            let bytes = Bytes::copy_from_slice(saved.set.get().as_bytes());
            let keys = catalog::decode_key_set(&saved.reference, &bytes).ok()?;
            Some((saved.reference, keys))
        });
        if keys.is_none() {
            tracing::warn!("the saved key set is damaged; every key is refused until the store has answered");
        }
        keys
    }

    /// Replaces the saved key set. It is durable once this returns. When that fails and the saved set has a key that
    /// `bytes`, the new one, lacks, the saved set is deleted: a revoked key must not work again after a restart. Until
    /// the store has answered, such a restart refuses every key. Blocks.
    pub(super) fn save_keys(&self, reference: KeySetReference, bytes: &Bytes) -> Result<(), Error> {
        let new = catalog::decode_key_set(&reference, bytes)?;
        let encoded = str::from_utf8(bytes).map_err(serde::ser::Error::custom).and_then(|text| {
            let set = RawValue::from_string(text.to_owned())?;
            let saved = SavedKeys { format: FORMAT, reference, set };
            Envelope::of(serde_json::value::to_raw_value(&saved)?).encode()
        });
        let saved = write_durably(&self.keys_file, encoded);
        if saved.is_err()
            && let Some((_, before)) = self.load_keys()
            && before.keys.iter().any(|key| !new.keys.contains(key))
        {
            let _ = fs::remove_file(&self.keys_file);
        }
        saved
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

    /// Deletes local manifests that `state` does not reference.
    pub(super) async fn delete_unreferenced(&self, state: &SavedState) -> Result<(), Error> {
        let named = state.served.values().chain(state.document.collections.values());
        self.manifests.delete_unreferenced(named.map(|entry| entry.sha256).collect()).await?;
        Ok(())
    }
}

/// Replaces the file at `path`. Its content is durable once this returns.
fn write_durably(path: &Path, content: serde_json::Result<Vec<u8>>) -> Result<(), Error> {
    let failed = |source| Error::State { path: path.to_owned(), source };
    let content = content.map_err(|error| failed(error.into()))?;
    let temporary = path.with_extension("json.tmp");
    let write = || {
        let mut file = private_file::options().write(true).create(true).truncate(true).open(&temporary)?;
        file.write_all(&content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(failed)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        id::{AnnouncementId, DeploymentId},
        keyset::{KeyEntry, KeyLimits, KeySetDocument, Scope},
    };

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
                metadata: None,
                n: 7,
                announced_by: AnnouncementId::from_uuid(Uuid::from_u128(1)),
                keys: None,
                collections: BTreeMap::new(),
                pins: BTreeMap::new(),
                dropped: BTreeMap::new(),
                pauses: BTreeMap::new(),
                last_release: 0,
            },
            served: BTreeMap::new(),
            data_as_of: FreshnessByCollection::new(),
            ahead: BTreeMap::new(),
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

    #[test]
    fn keys_are_saved_by_themselves_and_a_revoked_one_never_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let local = Local::open(root.path(), &Clock::default()).unwrap();
        let key = |id: &str| KeyEntry {
            id: id.to_owned(),
            sha256: Digest::of(id.as_bytes()),
            name: id.to_owned(),
            grant: Scope::AllCollections,
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
            limits: KeyLimits::default(),
            previous: None,
        };
        let set = |revision: u64, ids: &[&str]| {
            let keys: Vec<_> = ids.iter().map(|id| key(id)).collect();
            let bytes = Bytes::from(serde_json::to_vec(&KeySetDocument::new(revision, &keys)).unwrap());
            (KeySetReference { object: "k".to_owned(), sha256: Digest::of(&bytes), revision }, bytes)
        };
        let loaded = || local.load_keys().map(|(reference, _)| reference.revision);
        assert_eq!(loaded(), None);
        let (reference, bytes) = set(1, &["a", "b"]);
        local.save_keys(reference.clone(), &bytes).unwrap();
        assert_eq!(local.load_keys().unwrap().0, reference);

        // Nothing can be written. A new key is no reason to lose the others; a revoked one is.
        let temporary = local.keys_file.with_extension("json.tmp");
        fs::create_dir(&temporary).unwrap();
        let (reference, bytes) = set(2, &["a", "b", "c"]);
        local.save_keys(reference, &bytes).unwrap_err();
        assert_eq!(loaded(), Some(1));
        let (reference, bytes) = set(3, &["b"]);
        local.save_keys(reference.clone(), &bytes).unwrap_err();
        assert_eq!(loaded(), None);
        fs::remove_dir(&temporary).unwrap();
        local.save_keys(reference, &bytes).unwrap();
        assert_eq!(loaded(), Some(3));

        let text = fs::read_to_string(&local.keys_file).unwrap();
        fs::write(&local.keys_file, text.replace("\"revision\":3", "\"revision\":4")).unwrap();
        assert_eq!(loaded(), None, "damaged");
    }
}
