//! Every page and form with the role that it needs: the router is made from this table, so no route is without a row.

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{MethodRouter, get, post},
};
use hyper::Method;

use super::{
    admin_keys, audit, collections, deleted, editor, entries, gate, keys, messages, nodes, overview, records,
    runs, sessions, sign_in, single_sign_on, syncs,
};
use crate::{
    admin::{
        AdminRole::{self, Admin, Operator, Viewer},
        CALLBACK_PATH, SINGLE_SIGN_ON_PATH,
    },
    api::admin::AdminState,
};

/// One page or form.
struct Route {
    method: Method,
    path: &'static str,
    /// The role that it needs; `None` for what comes before a session.
    role: Option<AdminRole>,
    handler: fn() -> MethodRouter<AdminState>,
}

const fn route(
    method: Method,
    path: &'static str,
    role: Option<AdminRole>,
    handler: fn() -> MethodRouter<AdminState>,
) -> Route {
    Route { method, path, role, handler }
}

const ROUTES: &[Route] = &[
    route(Method::GET, "/", None, || get(overview::go_home)),
    route(Method::GET, "/console/assets/{name}", None, || get(overview::show_asset)),
    route(Method::GET, "/console/sign-in", None, || get(sign_in::show_form)),
    route(Method::GET, SINGLE_SIGN_ON_PATH, None, || get(single_sign_on::begin)),
    route(Method::GET, CALLBACK_PATH, None, || get(single_sign_on::finish)),
    route(Method::GET, "/console/sign-in/{token}", None, || get(sign_in::show_link)),
    route(Method::POST, "/console/sign-in", None, || post(sign_in::sign_in)),
    route(Method::POST, "/console/sign-out", Some(Viewer), || post(sign_in::sign_out)),
    route(Method::GET, "/console", Some(Viewer), || get(overview::show)),
    route(Method::GET, "/console/collections/{collection}", Some(Viewer), || get(collections::show)),
    route(Method::POST, "/console/collections/{collection}/rollback", Some(Operator), || {
        post(collections::roll_back)
    }),
    route(Method::POST, "/console/collections/{collection}/pin", Some(Operator), || post(collections::pin)),
    route(Method::POST, "/console/collections/{collection}/unpin", Some(Operator), || {
        post(collections::unpin)
    }),
    route(Method::POST, "/console/collections/{collection}/resume", Some(Operator), || {
        post(collections::resume)
    }),
    route(Method::POST, "/console/collections/{collection}/drop", Some(Admin), || {
        post(collections::drop_collection)
    }),
    route(Method::GET, "/console/collections/{collection}/records", Some(Operator), || get(records::show)),
    route(Method::POST, "/console/collections/{collection}/records", Some(Operator), || post(records::find)),
    route(Method::GET, "/console/collections/{collection}/message", Some(Operator), || get(messages::show)),
    route(Method::POST, "/console/collections/{collection}/message", Some(Operator), || {
        post(messages::render)
    }),
    route(Method::GET, "/console/syncs", Some(Viewer), || get(syncs::list)),
    route(Method::GET, "/console/syncs/{sync}", Some(Viewer), || get(syncs::show)),
    route(Method::GET, "/console/syncs/{sync}/preview", Some(Operator), || get(syncs::preview)),
    route(Method::POST, "/console/syncs/{sync}/run", Some(Operator), || post(syncs::run)),
    route(Method::POST, "/console/syncs/{sync}/resume", Some(Operator), || post(syncs::resume)),
    route(Method::GET, "/console/new/{section}", Some(Admin), || get(editor::show_new)),
    route(Method::POST, "/console/new/{section}", Some(Admin), || post(editor::create)),
    route(Method::GET, "/console/configuration/{section}", Some(Viewer), || get(entries::list)),
    route(Method::GET, "/console/configuration/{section}/{name}", Some(Viewer), || get(entries::show)),
    route(Method::GET, "/console/configuration/{section}/{name}/edit", Some(Admin), || get(editor::show)),
    route(Method::POST, "/console/configuration/{section}/{name}/edit", Some(Admin), || post(editor::edit)),
    route(Method::POST, "/console/configuration/{section}/{name}/undo", Some(Admin), || post(entries::undo)),
    route(Method::POST, "/console/configuration/{section}/{name}/delete", Some(Admin), || {
        post(entries::delete)
    }),
    route(Method::POST, "/console/configuration/{section}/{name}/check", Some(Operator), || {
        post(entries::check)
    }),
    route(Method::GET, "/console/configuration/{section}/{name}/preview", Some(Operator), || {
        get(entries::preview)
    }),
    route(Method::GET, "/console/deleted", Some(Viewer), || get(deleted::list)),
    route(Method::POST, "/console/deleted/{section}/{name}", Some(Admin), || post(deleted::restore)),
    route(Method::GET, "/console/runs/{run}", Some(Viewer), || get(runs::show)),
    route(Method::POST, "/console/runs/{run}/cancel", Some(Operator), || post(runs::cancel)),
    route(Method::POST, "/console/runs/{run}/approve", Some(Operator), || post(runs::approve)),
    route(Method::GET, "/console/operations/{operation}", Some(Operator), || get(runs::show_operation)),
    route(Method::GET, "/console/keys", Some(Viewer), || get(keys::list)),
    route(Method::GET, "/console/keys/new", Some(Admin), || get(keys::show_new)),
    route(Method::POST, "/console/keys/new", Some(Admin), || post(keys::create)),
    route(Method::GET, "/console/keys/{id}", Some(Viewer), || get(keys::show)),
    route(Method::GET, "/console/keys/{id}/rotate", Some(Admin), || get(keys::show_rotate)),
    route(Method::POST, "/console/keys/{id}/rotate", Some(Admin), || post(keys::rotate)),
    route(Method::GET, "/console/keys/{id}/revoke", Some(Admin), || get(keys::show_revoke)),
    route(Method::POST, "/console/keys/{id}/revoke", Some(Admin), || post(keys::revoke)),
    route(Method::GET, "/console/admin-keys", Some(Viewer), || get(admin_keys::list)),
    route(Method::GET, "/console/admin-keys/new", Some(Admin), || get(admin_keys::show_new)),
    route(Method::POST, "/console/admin-keys/new", Some(Admin), || post(admin_keys::create)),
    route(Method::GET, "/console/admin-keys/{id}/revoke", Some(Admin), || get(admin_keys::show_revoke)),
    route(Method::POST, "/console/admin-keys/{id}/revoke", Some(Admin), || post(admin_keys::revoke)),
    route(Method::GET, "/console/sessions", Some(Viewer), || get(sessions::list)),
    // Everybody may end their own; the handler demands more for others.
    route(Method::POST, "/console/sessions/{id}/end", Some(Viewer), || post(sessions::end)),
    route(Method::GET, "/console/nodes", Some(Viewer), || get(nodes::list)),
    route(Method::GET, "/console/nodes/{region}/{node}", Some(Viewer), || get(nodes::show)),
    route(Method::GET, "/console/audit", Some(Viewer), || get(audit::list)),
    route(Method::GET, "/console/{*path}", Some(Viewer), || get(gate::not_found)),
];

