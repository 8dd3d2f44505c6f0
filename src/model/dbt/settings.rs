//! `[dbt.NAME]`: where the manifest of a project is; and `dbt` of a model.

use std::{path::Path, time::Duration};

use super::{DbtProject, cloud::CloudJob, place::Place};
use crate::{
    model::service::Service,
    settings::{Declaration, Environment, Item, Section},
    store::{Bucket, bucket_of},
    support::secret::SecretString,
};

pub(crate) const SECTION: Declaration = Declaration::reloadable("dbt");

/// How often a new run is looked for. `dbt docs generate` may overwrite the results a few seconds after a run, and to look
/// at a file of this machine costs nothing.
const FILE_POLL_INTERVAL: Duration = Duration::from_secs(1);
const BUCKET_POLL_INTERVAL: Duration = Duration::from_secs(10);
const CLOUD_POLL_INTERVAL: Duration = Duration::from_mins(1);
/// Bounds of that interval.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(100);
const POLL_INTERVAL_MAX: Duration = Duration::from_hours(24);

const PLACE_HINT: &str = "write manifest = \"target/manifest.json\", a URL such as \"s3://bucket/dbt/manifest.json\", or url, \
                          account, job and token of dbt Cloud";

/// Which model of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::model) enum Selector {
    /// The one of this name or id.
    Name(String),
    /// The one of the sync's name, which must have this tag.
    Tag(String),
}

impl Selector {
    /// `customers`, `model.shop.customers` or `tag:larder`.
    pub(in crate::model) fn read(item: &Item<'_>) -> Option<Self> {
        let text = item.printable().word()?;
        match text.strip_prefix("tag:") {
            Some("") => item.fail("names no tag", "write \"tag:larder\"".to_owned()),
            Some(tag) => Some(Self::Tag(tag.to_owned())),
            None => Some(Self::Name(text.to_owned())),
        }
    }
}

/// Reads `[dbt.NAME]`; a relative path is from `dir`.
pub(in crate::model) fn read(
    section: &Section<'_>,
    name: &str,
    dir: &Path,
    env: &Environment,
) -> Option<DbtProject> {
    let interval = section.read("poll_interval", |item| item.duration(POLL_INTERVAL_MIN..=POLL_INTERVAL_MAX));
    let place = match section.get("manifest") {
        Some(item) => artifacts(section, &item, dir, env),
        None if ["url", "account", "job", "token"].iter().any(|key| section.has(key)) => {
            cloud(section, name, dir).map(Place::Cloud)
        }
        None => section.fail("names no manifest", PLACE_HINT.to_owned()),
    };
    section.finish();
    let (place, interval) = (place?, interval?);
    let usual = match place {
        Place::File(_) => FILE_POLL_INTERVAL,
        Place::Bucket { .. } => BUCKET_POLL_INTERVAL,
        Place::Cloud(_) => CLOUD_POLL_INTERVAL,
    };
    Some(DbtProject::new(name, place, interval.unwrap_or(usual)))
}

fn artifacts(section: &Section<'_>, item: &Item<'_>, dir: &Path, env: &Environment) -> Option<Place> {
    if !item.word()?.contains("://") {
        return item.file_path(dir).map(Place::File);
    }
    let bucket = bucket_of(section, item, dir, env, PLACE_HINT)?;
    let (prefix, name) = bucket.prefix.rsplit_once('/').unwrap_or(("", &bucket.prefix));
    if name.is_empty() {
        return item.fail("names no object", PLACE_HINT.to_owned());
    }
    let (prefix, name) = (prefix.to_owned(), name.to_owned());
    Some(Place::Bucket { bucket: Box::new(Bucket { prefix, ..bucket }), name })
}

fn cloud(section: &Section<'_>, name: &str, dir: &Path) -> Option<CloudJob> {
    let service = Service::read(section, format!("[dbt.{name}]"), dir);
    let number = |key, hint| section.need(key, hint).and_then(|item| item.count(1..=i64::MAX as u64));
    let account = number("account", "write the number in the address of your dbt Cloud: /deploy/ACCOUNT/");
    let job = number("job", "write the number in the job's address: /jobs/JOB");
    let token = section.need("token", "write token = \"${DBT_CLOUD_TOKEN}\"");
    let token = token.and_then(|item| item.word().map(SecretString::from));
    Some(CloudJob { service: service?, account: account?, job: job?, token: token? })
}
