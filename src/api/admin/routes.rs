//! What each route of the admin listener needs: the only such table. The gate decides by it, and the OpenAPI
//! description shows it.

use std::{collections::HashSet, sync::LazyLock};

use hyper::{Method, http::request::Parts};
use serde_json::{Value, json};

use super::input::invalid;
use crate::{
    admin::AdminRole::{self, Admin, Operator, Viewer},
    api::{http::error::Error, ops, router},
};

/// Routes that need no key, beside the metrics.
const OPEN: [&str; 2] = [ops::LIVEZ, ops::READYZ];

/// The route that ends a session.
const SESSION: &str = "/admin/v1/sessions/{id}";

/// The role that each other route needs.
const ROLES: &[(Method, &str, AdminRole)] = &[
    (Method::GET, ops::METRICS, Viewer),
    (Method::GET, ops::STATUS, Viewer),
    (Method::GET, "/admin/v1/whoami", Viewer),
    (Method::GET, "/admin/v1/status", Viewer),
    (Method::GET, "/admin/v1/nodes", Viewer),
    (Method::GET, "/admin/v1/regions", Viewer),
    (Method::GET, "/admin/v1/configuration", Viewer),
    (Method::GET, "/admin/v1/configuration/export", Viewer),
    (Method::POST, "/admin/v1/configuration/import", Admin),
    (Method::POST, "/admin/v1/secrets/rotate", Admin),
    (Method::GET, "/admin/v1/sources", Viewer),
    (Method::POST, "/admin/v1/sources/{source}/check", Operator),
    (Method::GET, "/admin/v1/sources/{source}/tables", Viewer),
    (Method::GET, "/admin/v1/sources/{source}/columns", Operator),
    (Method::POST, "/admin/v1/sources/{source}/query", Admin),
    (Method::GET, "/admin/v1/sources/{source}", Viewer),
    (Method::PUT, "/admin/v1/sources/{source}", Admin),
    (Method::DELETE, "/admin/v1/sources/{source}", Admin),
    (Method::GET, "/admin/v1/sources/{source}/versions", Viewer),
    (Method::POST, "/admin/v1/sources/{source}/undo", Admin),
    (Method::GET, "/admin/v1/models", Viewer),
    (Method::GET, "/admin/v1/models/{model}", Viewer),
    (Method::PUT, "/admin/v1/models/{model}", Admin),
    (Method::DELETE, "/admin/v1/models/{model}", Admin),
    (Method::GET, "/admin/v1/models/{model}/versions", Viewer),
    (Method::POST, "/admin/v1/models/{model}/undo", Admin),
    (Method::GET, "/admin/v1/models/{model}/preview", Operator),
    (Method::POST, "/admin/v1/models/{model}/check-key", Operator),
    (Method::GET, "/admin/v1/syncs", Viewer),
    (Method::GET, "/admin/v1/syncs/{sync}", Viewer),
    (Method::PUT, "/admin/v1/syncs/{sync}", Admin),
    (Method::DELETE, "/admin/v1/syncs/{sync}", Admin),
    (Method::GET, "/admin/v1/syncs/{sync}/versions", Viewer),
    (Method::POST, "/admin/v1/syncs/{sync}/undo", Admin),
    (Method::GET, "/admin/v1/syncs/{sync}/preview", Operator),
    (Method::POST, "/admin/v1/syncs/{sync}/validate", Operator),
    (Method::POST, "/admin/v1/syncs/{sync}/runs", Operator),
    (Method::POST, "/admin/v1/syncs/{sync}/resume", Operator),
    (Method::GET, "/admin/v1/runs", Viewer),
    (Method::GET, "/admin/v1/runs/{run}", Viewer),
    (Method::GET, "/admin/v1/runs/{run}/rejected", Operator),
    (Method::POST, "/admin/v1/runs/{run}/cancel", Operator),
    (Method::POST, "/admin/v1/runs/{run}/approve", Operator),
    (Method::GET, "/admin/v1/operations/{operation}", Operator),
    (Method::POST, "/admin/v1/operations/{operation}/cancel", Operator),
    (Method::GET, "/admin/v1/collections", Viewer),
    (Method::GET, "/admin/v1/collections/{collection}", Viewer),
    (Method::DELETE, "/admin/v1/collections/{collection}", Admin),
    (Method::GET, "/admin/v1/collections/{collection}/versions", Viewer),
    (Method::GET, "/admin/v1/collections/{collection}/served", Viewer),
    (Method::POST, "/admin/v1/collections/{collection}/rollback", Operator),
    (Method::PUT, "/admin/v1/collections/{collection}/pins/{region}", Operator),
    (Method::DELETE, "/admin/v1/collections/{collection}/pins/{region}", Operator),
    (Method::GET, "/admin/v1/keys", Viewer),
    (Method::POST, "/admin/v1/keys", Admin),
    (Method::POST, "/admin/v1/keys/{id}/rotate", Admin),
    (Method::DELETE, "/admin/v1/keys/{id}", Admin),
    (Method::GET, "/admin/v1/admin-keys", Viewer),
    (Method::POST, "/admin/v1/admin-keys", Admin),
    (Method::DELETE, "/admin/v1/admin-keys/{id}", Admin),
    (Method::POST, "/admin/v1/login-links", Admin),
    (Method::GET, "/admin/v1/sessions", Viewer),
    // Everybody may end their own; the handler demands more for others.
    (Method::DELETE, SESSION, Viewer),
    (Method::GET, "/admin/v1/audit", Viewer),
    (Method::GET, "/admin/v1/events", Viewer),
];

