//! The publishing side of a node.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{LastError, Problem};
use crate::domain::{Label, RunRecord, RunStatus};

/// The publishing side of a node.
#[derive(utoipa::ToSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublisherStatus {
    /// Whether due syncs run here. With several publishers, a sync's lease decides which one runs it.
    pub up: bool,
    /// When a run last ended here. On a standby publisher that is long ago, or never.
    pub last_run_at: Option<DateTime<Utc>>,
    /// The last run that failed here.
    #[serde(default)]
    pub last_error: Option<LastError>,
    /// Why nothing is announced from here.
    pub problem: Option<Problem>,
}

impl PublisherStatus {
    /// Records the end of a run. `store_failure` is the code when the store or the catalog made it fail. The problem
    /// lasts until a later run succeeds.
    pub fn record_run(
        &mut self,
        record: &RunRecord,
        store_failure: Option<&'static str>,
        now: DateTime<Utc>,
    ) {
        let at = record.finished_at.unwrap_or(record.started_at);
        self.last_run_at = self.last_run_at.max(Some(at));
        if let Some(error) = &record.error {
            let code = Label::fitted(&error.code);
            self.last_error = Some(LastError { code, collection: Some(record.sync.clone()), at });
        }
        if let Some(code) = store_failure {
            let message = record.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
            self.raise(code, message, now);
        } else if matches!(record.status, RunStatus::Announced | RunStatus::Unchanged) {
            self.problem = None;
        }
    }

    /// Raises the problem that keeps this publisher from announcing.
    pub fn raise(&mut self, code: &'static str, message: String, now: DateTime<Utc>) {
        let same = self.problem.as_ref().filter(|problem| problem.code.as_str() == code);
        self.problem = Some(Problem::lasting(same, code, message, now));
    }
}
