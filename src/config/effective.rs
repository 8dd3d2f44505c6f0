//! Defaults, file and overrides merged into one tree, and the comparison of two such trees.

use std::{path::Path, sync::Arc};

use super::{Config, DEFAULT, Overrides, document, resolve::SECTIONS};
use crate::settings::{Declaration, Entry, Environment, Node, Report, Table, Value};

/// The tree and the file that it came from.
#[derive(Clone)]
pub(super) struct Effective {
    pub(super) root: Table,
    /// What is written in the file, without defaults and overrides, and stored entries.
    pub(super) written: Table,
    pub(super) path: Arc<Path>,
}

/// Values from the environment stand in the tree.
impl std::fmt::Debug for Effective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Effective({})", self.path.display())
    }
}

/// Builds the tree, or reports faults of grammar and gives nothing.
pub(super) fn build(
    text: &str,
    path: &Arc<Path>,
    env: &Environment,
    overrides: &Overrides,
    report: &Report,
) -> Option<Effective> {
    let mut root = built_in(env, report)?;
    let written = document::parse(text, path, env, report)?;
    root.merge(written.clone());
    overrides.apply(&mut root, env);
    for section in SECTIONS {
        fill_defaults(&mut root, &section);
    }
    Some(Effective { root, written, path: Arc::clone(path) })
}

/// The tree of `config/default.toml`.
pub(super) fn built_in(env: &Environment, report: &Report) -> Option<Table> {
    document::parse(DEFAULT, &Path::new("default.toml").into(), env, report)
}

/// Gives each thing of a section the keys of `[defaults.NAME]` that it does not set itself.
pub(super) fn fill_defaults(root: &mut Table, section: &Declaration) {
    let Some(name) = section.defaults else { return };
    let Some(defaults) = root.table("defaults").and_then(|defaults| defaults.table(name)).cloned() else {
        return;
    };
    let Some(things) = root.table_mut(section.name) else { return };
    for entry in &mut things.0 {
        let Value::Table(own) = &mut entry.node.value else { continue };
        let is_replaced = |default: &Entry| {
            let is_alternative = |key: &str| section.alternatives.contains(&key);
            own.0
                .iter()
                .any(|own| own.key == default.key || is_alternative(&own.key) && is_alternative(&default.key))
        };
        let missing: Vec<_> = defaults.0.iter().filter(|default| !is_replaced(default)).cloned().collect();
        own.0.extend(missing);
    }
}

/// A key of a section that counts only after a restart, which itself counts at once.
const TAKEN_OVER: &str = "server.index_secrets";

/// The keys that differ and count only after a restart, as in `server.listen`. Empty when the new
/// configuration can be taken over as a whole.
pub fn changes_needing_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    for section in SECTIONS.iter().filter(|section| section.needs_restart) {
        let of = |config: &Config| config.effective.root.table(section.name).cloned().unwrap_or_default();
        compare(section.name, &of(old), &of(new), &mut changed);
    }
    changed.retain(|key| key != TAKEN_OVER);
    changed
}

fn compare(key: &str, old: &Table, new: &Table, changed: &mut Vec<String>) {
    let keys = old.0.iter().chain(new.0.iter().filter(|entry| old.get(&entry.key).is_none()));
    for entry in keys {
        let name = format!("{key}.{}", entry.key);
        let of = |table: &Table| table.get(&entry.key).map(|entry| entry.node.clone());
        match (of(old), of(new)) {
            (Some(Node { value: Value::Table(old), .. }), Some(Node { value: Value::Table(new), .. })) => {
                compare(&name, &old, &new, changed);
            }
            (old, new) if old != new => changed.push(name),
            _ => {}
        }
    }
}
