//! `/admin/v1/login-links`: links that begin a session of a browser.

use axum::Json;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    Publishing,
    gate::Caller,
    input::{Headers, Input, detached, request_key},
};
use crate::{
    admin::{AdminRole, login_path},
    api::http::error::Error,
};

/// A link to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct CreateLoginLink {
    /// The role of the session: `viewer`, `operator` or `admin`.
    #[schema(value_type = String)]
    role: AdminRole,
}

/// Creates a link that begins one session of a browser within ten minutes. The answer has its path on this listener,
/// which is shown only once; an answer that is given again for its Idempotency-Key has it as null. The session ends
/// with the admin key that creates the link, or with the session without a key that does.
#[utoipa::path(post, path = "/admin/v1/login-links", params(("Idempotency-Key" = Option<String>, Header)), request_body = CreateLoginLink, responses(
    (status = 201, description = "It is created", body = Value),
    (status = 404, description = "This node does not publish"),
    (status = 400, description = "The body is wrong"),
    (status = 409, description = "The Idempotency-Key came with another request"),
))]
pub(in crate::api) async fn create_login_link(
    Publishing(publisher): Publishing,
    caller: Caller,
    Headers(headers): Headers,
    Input { value, digest }: Input<CreateLoginLink>,
) -> Result<(StatusCode, Json<Value>), Error> {
    let key = request_key(&headers, &caller, "create login link", digest)?;
    let (answer, _) = detached(async move {
        let admin = publisher.admin();
        let create = async {
            let link = admin.create_login_link(value.role, Some(&caller.0), caller.principal()).await?;
            let (id, expires_at) = (link.ticket.id(), link.expires_at);
            let kept = json!({ "id": id, "path": null, "expires_at": expires_at });
            Ok((json!({ "id": id, "path": login_path(&link.ticket), "expires_at": expires_at }), kept))
        };
        admin.once(key, create).await
    })
    .await?;
    Ok((StatusCode::CREATED, Json(answer)))
}
