//! What of a changed configuration a running node cannot take over.

use super::{Config, resolve::SECTIONS};
use crate::settings::tree::{Node, Table, Value};

/// The keys that differ and count only after a restart, as in `server.listen`. Empty when the new
/// configuration can be taken over as a whole.
pub fn changes_needing_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    for section in SECTIONS.iter().filter(|section| section.needs_restart) {
        let of = |config: &Config| config.effective.root.table(section.name).cloned().unwrap_or_default();
        compare(section.name, &of(old), &of(new), &mut changed);
    }
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
