//! `GET /admin/v1/whoami`: what the caller's admin key allows.

use axum::Json;

use super::gate::Caller;
use crate::admin::Grant;

/// The name, role and end of the admin key that the request carries.
#[utoipa::path(get, path = "/admin/v1/whoami", responses(
    (status = 200, description = "The admin key", body = Grant),
))]
pub(in crate::api) async fn show_caller(Caller(grant): Caller) -> Json<Grant> {
    Json(grant)
}
