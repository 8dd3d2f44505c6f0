//! Sync runs: the newest, or one with its rejected rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Admin, error::Error};
use crate::domain::{CollectionName, Principal, RejectedRow, RunId, RunProgress, RunRecord};

/// Which runs to list.
#[derive(Debug, Clone, Copy)]
pub struct RunsFilter<'a> {
    /// Those of one sync; `None` means of all.
    pub sync: Option<&'a CollectionName>,
    /// Only those that announced a version.
    pub announced: bool,
    /// Only those before this one, newest first: when it began, and its id.
    pub before: Option<(DateTime<Utc>, RunId)>,
    /// The newest so many, [`RUNS_LISTED_MAX`](super::RUNS_LISTED_MAX) at most.
    pub limit: usize,
}

impl Admin {
    /// The newest runs, newest first. Runs of a sync that is no longer configured are listed too.
    ///
    /// # Errors
    /// [`Error::UnknownSync`] for a name that is not configured and has no runs.
    pub async fn runs(&self, filter: RunsFilter<'_>) -> Result<Vec<RunRecord>, Error> {
        let RunsFilter { sync, announced, before, limit } = filter;
        let runs = self.metadata.runs_before(sync, announced, before, limit).await?;
        if let Some(name) = sync.filter(|_| runs.is_empty() && before.is_none()) {
            self.registry.find(name.as_str())?;
        }
        Ok(runs)
    }

    /// The newest run of every sync that has one.
    pub async fn last_runs(&self) -> Result<BTreeMap<CollectionName, RunRecord>, Error> {
        Ok(self.metadata.last_runs().await?)
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

    /// What a run has done so far; `None` when it has not said so.
    pub async fn run_progress(&self, id: RunId) -> Result<Option<RunProgress>, Error> {
        Ok(self.metadata.run_progress(id).await?)
    }

    /// Asks for the end of a run, wherever it is in progress. It ends within two seconds as cancelled, unless it has begun
    /// to announce by then.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], [`Error::RunNotUnderWay`].
    pub async fn cancel_run(&self, id: RunId, principal: &Principal) -> Result<(), Error> {
        if self.metadata.request_cancel(id, principal, self.clock.now()).await? {
            return Ok(());
        }
        let (run, _) = self.run(id).await?;
        Err(Error::RunNotUnderWay { run: id, status: run.status })
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
