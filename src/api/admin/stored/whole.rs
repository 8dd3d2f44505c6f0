//! The stored configuration as a whole: exported, imported, its secrets encrypted again.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{AdminState, Caller, Publishing};
use crate::{
    admin::{self, Exported, Fault, Import, ImportOptions, Imported, RotatedSecrets},
    api::{
        admin::input::{Input, detached, invalid},
        http::error::Error,
    },
    domain::{StoredName, StoredSection},
};

/// The configuration as a file, as it is written and stored. Each secret is a variable: `${SOURCES_CRM_TOKEN}`.
#[utoipa::path(get, path = "/admin/v1/configuration/export", responses(
    (status = 200, description = "The file as TOML, its variables, and faults of stored entries that are left out", body = Exported),
))]
pub(in crate::api) async fn export_configuration(State(state): State<AdminState>) -> Json<Exported> {
    Json(state.configured.read().export())
}

/// How entries are imported.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ImportQuery {
    /// Only check it: the answer has the differences or every fault, and nothing is changed.
    #[serde(default)]
    #[param(default = false)]
    dry_run: bool,
    /// Delete stored entries that the body does not have.
    #[serde(default)]
    #[param(default = false)]
    prune: bool,
    /// Only if this is the newest version of the stored configuration: `newest` of a dry run.
    #[param(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    newest: Option<u64>,
}

/// Entries to store. Each has the keys of its section in the configuration file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(in crate::api) struct ImportBody {
    /// Sources by name.
    #[schema(value_type = Object)]
    sources: Map<String, Value>,
    /// Models by name.
    #[schema(value_type = Object)]
    models: Map<String, Value>,
    /// Syncs by name.
    #[schema(value_type = Object)]
    syncs: Map<String, Value>,
    /// `source` and `sync`: keys that each source or sync has unless it has them itself.
    #[schema(value_type = Object)]
    defaults: Map<String, Value>,
}

impl ImportBody {
    fn import(self) -> Import {
        let sections = [
            (StoredSection::Sources, self.sources),
            (StoredSection::Models, self.models),
            (StoredSection::Syncs, self.syncs),
        ];
        let of_section = |(section, entries): (StoredSection, Map<String, Value>)| {
            entries.into_iter().map(move |(name, document)| (StoredName { section, name }, document))
        };
        Import {
            entries: sections.into_iter().flat_map(of_section).collect(),
            defaults: Value::Object(self.defaults),
        }
    }
}

/// What an import did, or would do.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ImportAnswer {
    is_valid: bool,
    faults: Vec<Fault>,
    #[serde(flatten)]
    imported: Option<Imported>,
    /// Whether this node has put it in force.
    is_applied: bool,
}

/// Stores sources, models and syncs in one transaction: all, or none. `{"$secret": true}` keeps a stored secret.
#[utoipa::path(post, path = "/admin/v1/configuration/import", params(ImportQuery), request_body = Option<ImportBody>, responses(
    (status = 200, description = "What was stored; of a dry run, what would be, or every fault", body = ImportAnswer),
    (status = 400, description = "The configuration would have faults, or a parameter or the body is wrong"),
    (status = 404, description = "This node does not publish"),
    (status = 409, description = "Other changes came first"),
    (status = 412, description = "The stored configuration is not in the version that `newest` names"),
))]
pub(in crate::api) async fn import_configuration(
    State(state): State<AdminState>,
    publishing: Publishing,
    caller: Caller,
    Query(ImportQuery { dry_run, prune, newest }): Query<ImportQuery>,
    Input { value, .. }: Input<ImportBody>,
) -> Result<Json<ImportAnswer>, Error> {
    if newest.is_some_and(|newest| i64::try_from(newest).is_err()) {
        return Err(invalid("newest must be a version"));
    }
    let (configured, admin) = (state.configured.clone(), publishing.0.admin());
    let answer = detached(async move {
        let file = configured.read().file.clone();
        let options = ImportOptions { prune, dry_run, newest };
        match admin.import_stored(&*file, &value.import(), options, caller.principal()).await {
            Err(admin::Error::ConfigurationInvalid(faults)) if dry_run => {
                Ok(ImportAnswer { is_valid: false, faults, imported: None, is_applied: false })
            }
            Err(error) => Err(error),
            Ok(imported) => {
                let is_applied = match imported.version {
                    Some(version) => configured.await_stored(version).await,
                    None => !dry_run,
                };
                Ok(ImportAnswer { is_valid: true, faults: Vec::new(), imported: Some(imported), is_applied })
            }
        }
    });
    answer.await.map(Json)
}

/// Encrypts every stored secret under the newest key of `[secrets]`, also those of earlier versions.
#[utoipa::path(post, path = "/admin/v1/secrets/rotate", responses(
    (status = 200, description = "How many were under another key, and which cannot be read", body = RotatedSecrets),
    (status = 404, description = "This node does not publish"),
    (status = 400, description = "The query has a parameter"),
    (status = 409, description = "Other changes came first"),
))]
pub(in crate::api) async fn rotate_secrets(
    State(state): State<AdminState>,
    publishing: Publishing,
    caller: Caller,
) -> Result<Json<RotatedSecrets>, Error> {
    let (configured, admin) = (state.configured.clone(), publishing.0.admin());
    let rotate = async move {
        let file = configured.read().file.clone();
        let rotated = admin.rotate_secrets(&*file, caller.principal()).await?;
        configured.await_stored(rotated.newest).await;
        Ok(rotated)
    };
    detached(rotate).await.map(Json)
}
