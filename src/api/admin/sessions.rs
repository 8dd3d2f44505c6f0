//! `/admin/v1/sessions`: the sessions of browsers that are open.

use axum::{
    Json,
    extract::{Path, Query, State},
};

use super::{
    AdminState, Publishing,
    gate::Caller,
    input::{detached, limit},
    keys::Revoked,
    page::Page,
    sources::ListQuery,
};
use crate::{
    admin::{self, AdminRole, Publisher, SessionView},
    api::http::error::Error,
};

/// The sessions that are open, by id. Their cookies are stored nowhere.
#[utoipa::path(get, path = "/admin/v1/sessions", params(ListQuery), responses(
    (status = 200, description = "A page of sessions", body = Page<SessionView>),
    (status = 404, description = "This node does not publish"),
    (status = 400, description = "A parameter is wrong"),
))]
pub(in crate::api) async fn list_sessions(
    Publishing(publisher): Publishing,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<SessionView>>, Error> {
    let limit = limit(query.limit)?;
    let mut sessions = publisher.admin().sessions().await?;
    sessions.sort_by(|a, b| a.id.cmp(&b.id));
    let sessions = sessions.into_iter().map(|session| (session.id.clone(), session)).collect();
    Ok(Json(Page::by_name(sessions, limit, query.cursor.as_deref())))
}

/// Ends a session. Every publisher refuses it within two seconds. Sessions of other admin keys, and those of the same key
/// with a higher role, need the role admin.
#[utoipa::path(delete, path = "/admin/v1/sessions/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "It has ended", body = Revoked),
    (status = 403, description = "It is another one's, and the role is not admin"),
    (status = 404, description = "There is no such session, or this node does not publish"),
))]
pub(in crate::api) async fn end_session(
    State(state): State<AdminState>,
    Publishing(publisher): Publishing,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Revoked>, Error> {
    let ended = end(&state, publisher, caller, &id).await?;
    Ok(Json(Revoked { id: ended.id }))
}

/// Ends the session `id` if the caller may end it.
pub(in crate::api) async fn end(
    state: &AdminState,
    publisher: Publisher,
    caller: Caller,
    id: &str,
) -> Result<SessionView, Error> {
    let access = state.access.clone();
    let session = publisher.admin().sessions().await?.into_iter().find(|session| session.id == id);
    let session = session.ok_or_else(|| admin::Error::UnknownSession(id.to_owned()))?;
    let caller = if session.is_own_of(&caller.0) { caller } else { caller.with_role(AdminRole::Admin)? };
    detached(async move {
        access.end_session(&publisher, &session.id, caller.principal()).await?;
        Ok(session)
    })
    .await
}
