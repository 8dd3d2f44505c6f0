//! A configuration with an entry that is stored nowhere yet, for what a form shows before it is saved.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{
    ConfigurationFile, Layered,
    check::{bound_faults, with_proposed},
    document::keep_secrets,
    open_entries,
};
use crate::{
    admin::{Admin, Configuration, Error, MappedRow, Sample, ScheduleView},
    domain::StoredName,
    scheduler::ScheduledSync,
};

/// A configuration with an entry as a form has it.
pub struct Draft {
    layered: Layered,
    entry: StoredName,
}

impl Admin {
    /// Lays `document` over the stored entries in place of `entry`. Nothing is stored.
    ///
    /// # Errors
    /// [`Error::ConfigurationInvalid`] with the faults of the entry, [`Error::Metadata`].
    pub async fn draft(
        &self,
        file: &dyn ConfigurationFile,
        entry: &StoredName,
        document: Map<String, Value>,
    ) -> Result<Draft, Error> {
        let mut faults = bound_faults(entry, &document);
        let stored = self.metadata.stored_entries().await?;
        let entries = open_entries(file.secret_keys(), &stored);
        let present = entries.iter().find(|open| open.stored.entry == *entry);
        let mut refused = Vec::new();
        let document = keep_secrets(entry, Value::Object(document), present, &mut refused);
        let document = document.map_err(|fault| Error::ConfigurationInvalid(vec![fault]))?;
        let proposed = [(entry.clone(), Some(document))].into();
        let layered = file.layer(&with_proposed(&proposed, &entries, self.clock.now()));
        let state = layered.configuration.stored.get(entry);
        faults.extend(state.into_iter().flat_map(|state| state.faults.iter().cloned()));
        faults.extend(refused);
        if faults.is_empty() {
            Ok(Draft { layered, entry: entry.clone() })
        } else {
            Err(Error::ConfigurationInvalid(faults))
        }
    }

    /// The schedule of a drafted sync, with the next `count` times.
    ///
    /// # Errors
    /// [`Error::UnknownSync`], [`Error::Metadata`].
    pub async fn schedule_of_draft(&self, draft: &Draft, count: usize) -> Result<ScheduleView, Error> {
        self.schedule_of(draft.sync()?, count).await
    }
}

impl Draft {
    /// The configuration with the entry.
    pub fn configuration(&self) -> &Configuration {
        &self.layered.configuration
    }

    /// What the drafted sync makes of the row `at` of its model, or of the last one.
    ///
    /// # Errors
    /// [`Error::Mapping`], [`Error::Engine`], [`Error::UnknownSync`].
    pub fn map(&self, sample: &Sample, at: usize, now: DateTime<Utc>) -> Result<MappedRow, Error> {
        sample.map(self.sync()?, at, now)
    }

    fn sync(&self) -> Result<&ScheduledSync, Error> {
        let name = &self.entry.name;
        let found = self.layered.syncs.iter().find(|sync| sync.spec.collection.as_str() == name);
        found.ok_or_else(|| Error::UnknownSync { name: name.clone(), known: String::new() })
    }
}