/// The role that a request needs; `None` if it needs no key. `path` is that of the route, if there is one.
pub(super) fn need(path: Option<&str>, method: &Method, metrics_open: bool) -> Option<AdminRole> {
    let Some(path) = path else { return Some(Viewer) };
    let is_open = OPEN.contains(&path) || path == ops::METRICS && metrics_open;
    // A method that the path does not support is answered with those that it does.
    (!is_open).then(|| role(path, method).unwrap_or(Viewer))
}

/// The routes of the API that have parameters in their query.
static WITH_QUERY: LazyLock<HashSet<(String, String)>> = LazyLock::new(|| {
    let document = serde_json::to_value(router::admin_routes().into_openapi()).unwrap_or_default();
    let operations = document["paths"].as_object().into_iter().flatten().flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    let has_query = |operation: &Value| {
        operation["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["in"] == "query")
    };
    operations
        .filter(|(.., operation)| has_query(operation))
        .map(|(path, method, _)| (path.clone(), method.clone()))
        .collect()
});

/// Refuses parameters that the route of the API does not have: a request does not pass over one, such as
/// `?dry_run=true`.
pub(super) fn refuse_query(path: &str, head: &Parts) -> Result<(), Error> {
    let is_given = head.uri.query().is_some_and(|query| !query.is_empty());
    let method = if head.method == Method::HEAD { "get" } else { &head.method.as_str().to_ascii_lowercase() };
    let is_operation = path.starts_with("/admin/v1/") && role(path, &head.method).is_some();
    if !is_given || !is_operation || WITH_QUERY.contains(&(path.into(), method.into())) {
        return Ok(());
    }
    Err(invalid("this route has no parameters in its query; those of a change are in the body"))
}

fn role(path: &str, method: &Method) -> Option<AdminRole> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    ROLES.iter().find(|(known, route, _)| known == method && *route == path).map(|(.., role)| *role)
}

