//! Keys that flags and `LARDER_*` variables set: flag over variable over file.

use super::document;
use crate::settings::{Entry, Environment, Node, Place, Table, Text, Value};

/// A key that has a flag and an environment variable of its own.
pub struct Shorthand {
    /// The key, as in `node.region`.
    pub key: &'static str,
    /// The flag, as in `--region`. It takes the value as text, as the variable does.
    pub flag: &'static str,
    /// The environment variable. An empty value counts as absent.
    pub variable: &'static str,
}

/// All shorthands; `docs/configuration.md` has the same table. Other variables that begin with `LARDER_` are
/// left alone: Kubernetes sets some for a service called `larder`.
pub const SHORTHANDS: [Shorthand; 10] = [
    Shorthand { key: "node.region", flag: "--region", variable: "LARDER_REGION" },
    Shorthand { key: "node.roles", flag: "--roles", variable: "LARDER_ROLES" },
    Shorthand { key: "node.data_dir", flag: "--data-dir", variable: "LARDER_DATA_DIR" },
    Shorthand { key: "server.listen", flag: "--listen", variable: "LARDER_LISTEN" },
    Shorthand { key: "server.admin_listen", flag: "--admin-listen", variable: "LARDER_ADMIN_LISTEN" },
    Shorthand { key: "server.public_url", flag: "--public-url", variable: "LARDER_PUBLIC_URL" },
    Shorthand { key: "storage.url", flag: "--storage-url", variable: "LARDER_STORAGE_URL" },
    Shorthand { key: "metadata.url", flag: "--metadata-url", variable: "LARDER_METADATA_URL" },
    Shorthand { key: "log.filter", flag: "--log", variable: "LARDER_LOG" },
    Shorthand { key: "log.format", flag: "--log-format", variable: "LARDER_LOG_FORMAT" },
];

/// Keys that the command line sets; a later one wins. Relative paths are from the working directory, and
/// `${NAME}` is not replaced.
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<Table>);

impl Overrides {
    /// Adds `section.key=value`, as `--set` takes it: a TOML key, and a TOML value or text without quotes. The
    /// error says what to write; it does not contain the value.
    pub fn set(&mut self, assignment: &str) -> Result<(), &'static str> {
        const HINT: &str = "write section.key=value, as in server.connections_max=500";
        let (key, value) = assignment.split_once('=').ok_or(HINT)?;
        let quoted = toml::Value::from(value);
        let table = document::parse_flag(&format!("{key} = {value}"), "--set")
            .or_else(|| document::parse_flag(&format!("{key} = {quoted}"), "--set"));
        self.0.push(table.ok_or(HINT)?);
        Ok(())
    }

    /// Adds the value of a shorthand's flag.
    pub fn set_flag(&mut self, shorthand: &Shorthand, value: &str) {
        self.0.push(table(shorthand.key, &Place::Flag(shorthand.flag), Text::plain(value)));
    }

    /// The text that the command line sets `section.key` to.
    pub fn text(&self, key: &str) -> Option<&str> {
        let (section, key) = key.split_once('.')?;
        let within = |table: &'_ Table, key: &str| table.0.iter().position(|entry| entry.key == key);
        self.0.iter().rev().find_map(|root| match &root.0[within(root, section)?].node.value {
            Value::Table(table) => match &table.0[within(table, key)?].node.value {
                Value::String(text) => Some(&*text.value),
                _ => None,
            },
            _ => None,
        })
    }

    /// Lays the variables, then the flags, over a configuration.
    pub(super) fn apply(&self, root: &mut Table, env: &Environment) {
        for Shorthand { key, variable, .. } in SHORTHANDS {
            if let Some(value) = env.get(variable).filter(|value| !value.is_empty()) {
                root.merge(table(key, &Place::Variable(variable), Text::variable(variable, value)));
            }
        }
        for table in &self.0 {
            root.merge(table.clone());
        }
    }
}

/// The table with one key, `section.key`.
fn table(key: &str, place: &Place, text: Text) -> Table {
    let entry = |key: &str, value| {
        let node = Node { place: place.clone(), value };
        Table(vec![Entry { key: key.to_owned(), key_place: place.clone(), node }])
    };
    let (section, key) = key.split_once('.').unwrap_or_default();
    entry(section, Value::Table(entry(key, Value::String(text))))
}
