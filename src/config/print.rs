//! The effective configuration as TOML. Strings that their reader did not declare printable are masked.

use std::fmt::Write as _;

use super::effective::Effective;
use crate::settings::{
    Entry, Table, Text, Value,
    printable::Printable,
    section::{join, quote},
};

/// Tables down to this level have a header of their own; deeper ones are written inline.
const HEADER_LEVELS: usize = 3;

/// The tree as a file.
pub(super) fn print(effective: &Effective, printable: &Printable) -> String {
    let heading = format!(
        "# Effective configuration of {}; relative paths are from its directory.\n",
        effective.path.display()
    );
    let sections = effective.root.0.iter().filter(|entry| entry.key != "defaults");
    let mut show = |key: &str, text: &Text| printable.show(key, text).into_owned();
    Writer { out: heading, show: &mut show }.file(sections)
}

/// The tree as JSON, masked in the same way.
pub(super) fn shown(effective: &Effective, printable: &Printable) -> serde_json::Value {
    let sections = effective.root.0.iter().filter(|entry| entry.key != "defaults");
    let sections = sections
        .map(|entry| (entry.key.clone(), shown_value(&quote(&entry.key), &entry.node.value, printable)));
    sections.collect()
}

fn shown_value(key: &str, node: &Value, printable: &Printable) -> serde_json::Value {
    match node {
        Value::String(text) => printable.show(key, text).into_owned().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(boolean) => (*boolean).into(),
        Value::Datetime(text) => text.clone().into(),
        Value::Array(array) => array.iter().map(|node| shown_value(key, &node.value, printable)).collect(),
        Value::Table(table) => {
            let members = table.0.iter().map(|entry| {
                (entry.key.clone(), shown_value(&join(key, &entry.key), &entry.node.value, printable))
            });
            members.collect()
        }
        Value::TooLarge | Value::Null => serde_json::Value::Null,
    }
}

/// Writes a tree as TOML; `show` gives the strings of keys.
pub(super) struct Writer<'a> {
    pub(super) out: String,
    pub(super) show: &'a mut dyn FnMut(&str, &Text) -> String,
}

impl Writer<'_> {
    /// Writes the sections, and returns the text.
    pub(super) fn file<'t>(mut self, sections: impl Iterator<Item = &'t Entry>) -> String {
        for entry in sections {
            if let Value::Table(table) = &entry.node.value {
                self.section(&quote(&entry.key), 1, table);
            }
        }
        self.out
    }

    fn section(&mut self, name: &str, level: usize, table: &Table) {
        let has_header = |value: &Value| matches!(value, Value::Table(_)) && level < HEADER_LEVELS;
        let (tables, values): (Vec<_>, Vec<_>) =
            table.0.iter().partition(|entry| has_header(&entry.node.value));
        if tables.is_empty() || !values.is_empty() {
            let _ = writeln!(self.out, "\n[{name}]");
        }
        for entry in values {
            let value = self.value(&join(name, &entry.key), &entry.node.value);
            let _ = writeln!(self.out, "{} = {value}", quote(&entry.key));
        }
        for entry in tables {
            if let Value::Table(table) = &entry.node.value {
                self.section(&join(name, &entry.key), level + 1, table);
            }
        }
    }

    /// The value of a key as TOML.
    fn value(&mut self, key: &str, node: &Value) -> String {
        match node {
            Value::String(text) => toml::Value::from((self.show)(key, text)).to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => toml::Value::Float(*number).to_string(),
            Value::Boolean(boolean) => boolean.to_string(),
            Value::Datetime(text) => text.clone(),
            Value::Array(array) => {
                let items: Vec<_> = array.iter().map(|node| self.value(key, &node.value)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Table(table) => {
                let members = table.0.iter().map(|entry| {
                    let value = self.value(&join(key, &entry.key), &entry.node.value);
                    format!("{} = {value}", quote(&entry.key))
                });
                let members: Vec<_> = members.collect();
                if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
            }
            // A tree that was read without faults has none.
            Value::TooLarge | Value::Null => "0".to_owned(),
        }
    }
}
