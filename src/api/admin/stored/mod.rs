//! Stored sources, models and syncs: show, save and delete them, list their versions, undo a change. The routes of the
//! three sections, in [`routes`], share this code.

mod routes;
pub(in crate::api) mod whole;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use hyper::{
    HeaderMap, StatusCode,
    header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

pub(in crate::api) use self::routes::{models, sources, syncs};
use super::{
    AdminState, Publishing,
    gate::Caller,
    input::{Headers, detached, invalid, request_key},
};
use crate::{
    admin::{
        self, Admin, CollectionStatus, Configured, EntryView, Expected, Fault, NewStored, Principal,
        Publisher, StoredChanged, StoredView,
    },
    api::http::error::Error,
    domain::{CollectionName, Digest, InvalidName, StoredName, StoredSection},
};

/// How a change is made.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ChangeQuery {
    /// Only check it: the answer has every fault, and nothing is changed.
    #[serde(default)]
    #[param(default = false)]
    dry_run: bool,
}

/// The version to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ToStoredVersion {
    /// A version of the entry that is not a deletion.
    #[schema(minimum = 1)]
    version: u64,
}

/// An entry; of a sync with its collection. The version of a stored one is its `ETag`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ShownEntry {
    #[serde(flatten)]
    pub(super) entry: EntryView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) collection: Option<CollectionStatus>,
}

impl IntoResponse for ShownEntry {
    fn into_response(self) -> Response {
        let tag = self.entry.version.map(|version| [(ETAG, tag(version))]);
        (tag, Json(self)).into_response()
    }
}

fn tag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits")
}

/// What became of a change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::api) enum Changed {
    /// It is stored.
    Stored {
        /// The entry.
        name: String,
        /// Its new version.
        version: u64,
        /// Whether this node has put it in force.
        is_applied: bool,
    },
    /// A dry run.
    Checked {
        /// Whether it could be stored.
        is_valid: bool,
        /// Every fault that the configuration would have.
        faults: Vec<Fault>,
    },
}

/// An entry of the path.
pub(in crate::api) fn entry(section: StoredSection, name: &str) -> Result<StoredName, Error> {
    if CollectionName::new(name).is_err() {
        return Err(invalid(InvalidName { what: section.singular() }.to_string()));
    }
    Ok(StoredName { section, name: name.to_owned() })
}

fn show(section: StoredSection, state: &AdminState, name: &str) -> Result<ShownEntry, Error> {
    let entry = entry(section, name)?;
    let found = state.configured.read().entry(&entry);
    let entry = found.ok_or(admin::Error::UnknownEntry(entry))?;
    Ok(ShownEntry { entry, collection: None })
}

async fn versions(
    section: StoredSection,
    publishing: Publishing,
    name: &str,
) -> Result<Json<Vec<StoredView>>, Error> {
    let entry = entry(section, name)?;
    Ok(Json(publishing.0.admin().stored_versions(&entry).await?))
}

/// What a change is made with.
struct Change {
    state: AdminState,
    publishing: Publishing,
    caller: Caller,
    headers: Headers,
    dry_run: bool,
}

impl Change {
    /// Makes the change, and waits until this node has put it in force. With the digest of the request's body it is
    /// made once for an idempotency key.
    async fn make(
        self,
        section: StoredSection,
        name: &str,
        new: NewStored,
        body: Option<Digest>,
    ) -> Result<Response, Error> {
        let (entry, expected) = (entry(section, name)?, expected(&self.headers.0)?);
        let Self { state, publishing: Publishing(publisher), caller, headers, dry_run } = self;
        let route = format!("{} {entry} {expected:?}", new.verb());
        let key = match body.filter(|_| !dry_run) {
            Some(body) => request_key(&headers.0, &caller, &route, body)?,
            None => None,
        };
        let admin = publisher.admin();
        let (configured, principal) = (state.configured, caller.0.principal);
        let act = async move {
            let changed =
                apply(&configured, &publisher.admin(), &entry, new, &expected, dry_run, &principal).await;
            let (is_new, answer) = match changed {
                Ok((StoredChanged { version: Some(version), is_new }, is_applied)) => {
                    (is_new, Changed::Stored { name: entry.name, version, is_applied })
                }
                Ok(_) => (false, Changed::Checked { is_valid: true, faults: Vec::new() }),
                Err(admin::Error::ConfigurationInvalid(faults)) if dry_run => {
                    (false, Changed::Checked { is_valid: false, faults })
                }
                Err(error) => return Err(error),
            };
            let answer = json!({ "is_new": is_new, "answer": answer });
            Ok((answer.clone(), answer))
        };
        let (mut done, _) = detached(async move { admin.once(key, act).await }).await?;
        let status = if done["is_new"] == true { StatusCode::CREATED } else { StatusCode::OK };
        let answer = done["answer"].take();
        let tag = answer["version"].as_u64().map(|version| [(ETAG, tag(version))]);
        Ok((status, tag, Json(answer)).into_response())
    }
}

