//! A table on its way to settings: keys are asked for by name, and what nobody asked for is unknown.

use std::cell::RefCell;

use super::{
    fault::{Fault, Place, Report},
    item::Item,
    nearest,
    tree::{Entry, Table},
};
use crate::domain::name::CollectionName;

/// A table, its key and where its faults go.
pub(crate) struct Section<'a> {
    report: &'a Report,
    key: String,
    place: Place,
    table: &'a Table,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(report: &'a Report, key: String, place: Place, table: &'a Table) -> Self {
        Self { report, key, place, table, known: RefCell::default() }
    }

    /// The value of a key that may be absent.
    pub(crate) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.known.borrow_mut().push(key);
        self.table.get(key).map(|entry| self.item(entry))
    }

    /// The value of a key that must be there; `hint` says what to write.
    pub(crate) fn need(&self, key: &'static str, hint: &str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
            self.report.push(Fault {
                place: self.place.clone(),
                key: join(&self.key, key),
                message: "is missing".to_owned(),
                hint,
                missing_variable: None,
            });
        }
        item
    }

    /// The value of a key that has a default.
    pub(crate) fn set(&self, key: &'static str) -> Option<Item<'a>> {
        self.need(key, "")
    }

    /// The table under a key; an absent one is empty.
    pub(crate) fn section(&self, key: &'static str) -> Option<Self> {
        const EMPTY: &Table = &Table(Vec::new());
        match self.get(key) {
            Some(item) => item.section(),
            None => Some(Section::new(self.report, join(&self.key, key), self.place.clone(), EMPTY)),
        }
    }

    /// Reads the table under a key and reports the keys that `read` did not ask for.
    pub(crate) fn read_section<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Self) -> Option<T>,
    ) -> Option<T> {
        let section = self.section(key)?;
        let value = read(&section);
        section.finish();
        value
    }

    /// Reads a key that may be absent: `Some(None)` when it is, `None` when it is faulty.
    #[expect(clippy::option_option, reason = "the outer one is a reported fault, the inner one absence")]
    pub(crate) fn read<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Item<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.get(key) {
            None => Some(None),
            Some(item) => read(&item).map(Some),
        }
    }

    /// Whether a key is there, without asking for it.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// A key that makes no sense here: reports it when it is there.
    pub(crate) fn refuse(&self, key: &'static str, message: &str, hint: impl Into<Option<String>>) {
        let was_known = self.known.borrow().contains(&key);
        if let Some(entry) = self.table.get(key) {
            self.fault_at(entry, message, hint);
            if !was_known {
                self.known.borrow_mut().push(key);
            }
        }
    }

    /// All entries, whatever their names: for tables of named things.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a Entry, Item<'a>)> {
        self.table.0.iter().map(|entry| (entry, self.item(entry)))
    }

    /// Reports a key that cannot name a `what`, such as a source or a model. Names follow one rule
    /// everywhere, that of collections.
    pub(crate) fn check_name(&self, entry: &Entry, what: &str) {
        if CollectionName::new(&entry.key).is_err() {
            self.fault_at(
                entry,
                &format!(
                    "a {what} name is 1 to 64 characters, letters, digits, `_` or `-`, and begins with a letter or digit"
                ),
                None,
            );
        }
    }

    /// The section's own table as an item would show it: a fault of the section as a whole.
    pub(crate) fn fail<T>(&self, message: impl Into<String>, hint: impl Into<Option<String>>) -> Option<T> {
        self.report.push(Fault {
            place: self.place.clone(),
            key: self.key.clone(),
            message: message.into(),
            hint: hint.into(),
            missing_variable: None,
        });
        None
    }

    /// Reports a fault at an entry's key.
    pub(crate) fn fault_at(&self, entry: &Entry, message: &str, hint: impl Into<Option<String>>) {
        self.report.push(Fault {
            place: entry.key_place.clone(),
            key: join(&self.key, &entry.key),
            message: message.to_owned(),
            hint: hint.into(),
            missing_variable: None,
        });
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(&self) {
        let known = self.known.borrow();
        for entry in self.table.0.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let hint = nearest::hint(&entry.key, "keys known here", known.iter().copied());
            self.fault_at(entry, "unknown key", hint);
        }
    }

    fn item(&self, entry: &'a Entry) -> Item<'a> {
        Item { report: self.report, key: join(&self.key, &entry.key), node: &entry.node }
    }
}

/// A key's full name.
pub(crate) fn join(section: &str, key: &str) -> String {
    let key = quote(key);
    if section.is_empty() { key } else { format!("{section}.{key}") }
}

/// A key as TOML has it: quoted when it cannot stand bare. A JSON string is one line of TOML, too.
pub(crate) fn quote(key: &str) -> String {
    let is_bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_bare { key.to_owned() } else { serde_json::Value::from(key).to_string() }
}
