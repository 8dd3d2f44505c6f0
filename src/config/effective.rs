//! Defaults, file and overrides laid over each other: one tree of everything that counts.

use std::{path::Path, sync::Arc};

use super::{DEFAULT, Overrides, document};
use crate::settings::{
    Environment,
    fault::Report,
    tree::{Table, Value},
};

/// The tree and the file that it came from.
#[derive(Clone)]
pub(super) struct Effective {
    pub(super) root: Table,
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
    let mut root = document::parse(DEFAULT, &Path::new("default.toml").into(), env, report)?;
    root.lay_over(document::parse(text, path, env, report)?);
    overrides.apply(&mut root, env);
    fill(&mut root, "sources", "source");
    fill(&mut root, "syncs", "sync");
    Some(Effective { root, path: Arc::clone(path) })
}

/// Gives each table under `things` the keys of `[defaults.thing]` that it does not set itself.
fn fill(root: &mut Table, things: &str, thing: &str) {
    let Some(defaults) = root.table("defaults").and_then(|defaults| defaults.table(thing)).cloned() else {
        return;
    };
    let Some(things) = root.table_mut(things) else { return };
    for entry in &mut things.0 {
        let Value::Table(own) = &mut entry.node.value else { continue };
        let missing: Vec<_> =
            defaults.0.iter().filter(|default| !replaced(own, &default.key)).cloned().collect();
        own.0.extend(missing);
    }
}

/// Whether a table's own keys take the place of a default. `schedule` and `cron` are two ways to say
/// the same, so that one's own `cron` replaces a default `schedule` and the other way round.
fn replaced(own: &Table, key: &str) -> bool {
    let is_schedule = |key: &str| key == "schedule" || key == "cron";
    own.0.iter().any(|entry| entry.key == key || is_schedule(&entry.key) && is_schedule(key))
}
