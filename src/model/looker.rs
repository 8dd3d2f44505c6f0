//! Looks of Looker: Looker makes the SQL of a Look, and the source runs it.

use std::{fmt, path::Path, sync::Arc};

use reqwest::RequestBuilder;
use serde::Deserialize;

use super::{
    error::Error,
    service::{ANSWER_BYTES_MAX, Service},
};
use crate::{
    settings::{Declaration, Section},
    support::secret::{ExposeSecret as _, SecretString},
};

pub(crate) const SECTION: Declaration = Declaration::reloadable("looker");

/// The fields of a Look that are asked for.
const FIELDS: &str = "id,title,deleted,query_id,query";

/// A server, `[looker.NAME]`. Cheap to clone. Its `Debug` shows no secret.
#[derive(Clone)]
pub(super) struct Looker(Arc<Server>);

struct Server {
    name: String,
    service: Service,
    client_id: String,
    client_secret: SecretString,
}

impl fmt::Debug for Looker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Looker({}, {})", self.0.name, self.0.service.endpoint.url)
    }
}

impl PartialEq for Looker {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Looker {}

/// Reads `[looker.NAME]`.
pub(super) fn read(section: &Section<'_>, name: &str, dir: &Path) -> Option<Looker> {
    let service = Service::read(section, format!("[looker.{name}]"), dir);
    let id = section.need("client_id", "write the client id of an API key of Looker");
    let id = id.and_then(|item| item.printable_word());
    let secret = section.need("client_secret", "write client_secret = \"${LOOKER_CLIENT_SECRET}\"");
    let secret = secret.and_then(|item| item.word().map(SecretString::from));
    section.finish();
    Some(Looker(Arc::new(Server {
        name: name.to_owned(),
        service: service?,
        client_id: id?,
        client_secret: secret?,
    })))
}

/// A Look of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) looker: Looker,
    pub(super) id: u64,
}

/// It has no `Debug`: its token is a secret.
#[derive(Deserialize)]
struct Session {
    access_token: String,
}

/// A Look as the server describes it.
#[derive(Deserialize)]
struct Described {
    deleted: Option<bool>,
    query: Option<LookQuery>,
}

/// Its query, as far as it decides whether the SQL yields the same rows.
#[derive(Deserialize, Default)]
#[serde(default)]
struct LookQuery {
    pivots: Option<Vec<String>>,
    /// JSON: custom dimensions and measures, which are in the SQL, and table calculations, which are not.
    dynamic_fields: Option<String>,
    row_total: Option<String>,
}

impl LookQuery {
    /// What the SQL lacks.
    fn unsupported(&self) -> Option<&'static str> {
        #[derive(Deserialize)]
        struct DynamicField {
            table_calculation: Option<String>,
            category: Option<String>,
        }
        let calculates = || {
            let fields = self.dynamic_fields.as_deref().filter(|text| !text.trim().is_empty());
            fields.is_some_and(|text| match serde_json::from_str::<Vec<DynamicField>>(text) {
                Ok(fields) => fields.iter().any(|field| {
                    field.table_calculation.is_some()
                        || field.category.as_deref() == Some("table_calculation")
                }),
                Err(_) => true,
            })
        };
        match () {
            () if self.pivots.as_ref().is_some_and(|pivots| !pivots.is_empty()) => Some("pivots"),
            () if calculates() => Some("table calculations"),
            () if self.row_total.as_ref().is_some_and(|text| !text.trim().is_empty()) => Some("row totals"),
            () => None,
        }
    }
}

impl Look {
    /// The SQL of the Look, without a limit.
    pub(super) async fn resolve(&self) -> Result<String, Error> {
        let Server { service, .. } = &*self.looker.0;
        let session = self.login().await?;
        let sql = self.fetch(&session).await;
        // A session that stays open counts against the server until it expires.
        let end = || authorised(service.endpoint.client.delete(service.at("/api/4.0/logout")), &session);
        let _ = service.ask("the end of the session", ANSWER_BYTES_MAX, end).await;
        sql
    }

    async fn fetch(&self, session: &Session) -> Result<String, Error> {
        let Server { name, service, .. } = &*self.looker.0;
        let (id, client) = (self.id, &service.endpoint.client);
        let what = format!("Look {id}");
        let path = format!("/api/4.0/looks/{id}?fields={FIELDS}");
        let get = |path: &str| authorised(client.get(service.at(path)), session);
        let answer = service.ask(&what, ANSWER_BYTES_MAX, || get(&path)).await?;
        if answer.status.as_u16() == 404 {
            return Err(Error::LookMissing { service: name.clone(), id });
        }
        let look: Described = service.parse(&what, &service.succeeded(&what, answer)?)?;
        if look.deleted == Some(true) {
            return Err(Error::LookDeleted { service: name.clone(), id });
        }
        if let Some(what) = look.query.unwrap_or_default().unsupported() {
            return Err(Error::LookUnsupported { service: name.clone(), id, what });
        }
        let (path, what) = (
            format!("/api/4.0/looks/{id}/run/sql?limit=-1&force_production=true"),
            format!("the SQL of {what}"),
        );
        let answer = service.ask(&what, ANSWER_BYTES_MAX, || get(&path)).await?;
        let sql = String::from_utf8(service.succeeded(&what, answer)?);
        let sql = sql.map_err(|_| service.malformed(&what, "it is not UTF-8".to_owned()))?;
        match sql.trim_end_matches(|letter: char| letter.is_whitespace() || letter == ';').trim_start() {
            "" => Err(service.malformed(&what, "it is empty".to_owned())),
            sql => Ok(sql.to_owned()),
        }
    }

    async fn login(&self) -> Result<Session, Error> {
        let Server { service, client_id, client_secret, .. } = &*self.looker.0;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", client_id)
            .append_pair("client_secret", client_secret.expose_secret())
            .finish();
        let what = "the login";
        let request = || {
            let request = service.endpoint.client.post(service.at("/api/4.0/login"));
            request.header("content-type", "application/x-www-form-urlencoded").body(form.clone())
        };
        let answer = service.ask(what, ANSWER_BYTES_MAX, request).await?;
        // Looker answers 404 to credentials that it does not know.
        if answer.status.as_u16() == 404 {
            let service = format!("[looker.{}]", self.looker.0.name);
            return Err(Error::ServiceLoginRefused { service, status: 404 });
        }
        service.parse(what, &service.succeeded(what, answer)?)
    }
}

fn authorised(request: RequestBuilder, session: &Session) -> RequestBuilder {
    request.header("authorization", format!("token {}", session.access_token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_the_sql_lacks_are_reported() {
        for (query, expected) in [
            ("{}", None),
            (r#"{"pivots":[],"dynamic_fields":"","row_total":""}"#, None),
            (r#"{"pivots":null,"dynamic_fields":null,"row_total":null}"#, None),
            (r#"{"pivots":["orders.status"]}"#, Some("pivots")),
            (r#"{"dynamic_fields":"[{\"table_calculation\":\"share\"}]"}"#, Some("table calculations")),
            (r#"{"dynamic_fields":"[{\"category\":\"table_calculation\"}]"}"#, Some("table calculations")),
            (r#"{"dynamic_fields":"[{\"category\":\"measure\",\"measure\":\"big\"}]"}"#, None),
            (r#"{"dynamic_fields":"what"}"#, Some("table calculations")),
            (r#"{"row_total":"right"}"#, Some("row totals")),
        ] {
            let query: LookQuery = serde_json::from_str(query).unwrap();
            assert_eq!(query.unsupported(), expected);
        }
    }
}
