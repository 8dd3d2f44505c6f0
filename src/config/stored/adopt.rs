//! Entries of another file as they are stored beside this one.

use serde_json::{Map, Value as Json};

use super::{document::tree, table_of};
use crate::{
    admin::{Adopted, Import},
    config::{
        Config,
        effective::{built_in, fill_defaults},
        import::plain,
        resolve::SECTIONS,
    },
    domain::StoredName,
    settings::{Environment, Place, Report, Table, Value},
};

impl Config {
    /// Adds to each entry the defaults of the other file that differ from the defaults of this one.
    pub(super) fn adopt_entries(&self, import: &Import) -> Adopted {
        let own = self.effective.root.table("defaults").cloned().unwrap_or_default();
        let theirs = Filled::new(import, &defaults_of(import));
        let ours = Filled::new(import, &own);
        let file = self.with_sql_inside(self.effective.root.clone());
        let mut adopted = Adopted::default();
        for (entry, document) in &import.entries {
            let filled = theirs.entry(entry);
            if let Some(declared) = entry_of(&file, entry) {
                let is_same = same(&plain(declared), &filled);
                let set = if is_same { &mut adopted.declared } else { &mut adopted.conflicts };
                set.insert(entry.clone());
                continue;
            }
            let mut document = document.clone();
            let (here, members) = (ours.entry(entry), filled.as_object().into_iter().flatten());
            if let Some(own) = document.as_object_mut() {
                let differing = members.filter(|(key, value)| here.get(key) != Some(value));
                own.extend(differing.map(|(key, value)| (key.clone(), value.clone())));
            }
            adopted.entries.insert(entry.clone(), document);
        }
        adopted
    }
}

/// The defaults of the other file over the built-in ones.
fn defaults_of(import: &Import) -> Table {
    let place = Place::Stored("defaults".into());
    let built_in = built_in(&Environment::default(), &Report::default()).unwrap_or_default();
    let mut defaults = built_in.table("defaults").cloned().unwrap_or_default();
    if let Value::Table(own) = tree(&import.defaults, &place) {
        defaults.merge(own);
    }
    defaults
}

/// Entries with defaults filled in.
struct Filled(Table);

impl Filled {
    fn new(import: &Import, defaults: &Table) -> Self {
        let place = Place::Stored("defaults".into());
        let mut root = table_of("defaults", &place, Value::Table(defaults.clone()));
        for (entry, document) in &import.entries {
            let named = table_of(&entry.name, &place, tree(document, &place));
            root.merge(table_of(entry.section.as_str(), &place, Value::Table(named)));
        }
        for section in SECTIONS {
            fill_defaults(&mut root, &section);
        }
        Self(root)
    }

    fn entry(&self, entry: &StoredName) -> Json {
        entry_of(&self.0, entry).map(plain).unwrap_or_default()
    }
}

fn entry_of<'a>(root: &'a Table, entry: &StoredName) -> Option<&'a Value> {
    Some(&root.table(entry.section.as_str())?.get(&entry.name)?.node.value)
}

/// Whether two entries have the same keys, and the members within each in the same order, which counts in some.
fn same(a: &Json, b: &Json) -> bool {
    let texts = |json: &Json| -> Map<String, Json> {
        let members = json.as_object().into_iter().flatten();
        members.map(|(key, member)| (key.clone(), member.to_string().into())).collect()
    };
    texts(a) == texts(b)
}
