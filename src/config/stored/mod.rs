//! Lays stored entries over the configuration file.

mod adopt;
mod document;

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use self::document::{masks, secrets, tree};
use super::{
    Config, SyncConfig,
    effective::{Effective, fill_defaults},
    resolve::{SECTIONS, resolve},
};
use crate::{
    admin::{Adopted, ConfigurationFile, Import, Layered, OpenEntry, StoredState},
    domain::{Digest, StoredName, StoredSection},
    scheduler::ScheduledSync,
    secrets::SecretKeys,
    settings::{Entry, Fault, Faults, Node, Place, Report, Table, Value},
};

/// An entry and its document.
type Opened<'a> = (&'a OpenEntry, &'a Json);

impl ConfigurationFile for Config {
    fn declares(&self, entry: &StoredName) -> bool {
        let section = self.effective.root.table(entry.section.as_str());
        section.is_some_and(|section| section.get(&entry.name).is_some())
    }

    fn secret_keys(&self) -> &SecretKeys {
        &self.secret_keys
    }

    fn layer(&self, entries: &[OpenEntry]) -> Layered {
        let mut states: BTreeMap<StoredName, StoredState> = BTreeMap::new();
        let mut in_force = Vec::new();
        for open in entries {
            let entry = &open.stored.entry;
            let state = states.entry(entry.clone()).or_insert_with(|| StoredState::of(&open.stored));
            match &open.document {
                _ if self.declares(entry) => state.faults.push(declared_twice(entry)),
                Ok(document) => in_force.push((open, document)),
                Err(fault) => state.faults.push(fault.clone()),
            }
        }
        // What an earlier round has left out is why a later one finds faults.
        let mut is_dependent = false;
        // Every round leaves out an entry at least, or is the last one.
        let layered = loop {
            match self.with(&in_force) {
                Ok(layered) => break layered,
                Err(faults) if in_force.is_empty() => {
                    tracing::error!(%faults, "the configuration file has faults that it did not have before");
                    break self.clone();
                }
                Err(faults) => leave_out(&mut in_force, &faults, is_dependent, &mut states),
            }
            is_dependent = true;
        };
        let secrets = in_force.iter().map(|(open, document)| {
            let entry = open.stored.entry.clone();
            let found = secrets(document, &entry.to_string(), &layered.printable);
            (entry, found)
        });
        let secrets = secrets.collect();
        let mut configuration = layered.configuration();
        configuration.stored = states;
        configuration.file = Arc::new(self.clone());
        Layered {
            configuration,
            syncs: layered.scheduled_syncs(),
            hash_secrets: layered.hash_secrets(),
            secrets,
        }
    }

    fn adopt(&self, import: &Import) -> Adopted {
        self.adopt_entries(import)
    }
}

impl Config {
    /// The syncs, each with its source.
    pub fn scheduled_syncs(&self) -> Vec<ScheduledSync> {
        let with_source = |sync: &SyncConfig| {
            let source = self.sources.get(&sync.spec.source).cloned()?;
            Some(ScheduledSync { spec: sync.spec.clone(), source, schedule: sync.schedule.clone() })
        };
        // The configuration has checked that every sync has its source.
        self.syncs.iter().filter_map(with_source).collect()
    }

    /// The file with stored entries, or all faults.
    fn with(&self, entries: &[Opened<'_>]) -> Result<Self, Faults> {
        let report = Report::default();
        let mut root = self.effective.root.clone();
        let mut written = self.effective.written.clone();
        for (open, document) in entries {
            let entry = &open.stored.entry;
            let place = Place::Stored(entry.to_string().into());
            let named = table_of(&entry.name, &place, tree(document, &place));
            let section = table_of(entry.section.as_str(), &place, Value::Table(named));
            written.merge(section.clone());
            root.merge(section);
        }
        for section in SECTIONS {
            fill_defaults(&mut root, &section);
        }
        let effective = Effective { root, written, path: self.effective.path.clone() };
        let config = resolve(effective, &self.env, &report);
        for (open, document) in entries {
            let Some(config) = &config else { break };
            for mask in masks(&open.stored.entry, document, &config.printable) {
                report.push(mask);
            }
        }
        let mut config = report.into_result(config)?;
        config.file = self.file;
        for sync in &mut config.syncs {
            let name = &sync.spec.collection;
            if let Some(own) = self.syncs.iter().find(|own| own.spec.collection == *name) {
                (sync.spec.changed_at, sync.spec.files) = (own.spec.changed_at, own.spec.files);
            } else {
                let (changed_at, digest) = self.age(entries, name.as_str());
                sync.spec.changed_at = sync.spec.changed_at.max(changed_at);
                sync.spec.files = Some(digest);
            }
        }
        Ok(config)
    }

    /// When a stored sync, or what it is made of, was last changed, and the digest of all of it.
    fn age(&self, entries: &[Opened<'_>], sync: &str) -> (DateTime<Utc>, Digest) {
        let find = |section: StoredSection, name: Option<&str>| {
            let is_it = |entry: &StoredName| entry.section == section && Some(&*entry.name) == name;
            entries.iter().find(|(open, _)| is_it(&open.stored.entry))
        };
        let named = |of: Option<&Opened<'_>>, key: &str| {
            of.and_then(|(_, document)| document.get(key)?.as_str().map(str::to_owned))
        };
        let sync = find(StoredSection::Syncs, Some(sync));
        let model = find(StoredSection::Models, named(sync, "model").as_deref());
        let source = find(StoredSection::Sources, named(model, "source").as_deref());
        let all = [sync, model, source].map(|one| one.map(|(open, _)| &open.stored));
        // What is not stored is in the file.
        let (file_changed_at, file) = self.file.unwrap_or((DateTime::UNIX_EPOCH, Digest::of(b"")));
        let changed_at =
            all.iter().flatten().map(|stored| stored.created_at).fold(file_changed_at, DateTime::max);
        let versions = all.map(|stored| stored.map(|stored| stored.version));
        (changed_at, Digest::of(format!("{file} {versions:?}").as_bytes()))
    }
}

/// A table with one key.
fn table_of(key: &str, place: &Place, value: Value) -> Table {
    let node = Node { place: place.clone(), value };
    Table(vec![Entry { key: key.to_owned(), key_place: place.clone(), node }])
}

fn declared_twice(entry: &StoredName) -> Fault {
    Fault {
        place: Place::Stored(entry.to_string().into()),
        key: entry.to_string(),
        message: "is declared in the configuration file, too; the file's counts".to_owned(),
        hint: Some("delete the stored one, or remove it from the file".to_owned()),
        missing_variable: None,
    }
}

/// Leaves out the entries that have faults; the newest one when no fault is one of an entry.
fn leave_out(
    in_force: &mut Vec<Opened<'_>>,
    faults: &Faults,
    is_dependent: bool,
    states: &mut BTreeMap<StoredName, StoredState>,
) {
    let count = in_force.len();
    let mut add = |entry: &StoredName, faults: Vec<Fault>| {
        if let Some(state) = states.get_mut(entry)
            && !faults.is_empty()
        {
            state.faults.extend(faults);
            state.is_dependent = is_dependent;
        }
    };
    in_force.retain(|(open, _)| {
        let entry = &open.stored.entry;
        let own: Vec<Fault> =
            faults.as_slice().iter().filter(|fault| entry.owns(&fault.key)).cloned().collect();
        let is_sound = own.is_empty();
        add(entry, own);
        is_sound
    });
    if in_force.len() == count
        && let Some((newest, _)) = in_force.pop()
    {
        add(&newest.stored.entry, faults.as_slice().to_vec());
    }
}
