//! The pages of admin keys.

use axum::{
    extract::{Path, State},
    response::{Html, Response},
};

use super::{
    answer::{Refused, see},
    form::{Parameters, Sent},
    keys::{SENT_BEFORE, answer_of, answered, is_sent_before, show_secret},
};
use crate::{
    admin::{self, AdminKey, AdminRole, NewAdminKey, RequestKey, check_key_name, expiry},
    api::admin::{
        AdminState,
        gate::Caller,
        keys::{self, CREATE_ADMIN_KEY},
        page::Page,
    },
    console::{
        ADMIN_KEYS, AdminKeysPage, Faults, Fields, Form, NewAdminKeyPage, REQUEST, RevokePage,
        revoke_admin_key_path,
    },
};

/// Admin keys of one page.
const KEYS_SHOWN: usize = 100;

/// The list, newest first.
pub(super) async fn list(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    parameters: Parameters,
) -> Result<Html<String>, Refused> {
    let keys = state.publisher()?.admin().admin_keys().await?;
    let page = Page::newest_first(keys, KEYS_SHOWN, parameters.cursor(), |key| (key.created_at, &key.id))?;
    let page = AdminKeysPage {
        visitor: (&grant).into(),
        keys: &page.items,
        cursor: parameters.cursor(),
        next: page.next.as_deref(),
        now: state.clock.now(),
    };
    Ok(Html(page.render()))
}

/// The form of a new admin key.
pub(super) async fn show_new(caller: Caller) -> Response {
    let fields = Fields::preset(&[("role", AdminRole::Viewer.as_str()), (REQUEST, &RequestKey::new_name())]);
    show_form(&caller, &fields, &Faults::default(), None)
}

fn show_form(Caller(grant): &Caller, fields: &Fields, faults: &Faults, notice: Option<&str>) -> Response {
    let page = NewAdminKeyPage { visitor: grant.into(), form: Form { fields, faults }, notice };
    answered(faults, notice, page.render())
}

/// Creates an admin key. The answer shows it.
pub(super) async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    sent: Sent,
) -> Result<Response, Refused> {
    let (fields, mut faults) = (&sent.fields, Faults::default());
    let name = faults.take("name", check_key_name(fields.text("name")));
    let role: Result<AdminRole, _> = fields.text("role").parse();
    let role = faults.take("role", role.map_err(|_| "choose viewer, operator or admin"));
    let expires = Some(fields.text("expires")).filter(|text| !text.is_empty());
    let expires_at = faults.take("expires", expiry(expires, state.clock.now()));
    let (Some(name), Some(role), Some(expires_at)) = (name, role, expires_at) else {
        return Ok(show_form(&caller, fields, &faults, None));
    };
    let key = sent.request_key(&caller, CREATE_ADMIN_KEY)?;
    let new = NewAdminKey { name, role, expires_at };
    let publisher = state.publisher()?;
    let create = || keys::create_admin(publisher.clone(), new.clone(), Some(key.clone()), caller.clone());
    match answer_of(create).await {
        Ok(created) => Ok(show_secret(&caller, "Admin key created", &created, None, ADMIN_KEYS)),
        Err(error) if is_sent_before(&error) => {
            let fields = sent.fields.with(REQUEST, &RequestKey::new_name());
            Ok(show_form(&caller, &fields, &faults, Some(SENT_BEFORE)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The page that confirms a revocation.
pub(super) async fn show_revoke(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path(id): Path<String>,
) -> Result<Html<String>, Refused> {
    let id = AdminKey::id_in(&id);
    let keys = state.publisher()?.admin().admin_keys().await?;
    let key = keys.iter().find(|key| key.id == id);
    let key = key.ok_or_else(|| admin::Error::UnknownAdminKey(id.to_owned()))?;
    let is_own = grant.key_id() == Some(id);
    let page = RevokePage {
        visitor: (&grant).into(),
        name: &key.name,
        consequence: if is_own {
            "This is the admin key of your own session, which ends with it. Every publisher refuses the key within two seconds."
        } else {
            "Every publisher refuses the key, and the sessions that began with it, within two seconds."
        },
        path: &revoke_admin_key_path(id),
        back: ADMIN_KEYS,
    };
    Ok(Html(page.render()))
}

/// Revokes an admin key. The list says so.
pub(super) async fn revoke(
    State(state): State<AdminState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    keys::revoke_admin(state.publisher()?, id, caller).await?;
    Ok(see(ADMIN_KEYS))
}