/// Changes an entry, and waits until this node has applied the change; returns whether it has. The faults of a
/// configuration that would not be valid are an answer, not an error.
pub(in crate::api) async fn change(
    state: &AdminState,
    publisher: Publisher,
    entry: &StoredName,
    new: NewStored,
    expected: Expected,
    dry_run: bool,
    principal: &Principal,
) -> Result<Result<(StoredChanged, bool), Vec<Fault>>, Error> {
    let (configured, entry, principal) = (state.configured.clone(), entry.clone(), principal.clone());
    detached(async move {
        let admin = publisher.admin();
        match apply(&configured, &admin, &entry, new, &expected, dry_run, &principal).await {
            Err(admin::Error::ConfigurationInvalid(faults)) => Ok(Err(faults)),
            changed => Ok(Ok(changed?)),
        }
    })
    .await
}

async fn apply(
    configured: &Configured,
    admin: &Admin,
    entry: &StoredName,
    new: NewStored,
    expected: &Expected,
    dry_run: bool,
    principal: &Principal,
) -> Result<(StoredChanged, bool), admin::Error> {
    let file = configured.read().file.clone();
    let changed = admin.change_stored(&*file, entry, new, expected, dry_run, principal).await?;
    let is_applied = match changed.version {
        Some(version) => configured.await_stored(version).await,
        None => false,
    };
    Ok((changed, is_applied))
}

/// Reads the expected state of the entry from `If-Match` and `If-None-Match`.
fn expected(headers: &HeaderMap) -> Result<Expected, Error> {
    let lines = |name: HeaderName| {
        let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let tags: Vec<&[u8]> =
            values.flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).collect();
        Some(tags).filter(|tags| !tags.is_empty())
    };
    match (lines(IF_MATCH), lines(IF_NONE_MATCH)) {
        (None, None) => Ok(Expected::Any),
        (None, Some(tags)) if tags == [b"*"] => Ok(Expected::Absent),
        (None, Some(_)) => Err(invalid("If-None-Match must be *: create it only if there is none")),
        (Some(_), Some(_)) => Err(invalid("If-Match and If-None-Match cannot come together")),
        (Some(tags), None) if tags.contains(&&b"*"[..]) => Ok(Expected::Present),
        (Some(tags), None) => Ok(Expected::Versions(tags.into_iter().filter_map(version_of).collect())),
    }
}

/// The version of a tag; one of another form is that of no entry.
fn version_of(tag: &[u8]) -> Option<u64> {
    let digits = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_a_change_must_find() {
        for (lines, expected) in [
            (&[][..], Some(Expected::Any)),
            (&[(IF_NONE_MATCH, "*")], Some(Expected::Absent)),
            (&[(IF_NONE_MATCH, "\"1\"")], None),
            (&[(IF_MATCH, "*")], Some(Expected::Present)),
            (&[(IF_MATCH, "\"7\"")], Some(Expected::Versions(vec![7]))),
            (&[(IF_MATCH, "\"7\", \"x\""), (IF_MATCH, "\"8\"")], Some(Expected::Versions(vec![7, 8]))),
            (&[(IF_MATCH, "W/\"7\"")], Some(Expected::Versions(vec![]))),
            (&[(IF_MATCH, "7")], Some(Expected::Versions(vec![]))),
            (&[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, HeaderValue::from_static(value));
            }
            assert_eq!(super::expected(&headers).ok(), expected, "{lines:?}");
        }
    }
}
