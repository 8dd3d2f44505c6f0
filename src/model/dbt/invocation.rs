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
    /// Of the run itself.
    stamp: Stamp,
    /// The status of each node by its id; `None` when all of them succeeded.
    statuses: Option<Arc<BTreeMap<String, String>>>,
    /// Of the project's last command, which may have compiled what this one has left out.
    last: Stamp,
}

/// Which command of dbt wrote an artifact, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) id: Arc<str>,
    /// As dbt writes it; empty when it is unknown.
    pub(super) generated_at: Arc<str>,
}

/// What `run_results.json` is of.
pub(super) enum Command {
    Build(Invocation),
    /// A command that builds nothing.
    Other(Stamp),
}

impl Invocation {
    /// A successful run of a job of dbt Cloud.
    pub(super) fn of_job(run: u64) -> Self {
        let stamp = Stamp { id: run.to_string().into(), generated_at: "".into() };
        Self { stamp: stamp.clone(), statuses: None, last: stamp }
    }

    /// The same invocation with a later command behind it.
    pub(super) fn before(self, last: Stamp) -> Self {
        Self { last, ..self }
    }

    /// Its id, which differs from those of all others of the project.
    pub fn id(&self) -> &str {
        &self.stamp.id
    }

    /// Which command it is.
    pub(super) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Which command of the project is the last one.
    pub(super) fn last(&self) -> &Stamp {
        &self.last
    }

    /// Whether it comes from `run_results.json`.
    pub(super) fn is_of_results(&self) -> bool {
        self.statuses.is_some()
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
        #[serde(default)]
        generated_at: String,
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
    let RunResults { metadata, args, results } = serde_json::from_slice(bytes)?;
    let Metadata { invocation_id, generated_at } = metadata;
    let id: Arc<str> = invocation_id[..invocation_id.floor_char_boundary(ID_BYTES_MAX)].into();
    let stamp = Stamp { id, generated_at: generated_at.into() };
    if !BUILDS.contains(&&*args.which) {
        return Ok(Command::Other(stamp));
    }
    let statuses = results.into_iter().map(|outcome| (outcome.unique_id, outcome.status)).collect();
    Ok(Command::Build(Invocation { stamp: stamp.clone(), statuses: Some(Arc::new(statuses)), last: stamp }))
}
