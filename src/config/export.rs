//! The configuration as a file that holds no secret: what is written in the file, and the stored entries.

use std::collections::{BTreeMap, BTreeSet};

use super::{Config, print::Writer};
use crate::{
    admin::{Exported, ExportedVariable},
    settings::{Table, Text, Value, interpolate::variables, printable::Printing, section::join},
    source::Query,
};

impl Config {
    /// What is written in the file and stored, as a file. Flags and `LARDER_*` variables are not in it.
    pub(super) fn exported(&self) -> Exported {
        let written = self.with_sql_inside(self.effective.written.clone());
        let mut printable = self.printable.clone();
        for model in self.models.keys() {
            // The key that a statement has in the export; its own may be that of the SQL file.
            printable.declare(&join(&join("models", model), "sql"), Printing::Whole);
        }
        let mut names = Names::of(&written);
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut show = |key: &str, text: &Text| {
            let shown = printable.with_variables(key, text, |is_password| names.unused(key, is_password));
            for name in variables(&shown) {
                uses.entry(name).or_default().insert(key.to_owned());
            }
            shown.into_owned()
        };
        let body = Writer { out: String::new(), show: &mut show }.file(written.0.iter());
        let mut toml =
            "# Exported by Larder. Relative paths are from the directory of this file.\n".to_owned();
        for (name, keys) in &uses {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            toml.push_str(&format!("# ${{{name}}}: {}\n", keys.join(", ")));
        }
        let variable = |(name, keys): (String, BTreeSet<String>)| ExportedVariable {
            name,
            keys: keys.into_iter().collect(),
        };
        let variables = uses.into_iter().map(variable).collect();
        Exported { toml: toml + &body, variables, left_out: Vec::new() }
    }

    /// The tree with the text of SQL files in place of their names.
    pub(super) fn with_sql_inside(&self, mut root: Table) -> Table {
        for entry in root.table_mut("models").into_iter().flat_map(|models| &mut models.0) {
            let model = self.models.get(&entry.key).and_then(|model| model.model.configured());
            let (Value::Table(keys), Some(Query::Sql(sql))) = (&mut entry.node.value, model) else {
                continue;
            };
            if let Some(file) = keys.0.iter_mut().find(|key| key.key == "sql_file") {
                "sql".clone_into(&mut file.key);
                file.node.value = Value::String(Text::plain(sql));
            }
        }
        root
    }
}

/// The names of variables.
struct Names(BTreeSet<String>);

impl Names {
    /// Those that a tree uses already.
    fn of(table: &Table) -> Self {
        let mut used = BTreeSet::new();
        collect(&Value::Table(table.clone()), &mut used);
        Self(used)
    }

    /// A name that is not used yet, made of a key: `SOURCES_CRM_TOKEN`.
    fn unused(&mut self, key: &str, is_password: bool) -> String {
        let key = if is_password { join(key, "password") } else { key.to_owned() };
        let words = key.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let base = words.collect::<Vec<_>>().join("_").to_ascii_uppercase();
        let numbered = (2..).map(|number: u32| format!("{base}_{number}"));
        let mut candidates = std::iter::once(base.clone()).chain(numbered);
        let name = candidates.find(|name| !self.0.contains(name)).unwrap_or(base);
        self.0.insert(name.clone());
        name
    }
}

fn collect(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => used.extend(variables(&text.raw)),
        Value::Array(items) => items.iter().for_each(|item| collect(&item.value, used)),
        Value::Table(table) => table.0.iter().for_each(|entry| collect(&entry.node.value, used)),
        _ => {}
    }
}
