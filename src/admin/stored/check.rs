//! Checks changes of stored entries as one configuration, and encrypts their secrets.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{
    ConfigurationFile, OpenEntry, StoredState,
    difference::{Documents, brief, differences},
    document::{encrypt_document, fault},
};
use crate::{
    admin::Error,
    domain::{CollectionName, InvalidName, StoredName},
    metadata::{STORED_ENTRIES_MAX, StoredChange, StoredVersion},
    settings::Fault,
};

/// Largest document of an entry, in bytes: a model with a long query fits.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// What entries are to become: each its document in the clear, or nothing.
pub(super) type Proposed = BTreeMap<StoredName, Option<Value>>;

/// A change that was checked: the new document, with its secrets encrypted and in the clear.
pub(super) struct Checked {
    pub(super) entry: StoredName,
    encrypted: Option<Value>,
    open: Option<Value>,
}

impl Checked {
    /// The keys that differ from the present entry, each with its value before and after, secrets not shown.
    pub(super) fn differences(&self, present: Option<&OpenEntry>) -> Vec<String> {
        let before = present.and_then(|present| {
            let encrypted = present.stored.document.as_ref()?;
            Some(Documents { encrypted, open: present.document.as_ref().ok() })
        });
        let after =
            self.encrypted.as_ref().map(|encrypted| Documents { encrypted, open: self.open.as_ref() });
        differences(before, after)
    }

    /// Whether the entry is deleted.
    pub(super) fn is_deletion(&self) -> bool {
        self.open.is_none()
    }

    /// The change as it is written.
    pub(super) fn change(&self, action: String, present: Option<&OpenEntry>) -> StoredChange<'_> {
        let version = present
            .map_or_else(|| "new".to_owned(), |present| format!("after version {}", present.stored.version));
        let detail = format!("{version}; {}", brief(&self.differences(present)));
        StoredChange { entry: &self.entry, document: self.encrypted.as_ref(), action, detail }
    }
}

/// Faults of the name, and of the size of the document.
pub(super) fn bound_faults(entry: &StoredName, document: &Map<String, Value>) -> Vec<Fault> {
    let name = CollectionName::new(&entry.name).err();
    let name = name.map(|_| fault(entry, "", InvalidName { what: entry.section.singular() }.to_string()));
    let bytes = serde_json::to_vec(document).map_or(0, |text| text.len());
    let size = (bytes > DOCUMENT_BYTES_MAX)
        .then(|| fault(entry, "", format!("is larger than {DOCUMENT_BYTES_MAX} bytes")));
    name.into_iter().chain(size).collect()
}

/// Checks the configuration with the new documents, and encrypts their secrets. `refused` has faults that are known before.
///
/// # Errors
/// [`Error::ConfigurationInvalid`] with all faults, [`Error::TooManyStored`].
pub(super) fn check(
    file: &dyn ConfigurationFile,
    proposed: Proposed,
    entries: &[OpenEntry],
    refused: Vec<Fault>,
    now: DateTime<Utc>,
) -> Result<Vec<Checked>, Error> {
    let next = with_proposed(&proposed, entries, now);
    if next.len() > STORED_ENTRIES_MAX && next.len() > entries.len() {
        return Err(Error::TooManyStored(STORED_ENTRIES_MAX));
    }
    let after = file.layer(&next);
    let before = file.layer(entries).configuration.stored;
    let mut faults = refused;
    faults.extend(added_faults(&proposed, &before, &after.configuration.stored));
    let mut checked = Vec::new();
    for (entry, open) in proposed {
        let pointers = after.secrets.get(&entry).map(Vec::as_slice).unwrap_or_default();
        match open
            .clone()
            .map(|open| encrypt_document(file.secret_keys(), &entry, open, pointers))
            .transpose()
        {
            Ok(encrypted) => checked.push(Checked { entry, encrypted, open }),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(checked) } else { Err(Error::ConfigurationInvalid(faults)) }
}

/// The entries with the proposed ones in place of theirs.
pub(super) fn with_proposed(
    proposed: &Proposed,
    entries: &[OpenEntry],
    now: DateTime<Utc>,
) -> Vec<OpenEntry> {
    let is_changed = |open: &&OpenEntry| proposed.contains_key(&open.stored.entry);
    let mut next: Vec<OpenEntry> = entries.iter().filter(|open| !is_changed(open)).cloned().collect();
    next.extend(proposed.iter().filter_map(|(entry, document)| {
        let (entry, author) = (entry.clone(), String::new());
        let stored = StoredVersion { entry, version: u64::MAX, document: None, author, created_at: now };
        Some(OpenEntry { stored, document: Ok(document.clone()?) })
    }));
    next
}

type States = BTreeMap<StoredName, StoredState>;

/// The faults of the changed entries, and those that other entries did not have before. Without those that end with another
/// one of them: an entry that depends on a faulty one.
fn added_faults(changed: &Proposed, before: &States, after: &States) -> Vec<Fault> {
    let is_known = |entry: &StoredName, fault: &Fault| {
        let known = before.get(entry).into_iter().flat_map(|state| &state.faults);
        // A hint may list names, which the change has added to.
        !changed.contains_key(entry)
            && known.into_iter().any(|known| (&known.key, &known.message) == (&fault.key, &fault.message))
    };
    let faults =
        after.iter().flat_map(|(entry, state)| state.faults.iter().map(move |fault| (entry, state, fault)));
    let mut added: Vec<_> = faults.filter(|(entry, _, fault)| !is_known(entry, fault)).collect();
    if added.iter().any(|(_, state, _)| !state.is_dependent) {
        added.retain(|(_, state, _)| !state.is_dependent);
    }
    added.into_iter().map(|(.., fault)| fault.clone()).collect()
}
