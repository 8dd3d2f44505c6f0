//! Changing stored entries: save, delete and undo, each compared with what it was checked against.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    ConfigurationFile, OpenEntry,
    difference::{Documents, difference},
    document::{fault, keep_secrets, open_document, seal_document},
    open_entries,
};
use crate::{
    admin::{Admin, Error},
    domain::{CollectionName, Principal, StoredName},
    metadata::{STORED_ENTRIES_MAX, StoredChange, StoredVersion},
    settings::Fault,
};

/// Largest document of an entry, in bytes: a model with a long query fits.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Attempts of a change while other changes come first.
const ATTEMPTS_MAX: usize = 5;

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
    fn verb(&self) -> &'static str {
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

/// A document that was checked, and with what.
struct Checked {
    sealed: Option<Value>,
    open: Option<Value>,
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
        check_bounds(entry, &new)?;
        let action = format!("{}.{}", entry.section.singular(), new.verb());
        for _ in 0..ATTEMPTS_MAX {
            let newest = self.metadata.stored_newest().await?;
            let stored = self.metadata.stored_entries().await?;
            let current = stored.iter().find(|stored| stored.entry == *entry);
            check_state(file, entry, &new, expected, current, stored.len())?;
            let new = match &new {
                NewStored::Version(version) => self.earlier(file, entry, *version).await?,
                other => other.clone(),
            };
            let entries = open_entries(file.secret_keys(), &stored);
            let present = entries.iter().find(|open| open.stored.entry == *entry);
            let checked = check(file, entry, new, &entries, self.clock.now())?;
            let is_new = current.is_none();
            if dry_run {
                return Ok(StoredChanged { version: None, is_new });
            }
            let detail = detail(present, &checked);
            let document = checked.sealed.as_ref();
            let change = StoredChange { entry, document, newest, action: &action, detail };
            if let Some(version) = self.metadata.change_stored(change, principal).await? {
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

/// Checks the name, and the size of the document.
fn check_bounds(entry: &StoredName, new: &NewStored) -> Result<(), Error> {
    let invalid = |message: String| Err(Error::ConfigurationInvalid(vec![fault(entry, "", message)]));
    if let Err(error) = CollectionName::new(&entry.name) {
        return invalid(format!("cannot be used as a name: {error}"));
    }
    match new {
        NewStored::Document(document) => {
            let bytes = serde_json::to_vec(document).map_or(0, |text| text.len());
            if bytes <= DOCUMENT_BYTES_MAX {
                Ok(())
            } else {
                invalid(format!("is larger than {DOCUMENT_BYTES_MAX} bytes"))
            }
        }
        NewStored::Version(_) | NewStored::Deleted => Ok(()),
    }
}

/// Checks that the entry is in the state that the change needs.
fn check_state(
    file: &dyn ConfigurationFile,
    entry: &StoredName,
    new: &NewStored,
    expected: &Expected,
    current: Option<&StoredVersion>,
    count: usize,
) -> Result<(), Error> {
    let is_deletion = *new == NewStored::Deleted;
    // A stored entry that the file declares, too, can only be deleted.
    if file.declares(entry) && !(is_deletion && current.is_some()) {
        return Err(Error::ManagedByFile(entry.clone()));
    }
    if !expected.accepts(current) {
        return Err(Error::StoredChanged(entry.clone()));
    }
    match current {
        None if is_deletion => Err(Error::UnknownStored(entry.clone())),
        None if count >= STORED_ENTRIES_MAX => Err(Error::TooManyStored(STORED_ENTRIES_MAX)),
        _ => Ok(()),
    }
}

/// Checks the configuration with the new document, and encrypts its secrets.
fn check(
    file: &dyn ConfigurationFile,
    entry: &StoredName,
    new: NewStored,
    entries: &[OpenEntry],
    now: DateTime<Utc>,
) -> Result<Checked, Error> {
    let present = entries.iter().find(|open| open.stored.entry == *entry);
    let open = match new {
        NewStored::Document(document) => Some(
            keep_secrets(entry, Value::Object(document), present)
                .map_err(|fault| Error::ConfigurationInvalid(vec![fault]))?,
        ),
        NewStored::Version(_) | NewStored::Deleted => None,
    };
    let mut changed: Vec<OpenEntry> =
        entries.iter().filter(|open| open.stored.entry != *entry).cloned().collect();
    changed.extend(open.clone().map(|document| {
        let (entry, author) = (entry.clone(), String::new());
        let stored = StoredVersion { entry, version: u64::MAX, document: None, author, created_at: now };
        OpenEntry { stored, document: Ok(document) }
    }));
    let after = file.layer(&changed);
    let faults = added_faults(entry, &file.layer(entries).configuration.stored, &after.configuration.stored);
    if !faults.is_empty() {
        return Err(Error::ConfigurationInvalid(faults));
    }
    let pointers = after.secrets.get(entry).map(Vec::as_slice).unwrap_or_default();
    let sealed = open.clone().map(|open| seal_document(file.secret_keys(), entry, open, pointers));
    let sealed = sealed.transpose().map_err(Error::ConfigurationInvalid)?;
    Ok(Checked { sealed, open })
}

type States = std::collections::BTreeMap<StoredName, super::StoredState>;

/// The faults of the changed entry, and those that other entries did not have before.
fn added_faults(changed: &StoredName, before: &States, after: &States) -> Vec<Fault> {
    let is_known = |entry: &StoredName, fault: &Fault| {
        let known = before.get(entry).into_iter().flat_map(|state| &state.faults);
        // A hint may list names, which the change has added to.
        entry != changed
            && known.into_iter().any(|known| (&known.key, &known.message) == (&fault.key, &fault.message))
    };
    let faults = after.iter().flat_map(|(entry, state)| state.faults.iter().map(move |fault| (entry, fault)));
    faults.filter(|(entry, fault)| !is_known(entry, fault)).map(|(_, fault)| fault.clone()).collect()
}

/// What changes, for the audit log.
fn detail(present: Option<&OpenEntry>, checked: &Checked) -> String {
    let before = present.and_then(|present| {
        let sealed = present.stored.document.as_ref()?;
        Some(Documents { sealed, open: present.document.as_ref().ok() })
    });
    let after = checked.sealed.as_ref().map(|sealed| Documents { sealed, open: checked.open.as_ref() });
    let version = present
        .map_or_else(|| "new".to_owned(), |present| format!("after version {}", present.stored.version));
    format!("{version}; {}", difference(before, after))
}
