//! The reference model: what a collection must be after each run, computed from the rules in `docs/sync.md` alone.

use std::collections::{BTreeMap, BTreeSet};

use larder::domain::run::RunCounts;
use serde_json::{Map, Value, json};

/// A row of the table. Each column may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: Option<String>,
    pub(super) email: Option<String>,
    pub(super) team: Option<i64>,
    /// JSON text; may be broken.
    pub(super) tags: Option<String>,
    pub(super) note: u64,
}

/// The secondary indexes that a configuration can have, with the column of each.
pub(super) const INDEXES: [&str; 3] = ["email", "team", "tags"];

/// What a run does with the record of a row that left the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDelete {
    Delete,
    Keep,
    Clear,
}

/// The settings that change over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) on_delete: OnDelete,
    pub(super) indexes: BTreeSet<&'static str>,
    /// Whether the record has the field `note`.
    pub(super) has_note: bool,
}

/// A served record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) body: Map<String, Value>,
    /// Values by index.
    pub(super) values: BTreeMap<&'static str, BTreeSet<String>>,
    /// Its row has left the model.
    is_retained: bool,
}

/// A collection as one version has it. `settings` are those of the run that wrote its indexes and fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) records: BTreeMap<String, Record>,
    pub(super) settings: Settings,
}

impl Content {
    /// Whether a run with `settings` writes this content anew.
    pub(super) fn is_rebuilt_by(&self, settings: &Settings) -> bool {
        (&self.settings.indexes, self.settings.has_note) != (&settings.indexes, settings.has_note)
    }

    /// The record that has a value in an index: that with the lowest key.
    pub(super) fn find(&self, index: &str, value: &str) -> Option<&Record> {
        let has_value = |record: &&Record| record.values.get(index).is_some_and(|all| all.contains(value));
        if index == "id" { self.records.get(value) } else { self.records.values().find(has_value) }
    }

    /// Values that a record does not hold, because one with a lower key has them too.
    fn conflicts(&self) -> u64 {
        let mut claims = BTreeMap::<_, u64>::new();
        for record in self.records.values() {
            for (index, values) in &record.values {
                for value in values {
                    *claims.entry((index, value)).or_default() += 1;
                }
            }
        }
        claims.values().map(|claimants| claimants - 1).sum()
    }
}

/// Whether the row's JSON is complete.
fn has_valid_tags(row: &Row) -> bool {
    row.tags.as_deref().is_none_or(|tags| serde_json::from_str::<Value>(tags).is_ok())
}

fn tags(row: &Row) -> Value {
    row.tags.as_deref().map_or(Value::Null, |tags| serde_json::from_str(tags).unwrap())
}

fn record(row: &Row, id: &str, settings: &Settings) -> Record {
    let mut body = Map::new();
    body.insert("id".into(), json!(id));
    body.insert("email".into(), json!(row.email));
    body.insert("team".into(), json!(row.team));
    body.insert("tags".into(), tags(row));
    if settings.has_note {
        body.insert("note".into(), json!(row.note));
    }
    let mut values = BTreeMap::new();
    for &index in &settings.indexes {
        let of_index: BTreeSet<String> = match index {
            // `normalize = ["trim", "lowercase"]`
            "email" => row.email.iter().map(|email| email.trim().to_lowercase()).collect(),
            "team" => row.team.iter().map(i64::to_string).collect(),
            _ => match tags(row) {
                Value::Array(tags) => tags.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                _ => BTreeSet::new(),
            },
        };
        values.insert(index, of_index.into_iter().filter(|value| !value.is_empty()).collect());
    }
    Record { body, values, is_retained: false }
}

/// The record of a row that left: every field null but those of the key and of index columns.
fn cleared(record: &Record, settings: &Settings) -> Record {
    let mut cleared = record.clone();
    for (field, value) in &mut cleared.body {
        if field != "id" && !settings.indexes.contains(field.as_str()) {
            *value = Value::Null;
        }
    }
    cleared
}

/// The content after a run over `rows`, and the run's counts.
pub(super) fn run(base: Option<&Content>, settings: &Settings, rows: &[Row]) -> (Content, RunCounts) {
    let mut counts = RunCounts { rows: rows.len() as u64, ..RunCounts::default() };
    let mut by_key = BTreeMap::<&str, Vec<&Row>>::new();
    for row in rows {
        match row.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => by_key.entry(id).or_default().push(row),
            None => counts.rejected += 1,
        }
    }
    let none = BTreeMap::new();
    let served = base.map_or(&none, |base| &base.records);
    let is_rebuilt = base.is_none_or(|base| base.is_rebuilt_by(settings));
    let mut records = BTreeMap::new();
    // Records without a row keep their values of the indexes that still exist.
    let stay = |record: &Record, is_retained: bool| {
        let of = |index: &&'static str| (*index, record.values.get(index).cloned().unwrap_or_default());
        let values = settings.indexes.iter().map(of).collect();
        Record { values, is_retained, ..record.clone() }
    };
    for (key, rows) in &by_key {
        if rows.len() == 1 && has_valid_tags(rows[0]) {
            let new = record(rows[0], key, settings);
            match served.get(*key) {
                None => counts.added += 1,
                Some(old) => counts.changed += u64::from(*old != new),
            }
            records.insert((*key).to_owned(), new);
            continue;
        }
        counts.rejected += rows.len() as u64;
        if let Some(old) = served.get(*key) {
            counts.carried += 1;
            counts.left += u64::from(old.is_retained);
            records
                .insert((*key).to_owned(), if is_rebuilt { stay(old, old.is_retained) } else { old.clone() });
        }
    }
    for (key, old) in served.iter().filter(|(key, _)| !by_key.contains_key(key.as_str())) {
        counts.removed += u64::from(!old.is_retained);
        let kept = match settings.on_delete {
            OnDelete::Delete => continue,
            OnDelete::Keep => stay(old, true),
            OnDelete::Clear => cleared(&stay(old, true), settings),
        };
        counts.left += 1;
        records.insert(key.clone(), kept);
    }
    let content = Content { records, settings: settings.clone() };
    counts.records = content.records.len() as u64;
    counts.conflicts = content.conflicts();
    (content, counts)
}
