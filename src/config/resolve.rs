//! Lets each part read its own section. Every fault is reported before the first one ends the reading.

use std::{collections::BTreeMap, path::Path};

use super::{Config, NodeSettings, Role, effective::Effective};
use crate::{
    admin::ConfiguredModel,
    api, auth, catalog, engine, metadata, model, replica,
    scheduler::SyncConfig,
    secrets::{self, SecretKeys},
    settings::{
        Declaration, Environment,
        fault::{Place, Report},
        section::Section,
    },
    source, store, telemetry,
};

/// All sections, as their parts declare them.
pub(super) const SECTIONS: [Declaration; 16] = [
    NodeSettings::SECTION,
    api::Settings::SECTION,
    auth::tokens::TokenSettings::SECTION,
    auth::oidc::SECTION,
    store::Settings::SECTION,
    catalog::Settings::SECTION,
    metadata::Settings::SECTION,
    engine::Settings::SECTION,
    telemetry::Settings::SECTION,
    secrets::SECTION,
    source::SECTION,
    model::DBT_SECTION,
    model::LOOKER_SECTION,
    model::SIGMA_SECTION,
    model::SECTION,
    SyncConfig::SECTION,
];

/// Settings of every part, or `None` after reporting why not.
pub(super) fn resolve(effective: Effective, env: &Environment, report: &Report) -> Option<Config> {
    let place = Place::File { path: effective.path.clone(), line: 0, column: 0 };
    let root = Section::new(report, String::new(), place.clone(), &effective.root);
    for section in SECTIONS {
        root.get(section.name);
    }
    root.get("defaults");
    root.finish();

    let dir = effective.path.parent().unwrap_or(Path::new(""));
    let node = root.read_table(NodeSettings::SECTION.name, |section| NodeSettings::read(section, dir));
    let server = root.read_table(api::Settings::SECTION.name, |section| api::Settings::read(section, dir));
    let tokens = root.read_table(auth::tokens::TokenSettings::SECTION.name, |section| {
        auth::tokens::read_all(section, dir)
    });
    let engine = root.read_table(engine::Settings::SECTION.name, engine::Settings::read);
    let telemetry = root.read_table(telemetry::Settings::SECTION.name, telemetry::Settings::read);
    let is_publisher = node.as_ref().map(|node| node.has(Role::Publisher));
    let stores = root.read_table(store::Settings::SECTION.name, |storage| {
        let data_dir = node.as_ref().map(|node| &*node.data_dir);
        let store = store::Settings::read(storage, dir, env, data_dir, catalog::reserved_directory);
        let poll_interval = replica::read_poll_interval(storage);
        let catalog = root.read_table(catalog::Settings::SECTION.name, |publication| {
            catalog::Settings::read(storage, publication, dir, is_publisher.unwrap_or_default())
        });
        Some((store?, poll_interval?, catalog?))
    });

    // A file that all nodes share may name variables that only publishers have.
    let is_publisher = is_publisher.unwrap_or(true);
    let inner = Report::default();
    let shared = Section::new(&inner, String::new(), place, &effective.root);
    let metadata =
        shared.read_table(metadata::Settings::SECTION.name, |section| metadata::Settings::read(section, dir));
    shared.read_table("defaults", |defaults| {
        defaults.read_table("source", source::check_defaults);
        defaults.read_table("sync", SyncConfig::check_defaults)
    });
    let oidc = shared.read_table(auth::oidc::SECTION.name, |section| auth::oidc::read(section, dir));
    let secret_keys = shared.read_table(secrets::SECTION.name, |section| secrets::read(section, dir));
    let sources = shared.read_table(source::SECTION.name, |section| Some(source::read(section, dir, env)));
    let sources = sources.as_ref();
    let services = model::Services::read(&shared, dir, env);
    let models = shared.read_table(model::SECTION.name, |section| {
        Some(model::read(section, sources.unwrap_or(&BTreeMap::new()), &services, dir))
    });
    let models = models.unwrap_or_default();
    let syncs = shared
        .read_table(SyncConfig::SECTION.name, |section| SyncConfig::read_all(section, &models, &services));
    report.absorb(inner, is_publisher);

    let node = node?;
    let (storage, poll_interval, catalog) = stores?;
    let (metadata, sources, syncs) = if is_publisher {
        let sources = sources?.iter().map(|(name, source)| Some((name.clone(), source.clone()?)));
        (Some(metadata?), sources.collect::<Option<_>>()?, syncs?)
    } else {
        (metadata, BTreeMap::new(), Vec::new())
    };
    Some(Config {
        server: server?,
        replica: replica::Settings {
            region: node.region.clone(),
            data_dir: node.data_dir.clone(),
            poll_interval,
        },
        storage,
        catalog,
        metadata,
        engine: engine?,
        telemetry: telemetry?,
        tokens: tokens?,
        oidc: if is_publisher { oidc? } else { None },
        models: configured_models(models, &sources),
        sources,
        syncs,
        node,
        secret_keys: if is_publisher { secret_keys? } else { SecretKeys::default() },
        file: None,
        env: env.clone(),
        printable: report.take_printable(),
        effective,
    })
}

/// The models whose source is known: all of them, on a node that publishes.
fn configured_models(
    models: model::Models,
    sources: &BTreeMap<String, source::Source>,
) -> BTreeMap<String, ConfiguredModel> {
    let with_source = |(name, config): (String, model::ModelConfig)| {
        let model = config.model?;
        let source_name = config.source?;
        let source = model.source(sources.get(&source_name)?);
        Some((name, ConfiguredModel { source_name, source, model, primary_key: config.columns.primary_key }))
    };
    models.into_iter().filter_map(with_source).collect()
}
