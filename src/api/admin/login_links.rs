//! `/admin/v1/login-links`: links that begin a session of a browser.

use axum::Json;
use chrono::{DateTime, Utc};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
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

/// A new link.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct CreatedLoginLink {
    id: String,
    /// Its path on this listener; null in an answer that is given again.
    path: Option<String>,
    /// When it ends unused.
    expires_at: DateTime<Utc>,
}

/// Creates a link that begins one session of a browser within ten minutes. The answer has its path on this listener,
/// which is shown only once; an answer that is given again for its Idempotency-Key has it as null. The session ends
/// with the admin key that creates the link, or with the session without a key that does.
#[utoipa::path(post, path = "/admin/v1/login-links", params(("Idempotency-Key" = Option<String>, Header)), request_body = CreateLoginLink, responses(
    (status = 201, description = "It is created", body = CreatedLoginLink),
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
            let expires_at = link.expires_at;
            let answer = |path| json!(CreatedLoginLink { id: link.ticket.id().to_owned(), path, expires_at });
            Ok((answer(Some(login_path(&link.ticket))), answer(None)))
        };
        admin.once(key, create).await
    })
    .await?;
    Ok((StatusCode::CREATED, Json(answer)))
}
