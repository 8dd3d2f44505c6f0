//! Reads what the engine does for a sync: the keys of `[syncs.NAME]` except its schedule.

use super::{Compression, GuardSettings, OnDelete, SyncSpec};
use crate::{
    domain::{
        manifest::{OnMiss, ServingSettings},
        name::{CollectionName, RegionName},
    },
    mapping,
    model::Models,
    settings::{item::Item, section::Section, tree::Value},
};

/// Longest `Cache-Control`, in bytes: it is sent with every record.
const CACHE_CONTROL_BYTES_MAX: usize = 256;

/// Highest `revision`: a date and a time of day as a number fit.
const REVISION_MAX: u64 = 999_999_999_999_999;

impl SyncSpec {
    /// Reads a sync; `collection` is `None` when the section's name is faulty.
    pub(crate) fn read(
        section: &Section<'_>,
        collection: Option<CollectionName>,
        models: &Models,
    ) -> Option<Self> {
        let names: Vec<String> = models.keys().cloned().collect();
        let name =
            section.need("model", "name one of [models]").and_then(|item| item.reference("model", &names));
        // The other keys are checked without the model too.
        let model = name.and_then(|name| models.get(name)).cloned().unwrap_or_default();
        let options = Options::read(section);
        let mapping = mapping::settings::read(section, &model.columns);
        let options = options?;
        Some(Self {
            collection: collection?,
            source: model.source?,
            model: model.model?,
            mapping: mapping?,
            on_delete: options.on_delete,
            guards: options.guards,
            serving: options.serving,
            compression: options.compression,
            revision: options.revision,
            changed_at: model.changed_at,
        })
    }

    /// Checks the keys that `[defaults.sync]` may have.
    pub(crate) fn check_defaults(section: &Section<'_>) -> Option<()> {
        Options::read(section).map(|_| ())
    }
}

/// What a sync can take from `[defaults.sync]`.
struct Options {
    on_delete: OnDelete,
    guards: GuardSettings,
    serving: ServingSettings,
    compression: Compression,
    revision: u64,
}

impl Options {
    fn read(section: &Section<'_>) -> Option<Self> {
        let on_delete = section.set("on_delete").and_then(|item| {
            item.one_of(&[("delete", OnDelete::Delete), ("keep", OnDelete::Keep), ("clear", OnDelete::Clear)])
        });
        let on_miss = section.set("on_miss").and_then(|item| on_miss(&item));
        let max_removed = section.set("max_removed").and_then(|item| item.share());
        let max_rejected = section.set("max_rejected").and_then(|item| item.share());
        let allow_empty = section.set("allow_empty").and_then(|item| item.boolean());
        let compression = section
            .set("compression")
            .and_then(|item| item.one_of(&[("auto", Compression::Auto), ("none", Compression::None)]));
        let cache_control = section.set("cache_control").and_then(|item| cache_control(&item));
        let regions = section.read("regions", regions);
        let revision = section.read("revision", |item| item.count(0..=REVISION_MAX));
        Some(Self {
            on_delete: on_delete?,
            guards: GuardSettings {
                max_removed: max_removed?,
                max_rejected: max_rejected?,
                allow_empty: allow_empty?,
            },
            serving: ServingSettings {
                on_miss: on_miss?,
                cache_control: Some(cache_control?),
                regions: regions?,
            },
            compression: compression?,
            revision: revision?.unwrap_or_default(),
        })
    }
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
        .and_then(|item| mapping::settings::record(&item));
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
