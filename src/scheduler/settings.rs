//! Reads `[syncs.*]`: the sync, and its schedule (`schedule`, `cron` with `timezone`, or `after`).

use std::time::Duration;

use super::{Schedule, schedule::parse_cron};
use crate::{
    domain::{duration, limits::COLLECTIONS_MAX, name::CollectionName},
    engine::{SyncSpec, includes},
    model::{DbtProject, Models, Services, named_service},
    settings::{
        Declaration,
        item::{Item, shown},
        nearest,
        section::Section,
        tree::{Entry, Value},
    },
};
use chrono::{TimeZone, Utc};

/// Shortest interval: a run takes longer than less.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// Longest interval, a year: a longer one is a mistake.
const EVERY_MAX: Duration = Duration::from_hours(366 * 24);

const HINT: &str = "write \"every 5m\", \"manual\", or cron = \"*/5 * * * *\"";

/// A sync and when it runs.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// What the engine does.
    pub spec: SyncSpec,
    /// When it does so by itself.
    pub schedule: Schedule,
}

impl SyncConfig {
    /// The section of all syncs.
    pub(crate) const SECTION: Declaration = Declaration {
        defaults: Some("sync"),
        alternatives: &["schedule", "cron", "after"],
        ..Declaration::reloadable("syncs")
    };

