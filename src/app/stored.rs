//! Keeps a publisher's configuration up to date: the file, and the stored entries over it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tracing::{info, warn};

use crate::{
    admin::{ConfigurationFile, Configured, Error, Layered, Registry, open_entries},
    api::ReadState,
    config::Config,
    metadata::{self, Metadata, StoredVersion},
    support::{clock::Clock, shutdown::Shutdown},
    telemetry::Metrics,
};

use super::parts::metadata_settings;

/// The configuration in force on a node. Cheap to clone.
#[derive(Clone)]
pub(super) struct ConfigurationInForce {
    registry: Registry,
    configured: Configured,
    reads: ReadState,
    metrics: Metrics,
    state: Arc<Mutex<State>>,
}

struct State {
    file: Config,
    entries: Vec<StoredVersion>,
    /// The newest version that `entries` has.
    newest: u64,
}

impl ConfigurationInForce {
    /// Puts the file in force.
    pub(super) fn new(
        file: Config,
        registry: Registry,
        configured: Configured,
        reads: ReadState,
        metrics: Metrics,
    ) -> Self {
        let state = State { file, entries: Vec::new(), newest: 0 };
        let new = Self { registry, configured, reads, metrics, state: Arc::new(Mutex::new(state)) };
        new.change(|_| {});
        new
    }

    /// Takes over another file.
    pub(super) fn replace_file(&self, file: &Config) {
        self.change(|state| state.file = file.clone());
    }

    /// Changes the state, and puts it in force.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let Layered { mut configuration, syncs, hash_secrets, .. } = layered(&state.file, &state.entries);
        configuration.stored_version = state.newest;
        if let Some(problem) = state.file.secret_keys().problem() {
            warn!(problem, "keys of [secrets] cannot be used");
        }
        for stored in configuration.stored.values() {
            for fault in &stored.faults {
                warn!(%fault, "a stored entry has a fault and is left out");
            }
        }
        for sync in &syncs {
            self.metrics.runs_may_end(&sync.spec.collection);
        }
        self.reads.add_hash_secrets(hash_secrets);
        self.registry.replace(syncs);
        self.configured.replace(configuration);
    }

    /// Takes over the stored entries, if they have changed.
    pub(super) async fn poll(&self, metadata: &Metadata) -> Result<(), metadata::Error> {
        let newest = metadata.stored_newest().await?;
        if newest == self.state.lock().unwrap_or_else(PoisonError::into_inner).newest {
            return Ok(());
        }
        // Entries may be newer than that; the next poll reads them again.
        let entries = metadata.stored_entries().await?;
        info!(entries = entries.len(), version = newest, "the stored configuration has changed");
        self.change(|state| (state.entries, state.newest) = (entries, newest));
        Ok(())
    }

    /// Polls until `stop`.
    pub(super) async fn follow(self, metadata: Metadata, interval: Duration, stop: Shutdown) {
        loop {
            if let Err(error) = self.poll(&metadata).await {
                warn!(code = error.code(), %error, "cannot read the stored configuration; the last one stays in force");
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.configured.stored_changed() => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// The file with the stored entries over it, for a command.
///
/// # Errors
/// [`Error::NoMetadata`] on a node that does not publish; that of the metadata database.
pub async fn open_layered(config: &Config, clock: Clock) -> Result<Layered, Error> {
    let settings = metadata_settings(config)?;
    if !Metadata::may_exist(settings) {
        return Ok(layered(config, &[]));
    }
    let metadata = Metadata::open_existing(settings, clock).await?;
    let entries = metadata.stored_entries().await;
    metadata.close().await;
    Ok(layered(config, &entries?))
}

/// The file alone.
pub fn without_stored(config: &Config) -> Layered {
    layered(config, &[])
}

/// The file with stored entries over it.
pub(super) fn layered(file: &Config, entries: &[StoredVersion]) -> Layered {
    file.layer(&open_entries(file.secret_keys(), entries))
}
