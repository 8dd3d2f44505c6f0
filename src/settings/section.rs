//! Reads a table by the names of its keys. A key that no reader asks for is unknown, which is a fault.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
};

use super::{
    fault::{Place, Report},
    item::Item,
    nearest,
    tree::{Entry, Table, Value},
};
use crate::domain::{
    digest::Digest,
    name::{CollectionName, article},
};

/// A table that is being read.
pub(crate) struct Section<'a> {
    report: &'a Report,
    key: String,
    place: Place,
    table: &'a Table,
    known: RefCell<Vec<&'static str>>,
    /// Whether its keys are names, so that none is unknown.
    is_named: Cell<bool>,
}

impl<'a> Section<'a> {
    /// `table`, which stands under `key` at `place`; faults go to `report`.
    pub(crate) fn new(report: &'a Report, key: String, place: Place, table: &'a Table) -> Self {
        Self { report, key, place, table, known: RefCell::default(), is_named: Cell::new(false) }
    }

    /// The value of a key that may be absent.
    pub(crate) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.know(key);
        self.table.get(key).map(|entry| self.item(entry))
    }

    fn know(&self, key: &'static str) {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
    }

    /// The value of a required key; `hint` says what to write.
    pub(crate) fn need(&self, key: &'static str, hint: &str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
            self.report.add(&self.place, join(&self.key, key), "is missing", hint);
        }
        item
    }

    /// The value of a key that has a default, which `config/default.toml` sets.
    pub(crate) fn set(&self, key: &'static str) -> Option<Item<'a>> {
        self.need(key, "")
    }

    /// Reads the table under a key, and reports the keys that `read` did not ask for. An absent one is empty.
    pub(crate) fn read_table<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Self) -> Option<T>,
    ) -> Option<T> {
        const EMPTY: &Table = &Table(Vec::new());
        let section = match self.get(key) {
            Some(item) => item.section()?,
            None => Section::new(self.report, join(&self.key, key), self.place.clone(), EMPTY),
        };
        let value = read(&section);
        section.finish();
        value
    }

    /// Reads a key that may be absent. Gives `Some(None)` when it is absent, `None` when it is faulty.
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

    /// Whether the table has a key. Does not make the key known.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// Reports a key that is known but has no meaning here.
    pub(crate) fn refuse(&self, key: &'static str, message: &str, hint: impl Into<Option<String>>) {
        if let Some(entry) = self.table.get(key) {
            self.fault_at(entry, message, hint);
            self.know(key);
        }
    }

    /// All entries of a table whose keys are names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a Entry, Item<'a>)> {
        self.is_named.set(true);
        self.table.0.iter().map(|entry| (entry, self.item(entry)))
    }

    /// Digest of all values of the section, variables replaced, but for secrets: what its readers did not declare
    /// printable. Ask for it after they have read.
    pub(crate) fn digest(&self) -> Digest {
        let mut text = String::new();
        self.write(&mut text, &self.key, self.table);
        Digest::of(text.as_bytes())
    }

    fn write(&self, out: &mut String, key: &str, table: &Table) {
        for entry in &table.0 {
            let key = join(key, &entry.key);
            let _ = writeln!(out, "{key}");
            self.write_value(out, &key, &entry.node.value);
        }
    }

    fn write_value(&self, out: &mut String, key: &str, value: &Value) {
        let _ = match value {
            Value::String(text) => writeln!(out, "{:?}", self.report.printable_value(key, text)),
            Value::Integer(number) => writeln!(out, "{number}"),
            Value::Float(number) => writeln!(out, "{number}"),
            Value::Boolean(boolean) => writeln!(out, "{boolean}"),
            Value::Datetime(text) => writeln!(out, "{text}"),
            Value::Array(nodes) => {
                for node in nodes {
                    self.write_value(out, key, &node.value);
                }
                writeln!(out, "]")
            }
            Value::Table(table) => {
                self.write(out, key, table);
                writeln!(out, "}}")
            }
            Value::TooLarge | Value::Null => Ok(()),
        };
    }

    /// Reports a key that cannot name a `what`, such as a source or a model. Names follow one rule
    /// everywhere, that of collections.
    pub(crate) fn check_name(&self, entry: &Entry, what: &str) {
        if CollectionName::new(&entry.key).is_err() {
            self.fault_at(
                entry,
                &format!(
                    "the name of {} {what} has 1 to 64 characters: letters, digits, `_` and `-`, the first a letter or a digit",
                    article(what)
                ),
                None,
            );
        }
    }

    /// Reports a fault of the table as a whole, and gives `None`.
    pub(crate) fn fail<T>(&self, message: impl Into<String>, hint: impl Into<Option<String>>) -> Option<T> {
        self.report.add(&self.place, self.key.clone(), message, hint);
        None
    }

    /// Reports a fault at an entry's key.
    pub(crate) fn fault_at(&self, entry: &Entry, message: &str, hint: impl Into<Option<String>>) {
        self.report.add(&entry.key_place, join(&self.key, &entry.key), message, hint);
    }

    /// Reports every key that no reader asked for.
    pub(crate) fn finish(&self) {
        if self.is_named.get() {
            return;
        }
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

/// The full name of a key.
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