/// The router of all pages.
pub(in crate::api) fn routes(state: &AdminState) -> Router<AdminState> {
    let routes = ROUTES.iter().fold(Router::new(), |router, one| router.route(one.path, (one.handler)()));
    routes.route_layer(from_fn_with_state(state.clone(), gate::admit))
}

/// The path of every page as its route has it, with the role that it needs.
pub fn pages() -> impl Iterator<Item = (&'static str, Option<AdminRole>)> {
    let no_page = ["/", "/console/assets/{name}", "/console/{*path}", SINGLE_SIGN_ON_PATH, CALLBACK_PATH];
    let pages = ROUTES.iter().filter(move |row| row.method == Method::GET && !no_page.contains(&row.path));
    pages.map(|row| (row.path, row.role))
}

/// The role that a request needs; `None` if it needs no session.
pub(super) fn need(path: Option<&str>, method: &Method) -> Option<AdminRole> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let row = ROUTES.iter().find(|row| row.method == *method && Some(row.path) == path);
    row.map_or(Some(Viewer), |row| row.role)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn routes_have_one_row_each_and_only_those_before_a_session_are_open() {
        let rows: BTreeSet<_> = ROUTES.iter().map(|row| (row.method.as_str(), row.path)).collect();
        assert_eq!(rows.len(), ROUTES.len(), "a row twice");
        let open: Vec<_> = ROUTES.iter().filter(|row| row.role.is_none()).map(|row| row.path).collect();
        let before = [
            "/",
            "/console/assets/{name}",
            "/console/sign-in",
            "/console/sign-in/oidc",
            "/console/sign-in/oidc/callback",
            "/console/sign-in/{token}",
            "/console/sign-in",
        ];
        assert_eq!(open, before);
        assert_eq!(need(Some("/console"), &Method::HEAD), Some(Viewer));
        assert_eq!(need(Some("/console/sign-in"), &Method::DELETE), Some(Viewer), "a method without a row");
        assert_eq!(need(None, &Method::GET), Some(Viewer));
    }
}
