//! A run up to its announcement: from the input to a published manifest. No reader sees anything of it,
//! and it may be dropped at any moment.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::warn;

use super::guard::{self, Hold};
use crate::{
    domain::{
        id::RunId,
        run::{RejectedRow, RunCounts},
    },
    engine::{
        Engine,
        announce::PublishedManifest,
        base::Base,
        error::Error,
        ingest::{Ingest, Ingested, Input},
        plan::RunPlan,
        request::RunRequest,
    },
    mapping::Mapping,
};

/// The result of a run that is not yet announced.
pub(super) struct PreparedRun {
    pub(super) data_as_of: DateTime<Utc>,
    pub(super) counts: RunCounts,
    pub(super) rejected: Vec<RejectedRow>,
    pub(super) hold: Option<Hold>,
    pub(super) base: Option<Arc<Base>>,
    /// `None` when nothing changed, and in a dry run.
    pub(super) published: Option<PublishedManifest>,
    /// Whether a record or a setting differs from the announced one.
    pub(super) is_changed: bool,
}

impl Engine {
    /// Reads the input, compares it with the base, evaluates the guards and publishes.
    pub(super) async fn prepare(&self, run_id: RunId, request: &RunRequest) -> Result<PreparedRun, Error> {
        let RunRequest { spec, accept, dry_run, progress, .. } = request;
        let announced = self.announced(&spec.collection).await?;
        progress.begin(announced.base.as_ref().map_or(0, |base| base.manifest.records));
        let input = Input::resolve(spec, &request.source);
        let columns = input.describe().await?;
        let mapping = Mapping::compile(&spec.mapping, &columns).map_err(Error::Mapping)?;
        let is_base_lost = match &announced.base {
            Some(base) if *accept => self.is_lost(base).await?,
            _ => false,
        };
        let plan = Arc::new(RunPlan::new(spec.clone(), columns, mapping, announced, is_base_lost));
        let data_as_of = self.clock.now();
        let ingest = Ingest {
            input,
            plan: plan.clone(),
            run_id,
            data_as_of,
            progress: progress.clone(),
            dry_run: *dry_run,
        };
        let Ingested { counts, served, segments, rejected } = self.ingest(ingest).await?;
        let hold = guard::evaluate(&spec.guards, &counts, served, plan.fields_changed).filter(|_| !accept);
        let has_records_changed = counts.added + counts.changed + counts.removed > 0;
        let is_changed = plan.rebuild
            || plan.settings_differ()
            || !segments.is_empty()
            || (*dry_run && has_records_changed);
        // A held run publishes also when it wrote no segment: an operator may approve it.
        let published = if (is_changed || hold.is_some()) && !dry_run {
            let manifest = plan.manifest(run_id, self.clock.now(), data_as_of, &counts, segments);
            Some(self.publish(manifest).await?)
        } else {
            None
        };
        Ok(PreparedRun { data_as_of, counts, rejected, hold, base: plan.base.clone(), published, is_changed })
    }

    /// Whether a segment of the base is gone or damaged, both here and in the store. Then no run can be
    /// compared with it; one that accepts this writes everything anew.
    async fn is_lost(&self, base: &Base) -> Result<bool, Error> {
        let collection = &base.manifest.collection;
        for segment in &base.manifest.segments {
            match self.directory.load(self.catalog.store(), segment).await {
                Ok(_) => {}
                Err(error) if error.is_object_lost() => {
                    let code = error.code();
                    warn!(code, %collection, %error, "the announced records cannot be read; this run writes all records anew");
                    return Ok(true);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }
}
