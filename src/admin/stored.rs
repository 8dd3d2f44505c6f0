//! Stored configuration: sources, models and syncs that are created here and kept in the metadata database.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Admin, Configuration, Error};
use crate::{
    domain::{CollectionName, Principal, StoredName},
    metadata::{STORED_ENTRIES_MAX, StoredChange, StoredVersion},
    scheduler::ScheduledSync,
    secrets::SecretKeys,
};

/// Largest document of an entry, in bytes: a model with a long query fits.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Attempts of a change while other changes come first.
const ATTEMPTS_MAX: usize = 5;
/// The only key of an object that stands for a secret: `true` in answers and requests, the encrypted text in metadata.
const SECRET: &str = "$secret";

/// The configuration file, and how stored entries are laid over it.
pub trait ConfigurationFile: fmt::Debug + Send + Sync {
    /// Whether the file declares an entry.
    fn declares(&self, entry: &StoredName) -> bool;
    /// The keys of stored secrets.
    fn secret_keys(&self) -> &SecretKeys;
    /// The file with these entries; those with faults, and those that depend on them, are left out.
    fn layer(&self, entries: &[OpenEntry]) -> Layered;
}

/// A stored entry with its secrets in the clear. Its `Debug` shows no document.
#[derive(Clone)]
pub struct OpenEntry {
    /// The entry.
    pub entry: StoredName,
    /// Its version.
    pub version: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The document, or why its secrets cannot be read.
    pub document: Result<Value, String>,
}

impl fmt::Debug for OpenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenEntry({} {})", self.entry, self.version)
    }
}

/// The state of a stored entry in a configuration.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StoredState {
    /// Its version.
    pub version: u64,
    /// Why it is not in force; empty when it is.
    pub faults: Vec<String>,
}

/// A file with stored entries.
#[derive(Clone)]
pub struct Layered {
    /// The configuration.
    pub configuration: Configuration,
    /// Its syncs.
    pub syncs: Vec<ScheduledSync>,
    /// JSON pointers of the secrets of each stored entry that is in force.
    pub secrets: BTreeMap<StoredName, Vec<String>>,
}

/// What a change needs to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Any state.
    Any,
    /// No entry.
    Absent,
    /// An entry.
    Present,
    /// The entry in this version.
    Version(u64),
}

impl Expected {
    fn accepts(self, current: Option<&StoredVersion>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Present => current.is_some(),
            Self::Version(version) => current.is_some_and(|current| current.version == version),
        }
    }
}

/// A change that was made, or with a dry run would be.
#[derive(Debug, Clone, Serialize)]
pub struct StoredChanged {
    /// The new version; `None` of a dry run.
    pub version: Option<u64>,
    /// Whether the entry is new.
    pub is_new: bool,
}

/// A version as it may be shown: without secrets.
#[derive(Debug, Clone, Serialize)]
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

/// Decrypts the secrets of entries.
pub fn open_entries(keys: &SecretKeys, entries: &[StoredVersion]) -> Vec<OpenEntry> {
    let open = |stored: &StoredVersion| OpenEntry {
        entry: stored.entry.clone(),
        version: stored.version,
        created_at: stored.created_at,
        document: open_document(keys, &stored.entry, stored.document.clone().unwrap_or_default()),
    };
    entries.iter().map(open).collect()
}

