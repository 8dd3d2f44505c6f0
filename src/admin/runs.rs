//! Sync runs: the newest, or one with its rejected rows.

use super::{Admin, error::Error};
use crate::domain::{CollectionName, RejectedRow, RunId, RunRecord};

/// Which runs to list.
#[derive(Debug, Clone, Copy)]
pub struct RunsFilter<'a> {
    /// Those of one sync; `None` means of all.
    pub sync: Option<&'a CollectionName>,
    /// Only those that announced a version.
    pub announced: bool,
    /// The newest so many, [`RUNS_LISTED_MAX`](super::RUNS_LISTED_MAX) at most.
    pub limit: usize,
}

impl Admin {
    /// The newest runs, newest first. Runs of a sync that is no longer configured are listed too.
    ///
    /// # Errors
    /// [`Error::UnknownSync`] for a name that is not configured and has no runs.
    pub async fn runs(&self, filter: RunsFilter<'_>) -> Result<Vec<RunRecord>, Error> {
        let RunsFilter { sync, announced, limit } = filter;
        let runs = if announced {
            self.metadata.announced_runs(sync, limit).await?
        } else {
            self.metadata.runs(sync, limit).await?
        };
        if let Some(name) = sync.filter(|_| runs.is_empty()) {
            self.registry.find(name.as_str())?;
        }
        Ok(runs)
    }

    /// What a run has read; `None` when it failed before that was known.
    ///
    /// # Errors
    /// [`Error::UnknownRun`].
    pub async fn run_query(&self, id: RunId) -> Result<Option<String>, Error> {
        match self.metadata.run_query(id).await? {
            Some(text) => Ok(Some(text)),
            None => self.run(id).await.map(|_| None),
        }
    }

    /// One run and its rejected rows.
    ///
    /// # Errors
    /// [`Error::UnknownRun`].
    pub async fn run(&self, id: RunId) -> Result<(RunRecord, Vec<RejectedRow>), Error> {
        let run = self.metadata.run(id).await?.ok_or_else(|| Error::UnknownRun(id.to_string()))?;
        Ok((run, self.metadata.rejected(id).await?))
    }
}
