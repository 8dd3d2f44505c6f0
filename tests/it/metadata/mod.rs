//! The metadata contract: one story, on SQLite and on a real Postgres.

mod keys;
mod leases;
mod postgres;
mod runs;
mod sessions;
mod stored;

use std::time::Duration;

use chrono::{DateTime, Utc};
use larder::{
    domain::{error::ErrorKind, name::CollectionName},
    metadata::{Metadata, Settings},
    support::clock::Clock,
};

const MINUTE: Duration = Duration::from_mins(1);

fn noon() -> DateTime<Utc> {
    "2026-11-23T12:00:00.123456Z".parse().unwrap()
}

fn clock() -> Clock {
    Clock::fixed(noon())
}

fn name(text: &str) -> CollectionName {
    CollectionName::new(text).unwrap()
}

/// Everything that both databases must do alike, through two handles on one database.
pub(crate) async fn story(settings: &Settings) {
    let metadata = Metadata::open(settings, clock()).await.unwrap();
    let other = Metadata::open(settings, clock()).await.unwrap();
    keys::deployment(&metadata, &other).await;
    keys::lifecycle(&metadata, &other).await;
    keys::concurrent_keys(&metadata).await;
    keys::restored_backup(&metadata).await;
    runs::lifecycle(&metadata).await;
    runs::ended_runs_stay_ended(&metadata).await;
    runs::held_runs(&metadata).await;
    runs::pruning(&metadata).await;
    runs::queries(&metadata).await;
    runs::rejected_rows(&metadata).await;
    runs::pages_progress_and_cancellation(&metadata).await;
    runs::of_many_syncs(&metadata).await;
    keys::audit_log(&metadata).await;
    keys::admin_keys(&metadata, &other).await;
    keys::repeated_requests(&metadata, &other).await;
    stored::configuration(&metadata, &other).await;
    sessions::links(&metadata, &other).await;
    sessions::bounds_and_end(&metadata).await;
    leases::one_after_another(&metadata, &other).await;
    leases::competing_for_one_lease(&metadata, &other).await;
    metadata.close().await;
    let error = metadata.deployment().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "metadata_unavailable"));
    other.deployment().await.unwrap();
}

fn sqlite(root: &tempfile::TempDir) -> Settings {
    Settings::Sqlite { path: root.path().join("metadata.db") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_on_sqlite() {
    let root = tempfile::tempdir().unwrap();
    story(&sqlite(&root)).await;
}
