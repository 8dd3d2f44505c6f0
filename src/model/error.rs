//! Why a model has no query.

use crate::{domain::error::codes, source};

/// Why a model could not be resolved to a query, or an invocation of dbt could not be looked up.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest or the run results are not there.
    #[error("there is no {place}; run dbt, or check [dbt.{project}]")]
    DbtArtifactMissing { project: String, place: String },
    /// They are there and cannot be fetched.
    #[error("{place} of [dbt.{project}] cannot be read: {reason}")]
    DbtArtifactUnreadable { project: String, place: String, reason: String },
    /// They are no document of dbt.
    #[error("{place} of [dbt.{project}] is no artifact of dbt: {reason}; build the project again")]
    DbtArtifactInvalid { project: String, place: String, reason: String },
    /// No model has the name.
    #[error(
        "dbt project {project} has no model, seed or snapshot {name:?}, as of {generated_at}{near}; it was removed or \
         renamed: correct `dbt` of the model"
    )]
    DbtModelMissing { project: String, name: String, generated_at: String, near: String },
    /// Another model has the name as its alias.
    #[error(
        "the model {name:?} of dbt project {project} is now named {now:?}, with {name:?} as its alias; write \
         dbt = {now:?}"
    )]
    DbtModelRenamed { project: String, name: String, now: String },
    /// Several models have the name.
    #[error("several models of dbt project {project} are named {name:?}; write one of {ids}")]
    DbtModelAmbiguous { project: String, name: String, ids: String },
    /// The model is disabled.
    #[error(
        "the model {name:?} of dbt project {project} is disabled, so dbt no longer builds it; enable it, or take \
         the sync out"
    )]
    DbtModelDisabled { project: String, name: String },
    /// The model does not have the tag.
    #[error(
        "the model {name:?} of dbt project {project} does not have the tag {tag:?}; the models that have it: {tagged}"
    )]
    DbtTagMissing { project: String, name: String, tag: String, tagged: String },
    /// An ephemeral model without its compiled SQL.
    #[error(
        "the last invocation of dbt project {project} did not compile {name:?}, an ephemeral model, which has no \
         table; run `dbt compile`, or select the model too; what is served stays"
    )]
    DbtNotCompiled { project: String, name: String },
    /// The manifest is of an earlier command than the results of the last build.
    #[error(
        "{place} of [dbt.{project}] was generated at {generated_at}, by an earlier command than run_results.json, of \
         {results_at}; upload manifest.json before run_results.json; the sync waits for it, and what is served stays"
    )]
    DbtManifestOutdated { project: String, place: String, generated_at: String, results_at: String },
    /// The project is for another kind of database.
    #[error(
        "dbt project {project} is for {adapter}, and the model's source is of type {source_type}; name the source \
         that dbt writes to"
    )]
    DbtAdapterMismatch { project: String, adapter: String, source_type: String },
    /// `primary_key` is left out and dbt does not tell it.
    #[error(
        "dbt knows no primary key of {name:?}; write `primary_key`, or give a column of it the tests unique and \
         not_null"
    )]
    DbtPrimaryKeyUnknown { name: String },
    /// `primary_key` is left out and dbt tells another one.
    #[error(
        "the first index is on `{column}`, but the primary key of {name:?} in dbt is {found}; put the first \
         index on it, or write `primary_key`"
    )]
    DbtPrimaryKeyMismatch { name: String, column: String, found: String },
    /// The job of dbt Cloud has no successful run.
    #[error("job {job} of [dbt.{project}] has no successful run; run it, or correct `job`")]
    DbtJobNotRun { project: String, job: u64 },
    /// The Look is gone.
    #[error(
        "[looker.{service}] has no Look {id}, or its user may not see it; correct `look`, or grant access"
    )]
    LookMissing { service: String, id: u64 },
    /// The Look is in the trash.
    #[error("Look {id} of [looker.{service}] is deleted; restore it, or correct `look`")]
    LookDeleted { service: String, id: u64 },
    /// A part of the Look is not in its SQL.
    #[error(
        "Look {id} of [looker.{service}] has {what}, which is not part of its SQL; save a Look without it"
    )]
    LookUnsupported { service: String, id: u64, what: &'static str },
    /// The workbook or element is gone.
    #[error(
        "[sigma.{service}] has no element {element:?} in workbook {workbook:?}, or its user may not see it; correct \
         `sigma`, or grant access"
    )]
    SigmaElementMissing { service: String, workbook: String, element: String },
    /// Sigma makes no SQL of the element.
    #[error("Sigma makes no SQL of element {element:?} of [sigma.{service}]: {reason}")]
    SigmaQueryUnavailable { service: String, element: String, reason: String },
    /// The SQL reads one version of an input table for ever.
    #[error(
        "element {element:?} of [sigma.{service}] reads an input table, whose SQL is fixed to one version of its \
         rows; read the table of the warehouse instead"
    )]
    SigmaInputTable { service: String, element: String },
    /// The service refuses the credentials.
    #[error("{service} refuses the credentials (HTTP status {status}); check them in its section")]
    ServiceLoginRefused { service: String, status: u16 },
    /// The service refuses a request.
    #[error("{service} refuses {what} (HTTP status {status}{words})")]
    ServiceRefused { service: String, what: String, status: u16, words: String },
    /// The service is overloaded or down.
    #[error("{service} cannot answer now (HTTP status {status}); the run will be tried again")]
    ServiceUnavailable { service: String, status: u16 },
    /// Its answer is not what its documentation says.
    #[error("the answer of {service} to {what} cannot be read: {reason}; check the url of its section")]
    ServiceAnswerMalformed { service: String, what: String, reason: String },
    /// No answer.
    #[error("{service} does not answer: {source}")]
    ServiceUnreachable { service: String, source: source::Error },
}

codes! {
    Error {
        "dbt_artifact_missing" Unavailable: DbtArtifactMissing,
        "dbt_artifact_unreadable" Unavailable: DbtArtifactUnreadable,
        "dbt_artifact_invalid" Corrupt: DbtArtifactInvalid,
        "dbt_model_missing" Invalid: DbtModelMissing,
        "dbt_model_renamed" Invalid: DbtModelRenamed,
        "dbt_model_ambiguous" Invalid: DbtModelAmbiguous,
        "dbt_model_disabled" Invalid: DbtModelDisabled,
        "dbt_tag_missing" Invalid: DbtTagMissing,
        "dbt_not_compiled" Invalid: DbtNotCompiled,
        "dbt_manifest_outdated" Unavailable: DbtManifestOutdated,
        "dbt_adapter_mismatch" Invalid: DbtAdapterMismatch,
        "dbt_primary_key_unknown" Invalid: DbtPrimaryKeyUnknown,
        "dbt_primary_key_mismatch" Invalid: DbtPrimaryKeyMismatch,
        "dbt_job_not_run" Unavailable: DbtJobNotRun,
        "look_missing" Invalid: LookMissing,
        "look_deleted" Invalid: LookDeleted,
        "look_unsupported" Invalid: LookUnsupported,
        "sigma_element_missing" Invalid: SigmaElementMissing,
        "sigma_query_unavailable" Invalid: SigmaQueryUnavailable,
        "sigma_input_table" Invalid: SigmaInputTable,
        "service_login_refused" Unauthenticated: ServiceLoginRefused,
        "service_refused" Invalid: ServiceRefused,
        "service_unavailable" Unavailable: ServiceUnavailable,
        "service_answer_malformed" Corrupt: ServiceAnswerMalformed,
        source: ServiceUnreachable,
    }
}
