//! Reads what the engine does for a sync: the keys of `[syncs.NAME]` except its schedule.

use std::time::Duration;

use super::{Compression, GuardSettings, OnDelete, SyncSpec, includes, increment};
use crate::{
    domain::{
        limits::ORIGINS_MAX,
        manifest::{CorsSettings, OnMiss, ServingSettings},
        name::{CollectionName, RegionName},
    },
    mapping,
    model::Models,
    settings::{item::Item, section::Section, tree::Value},
};

/// Longest `Cache-Control`, in bytes: it is sent with every record.
const CACHE_CONTROL_BYTES_MAX: usize = 256;

/// How long browsers may keep the answer to a preflight request; Chromium keeps it for two hours at most.
const CORS_MAX_AGE: Duration = Duration::from_hours(1);
const CORS_MAX_AGE_MAX: Duration = Duration::from_hours(24);

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
        let fields = includes::RecordFields::of(mapping.as_ref(), &model.columns);
        let includes = includes::read(section, &fields);
        let increment = section.read("incremental", |item| increment::read(item, &model));
        let options = options?;
        Some(Self {
            collection: collection?,
            source: model.source?,
            model: model.model?,
            mapping: mapping?,
            on_delete: options.on_delete,
            guards: options.guards,
            serving: ServingSettings { includes: includes?, ..options.serving },
            compression: options.compression,
            increment: increment?,
            revision: options.revision,
            changed_at: model.changed_at,
            files: None,
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
        let cors = section.read("cors", cors);
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
                cors: cors?,
                includes: Vec::new(),
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

fn cors(item: &Item<'_>) -> Option<CorsSettings> {
    let section = item.section()?;
    let origins = section.need("origins", "write origins = [\"https://app.example.com\"]").and_then(|item| {
        let origins = item.list(|item| item.parsed("an origin", origin))?;
        match origins.len() {
            0 => item.fail("names no origin", "leave cors out for none".to_owned()),
            1..=ORIGINS_MAX => Some(origins),
            _ => item.fail(format!("has more than {ORIGINS_MAX} origins"), None),
        }
    });
    let max_age = section.read("max_age", |item| item.duration(Duration::ZERO..=CORS_MAX_AGE_MAX));
    section.finish();
    Some(CorsSettings { origins: origins?, max_age_seconds: max_age?.unwrap_or(CORS_MAX_AGE).as_secs() })
}

/// An origin exactly as browsers write it (RFC 6454, section 6.2); any other text would never match.
fn origin(text: &str) -> Result<String, String> {
    let parts = text.split_once("://");
    let is_origin = parts.is_some_and(|(scheme, host)| {
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        matches!(scheme, "https" | "http")
            && !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte))
            && !host.ends_with(default_port)
    });
    let hint = "write \"https://app.example.com\": scheme, host in lower case and a port that is not the default, no path";
    if is_origin { Ok(text.to_owned()) } else { Err(hint.to_owned()) }
}

fn regions(item: &Item<'_>) -> Option<Vec<RegionName>> {
    let regions = item.list(|item| item.name(RegionName::new))?;
    if regions.is_empty() {
        return item.fail("names no region", "leave it out for all regions".to_owned());
    }
    Some(regions)
}
