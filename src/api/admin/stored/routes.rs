//! The routes of each section: the same, under its own path.

use axum::{
    Json,
    extract::{Path, Query, State},
    response::Response,
};
use serde_json::{Map, Value};

use super::{
    AdminState, Caller, Change, ChangeQuery, Changed, Headers, NewStored, Publishing, ShownEntry,
    StoredSection, StoredView, ToStoredVersion, show, versions,
};
use crate::api::{admin::input::Input, http::error::Error};

/// Routes of a section; `$path` is that of one entry. A section whose entries are shown by a handler of its own has no
/// `$show`.
macro_rules! routes_of {
    (
        $module:ident, $section:ident, $name:literal, $path:literal, $versions:literal, $undo:literal,
        [$($show:ident)?] $put:ident, $delete:ident, $list:ident, $undo_entry:ident
    ) => {
        #[doc = concat!("`", $path, "`.")]
        pub(in crate::api) mod $module {
            use super::*;

            const SECTION: StoredSection = StoredSection::$section;

            $(
                /// One entry. `ETag` is the version of a stored one.
                #[utoipa::path(get, path = $path, params(($name = String, Path)), responses(
                    (status = 200, description = "The entry", body = ShownEntry),
                    (status = 404, description = "There is no such entry"),
                    (status = 400, description = "The name is not one of an entry"),
                ))]
                pub(in crate::api) async fn $show(
                    State(state): State<AdminState>,
                    Path(name): Path<String>,
                ) -> Result<ShownEntry, Error> {
                    show(SECTION, &state, &name)
                }
            )?

            /// Stores an entry: the body has the keys of its section in the configuration file. `{"$secret": true}` in
            /// place of a secret keeps the stored one.
            #[utoipa::path(put, path = $path, params(
                ($name = String, Path), ChangeQuery,
                ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header),
                ("Idempotency-Key" = Option<String>, Header),
            ), request_body = Object, responses(
                (status = 200, description = "It is stored; of a dry run, whether it could be, and every fault", body = Changed),
                (status = 201, description = "It is new", body = Changed),
                (status = 400, description = "The configuration would have faults, or a header or the name is wrong"),
                (status = 404, description = "This node does not publish"),
                (status = 409, description = "The configuration file declares it, or other changes came first"),
                (status = 412, description = "The entry is not in the state that If-Match or If-None-Match names"),
            ))]
            pub(in crate::api) async fn $put(
                State(state): State<AdminState>,
                publishing: Publishing,
                caller: Caller,
                Path(name): Path<String>,
                Query(ChangeQuery { dry_run }): Query<ChangeQuery>,
                headers: Headers,
                Input { value, digest }: Input<Map<String, Value>>,
            ) -> Result<Response, Error> {
                let change = Change { state, publishing, caller, headers, dry_run };
                change.make(SECTION, &name, NewStored::Document(value), Some(digest)).await
            }

            /// Deletes a stored entry that no other one needs. Its versions are kept.
            #[utoipa::path(delete, path = $path, params(
                ($name = String, Path), ChangeQuery, ("If-Match" = Option<String>, Header),
            ), responses(
                (status = 200, description = "It is deleted; of a dry run, whether it could be, and every fault", body = Changed),
                (status = 400, description = "Another entry needs it, or a header or the name is wrong"),
                (status = 404, description = "It is not stored, or this node does not publish"),
                (status = 409, description = "The configuration file declares it, or other changes came first"),
                (status = 412, description = "The entry is not in the state that If-Match names"),
            ))]
            pub(in crate::api) async fn $delete(
                State(state): State<AdminState>,
                publishing: Publishing,
                caller: Caller,
                Path(name): Path<String>,
                Query(ChangeQuery { dry_run }): Query<ChangeQuery>,
                headers: Headers,
            ) -> Result<Response, Error> {
                let change = Change { state, publishing, caller, headers, dry_run };
                change.make(SECTION, &name, NewStored::Deleted, None).await
            }

            /// The versions of a stored entry, newest first: the last 50, deletions included, without secrets.
            #[utoipa::path(get, path = $versions, params(($name = String, Path)), responses(
                (status = 200, description = "The versions", body = Vec<StoredView>),
                (status = 404, description = "It was never stored, or this node does not publish"),
                (status = 400, description = "The name is not one of an entry"),
            ))]
            pub(in crate::api) async fn $list(
                publishing: Publishing,
                Path(name): Path<String>,
            ) -> Result<Json<Vec<StoredView>>, Error> {
                versions(SECTION, publishing, &name).await
            }

            /// Stores an earlier version of an entry again, also of a deleted one.
            #[utoipa::path(post, path = $undo, params(
                ($name = String, Path), ChangeQuery,
                ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header),
                ("Idempotency-Key" = Option<String>, Header),
            ), request_body = ToStoredVersion, responses(
                (status = 200, description = "It is stored; of a dry run, whether it could be, and every fault", body = Changed),
                (status = 201, description = "It had been deleted", body = Changed),
                (status = 400, description = "The configuration would have faults, or the body, a header or the name is wrong"),
                (status = 404, description = "There is no such version, or this node does not publish"),
                (status = 409, description = "The configuration file declares it, or other changes came first"),
                (status = 412, description = "The entry is not in the state that If-Match or If-None-Match names"),
            ))]
            pub(in crate::api) async fn $undo_entry(
                State(state): State<AdminState>,
                publishing: Publishing,
                caller: Caller,
                Path(name): Path<String>,
                Query(ChangeQuery { dry_run }): Query<ChangeQuery>,
                headers: Headers,
                Input { value, digest }: Input<ToStoredVersion>,
            ) -> Result<Response, Error> {
                let change = Change { state, publishing, caller, headers, dry_run };
                change.make(SECTION, &name, NewStored::Version(value.version), Some(digest)).await
            }
        }
    };
}

routes_of!(
    sources, Sources, "source",
    "/admin/v1/sources/{source}", "/admin/v1/sources/{source}/versions", "/admin/v1/sources/{source}/undo",
    [show_source] put_source, delete_source, list_source_versions, undo_source
);
routes_of!(
    models, Models, "model",
    "/admin/v1/models/{model}", "/admin/v1/models/{model}/versions", "/admin/v1/models/{model}/undo",
    [show_model] put_model, delete_model, list_model_versions, undo_model
);
routes_of!(
    syncs, Syncs, "sync",
    "/admin/v1/syncs/{sync}", "/admin/v1/syncs/{sync}/versions", "/admin/v1/syncs/{sync}/undo",
    [] put_sync, delete_sync, list_sync_versions, undo_sync
);
