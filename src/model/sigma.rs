//! Elements of Sigma workbooks: Sigma makes the SQL of an element, and the source runs it.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::{
    error::Error,
    service::{ANSWER_BYTES_MAX, Answer, Service},
};
use crate::{
    settings::{Declaration, Section},
    support::secret::{ExposeSecret as _, SecretString},
};

pub(crate) const SECTION: Declaration = Declaration::reloadable("sigma");

/// A token that expires sooner is replaced before it is used.
const TOKEN_MARGIN: Duration = Duration::from_mins(2);
/// How long a token is taken to last when Sigma does not say: it says an hour.
const TOKEN_SECONDS: u64 = 3600;
/// Longest reason of Sigma that is shown.
const REASON_MAX: usize = 200;

/// An organization, `[sigma.NAME]`. Cheap to clone. Its `Debug` shows no secret.
#[derive(Clone)]
pub(super) struct Sigma(Arc<Organization>);

struct Organization {
    name: String,
    service: Service,
    client_id: String,
    client_secret: SecretString,
    /// The present token, and when it must be replaced. Sigma gives one a second, which all syncs share.
    token: Mutex<Option<(SecretString, Instant)>>,
}

impl fmt::Debug for Sigma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sigma({}, {})", self.0.name, self.0.service.endpoint.url)
    }
}

impl PartialEq for Sigma {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Sigma {}

/// Reads `[sigma.NAME]`.
pub(super) fn read(section: &Section<'_>, name: &str, dir: &Path) -> Option<Sigma> {
    let service = Service::read(section, format!("[sigma.{name}]"), dir);
    let id = section.need("client_id", "write the client id of an API credential of Sigma");
    let id = id.and_then(|item| item.printable_word());
    let secret = section.need("client_secret", "write client_secret = \"${SIGMA_CLIENT_SECRET}\"");
    let secret = secret.and_then(|item| item.word().map(SecretString::from));
    section.finish();
    Some(Sigma(Arc::new(Organization {
        name: name.to_owned(),
        service: service?,
        client_id: id?,
        client_secret: secret?,
        token: Mutex::default(),
    })))
}

/// An element of a workbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) sigma: Sigma,
    pub(super) workbook: String,
    pub(super) id: String,
    /// The tagged version of the workbook; the published one without it.
    pub(super) tag: Option<String>,
}

impl Element {
    /// The SQL of the element, without the limit of a preview.
    pub(super) async fn resolve(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Query {
            sql: Option<String>,
            error: Option<String>,
        }
        let Organization { name, service, .. } = &*self.sigma.0;
        let what = format!("element {}", self.id);
        let answer = self.fetch(&what).await?;
        if answer.status.as_u16() == 404 {
            return Err(Error::SigmaElementMissing {
                service: name.clone(),
                workbook: self.workbook.clone(),
                element: self.id.clone(),
            });
        }
        let query: Query = service.parse(&what, &service.succeeded(&what, answer)?)?;
        let (service, element) = (name.clone(), self.id.clone());
        let sql = without_preview(query.sql.as_deref().unwrap_or_default());
        if sql.is_empty() {
            let reason = query.error.unwrap_or_else(|| "it has no query".to_owned());
            let reason = reason.chars().filter(|letter| !letter.is_control()).take(REASON_MAX).collect();
            return Err(Error::SigmaQueryUnavailable { service, element, reason });
        }
        if is_pinned(sql) {
            return Err(Error::SigmaInputTable { service, element });
        }
        Ok(sql.to_owned())
    }

    /// Asks for the element's query; once more with a new token when the present one is refused.
    async fn fetch(&self, what: &str) -> Result<Answer, Error> {
        let Organization { service, token, .. } = &*self.sigma.0;
        let mut path = format!("/v2/workbooks/{}/elements/{}/query", self.workbook, self.id);
        if let Some(tag) = &self.tag {
            let tag: String = form_urlencoded::byte_serialize(tag.as_bytes()).collect();
            path.push_str(&format!("?tagName={tag}"));
        }
        let ask = async |bearer: SecretString| {
            let request = || {
                let bearer = format!("Bearer {}", bearer.expose_secret());
                service.endpoint.client.get(service.at(&path)).header("authorization", bearer)
            };
            service.ask(what, ANSWER_BYTES_MAX, request).await
        };
        let answer = ask(self.sigma.token().await?).await?;
        if answer.status.as_u16() != 401 {
            return Ok(answer);
        }
        *token.lock().await = None;
        ask(self.sigma.token().await?).await
    }
}

impl Sigma {
    /// The present token, or a new one.
    async fn token(&self) -> Result<SecretString, Error> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: Option<u64>,
        }
        let Organization { service, client_id, client_secret, token, .. } = &*self.0;
        let mut token = token.lock().await;
        if let Some((present, until)) = &*token
            && Instant::now() < *until
        {
            return Ok(present.clone());
        }
        let basic = BASE64_STANDARD.encode(format!("{client_id}:{}", client_secret.expose_secret()));
        let request = || {
            let request = service.endpoint.client.post(service.at("/v2/auth/token"));
            request
                .header("authorization", format!("Basic {basic}"))
                .header("content-type", "application/x-www-form-urlencoded")
                .body("grant_type=client_credentials")
        };
        let Granted { access_token, expires_in } = service.json("the token", request).await?;
        let access_token = SecretString::from(access_token);
        let lasts = Duration::from_secs(expires_in.unwrap_or(TOKEN_SECONDS)).saturating_sub(TOKEN_MARGIN);
        *token = Some((access_token.clone(), Instant::now() + lasts));
        Ok(access_token)
    }
}

/// The statement without what Sigma adds for a preview: comments at its end, which have the id of the request, and
/// the limit of its rows.
fn without_preview(sql: &str) -> &str {
    let is_blank = |letter: char| letter.is_whitespace() || letter == ';';
    let mut sql = sql.trim_matches(is_blank);
    while let Some((before, last)) = sql.rsplit_once('\n').or(Some(("", sql)))
        && last.trim_start().starts_with("--")
    {
        sql = before.trim_end_matches(is_blank);
    }
    let mut words = sql.rsplitn(3, char::is_whitespace);
    match (words.next(), words.next(), words.next()) {
        (Some(count), Some(limit), Some(before))
            if limit.eq_ignore_ascii_case("limit")
                && !count.is_empty()
                && count.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            before.trim_end()
        }
        _ => sql,
    }
}

/// Whether the SQL reads an input table up to the version that it has now.
fn is_pinned(sql: &str) -> bool {
    sql.to_ascii_uppercase().contains("ROW_VERSION")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_and_comment_of_a_preview_are_taken_off() {
        for (sql, expected) in [
            ("select 1 as id\nlimit 1000\n\n-- Sigma Σ {\"request-id\":\"g1\"}", "select 1 as id"),
            ("select 1 as id LIMIT 25;\n", "select 1 as id"),
            ("select 1 as id", "select 1 as id"),
            ("select id from (select 1 as id limit 5) t", "select id from (select 1 as id limit 5) t"),
            ("select 1 as \"limit 5\"", "select 1 as \"limit 5\""),
            ("-- a\nselect 1", "-- a\nselect 1"),
            ("-- nothing", ""),
            ("-- a\n-- b", ""),
            (" ; ", ""),
        ] {
            assert_eq!(without_preview(sql), expected);
        }
        assert!(is_pinned("select * from t where row_version <= 12"));
    }
}
