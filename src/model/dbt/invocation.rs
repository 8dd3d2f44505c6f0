//! Runs of dbt: `run_results.json`, and whether one of them has built a model.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use super::{manifest::Manifest, place::Place};
use crate::model::error::Error;

/// Commands of dbt that build. The others, such as `docs generate`, write their results to the same file.
const BUILDS: [&str; 5] = ["build", "run", "retry", "seed", "snapshot"];
/// Longest id of an invocation: dbt writes a UUID.
const ID_BYTES_MAX: usize = 64;
/// Statuses of results that are failures.
const FAILURES: [&str; 3] = ["error", "fail", "runtime error"];

/// One run of dbt that built models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Its id.
    id: Arc<str>,
    /// The status of each node by its id; `None` when all of them succeeded.
    statuses: Option<Arc<BTreeMap<String, String>>>,
    /// The id of the project's last command, which may have compiled what this one has left out.
    last: Arc<str>,
}

/// What `run_results.json` is of.
pub(super) enum Command {
    Build(Invocation),
    /// A command that builds nothing, by its id.
    Other(Arc<str>),
}

impl Invocation {
    /// A successful run of a job of dbt Cloud.
    pub(super) fn of_job(run: u64) -> Self {
        let id: Arc<str> = run.to_string().into();
        Self { id: Arc::clone(&id), statuses: None, last: id }
    }

    /// The same invocation with a later command behind it.
    pub(super) fn before(self, last: Arc<str>) -> Self {
        Self { last, ..self }
    }

    /// Its id, which differs from those of all others of the project.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether nothing failed in it.
    pub fn has_no_failure(&self) -> bool {
        let is_failure = |status: &String| FAILURES.contains(&&**status);
        self.statuses.as_ref().is_none_or(|statuses| !statuses.values().any(is_failure))
    }

    /// Whether it has built a node, or all that an ephemeral one is made of, and no test of them failed: dbt does not build on
    /// such a node either. Of an ephemeral node that is made of sources alone, whether nothing failed.
    pub(super) fn has_built(&self, id: &str, manifest: &Manifest<'_>) -> bool {
        let Some(statuses) = &self.statuses else { return true };
        let has_failed = |test: &str| statuses.get(test).is_some_and(|status| FAILURES.contains(&&**status));
        let parts = manifest.parts(id);
        let mut built = parts.iter().filter(|(_, node)| !node.is_ephemeral()).map(|(id, _)| *id).peekable();
        (built.peek().is_some() || self.has_no_failure())
            && built.all(|id| statuses.get(id).is_some_and(|status| status == "success"))
            && !parts.keys().any(|id| manifest.tests_of(id).any(|(test, _)| has_failed(test)))
    }
}

/// The last command.
pub(super) async fn read_run_results(project: &str, place: &Place) -> Result<Command, Error> {
    let bytes = place.run_results(project).await?;
    parse(&bytes).map_err(|error| Error::DbtArtifactInvalid {
        project: project.to_owned(),
        place: place.shown_run_results(),
        reason: format!("line {}, column {}", error.line(), error.column()),
    })
}

/// Reads `run_results.json`.
pub(super) fn parse(bytes: &[u8]) -> Result<Command, serde_json::Error> {
    #[derive(Deserialize)]
    struct RunResults {
        metadata: Metadata,
        args: Arguments,
        results: Vec<Outcome>,
    }
    #[derive(Deserialize)]
    struct Metadata {
        invocation_id: String,
    }
    #[derive(Deserialize)]
    struct Arguments {
        which: String,
    }
    #[derive(Deserialize)]
    struct Outcome {
        unique_id: String,
        status: String,
    }
    let RunResults { metadata: Metadata { invocation_id }, args, results } = serde_json::from_slice(bytes)?;
    let id: Arc<str> = invocation_id[..invocation_id.floor_char_boundary(ID_BYTES_MAX)].into();
    if !BUILDS.contains(&&*args.which) {
        return Ok(Command::Other(id));
    }
    let statuses = results.into_iter().map(|outcome| (outcome.unique_id, outcome.status)).collect();
    Ok(Command::Build(Invocation { id: Arc::clone(&id), statuses: Some(Arc::new(statuses)), last: id }))
}
