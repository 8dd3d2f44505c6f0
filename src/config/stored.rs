//! Lays stored entries over the configuration file.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};

use super::{
    Config,
    effective::{Effective, fill_defaults},
    resolve::{SECTIONS, resolve},
};
use crate::{
    admin::{ConfigurationFile, Layered, OpenEntry, StoredState},
    domain::{Digest, StoredName, StoredSection},
    scheduler::ScheduledSync,
    secrets::SecretKeys,
    settings::{Entry, Faults, Node, Place, Report, Table, Text, Value, section::join},
};

/// What the stored entry of a name is declared with in the file, too.
const DECLARED_TWICE: &str = "is declared in the configuration file, too, which counts; delete the stored one, or remove it from the file";

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
            let state = states.entry(open.entry.clone()).or_default();
            state.version = open.version;
            if self.declares(&open.entry) {
                state.faults.push(format!("stored {0}  {0}: {DECLARED_TWICE}", open.entry));
                continue;
            }
            match &open.document {
                Ok(document) => in_force.push((open, document)),
                Err(fault) => state.faults.push(fault.clone()),
            }
        }
        // Every round leaves out an entry at least, or is the last one.
        let layered = loop {
            match self.with(&in_force) {
                Ok(layered) => break layered,
                Err(faults) if in_force.is_empty() => {
                    tracing::error!(%faults, "the configuration file has faults that it did not have before");
                    break self.clone();
                }
                Err(faults) => leave_out(&mut in_force, &faults, &mut states),
            }
        };
        let secrets = in_force.iter().map(|(open, document)| {
            let mut found = Vec::new();
            let is_secret = |key: &str, text: &str| {
                let text = Text::plain(text);
                layered.printable.show(key, &text) != text.raw
            };
            find_secrets(document, &open.entry.to_string(), "", &is_secret, &mut found);
            (open.entry.clone(), found)
        });
        let secrets = secrets.collect();
        let mut configuration = layered.configuration();
        configuration.stored = states;
        configuration.file = Arc::new(self.clone());
        Layered { configuration, syncs: layered.scheduled_syncs(), secrets }
    }
}

impl Config {
    /// The syncs, each with its source.
    pub fn scheduled_syncs(&self) -> Vec<ScheduledSync> {
        let with_source = |sync: &super::SyncConfig| {
            let source = self.sources.get(&sync.spec.source).cloned()?;
            Some(ScheduledSync { spec: sync.spec.clone(), source, schedule: sync.schedule.clone() })
        };
        // The configuration has checked that every sync has its source.
        self.syncs.iter().filter_map(with_source).collect()
    }

    /// The file with stored entries, or all faults.
    fn with(&self, entries: &[(&OpenEntry, &Json)]) -> Result<Self, Faults> {
        let report = Report::default();
        let mut root = self.effective.root.clone();
        for (open, document) in entries {
            let place = Place::Stored(open.entry.to_string().into());
            let value = tree(document, &place);
            let table = |key: &str, value| {
                Table(vec![Entry {
                    key: key.to_owned(),
                    key_place: place.clone(),
                    node: Node { place: place.clone(), value },
                }])
            };
            root.merge(table(open.entry.section.as_str(), Value::Table(table(&open.entry.name, value))));
        }
        for section in SECTIONS {
            fill_defaults(&mut root, &section);
        }
        let effective = Effective { root, path: self.effective.path.clone() };
        let mut config = report_result(resolve(effective, &self.env, &report), report)?;
        for sync in &mut config.syncs {
            let name = &sync.spec.collection;
            if let Some(own) = self.syncs.iter().find(|own| own.spec.collection == *name) {
                (sync.spec.changed_at, sync.spec.files) = (own.spec.changed_at, own.spec.files);
            } else {
                let (changed_at, digest) = age(entries, name.as_str());
                sync.spec.changed_at = sync.spec.changed_at.max(changed_at);
                sync.spec.files = Some(digest);
            }
        }
        Ok(config)
    }
}