    /// Reads `[syncs.*]`, in the order of the file.
    pub(crate) fn read_all(section: &Section<'_>, models: &Models, services: &Services) -> Option<Vec<Self>> {
        let read = |(entry, item): (&Entry, Item<'_>)| Self::read(section, entry, &item, models, services);
        let read: Vec<_> = section.entries().map(read).collect();
        if read.len() > COLLECTIONS_MAX {
            return section.fail(format!("has more than {COLLECTIONS_MAX} syncs"), None);
        }
        let whole: Vec<&SyncSpec> = read.iter().flatten().map(|sync| &sync.spec).collect();
        let references = includes::check_references(section, &whole);
        let read = read.into_iter().collect::<Option<_>>();
        references.and(read)
    }

    fn read(
        parent: &Section<'_>,
        entry: &Entry,
        item: &Item<'_>,
        models: &Models,
        services: &Services,
    ) -> Option<Self> {
        let collection = CollectionName::new(&entry.key);
        if let Err(error) = &collection {
            parent.fault_at(entry, &error.to_string(), None);
        }
        let section = item.section()?;
        let spec = SyncSpec::read(&section, collection.ok(), models);
        let schedule = schedule(&section, services);
        section.finish();
        Some(Self { spec: spec?, schedule: schedule? })
    }

    /// Checks `[defaults.sync]`.
    pub(crate) fn check_defaults(section: &Section<'_>) -> Option<()> {
        let schedule = schedule(section, &Services::default()).map(|_| ());
        SyncSpec::check_defaults(section).and(schedule)
    }
}

/// The schedule of a section that has `schedule`, `cron` or `after`, and `timezone`.
fn schedule(section: &Section<'_>, services: &Services) -> Option<Schedule> {
    let timezone = section.set("timezone").and_then(|item| timezone(&item));
    let keys = ["schedule", "cron", "after"];
    let given: Vec<_> = keys.iter().filter_map(|key| Some((*key, section.get(key)?))).collect();
    match given.as_slice() {
        [("cron", item)] => expression(item, timezone),
        [("after", item)] => after(item, services).map(Schedule::After),
        [(_, item)] if matches!(item.node.value, Value::Table(_)) => table(item, timezone),
        [(_, item)] => words(item),
        [] => section.fail("has no schedule", HINT.to_owned()),
        [(first, _), .., (_, last)] => last.fail(
            format!("conflicts with `{first}`"),
            "keep one of `schedule`, `cron` and `after`".to_owned(),
        ),
    }
}

/// `after = { dbt = "main" }`.
fn after(item: &Item<'_>, services: &Services) -> Option<DbtProject> {
    let section = item.section()?;
    let project = section.need("dbt", "write after = { dbt = \"NAME\" }, with the NAME of [dbt.NAME]");
    let project = project.and_then(|item| named_service(&item, "dbt", &services.dbt));
    section.finish();
    project
}

fn words(item: &Item<'_>) -> Option<Schedule> {
    let text = item.printable().string()?;
    if text == "manual" {
        return Some(Schedule::Manual);
    }
    let every = item.parsed("a schedule", |text| {
        let interval = text.strip_prefix("every ").ok_or(HINT)?;
        duration::parse(interval.trim()).map_err(|_| HINT.to_owned())
    })?;
    if (EVERY_MIN..=EVERY_MAX).contains(&every) {
        return Some(Schedule::Every(every));
    }
    item.fail("must be every 1s to every 366d", None)
}

/// `schedule = { cron = "...", timezone = "..." }`.
fn table(item: &Item<'_>, inherited: Option<chrono_tz::Tz>) -> Option<Schedule> {
    let section = item.section()?;
    let cron = section.need("cron", "write { cron = \"*/5 * * * *\", timezone = \"UTC\" }");
    let own = section.read("timezone", timezone);
    section.finish();
    // Both are read before either one's fault ends the matter.
    let schedule = expression(&cron?, own.flatten().or(inherited));
    own.and(schedule)
}

fn timezone(item: &Item<'_>) -> Option<chrono_tz::Tz> {
    let text = item.printable().text()?;
    if let Ok(timezone) = text.value.parse() {
        return Some(timezone);
    }
    let names = chrono_tz::TZ_VARIANTS.iter().map(|timezone| timezone.name());
    let near = if text.from_environment { None } else { nearest::nearest(&text.value, names) };
    let hint = near.map_or_else(
        || "write a name of the IANA time zone database, as in \"Europe/Berlin\" or \"UTC\"".to_owned(),
        |near| format!("did you mean \"{near}\"?"),
    );
    item.fail(format!("{} is not a time zone", shown(text)), hint)
}

const CRON_HINT: &str =
    "write five fields, minute hour day month weekday (\"*/5 * * * *\"), or six with seconds first";

/// What a field of a cron expression may be, when a number in it is out of range.
fn fault_of_field(text: &str) -> Option<String> {
    const FIELDS: [(&str, u32, u32); 6] = [
        ("second", 0, 59),
        ("minute", 0, 59),
        ("hour", 0, 23),
        ("day of the month", 1, 31),
        ("month", 1, 12),
        ("weekday", 0, 7),
    ];
    let fields: Vec<&str> = text.split_whitespace().collect();
    let known = FIELDS.get(FIELDS.len().checked_sub(fields.len())?..).filter(|known| known.len() >= 5)?;
    fields.iter().zip(known).find_map(|(field, (name, least, most))| {
        let mut ranges = field.split(',').map(|part| part.split('/').next().unwrap_or_default());
        let is_outside = |number: &str| number.parse::<u32>().is_ok_and(|it| it < *least || it > *most);
        if ranges.any(|range| range.split('-').any(is_outside)) {
            return Some(format!("the {name} is from {least} to {most}, not {field}"));
        }
        let mut steps = field.split(',').filter_map(|part| part.split_once('/')?.1.parse::<u32>().ok());
        if steps.any(|step| step > most - least + 1) {
            return Some(format!("a step of the {name} is at most {}, not {field}", most - least + 1));
        }
        field.split(',').any(str::is_empty).then(|| format!("the {name} has an empty part: {field}"))
    })
}

fn expression(item: &Item<'_>, timezone: Option<chrono_tz::Tz>) -> Option<Schedule> {
    let expression = item.parsed("a cron expression", |text| {
        if let Some(fault) = fault_of_field(text) {
            return Err(fault);
        }
        let cron = parse_cron(text).map_err(|_| CRON_HINT.to_owned())?;
        // Any moment does: an expression either has a next time or never had one.
        let start = Utc.with_ymd_and_hms(2000, 1, 1, 0, 0, 0).single().ok_or_else(String::new)?;
        cron.find_next_occurrence(&start, false).map_err(|_| "no day ever matches it".to_owned())?;
        Ok(text.trim().to_owned())
    })?;
    Some(Schedule::Cron { expression, timezone: timezone? })
}
