//! Changing stored entries: save, delete and undo, each compared with what it was checked against.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    ConfigurationFile,
    check::{bound_faults, check},
    document::{keep_secrets, open_document},
    open_entries,
};
use crate::{
    admin::{ATTEMPTS_MAX, Admin, Error},
    domain::{Principal, StoredName},
    metadata::{StoredChanges, StoredVersion},
};

/// What a change needs to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Any state.
    Any,
    /// No entry.
    Absent,
    /// An entry.
    Present,
    /// The entry in one of these versions.
    Versions(Vec<u64>),
}

impl Expected {
    fn accepts(&self, current: Option<&StoredVersion>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Present => current.is_some(),
            Self::Versions(versions) => current.is_some_and(|current| versions.contains(&current.version)),
        }
    }
}

/// What an entry is to become.
#[derive(Debug, Clone, PartialEq)]
pub enum NewStored {
    /// A document of a client, in which `{"$secret": true}` keeps a stored secret.
    Document(Map<String, Value>),
    /// Its document of an earlier version.
    Version(u64),
    /// Nothing.
    Deleted,
}

impl NewStored {
    /// What is done, as the audit log names it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Document(_) => "save",
            Self::Version(_) => "undo",
            Self::Deleted => "delete",
        }
    }
}

/// A change that was made, or with a dry run would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredChanged {
    /// The new version; `None` of a dry run.
    pub version: Option<u64>,
    /// Whether the entry is new.
    pub is_new: bool,
}

impl Admin {
    /// Changes a stored entry. With `dry_run` the change is only checked.
    ///
    /// # Errors
    /// [`Error::ConfigurationInvalid`] with all faults; [`Error::ManagedByFile`], [`Error::StoredChanged`],
    /// [`Error::UnknownStored`], [`Error::UnknownStoredVersion`], [`Error::TooManyStored`],
    /// [`Error::StoredContended`], [`Error::Metadata`].
    pub async fn change_stored(
        &self,
        file: &dyn ConfigurationFile,
        entry: &StoredName,
        new: NewStored,
        expected: &Expected,
        dry_run: bool,
        principal: &Principal,
    ) -> Result<StoredChanged, Error> {
        if let NewStored::Document(document) = &new {
            let faults = bound_faults(entry, document);
            if !faults.is_empty() {
                return Err(Error::ConfigurationInvalid(faults));
            }
        }
        let action = format!("{}.{}", entry.section.singular(), new.verb());
        for _ in 0..ATTEMPTS_MAX {
            let newest = self.metadata.stored_newest().await?;
            let stored = self.metadata.stored_entries().await?;
            let current = stored.iter().find(|stored| stored.entry == *entry);
            check_state(file, entry, &new, expected, current)?;
            let new = match &new {
                NewStored::Version(version) => self.earlier(file, entry, *version).await?,
                other => other.clone(),
            };
            let entries = open_entries(file.secret_keys(), &stored);
            let present = entries.iter().find(|open| open.stored.entry == *entry);
            let mut refused = Vec::new();
            let document = match new {
                NewStored::Document(document) => {
                    let kept = keep_secrets(entry, Value::Object(document), present, &mut refused);
                    Some(kept.map_err(|fault| Error::ConfigurationInvalid(vec![fault]))?)
                }
                NewStored::Version(_) | NewStored::Deleted => None,
            };
            let proposed = [(entry.clone(), document)].into();
            let checked = check(file, proposed, &entries, refused, self.clock.now())?;
            let is_new = current.is_none();
            if dry_run {
                return Ok(StoredChanged { version: None, is_new });
            }
            let changes: Vec<_> =
                checked.iter().map(|checked| checked.change(action.clone(), present)).collect();
            let changes = StoredChanges { newest, changes: &changes, reencrypted: &[] };
            if let Some(version) = self.metadata.change_stored(changes, principal).await? {
                return Ok(StoredChanged { version: Some(version), is_new });
            }
        }
        Err(Error::StoredContended(ATTEMPTS_MAX))
    }

    /// The document of an earlier version.
    async fn earlier(
        &self,
        file: &dyn ConfigurationFile,
        entry: &StoredName,
        version: u64,
    ) -> Result<NewStored, Error> {
        let versions = self.metadata.stored_versions(entry).await?;
        let found = versions.into_iter().find(|stored| stored.version == version);
        let Some(document) = found.and_then(|stored| stored.document) else {
            return Err(Error::UnknownStoredVersion { entry: entry.clone(), version });
        };
        match open_document(file.secret_keys(), entry, document) {
            Ok(Value::Object(document)) => Ok(NewStored::Document(document)),
            Ok(_) => Err(Error::UnknownStoredVersion { entry: entry.clone(), version }),
            Err(fault) => Err(Error::ConfigurationInvalid(vec![fault])),
        }
    }
}

/// Checks that the entry is in the state that the change needs.
fn check_state(
    file: &dyn ConfigurationFile,
    entry: &StoredName,
    new: &NewStored,
    expected: &Expected,
    current: Option<&StoredVersion>,
) -> Result<(), Error> {
    let is_deletion = *new == NewStored::Deleted;
    // A stored entry that the file declares, too, can only be deleted.
    if file.declares(entry) && !(is_deletion && current.is_some()) {
        return Err(Error::ManagedByFile(entry.clone()));
    }
    if !expected.accepts(current) {
        return Err(Error::StoredChanged(entry.clone()));
    }
    if is_deletion && current.is_none() { Err(Error::UnknownStored(entry.clone())) } else { Ok(()) }
}