/// Adds to the OpenAPI document what each operation needs, and the refusals of the gate.
pub(in crate::api) fn describe(document: &mut Value) {
    document["components"]["securitySchemes"]["admin_key"] = json!({
        "type": "http",
        "scheme": "bearer",
        "description": "An admin key (`lra_...`). The words of an operation's requirement are roles: viewer, operator, \
                        admin. A role includes the ones before it.",
    });
    document["components"]["schemas"]["Error"] = json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message", "request_id"],
            "properties": {
                "code": { "type": "string", "description": "A section of docs/errors.md" },
                "message": { "type": "string" },
                "request_id": { "type": "string" },
            },
        } },
    });
    // These are parts of larger objects. Some have none of their members: a node whose status cannot be read, and the
    // answer to an import that is not valid.
    let parts =
        [("NodeDetails", "required"), ("Imported", "required"), ("KeyLimits", "additionalProperties")];
    for (part, rule) in parts {
        if let Some(schema) = document["components"]["schemas"][part].as_object_mut() {
            schema.remove(rule);
        }
    }
    let error = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap_or_default();
            let needed = role(path, &method);
            let refusals: &[(&str, &str)] = match needed {
                None => &[],
                Some(Viewer) => REFUSALS.split_at(1).1,
                Some(_) => REFUSALS,
            };
            if let Some(role) = needed {
                operation["security"] = json!([{ "admin_key": [role.as_str()] }]);
            }
            for (status, description) in refusals {
                let answer = json!({ "description": description, "content": error });
                operation["responses"].as_object_mut().into_iter().for_each(|answers| {
                    answers.entry(*status).or_insert_with(|| answer.clone());
                });
            }
            for (status, answer) in operation["responses"].as_object_mut().into_iter().flatten() {
                if status == "429" {
                    answer["headers"]["Retry-After"] = json!({
                        "description": "Seconds until the address may send a key again",
                        "schema": { "type": "integer", "minimum": 1 },
                    });
                }
                if status.starts_with(['4', '5']) {
                    answer["content"] = error.clone();
                }
            }
        }
    }
}

/// The answers of the gate; the first one to roles above the lowest.
const REFUSALS: &[(&str, &str)] = &[
    ("403", "The admin key's role does not allow this"),
    ("400", "A parameter or the body is not of the form that the route needs"),
    ("401", "No admin key, an unknown or revoked one, an expired one, or an ended session"),
    ("429", "Too many refused admin keys from this address"),
    (
        "503",
        "The node cannot answer now: its publishing side is not up, or a database or store does not answer",
    ),
    ("408", "Not answered in time; it may have taken effect"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::router;

    #[test]
    fn every_route_has_one_row_and_every_row_a_route() {
        let document = router::admin_routes().into_openapi();
        let document = serde_json::to_value(document).unwrap();
        let mut routes = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                routes.insert((method.to_ascii_uppercase(), path.clone()));
            }
        }
        let open = OPEN.iter().map(|path| ("GET".to_owned(), (*path).to_owned()));
        let rows: Vec<_> =
            ROLES.iter().map(|(method, path, _)| (method.to_string(), (*path).to_owned())).collect();
        let table: BTreeSet<_> = rows.iter().cloned().chain(open).collect();
        assert_eq!(table.len(), rows.len() + OPEN.len(), "a row twice");
        assert_eq!(table, routes);
    }

    #[test]
    fn only_health_and_open_metrics_need_no_key() {
        let get = |path, open| need(Some(path), &Method::GET, open);
        assert_eq!((get(ops::LIVEZ, false), get(ops::READYZ, false)), (None, None));
        assert_eq!((get(ops::METRICS, true), get(ops::METRICS, false)), (None, Some(Viewer)));
        assert_eq!(need(Some(ops::STATUS), &Method::HEAD, true), Some(Viewer));
        assert_eq!(need(None, &Method::GET, true), Some(Viewer));
    }

    #[test]
    fn requests_that_change_something_need_more_than_to_see() {
        for (method, path, role) in ROLES.iter().filter(|(method, ..)| *method != Method::GET) {
            assert!(*role >= Operator || *path == SESSION, "{method} {path}");
        }
    }
}
