//! Reads the sources, models and syncs of a file to store them.

use std::{path::Path, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{document, read_text, resolve::SECTIONS};
use crate::{
    admin::Import,
    domain::{StoredName, StoredSection},
    model,
    settings::{
        Entry, Environment, Fault, Faults, Node, Place, Report, Section, Table, Value, section::join,
    },
};

/// The sections whose entries are stored.
const STORED: [StoredSection; 3] = [StoredSection::Sources, StoredSection::Models, StoredSection::Syncs];

/// Sources, models and syncs of a file, and where they are written.
#[derive(Debug)]
pub struct ImportFile {
    import: Import,
    root: Table,
    path: Arc<Path>,
}

impl ImportFile {
    /// Reads a file. Variables are replaced from `env`, and the text of SQL files takes the place of their names. Other
    /// sections than sources, models, syncs and their defaults are not read.
    ///
    /// # Errors
    /// All faults of grammar, missing variables and sections that do not exist.
    pub fn read(path: &Path, env: &Environment) -> Result<Self, Faults> {
        let text = read_text(path, "give the path of a file in TOML")?;
        let (report, path) = (Report::default(), Arc::from(path));
        let import = document::parse(&text, &path, env, &report).map(|root| {
            let reader = Reader { report: &report, dir: path.parent().unwrap_or(Path::new("")) };
            (reader.import(&root, &path), root)
        });
        let (import, root) = report.into_result(import)?;
        Ok(Self { import, root, path })
    }

    /// The entries.
    pub fn import(&self) -> &Import {
        &self.import
    }

    /// Faults at the places where their keys are written in the file.
    pub fn place(&self, faults: &[Fault]) -> Vec<Fault> {
        let place = |fault: &Fault| Fault { place: self.place_of(&fault.key), ..fault.clone() };
        let mut placed: Vec<Fault> = faults.iter().map(place).collect();
        placed.sort_by(|a, b| a.place.cmp(&b.place));
        placed
    }

    /// The place of the last part of a key that the file has.
    fn place_of(&self, key: &str) -> Place {
        let (mut table, mut place) =
            (&self.root, Place::File { path: Arc::clone(&self.path), line: 0, column: 0 });
        for part in key.split('.') {
            let Some(entry) = table.get(part.trim_matches('"')) else { break };
            match &entry.node.value {
                Value::Table(inner) => (table, place) = (inner, entry.key_place.clone()),
                _ => return entry.node.place.clone(),
            }
        }
        place
    }
}

struct Reader<'a> {
    report: &'a Report,
    dir: &'a Path,
}

impl Reader<'_> {
    fn import(&self, root: &Table, path: &Arc<Path>) -> Import {
        let place = Place::File { path: Arc::clone(path), line: 0, column: 0 };
        let known = Section::new(self.report, String::new(), place, root);
        for section in SECTIONS {
            known.get(section.name);
        }
        known.get("defaults");
        known.finish();
        let mut import = Import::default();
        for section in STORED {
            let entries = root.get(section.as_str());
            for entry in entries.map(|entry| self.entries(entry)).into_iter().flatten() {
                let name = StoredName { section, name: entry.key.clone() };
                let key = name.to_string();
                let document = match &entry.node.value {
                    Value::Table(table) if section == StoredSection::Models => self.model(&key, table),
                    _ => self.json(&key, &entry.node),
                };
                import.entries.insert(name, document);
            }
        }
        if let Some(defaults) = root.get("defaults") {
            import.defaults = self.json("defaults", &defaults.node);
        }
        import
    }

    fn fault(&self, node: &Node, key: &str, message: &str) {
        let (place, key, message) = (node.place.clone(), key.to_owned(), message.to_owned());
        self.report.push(Fault { place, key, message, ..Fault::default() });
    }

    fn entries<'t>(&self, section: &'t Entry) -> &'t [Entry] {
        if let Value::Table(table) = &section.node.value {
            return &table.0;
        }
        self.fault(&section.node, &section.key, "must be a table");
        &[]
    }

    /// A model, with the text of its SQL file.
    fn model(&self, key: &str, table: &Table) -> Json {
        let member = |entry: &Entry| {
            let own = join(key, &entry.key);
            match (entry.key.as_str(), &entry.node.value) {
                ("sql_file", Value::String(file)) if file.problems.is_empty() => {
                    let sql = model::read_sql_file(&self.dir.join(&file.value)).unwrap_or_else(|error| {
                        self.fault(&entry.node, &own, &format!("cannot be read: {error}"));
                        String::new()
                    });
                    ("sql".to_owned(), sql.into())
                }
                _ => (entry.key.clone(), self.json(&own, &entry.node)),
            }
        };
        Json::Object(table.0.iter().map(member).collect())
    }

    fn json(&self, key: &str, node: &Node) -> Json {
        match &node.value {
            Value::String(text) => {
                for problem in &text.problems {
                    self.report.push(Fault {
                        place: node.place.clone(),
                        key: key.to_owned(),
                        message: problem.message.clone(),
                        hint: problem.hint.clone(),
                        missing_variable: problem.missing_variable.clone(),
                    });
                }
                text.value.clone().into()
            }
            Value::TooLarge | Value::Null => {
                self.fault(node, key, "is a number out of range");
                Json::Null
            }
            Value::Array(items) => items.iter().map(|item| self.json(key, item)).collect(),
            Value::Table(table) => {
                let member =
                    |entry: &Entry| (entry.key.clone(), self.json(&join(key, &entry.key), &entry.node));
                Json::Object(table.0.iter().map(member).collect::<Map<_, _>>())
            }
            scalar => plain(scalar),
        }
    }
}

/// The JSON of a value in a configuration without faults.
pub(super) fn plain(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value.clone().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(boolean) => (*boolean).into(),
        // A stored document has the text; a constant means the same.
        Value::Datetime(text) => text.clone().into(),
        Value::Array(items) => items.iter().map(|item| plain(&item.value)).collect(),
        Value::Table(table) => {
            table.0.iter().map(|entry| (entry.key.clone(), plain(&entry.node.value))).collect()
        }
        Value::TooLarge | Value::Null => Json::Null,
    }
}
