//! A run up to its announcement: from the input to a published manifest. No reader sees anything of it,
//! and it may be dropped at any moment.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tracing::{debug, warn};

use super::guard::{self, Hold, ServedBefore};
use crate::{
    domain::{
        digest::Digest,
        id::RunId,
        manifest::Manifest,
        run::{RejectedRow, RunCounts},
    },
    engine::{
        Engine,
        announce::PublishedManifest,
        base::{Announced, Base},
        error::Error,
        increment::IncrementPlan,
        ingest::{Ingest, Ingested, Input},
        plan::RunPlan,
        request::{RunRequest, Trigger},
    },
    mapping::Mapping,
};

/// The result of a run that is not yet announced.
pub(super) struct PreparedRun {
    pub(super) data_as_of: DateTime<Utc>,
    pub(super) counts: RunCounts,
    pub(super) rejected: Vec<RejectedRow>,
    pub(super) hold: Option<Hold>,
    /// The run that is held already, on the same base and for the same reason. Its result is the one to approve.
    pub(super) held_before: Option<RunId>,
    pub(super) base: Option<Arc<Base>>,
    /// SHA-256 of the announced manifest, which the announcement names as its predecessor.
    pub(super) from: Option<Digest>,
    /// `None` when nothing changed, and when nothing was written.
    pub(super) published: Option<PublishedManifest>,
    /// What a dry run would publish.
    pub(super) unpublished: Option<Unpublished>,
    /// Whether a record or a setting differs from the announced one.
    pub(super) is_changed: bool,
    /// The warnings of the mapping.
    pub(super) warnings: Vec<String>,
}

/// The result of a run that has written nothing.
pub(super) struct Unpublished {
    /// The manifest, without the segments.
    pub(super) manifest: Manifest,
    /// The sum of the rows of its segments.
    pub(super) sum: u128,
}

/// How long a scheduled run waits for a table that is not there: tools that build tables put the new one in the place
/// of the old one in two steps. A run of an operator fails at once.
const MISSING_TABLE_WAIT: Duration = Duration::from_secs(3);

/// Describes the input, and in a scheduled run once more a little later when its table is missing.
async fn once_more_without_table<T, F: Future<Output = Result<T, Error>>>(
    trigger: Trigger,
    mut describe: impl FnMut() -> F,
) -> Result<T, Error> {
    match describe().await {
        Err(Error::Source(error)) if trigger == Trigger::Schedule && error.is_table_missing() => {
            debug!(%error, "the run waits for the table of its model");
            tokio::time::sleep(MISSING_TABLE_WAIT).await;
            describe().await
        }
        described => described,
    }
}

/// A run whose input is described and whose mapping fits it. No row is read yet.
struct PlannedRun<'a> {
    run_id: RunId,
    request: &'a RunRequest,
    input: Input,
    plan: Arc<RunPlan>,
}

impl PlannedRun<'_> {
    /// The result when the columns alone hold the run.
    fn hold_unread(&self, data_as_of: DateTime<Utc>) -> PreparedRun {
        PreparedRun {
            data_as_of,
            counts: RunCounts::default(),
            rejected: Vec::new(),
            hold: Some(Hold::FieldsChanged),
            held_before: None,
            base: self.plan.base.clone(),
            from: self.plan.from,
            published: None,
            unpublished: None,
            is_changed: true,
            warnings: self.plan.mapping.warnings(),
        }
    }
}

impl Engine {
    /// Reads the input, compares it with the base, evaluates the guards and publishes. While a run is held, the
    /// input is only compared, until the guards decide differently or, in a run of an operator, the rows differ.
    pub(super) async fn prepare(
        &self,
        run_id: RunId,
        request: &RunRequest,
        announced: Announced,
    ) -> Result<PreparedRun, Error> {
        let RunRequest { spec, accept, dry_run, progress, .. } = request;
        progress.begin(announced.base.as_ref().map_or(0, |base| base.manifest.records));
        let mut input = Input::resolve(spec, &request.source).await?;
        self.record_query(run_id, request, &input).await;
        input.columns = once_more_without_table(request.trigger, || input.describe()).await?;
        let mapping = Mapping::compile(&spec.mapping, &input.columns).map_err(Error::Mapping)?;
        let is_base_lost = match &announced.base {
            Some(base) if *accept => self.is_lost(base).await?,
            _ => false,
        };
        let mut plan = RunPlan::new(spec.clone(), input.columns.clone(), mapping, announced, is_base_lost);
        if let Some(settings) = &spec.increment {
            let compared = plan.compared().filter(|_| !plan.rebuild && !request.full);
            let now = self.clock.now();
            let increment = IncrementPlan::new(spec, settings, &input, compared, now)?;
            if !increment.is_whole() {
                input = input.narrowed(&increment).await?;
                self.record_query(run_id, request, &input).await;
            }
            plan.increment = Some(increment);
        }
        let held = if *accept || *dry_run { None } else { self.held_before(&plan).await? };
        if let Some(held) = &held {
            // Fingerprints of the two results can be compared.
            plan.fingerprint_seed = held.fingerprint_seed();
        }
        let planned = PlannedRun { run_id, request, input, plan: Arc::new(plan) };
        if let Some(held) = held {
            let is_scheduled = request.trigger == Trigger::Schedule;
            let prepared = if is_scheduled && planned.plan.fields_changed && held.is_for(&Hold::FieldsChanged)
            {
                planned.hold_unread(self.clock.now())
            } else {
                self.compare(&planned, true).await?
            };
            let is_for_same = prepared.hold.as_ref().is_some_and(|hold| held.is_for(hold));
            // `larder approve` must announce exactly the result that an operator's run has shown.
            if is_for_same && (is_scheduled || self.is_same_result(&held, &prepared).await) {
                return Ok(PreparedRun { held_before: Some(held.record.id), ..prepared });
            }
            progress.begin(progress.expected());
        }
        self.compare(&planned, *dry_run).await
    }

