//! Storing the sources, models and syncs of a file: all of them, or none.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ConfigurationFile, OpenEntry,
    check::{Checked, Proposed, bound_faults, check},
    document::{fault, keep_secrets},
    open_entries,
};
use crate::{
    admin::{ATTEMPTS_MAX, Admin, Error},
    domain::{Principal, StoredName},
    metadata::StoredChanges,
    settings::{Fault, Place},
};

/// Differences of an entry that are shown.
const DIFFERENCES_MAX: usize = 100;

/// Sources, models and syncs of a file, with the defaults that it gives them.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// The documents, variables replaced.
    pub entries: BTreeMap<StoredName, Value>,
    /// `[defaults.*]` of the file: an object with `source` and `sync`.
    pub defaults: Value,
}

/// What a configuration makes of an import.
#[derive(Debug, Default)]
pub struct Adopted {
    /// The documents to store, with the keys that other defaults had given them.
    pub entries: BTreeMap<StoredName, Value>,
    /// Entries that the configuration file declares in the same way.
    pub declared: BTreeSet<StoredName>,
    /// Entries that the configuration file declares in another way.
    pub conflicts: BTreeSet<StoredName>,
}

/// How an import is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// Delete stored entries that the file does not have.
    pub prune: bool,
    /// Only check it.
    pub dry_run: bool,
    /// Only if this is the newest version of the stored configuration.
    pub newest: Option<u64>,
}

/// What an import makes of an entry.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EntryChange {
    /// It is new.
    Created,
    /// Some of its keys differ.
    Changed,
    /// It is as it was.
    Unchanged,
    /// It is deleted, because the file does not have it.
    Deleted,
    /// The configuration file declares it in the same way, and nothing is stored.
    InFile,
}

/// An entry of an import.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedEntry {
    /// The entry, such as `sources.crm`.
    pub entry: String,
    /// What happens to it.
    pub change: EntryChange,
    /// The keys that differ, each with its value before and after; a secret is not shown.
    pub differences: Vec<String>,
}

impl ImportedEntry {
    /// Whether something is stored or deleted.
    pub fn is_written(&self) -> bool {
        !matches!(self.change, EntryChange::Unchanged | EntryChange::InFile)
    }
}

/// An import that was done, or with a dry run would be.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The newest version of the stored configuration that it was compared with.
    pub newest: u64,
    /// The newest version after it; `None` of a dry run, and when nothing changed.
    pub version: Option<u64>,
    /// Every entry of the file, and those that are deleted.
    pub entries: Vec<ImportedEntry>,
}

impl Admin {
    /// Stores the entries of a file in one transaction.
    ///
    /// # Errors
    /// [`Error::ConfigurationInvalid`] with all faults; [`Error::ImportOutdated`], [`Error::TooManyStored`],
    /// [`Error::StoredContended`], [`Error::Metadata`].
    pub async fn import_stored(
        &self,
        file: &dyn ConfigurationFile,
        import: &Import,
        options: ImportOptions,
        principal: &Principal,
    ) -> Result<Imported, Error> {
        if options.prune && import.entries.is_empty() {
            // A file or body that was lost on its way must not delete everything.
            return Err(Error::ConfigurationInvalid(vec![Fault {
                place: Place::Stored("import".into()),
                message: "nothing is imported, and would delete every stored entry".to_owned(),
                hint: Some("leave out prune, or delete the entries one by one".to_owned()),
                ..Fault::default()
            }]));
        }
        for _ in 0..ATTEMPTS_MAX {
            let newest = self.metadata.stored_newest().await?;
            if options.newest.is_some_and(|seen| seen != newest) {
                return Err(Error::ImportOutdated);
            }
            let entries = open_entries(file.secret_keys(), &self.metadata.stored_entries().await?);
            let Adopted { entries: documents, declared, conflicts } = file.adopt(import);
            let mut faults: Vec<Fault> = conflicts.iter().map(declared_otherwise).collect();
            let mut proposed = proposed(documents, &entries, &mut faults);
            if options.prune {
                let is_left =
                    |entry: &&StoredName| !import.entries.contains_key(*entry) && !file.declares(entry);
                let left = entries.iter().map(|open| &open.stored.entry).filter(is_left);
                proposed.extend(left.map(|entry| (entry.clone(), None)));
            }
            let checked = check(file, proposed, &entries, faults, self.clock.now())?;
            let present = |checked: &Checked| entries.iter().find(|open| open.stored.entry == checked.entry);
            let compared: Vec<_> =
                checked.iter().map(|checked| (checked, compare(checked, present(checked)))).collect();
            let changes: Vec<_> = compared
                .iter()
                .filter(|(_, imported)| imported.is_written())
                .map(|(checked, _)| {
                    let action = format!("{}.import", checked.entry.section.singular());
                    checked.change(action, present(checked))
                })
                .collect();
            let version = if options.dry_run || changes.is_empty() {
                None
            } else {
                let changes = StoredChanges { newest, changes: &changes, reencrypted: &[] };
                let Some(version) = self.metadata.change_stored(changes, principal).await? else { continue };
                Some(version)
            };
            let mut entries: Vec<ImportedEntry> =
                compared.into_iter().map(|(_, imported)| imported).collect();
            entries.extend(declared.iter().map(|entry| ImportedEntry {
                entry: entry.to_string(),
                change: EntryChange::InFile,
                differences: Vec::new(),
            }));
            return Ok(Imported { newest, version, entries });
        }
        Err(Error::StoredContended(ATTEMPTS_MAX))
    }
}

/// The documents with the secrets that they keep. Adds faults of those that cannot be stored.
fn proposed(
    documents: BTreeMap<StoredName, Value>,
    entries: &[OpenEntry],
    faults: &mut Vec<Fault>,
) -> Proposed {
    let mut proposed = Proposed::new();
    for (entry, document) in documents {
        let bounds = match &document {
            Value::Object(members) => bound_faults(&entry, members),
            _ => vec![fault(&entry, "", "must be a table")],
        };
        if !bounds.is_empty() {
            faults.extend(bounds);
            continue;
        }
        let present = entries.iter().find(|open| open.stored.entry == entry);
        match keep_secrets(&entry, document, present, faults) {
            Ok(document) => {
                proposed.insert(entry, Some(document));
            }
            Err(fault) => faults.push(fault),
        }
    }
    proposed
}

fn declared_otherwise(entry: &StoredName) -> Fault {
    Fault {
        hint: Some("change it there, or take it out of one of the two".to_owned()),
        ..fault(entry, "", "is declared in the configuration file with other settings")
    }
}

fn compare(checked: &Checked, present: Option<&OpenEntry>) -> ImportedEntry {
    let mut differences = checked.differences(present);
    let change = match (present, checked.is_deletion()) {
        (_, true) => EntryChange::Deleted,
        (None, false) => EntryChange::Created,
        (Some(_), false) if differences.is_empty() => EntryChange::Unchanged,
        (Some(_), false) => EntryChange::Changed,
    };
    let more = differences.len().saturating_sub(DIFFERENCES_MAX);
    if more > 0 {
        differences.truncate(DIFFERENCES_MAX);
        differences.push(format!("and {more} more"));
    }
    ImportedEntry { entry: checked.entry.to_string(), change, differences }
}