/// Calls `replace` with the pointer and the value of every secret's object.
fn replace_secrets(
    value: &mut Value,
    pointer: &str,
    replace: &mut impl FnMut(&str, &Value) -> Result<Value, String>,
) -> Result<(), String> {
    match value {
        Value::Object(object) if object.len() == 1 && object.contains_key(SECRET) => {
            *value = replace(pointer, &object[SECRET])?;
        }
        Value::Object(object) => {
            for (key, member) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                replace_secrets(member, &format!("{pointer}/{key}"), replace)?;
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                replace_secrets(item, &format!("{pointer}/{at}"), replace)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn open_document(keys: &SecretKeys, entry: &StoredName, mut document: Value) -> Result<Value, String> {
    replace_secrets(&mut document, "", &mut |pointer, sealed| {
        let sealed = sealed.as_str().unwrap_or_default();
        let opened = keys.open(&format!("{entry}{pointer}"), sealed);
        opened
            .map(Value::String)
            .map_err(|error| format!("stored {entry}  {entry}{}: {error}", dotted(pointer)))
    })?;
    Ok(document)
}

fn dotted(pointer: &str) -> String {
    pointer.replace('/', ".")
}

/// The document without its secrets.
fn masked(mut document: Value) -> Value {
    // Nothing in the replacement fails.
    let _ = replace_secrets(&mut document, "", &mut |_, _| Ok(json!({ SECRET: true })));
    document
}

/// A client's document with `{"$secret": true}` replaced by the secrets of the present one.
fn keep_secrets(
    entry: &StoredName,
    mut document: Value,
    present: Option<&OpenEntry>,
) -> Result<Value, Error> {
    let kept = replace_secrets(&mut document, "", &mut |pointer, given| {
        let place = format!("stored {entry}  {entry}{}", dotted(pointer));
        if *given != Value::Bool(true) {
            return Err(format!(
                "{place}: write the secret as a string, or {{\"{SECRET}\": true}} to keep it"
            ));
        }
        let Some(present) = present else { return Err(format!("{place}: there is no secret to keep")) };
        let found = present.document.as_ref().map_err(Clone::clone)?.pointer(pointer);
        found.cloned().ok_or_else(|| format!("{place}: there is no secret to keep"))
    });
    kept.map(|()| document).map_err(|fault| Error::ConfigurationInvalid(vec![fault]))
}

impl Admin {
    /// The versions of a stored entry, newest first, without secrets.
    ///
    /// # Errors
    /// [`Error::UnknownStored`], [`Error::Metadata`].
    pub async fn stored_versions(&self, entry: &StoredName) -> Result<Vec<StoredView>, Error> {
        let versions = self.metadata.stored_versions(entry).await?;
        if versions.is_empty() {
            return Err(Error::UnknownStored(entry.clone()));
        }
        let view = |stored: StoredVersion| StoredView {
            version: stored.version,
            author: stored.author,
            created_at: stored.created_at,
            settings: stored.document.map(masked),
        };
        Ok(versions.into_iter().map(view).collect())
    }

    /// Stores a document for an entry, or with `None` deletes it. With `dry_run` it is only checked.
    ///
    /// # Errors
    /// [`Error::ConfigurationInvalid`] with all faults; [`Error::ManagedByFile`], [`Error::StoredChanged`],
    /// [`Error::UnknownStored`], [`Error::TooManyStored`], [`Error::StoredContended`].
    pub async fn change_stored(
        &self,
        file: &dyn ConfigurationFile,
        entry: &StoredName,
        document: Option<Map<String, Value>>,
        expected: Expected,
        dry_run: bool,
        principal: &Principal,
    ) -> Result<StoredChanged, Error> {
        let document = document.map(Value::Object);
        let verb = if document.is_some() { "save" } else { "delete" };
        let action = format!("{}.{verb}", entry.section.singular());
        self.change_stored_as(file, entry, document, expected, dry_run, (principal, &action)).await
    }

    /// Makes an earlier version of an entry the newest one; also of a deleted entry.
    ///
    /// # Errors
    /// As [`Admin::change_stored`], and [`Error::UnknownStoredVersion`].
    pub async fn undo_stored(
        &self,
        file: &dyn ConfigurationFile,
        entry: &StoredName,
        version: u64,
        expected: Expected,
        principal: &Principal,
    ) -> Result<StoredChanged, Error> {
        let versions = self.metadata.stored_versions(entry).await?;
        let found = versions.into_iter().find(|stored| stored.version == version);
        let Some(document) = found.and_then(|stored| stored.document) else {
            return Err(Error::UnknownStoredVersion { entry: entry.clone(), version });
        };
        let document = open_document(file.secret_keys(), entry, document)
            .map_err(|fault| Error::ConfigurationInvalid(vec![fault]))?;
        let action = format!("{}.undo", entry.section.singular());
        self.change_stored_as(file, entry, Some(document), expected, false, (principal, &action)).await
    }

    async fn change_stored_as(
        &self,
        file: &dyn ConfigurationFile,
        entry: &StoredName,
        document: Option<Value>,
        expected: Expected,
        dry_run: bool,
        (principal, action): (&Principal, &str),
    ) -> Result<StoredChanged, Error> {
        let invalid = |fault: String| Error::ConfigurationInvalid(vec![format!("stored {entry}  {fault}")]);
        CollectionName::new(&entry.name).map_err(|error| invalid(error.to_string()))?;
        if document.as_ref().is_some_and(|document| document.to_string().len() > DOCUMENT_BYTES_MAX) {
            return Err(invalid(format!("is larger than {DOCUMENT_BYTES_MAX} bytes")));
        }
        if document.is_some() && file.declares(entry) {
            return Err(Error::ManagedByFile(entry.clone()));
        }
        for _ in 0..ATTEMPTS_MAX {
            let newest = self.metadata.stored_newest().await?;
            let stored = self.metadata.stored_entries().await?;
            let current = stored.iter().find(|stored| stored.entry == *entry);
            if !expected.accepts(current) {
                return Err(Error::StoredChanged(entry.clone()));
            }
            match (current, &document) {
                (None, None) => return Err(Error::UnknownStored(entry.clone())),
                (None, Some(_)) if stored.len() >= STORED_ENTRIES_MAX => {
                    return Err(Error::TooManyStored(STORED_ENTRIES_MAX));
                }
                _ => {}
            }
            let sealed = seal_checked(file, entry, document.clone(), &stored, self.clock.now())?;
            let is_new = current.is_none();
            if dry_run {
                return Ok(StoredChanged { version: None, is_new });
            }
            let before = current.and_then(|current| current.document.clone()).map(masked);
            let after = sealed.clone().map(masked);
            let detail = json!({ "before": before, "after": after }).to_string();
            let change = StoredChange { entry, document: sealed.as_ref(), newest, action, detail };
            if let Some(version) = self.metadata.change_stored(change, principal).await? {
                return Ok(StoredChanged { version: Some(version), is_new });
            }
        }
        Err(Error::StoredContended(ATTEMPTS_MAX))
    }
}

/// Checks the configuration with the new document, and encrypts its secrets.
fn seal_checked(
    file: &dyn ConfigurationFile,
    entry: &StoredName,
    document: Option<Value>,
    stored: &[StoredVersion],
    now: DateTime<Utc>,
) -> Result<Option<Value>, Error> {
    let mut entries = open_entries(file.secret_keys(), stored);
    let before = file.layer(&entries);
    let present = entries.iter().find(|open| open.entry == *entry).cloned();
    let document = document.map(|document| keep_secrets(entry, document, present.as_ref())).transpose()?;
    entries.retain(|open| open.entry != *entry);
    if let Some(document) = document.clone() {
        let (entry, document) = (entry.clone(), Ok(document));
        entries.push(OpenEntry { entry, version: u64::MAX, created_at: now, document });
    }
    let after = file.layer(&entries);
    let was_faulty = |name: &StoredName| {
        *name != *entry && before.configuration.stored.get(name).is_some_and(|state| !state.faults.is_empty())
    };
    let new_faults = after.configuration.stored.iter().filter(|(name, _)| !was_faulty(name));
    let new_faults: Vec<String> = new_faults.flat_map(|(_, state)| state.faults.clone()).collect();
    if !new_faults.is_empty() {
        return Err(Error::ConfigurationInvalid(new_faults));
    }
    let Some(mut document) = document else { return Ok(None) };
    for pointer in after.secrets.get(entry).into_iter().flatten() {
        let Some(secret) = document.pointer_mut(pointer) else { continue };
        let sealed =
            file.secret_keys().seal(&format!("{entry}{pointer}"), secret.as_str().unwrap_or_default());
        let sealed = sealed.map_err(|error| {
            Error::ConfigurationInvalid(vec![format!("stored {entry}  {entry}{}: {error}", dotted(pointer))])
        })?;
        *secret = json!({ SECRET: sealed });
    }
    Ok(Some(document))
}