    /// Keeps what a run reads with its record.
    async fn record_query(&self, run_id: RunId, request: &RunRequest, input: &Input) {
        if !request.dry_run
            && let Err(error) = self.metadata.set_run_query(run_id, &input.text(), self.clock.now()).await
        {
            warn!(run = %run_id, %error, "what the run reads could not be recorded");
        }
    }

    /// Reads the input, compares it with the base and evaluates the guards. Publishes unless `is_dry`.
    async fn compare(&self, planned: &PlannedRun<'_>, is_dry: bool) -> Result<PreparedRun, Error> {
        let PlannedRun { run_id, request, input, plan } = planned;
        let data_as_of = self.clock.now();
        let ingest = Ingest {
            input: input.clone(),
            plan: plan.clone(),
            run_id: *run_id,
            data_as_of,
            progress: request.progress.clone(),
            dry_run: is_dry,
        };
        let Ingested { counts, segments, rejected, marks, sum } = self.ingest(ingest).await?;
        let increment = plan.increment.as_ref();
        let cursor = increment.map(|increment| increment.cursor(&marks, data_as_of)).transpose()?;
        let before = plan.base.as_ref().map_or_else(ServedBefore::default, |base| ServedBefore {
            is_served: true,
            records: base.manifest.records,
            retained: base.manifest.left,
        });
        let hold = guard::evaluate(&request.spec.guards, &counts, before, plan.fields_changed);
        let hold = hold.filter(|_| !request.accept);
        let has_records_changed = counts.added + counts.changed + counts.removed > 0;
        let has_cursor_moved =
            increment.zip(cursor.as_ref()).is_some_and(|(plan, cursor)| plan.must_announce(cursor, &counts));
        let is_changed = plan.rebuild
            || plan.settings_differ()
            || !segments.is_empty()
            || (is_dry && has_records_changed)
            || (!is_dry && has_cursor_moved);
        let unread = increment.and_then(|increment| increment.warning(&marks));
        // A held run publishes also when it wrote no segment: an operator may approve it.
        let manifest = plan.manifest(*run_id, self.clock.now(), data_as_of, &counts, segments, cursor);
        let (published, unpublished) = match sum {
            Some(sum) => (None, Some(Unpublished { manifest, sum })),
            None if is_changed || hold.is_some() => (Some(self.publish(manifest).await?), None),
            None => (None, None),
        };
        Ok(PreparedRun {
            data_as_of,
            counts,
            rejected,
            hold,
            held_before: None,
            base: plan.base.clone(),
            from: plan.from,
            published,
            unpublished,
            is_changed,
            warnings: plan.mapping.warnings().into_iter().chain(unread).collect(),
        })
    }

    /// Whether a segment of the base is gone or damaged, both here and in the store. Then no run can be
    /// compared with the base; a run with `--accept` writes all records again.
    async fn is_lost(&self, base: &Base) -> Result<bool, Error> {
        let collection = &base.manifest.collection;
        for segment in &base.manifest.segments {
            match self.directory.load(self.catalog.store(), segment).await {
                Ok(_) => {}
                Err(error) if error.is_object_lost() => {
                    let code = error.code();
                    warn!(
                        code, %collection, %error,
                        "the announced records cannot be read; this run writes all records again"
                    );
                    return Ok(true);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source;

    #[tokio::test(start_paused = true)]
    async fn table_that_is_missing_for_a_moment_is_looked_for_once_more_by_a_schedule() {
        use Trigger::{Operator, Schedule};
        for (trigger, missing, is_found, expected) in [
            (Schedule, 0, true, 1),
            (Schedule, 1, true, 2),
            (Schedule, 9, false, 2),
            (Operator, 0, true, 1),
            (Operator, 1, false, 1),
        ] {
            let mut attempts = 0;
            let described = once_more_without_table(trigger, || {
                attempts += 1;
                let is_there = attempts > missing;
                async move {
                    if is_there { Ok(()) } else { Err(Error::Source(source::Error::of_missing_table())) }
                }
            })
            .await;
            assert_eq!((described.is_ok(), attempts), (is_found, expected));
        }
    }
}