fn report_result(config: Option<Config>, report: Report) -> Result<Config, Faults> {
    report.into_result(config)
}

/// Leaves out the entries with these faults; all of them when no fault is of an entry.
fn leave_out(
    in_force: &mut Vec<(&OpenEntry, &Json)>,
    faults: &Faults,
    states: &mut BTreeMap<StoredName, StoredState>,
) {
    let count = in_force.len();
    in_force.retain(|(open, _)| {
        let key = open.entry.to_string();
        let is_own = |fault: &str| {
            fault.strip_prefix(&key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let own = faults.as_slice().iter().filter(|fault| is_own(&fault.key)).map(ToString::to_string);
        let own: Vec<String> = own.collect();
        let is_sound = own.is_empty();
        states.entry(open.entry.clone()).or_default().faults.extend(own);
        is_sound
    });
    if in_force.len() == count {
        for (open, _) in in_force.drain(..) {
            let all = faults.as_slice().iter().map(ToString::to_string);
            states.entry(open.entry.clone()).or_default().faults.extend(all);
        }
    }
}

/// When the newest of the stored entries of a sync was made, and the digest of their versions.
fn age(entries: &[(&OpenEntry, &Json)], sync: &str) -> (DateTime<Utc>, Digest) {
    let find = |section: StoredSection, name: Option<&str>| {
        entries.iter().find(|(open, _)| open.entry.section == section && Some(&*open.entry.name) == name)
    };
    let sync = find(StoredSection::Syncs, Some(sync));
    let named = |of: Option<&(&OpenEntry, &Json)>, key: &str| {
        of.and_then(|(_, document)| document.get(key)?.as_str().map(str::to_owned))
    };
    let model = find(StoredSection::Models, named(sync, "model").as_deref());
    let source = find(StoredSection::Sources, named(model, "source").as_deref());
    let all = [sync, model, source];
    let at = all.iter().flatten().map(|(open, _)| open.created_at).max();
    let versions = all.map(|one| one.map(|(open, _)| open.version));
    (at.unwrap_or_default(), Digest::of(format!("{versions:?}").as_bytes()))
}

/// JSON as a tree in which strings are literal.
fn tree(json: &Json, place: &Place) -> Value {
    let node = |json: &Json| Node { place: place.clone(), value: tree(json, place) };
    match json {
        Json::String(text) => Value::String(Text::plain(text)),
        Json::Bool(boolean) => Value::Boolean(*boolean),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(float)) if number.is_f64() && float.is_finite() => Value::Float(float),
            // TOML has no null either; both are faults where they are read.
            _ => Value::TooLarge,
        },
        Json::Null => Value::TooLarge,
        Json::Array(items) => Value::Array(items.iter().map(node).collect()),
        Json::Object(members) => Value::Table(table(members, place)),
    }
}

fn table(members: &Map<String, Json>, place: &Place) -> Table {
    let entry = |(key, json): (&String, &Json)| Entry {
        key: key.clone(),
        key_place: place.clone(),
        node: Node { place: place.clone(), value: tree(json, place) },
    };
    Table(members.iter().map(entry).collect())
}

/// Finds the JSON pointers of strings that may not be printed.
fn find_secrets(
    json: &Json,
    key: &str,
    pointer: &str,
    is_secret: &impl Fn(&str, &str) -> bool,
    found: &mut Vec<String>,
) {
    match json {
        Json::String(text) if is_secret(key, text) => found.push(pointer.to_owned()),
        Json::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                find_secrets(item, key, &format!("{pointer}/{at}"), is_secret, found);
            }
        }
        Json::Object(members) => {
            for (name, member) in members {
                let step = name.replace('~', "~0").replace('/', "~1");
                find_secrets(member, &join(key, name), &format!("{pointer}/{step}"), is_secret, found);
            }
        }
        _ => {}
    }
}
