//! The one place where a request to the admin listener is admitted: its admin key or session, and the role that its
//! route needs.

use std::net::IpAddr;

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::request::Parts,
    middleware::Next,
    response::Response,
};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use super::{AdminState, browser, codes, routes};
use crate::{
    admin::{AccessRefusal, AdminRole, Grant, Principal},
    api::http::{
        error::{Detail, Error, INTERNAL},
        layers::Arrival,
    },
};

/// The addresses that a request came by, as proxies write them.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme of admin keys in `Authorization`.
const SCHEME: &[u8] = b"bearer";

/// The holder of the admin key or session of a request. A handler that changes something takes it as an argument.
#[derive(Debug, Clone)]
pub(in crate::api) struct Caller(pub(in crate::api) Grant);

impl Caller {
    /// Who asks for the change, and from where.
    pub(in crate::api) fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// The same, if it has the role `needs`.
    pub(in crate::api) fn with_role(self, needs: AdminRole) -> Result<Self, Error> {
        let has = self.0.role;
        if has >= needs {
            return Ok(self);
        }
        let message = format!("the admin key has the role {has}, and this request needs the role {needs}");
        Err(Error::new(codes::ROLE_FORBIDDEN, Detail::Message(message)))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| INTERNAL.into())
    }
}

/// Admits a request when its route needs no key, or its key has the role that the route needs. A path or method that
/// does not exist needs a key, too, so that answers do not reveal to strangers which paths exist.
pub(in crate::api) async fn admit(
    State(state): State<AdminState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let (mut head, body) = request.into_parts();
    let path = head.extensions.get::<MatchedPath>().cloned();
    let path = path.as_ref().map(MatchedPath::as_str);
    if let Some(role) = routes::need(path, &head.method, state.metrics_open) {
        let caller = match browser::session_cookie(&head) {
            Some(cookie) if !head.headers.contains_key(AUTHORIZATION) => {
                in_session(&state, &head, cookie).await
            }
            _ => by_key(&state, &head).await,
        };
        head.extensions.insert(caller?.with_role(role)?);
    }
    path.map_or(Ok(()), |path| routes::refuse_query(path, &head))?;
    Ok(next.run(Request::from_parts(head, body)).await)
}

async fn by_key(state: &AdminState, head: &Parts) -> Result<Caller, Error> {
    let (credential, address) = (credential(&head.headers)?, address(state, head)?);
    let publisher = state.publisher.borrow().clone();
    let checked = state.access.authenticate(publisher.as_ref(), credential, address).await;
    checked.map(Caller).map_err(|refusal| match refusal {
        AccessRefusal::Unknown => codes::ADMIN_KEY_UNKNOWN.into(),
        AccessRefusal::Expired => codes::ADMIN_KEY_EXPIRED.into(),
        refusal => not_now(refusal),
    })
}

/// The holder of the session with this cookie. What changes something must come from a page of this listener: other
/// sites make browsers send requests, too.
pub(in crate::api) async fn in_session(
    state: &AdminState,
    head: &Parts,
    cookie: &str,
) -> Result<Caller, Error> {
    if !head.method.is_safe() && !browser::is_same_origin(head) {
        return Err(codes::CROSS_SITE_REQUEST.into());
    }
    let publisher = state.publisher.borrow().clone();
    let address = address(state, head)?;
    let checked = state.access.authenticate_session(publisher.as_ref(), cookie, address).await;
    checked.map(Caller).map_err(|refusal| match refusal {
        AccessRefusal::Unknown | AccessRefusal::Expired => codes::SESSION_ENDED.into(),
        refusal => not_now(refusal),
    })
}

/// The answer when a credential is not checked.
pub(in crate::api) fn not_now(refusal: AccessRefusal) -> Error {
    match refusal {
        AccessRefusal::TooManyFailures(seconds) => {
            Error::new(codes::TOO_MANY_SIGN_INS, Detail::RetryAfter(seconds))
        }
        _ => codes::ADMIN_KEYS_UNREAD.into(),
    }
}

/// Where a request comes from.
pub(in crate::api) fn address(state: &AdminState, head: &Parts) -> Result<IpAddr, Error> {
    let peer = head.extensions.get::<Arrival>().map(|arrival| arrival.peer).ok_or(INTERNAL)?;
    let forwarded = head.headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
    Ok(state.access.client_address(peer, forwarded))
}

/// The text after `Bearer`. Of two headers it is unclear which one is meant.
fn credential(headers: &HeaderMap) -> Result<&str, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let value = values.next().unwrap_or_default().trim_ascii();
    if value.is_empty() {
        return Err(codes::ADMIN_KEY_MISSING.into());
    }
    let (scheme, key) = value.split_at_checked(SCHEME.len()).unwrap_or((value, b""));
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME) && key.first().is_some_and(u8::is_ascii_whitespace);
    let key = std::str::from_utf8(key.trim_ascii()).ok().filter(|key| is_bearer && !key.is_empty());
    match (key, values.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(codes::ADMIN_KEY_MISSING.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_credential_is_read() {
        let found = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            credential(&headers).ok().map(str::to_owned)
        };
        for (values, expected) in [
            (&["Bearer lra_x"][..], Some("lra_x")),
            (&["bearer   lra_x "], Some("lra_x")),
            (&[], None),
            (&["Bearer"], None),
            (&["Bearer "], None),
            (&["Bearerlra_x"], None),
            (&["Basic bHJhX3g="], None),
            (&["Bearer lra_x", "Bearer lra_y"], None),
        ] {
            assert_eq!(found(values).as_deref(), expected, "{values:?}");
        }
    }
}
