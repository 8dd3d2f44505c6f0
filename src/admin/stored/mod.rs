//! Stored configuration: sources, models and syncs that are created through the admin API and kept in the metadata
//! database. How they are laid over the file is in `config`.

mod change;
mod check;
mod difference;
mod document;
mod draft;
mod export;
mod import;
mod rotate;

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

pub use self::document::{SECRET, secret};
use self::document::{masked, open_document};
pub use self::{
    change::{Expected, NewStored, StoredChanged},
    draft::Draft,
    export::{Exported, ExportedVariable},
    import::{Adopted, EntryChange, Import, ImportOptions, Imported, ImportedEntry},
    rotate::RotatedSecrets,
};
use super::{Admin, Configuration, Error};
use crate::{
    domain::{StoredName, hash::HashSecret},
    metadata::StoredVersion,
    scheduler::ScheduledSync,
    secrets::SecretKeys,
    settings::Fault,
};

/// The configuration file, and how stored entries are laid over it.
pub trait ConfigurationFile: fmt::Debug + Send + Sync {
    /// Whether the file declares an entry.
    fn declares(&self, entry: &StoredName) -> bool;
    /// The keys of stored secrets.
    fn secret_keys(&self) -> &SecretKeys;
    /// The file with these entries; those with faults, and those that depend on them, are left out.
    fn layer(&self, entries: &[OpenEntry]) -> Layered;
    /// Entries of another file as they are stored beside this one.
    fn adopt(&self, import: &Import) -> Adopted;
}

/// A stored entry with its secrets in the clear. Its `Debug` shows no document.
#[derive(Clone)]
pub struct OpenEntry {
    /// The entry as it is stored.
    pub stored: StoredVersion,
    /// The document, or why its secrets cannot be read.
    pub document: Result<Value, Fault>,
}

impl fmt::Debug for OpenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenEntry({} {})", self.stored.entry, self.stored.version)
    }
}

/// A version of a stored entry as it may be shown: without secrets.
#[derive(utoipa::ToSchema, Debug, Clone, Serialize)]
pub struct StoredView {
    /// Its number.
    pub version: u64,
    /// Who made it.
    pub author: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The document; null of a deletion.
    pub settings: Option<Value>,
}

impl StoredView {
    fn of(stored: &StoredVersion) -> Self {
        Self {
            version: stored.version,
            author: stored.author.clone(),
            created_at: stored.created_at,
            settings: stored.document.clone().map(masked),
        }
    }
}

/// A stored entry in a configuration.
#[derive(Debug, Clone)]
pub struct StoredState {
    /// Its newest version.
    pub view: StoredView,
    /// Why it is not in force; empty when it is.
    pub faults: Vec<Fault>,
    /// Whether the faults are there only because another entry is not in force.
    pub is_dependent: bool,
}

impl StoredState {
    /// The state of an entry without faults.
    pub fn of(stored: &StoredVersion) -> Self {
        Self { view: StoredView::of(stored), faults: Vec::new(), is_dependent: false }
    }
}

/// A file with stored entries.
#[derive(Clone)]
pub struct Layered {
    /// The configuration.
    pub configuration: Configuration,
    /// Its syncs.
    pub syncs: Vec<ScheduledSync>,
    /// The secrets of hashed index values: those of its syncs, and those for look-ups alone.
    pub hash_secrets: Vec<HashSecret>,
    /// JSON pointers of the secrets of each stored entry that is in force.
    pub secrets: BTreeMap<StoredName, Vec<String>>,
}

/// Decrypts the secrets of entries.
pub fn open_entries(keys: &SecretKeys, entries: &[StoredVersion]) -> Vec<OpenEntry> {
    let open = |stored: &StoredVersion| OpenEntry {
        stored: stored.clone(),
        document: open_document(keys, &stored.entry, stored.document.clone().unwrap_or_default()),
    };
    entries.iter().map(open).collect()
}

/// A deleted entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedEntry {
    /// The entry.
    pub entry: StoredName,
    /// When it was deleted.
    pub at: DateTime<Utc>,
    /// Who deleted it.
    pub by: String,
    /// The last version before; `None` when it is not kept.
    pub restorable: Option<u64>,
}

impl Admin {
    /// The deleted entries, in the order of their names.
    pub async fn deleted_entries(&self) -> Result<Vec<DeletedEntry>, Error> {
        let deleted = self.metadata.deleted_entries().await?.into_iter();
        let view = |(stored, restorable): (StoredVersion, Option<u64>)| DeletedEntry {
            entry: stored.entry,
            at: stored.created_at,
            by: stored.author,
            restorable,
        };
        let mut deleted: Vec<DeletedEntry> = deleted.map(view).collect();
        // Databases differ in how they sort text.
        deleted.sort_by_key(|deleted| deleted.entry.to_string());
        Ok(deleted)
    }

    /// The versions of a stored entry, newest first, without secrets.
    ///
    /// # Errors
    /// [`Error::UnknownStored`], [`Error::Metadata`].
    pub async fn stored_versions(&self, entry: &StoredName) -> Result<Vec<StoredView>, Error> {
        let versions = self.metadata.stored_versions(entry).await?;
        if versions.is_empty() {
            return Err(Error::UnknownStored(entry.clone()));
        }
        Ok(versions.iter().map(StoredView::of).collect())
    }
}
