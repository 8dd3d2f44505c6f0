//! The tree becomes typed settings; every fault is reported before anything is given up.

mod constant;
mod field;
mod index;
mod location;
mod mapping;
mod model;
mod node;
mod schedule;
mod storage;
mod sync;

use std::{collections::BTreeMap, path::Path};

use super::{Config, Role, effective::Effective};
use crate::catalog;
use crate::settings::Environment;
use crate::settings::fault::{Fault, Place, Report};
use crate::settings::item::Item;
use crate::settings::section::Section;
use crate::settings::tree::Table;
use crate::source::{self, Source};
use crate::store::Location;

/// What only a publisher needs.
struct Publishing {
    metadata: Option<crate::metadata::Settings>,
    sources: Option<BTreeMap<String, Source>>,
    syncs: Option<Vec<super::SyncConfig>>,
}

/// Settings of every part, or `None` after reporting why not.
pub(super) fn resolve(effective: Effective, env: &Environment, report: &Report) -> Option<Config> {
    let place = Place::File { path: effective.path.clone(), line: 0, column: 0 };
    let root = Section::new(report, String::new(), place.clone(), &effective.root);
    let dir = effective.path.parent().unwrap_or(Path::new(""));

    let node = root.set("node").and_then(|item| node::node(&item.section()?, dir));
    let server = root.set("server").and_then(|item| node::server(&item.section()?, dir));
    let storage = root.set("storage").and_then(|item| storage::storage(&item.section()?, dir, env));
    let signing = match root.get("publication") {
        Some(item) => item.section().and_then(|section| {
            let publishes = node.as_ref().is_some_and(|node| node.has(Role::Publisher));
            storage::publication(&section, dir, publishes)
        }),
        None => Some((None, Vec::new())),
    };
    let engine = root.set("engine").and_then(|item| node::engine(&item.section()?));
    let telemetry = root.set("log").and_then(|item| node::log(&item.section()?));

    // On a node that does not publish, a file that all nodes share may name variables that only
    // publishers have.
    let publishes = node.as_ref().is_none_or(|node| node.has(Role::Publisher));
    let inner = Report::default();
    let publishing = publishing(&root, &inner, dir);
    report.absorb(inner, publishes);
    root.finish();
    if let (Some(node), Some(storage)) = (&node, &storage) {
        check_directories(node, storage, &effective.root, &place, report);
        check_status(node, storage, &root);
    }

    let (node, storage) = (node?, storage?);
    let (signing_key_file, verify_keys) = signing?;
    let (metadata, sources, syncs) = if publishes {
        (Some(publishing.metadata?), publishing.sources?, publishing.syncs?)
    } else {
        (publishing.metadata, BTreeMap::new(), Vec::new())
    };
    Some(Config {
        server: server?,
        replica: crate::replica::Settings {
            region: node.region.clone(),
            data_dir: node.data_dir.clone(),
            poll_interval: storage.poll_interval,
        },
        status: storage.status,
        storage: storage.settings,
        catalog: catalog::Settings { keep_versions: storage.keep_versions, signing_key_file, verify_keys },
        metadata,
        engine: engine?,
        telemetry: telemetry?,
        sources,
        syncs,
        node,
        effective,
    })
}

fn publishing(root: &Section<'_>, inner: &Report, dir: &Path) -> Publishing {
    let metadata =
        root.set("metadata").and_then(|item| storage::metadata(&item.with_report(inner).section()?, dir));
    if let Some(defaults) = root.set("defaults").and_then(|item| item.with_report(inner).section()) {
        if let Some(section) = defaults.set("source").and_then(|item| item.section()) {
            source::check_defaults(&section);
        }
        if let Some(section) = defaults.set("sync").and_then(|item| item.section()) {
            sync::check_defaults(&section);
        }
        defaults.finish();
    }
    let sources =
        read_all(root.get("sources").map(|item| item.with_report(inner)), |item| source::read(item, dir));
    let models = read_all(root.get("models").map(|item| item.with_report(inner)), |item| {
        model::models(item, sources.as_ref().unwrap_or(&BTreeMap::new()), dir)
    });
    let sources = sources.and_then(|sources| {
        sources.into_iter().map(|(name, source)| Some((name, source?))).collect::<Option<_>>()
    });
    let syncs = read_all(root.get("syncs").map(|item| item.with_report(inner)), |item| {
        sync::syncs(item, &models.clone().unwrap_or_default(), &names(root, "models"))
    });
    Publishing { metadata, sources, syncs }
}

/// An absent table of named things is an empty one.
fn read_all<T: Default>(item: Option<Item<'_>>, read: impl FnOnce(&Item<'_>) -> Option<T>) -> Option<T> {
    item.map_or_else(|| Some(T::default()), |item| read(&item))
}

/// The names in a table of named things, faulty things included.
fn names(root: &Section<'_>, key: &'static str) -> Vec<String> {
    let table = root.table().table(key);
    table.map(|table| table.0.iter().map(|entry| entry.key.clone()).collect()).unwrap_or_default()
}

/// The node's own files and the store are swept by different rules and must not share a directory.
fn check_directories(
    node: &super::NodeSettings,
    storage: &storage::Storage,
    root: &Table,
    file: &Place,
    report: &Report,
) {
    let settings = &storage.settings;
    let stores = [("url", Some(&settings.location)), ("read_url", settings.read_location.as_ref())];
    for (key, location) in stores {
        let is_data_dir = matches!(location, Some(Location::Directory(store)) if *store == node.data_dir);
        if !is_data_dir {
            continue;
        }
        let url = root.table("storage").and_then(|storage| storage.get(key));
        report.push(Fault {
            place: url.map_or_else(|| file.clone(), |entry| entry.node.place.clone()),
            key: format!("storage.{key}"),
            message: "must not be node.data_dir itself".to_owned(),
            hint: Some("use a directory of its own, as in \"file:./data/store\"".to_owned()),
            missing_variable: None,
        });
    }
}

/// Statuses are swept by rules of their own, too.
fn check_status(node: &super::NodeSettings, storage: &storage::Storage, root: &Section<'_>) {
    let Some(status) = &storage.status else { return };
    let settings = &storage.settings;
    let stores = [Some(&settings.location), settings.read_location.as_ref()];
    let own = stores.into_iter().flatten().find_map(|store| catalog::reserved_directory(status, store));
    let message = if status.shown() == settings.location.shown() {
        "must not be storage.url itself"
    } else if matches!(status, Location::Directory(path) if *path == node.data_dir) {
        "must not be node.data_dir itself"
    } else if let Some(own) = own {
        &format!("must not be in `{own}/` of the store, which holds its own objects")
    } else {
        return;
    };
    if let Some(item) = root.get("storage").and_then(|item| item.section()?.get("status_url")) {
        let hint = "leave it out for `status/` below storage.url, or name a place of its own";
        let _: Option<()> = item.fail(message, hint.to_owned());
    }
}
