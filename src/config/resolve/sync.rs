//! `[syncs.*]`: model → collection.

use super::{
    constant, mapping,
    model::{Model, Models},
    schedule,
};
use crate::settings::{
    item::Item,
    section::Section,
    tree::{Entry, Value},
};
use crate::{
    config::SyncConfig,
    domain::{
        limits::COLLECTIONS_MAX,
        manifest::{OnMiss, ServingSettings},
        name::{CollectionName, RegionName},
    },
    engine::{Compression, GuardSettings, OnDelete, SyncSpec},
    scheduler::Schedule,
};

/// Longest `Cache-Control`, in bytes: it is sent with every record.
const CACHE_CONTROL_BYTES_MAX: usize = 256;

/// All syncs, in the order of the file; `model_names` are those that exist, faulty ones included.
pub(super) fn syncs(item: &Item<'_>, models: &Models, model_names: &[String]) -> Option<Vec<SyncConfig>> {
    let section = item.section()?;
    let read: Vec<_> =
        section.entries().map(|(entry, item)| sync(&section, entry, &item, models, model_names)).collect();
    if read.len() > COLLECTIONS_MAX {
        return item.fail(format!("has more than {COLLECTIONS_MAX} syncs"), None);
    }
    read.into_iter().collect()
}

/// `[defaults.sync]`.
pub(super) fn check_defaults(section: &Section<'_>) {
    options(section);
    section.finish();
}

/// What a sync can take from `[defaults.sync]`.
struct Options {
    schedule: Schedule,
    on_delete: OnDelete,
    guards: GuardSettings,
    serving: ServingSettings,
    compression: Compression,
}

fn sync(
    parent: &Section<'_>,
    entry: &Entry,
    item: &Item<'_>,
    models: &Models,
    model_names: &[String],
) -> Option<SyncConfig> {
    let collection = CollectionName::new(&entry.key);
    if let Err(error) = &collection {
        parent.fault_at(entry, &error.to_string(), None);
    }
    let section = item.section()?;
    let unknown = Model::default();
    let name =
        section.need("model", "name one of [models]").and_then(|item| item.reference("model", model_names));
    let model = name.and_then(|name| models.get(name)).unwrap_or(&unknown);
    let options = options(&section);
    let mapping = mapping::mapping(&section, model);
    section.finish();

    let options = options?;
    let spec = SyncSpec {
        collection: collection.ok()?,
        source: model.source.clone()?,
        model: crate::model::Model::Query(model.query.clone()?),
        mapping: mapping?,
        on_delete: options.on_delete,
        guards: options.guards,
        serving: options.serving,
        compression: options.compression,
    };
    Some(SyncConfig { spec, schedule: options.schedule })
}

fn options(section: &Section<'_>) -> Option<Options> {
    let schedule = schedule::schedule(section);
    let on_delete = section.set("on_delete").and_then(|item| {
        item.one_of(&[("delete", OnDelete::Delete), ("keep", OnDelete::Keep), ("clear", OnDelete::Clear)])
    });
    let on_miss = section.set("on_miss").and_then(|item| on_miss(&item));
    let max_removed = section.set("max_removed").and_then(|item| item.share());
    let max_rejected = section.set("max_rejected").and_then(|item| item.share());
    let compression = section
        .set("compression")
        .and_then(|item| item.one_of(&[("auto", Compression::Auto), ("none", Compression::None)]));
    let cache_control = section.set("cache_control").and_then(|item| cache_control(&item));
    let regions = section.read("regions", regions);
    Some(Options {
        schedule: schedule?,
        on_delete: on_delete?,
        guards: GuardSettings { max_removed: max_removed?, max_rejected: max_rejected? },
        serving: ServingSettings {
            on_miss: on_miss?,
            cache_control: Some(cache_control?),
            regions: regions?,
        },
        compression: compression?,
    })
}

fn on_miss(item: &Item<'_>) -> Option<OnMiss> {
    if !matches!(item.node.value, Value::Table(_)) {
        return item.parsed("\"not_found\", \"empty\" or a record", |text| match text {
            "not_found" => Ok(OnMiss::NotFound),
            "empty" => Ok(OnMiss::Empty),
            _ => Err("a record is written on_miss = { record = { found = false } }".to_owned()),
        });
    }
    let section = item.section()?;
    let record = section
        .need("record", "write on_miss = { record = { found = false } }")
        .and_then(|item| constant::record(&item));
    section.finish();
    record.map(OnMiss::Record)
}

fn cache_control(item: &Item<'_>) -> Option<String> {
    item.parsed("a header value", |text| {
        let is_good = !text.is_empty()
            && text.len() <= CACHE_CONTROL_BYTES_MAX
            && text.trim() == text
            && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let hint = "write \"private, max-age=60\"; at most 256 ASCII characters";
        if is_good { Ok(text.to_owned()) } else { Err(hint.to_owned()) }
    })
}

fn regions(item: &Item<'_>) -> Option<Vec<RegionName>> {
    let regions = item.list(|item| item.name(RegionName::new))?;
    if regions.is_empty() {
        return item.fail("names no region", "leave it out for all regions".to_owned());
    }
    Some(regions)
}
