//! The requests of one call: a token, and a range or the titles.

use jsonwebtoken::{Algorithm, Header};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::GoogleSheets;
use crate::{
    source::error::{Error, cause, malformed, of_database},
    support::{
        clock::Clock,
        result_code::Meaning,
        secret::{ExposeSecret as _, SecretString},
    },
};

const SCOPE: &str = "https://www.googleapis.com/auth/spreadsheets.readonly";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion is valid, at most an hour.
const ASSERTION_S: i64 = 600;
/// Most bytes of a range: a spreadsheet has at most ten million cells.
const RANGE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most bytes of any other answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One call.
pub(super) struct Session<'a> {
    sheets: &'a GoogleSheets,
    token: SecretString,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Range<'a> {
    /// Absent in an empty sheet.
    #[serde(borrow, default)]
    values: Vec<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Spreadsheet {
    sheets: Vec<Sheet>,
}

#[derive(Deserialize)]
struct Sheet {
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    title: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: Words,
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    message: String,
    #[serde(default)]
    status: String,
}

/// The rows of an answer.
pub(super) fn rows(answer: &[u8]) -> Result<Vec<Vec<&RawValue>>, Error> {
    let range: Range<'_> =
        serde_json::from_slice(answer).map_err(|_| malformed("the answer is not a range"))?;
    Ok(range.values)
}

impl<'a> Session<'a> {
    /// Fetches a token.
    pub(super) async fn open(sheets: &'a GoogleSheets) -> Result<Self, Error> {
        let account = &sheets.account;
        let endpoint = sheets.endpoint.at(account.token_url.clone());
        let now = Clock::default().now().timestamp();
        let aud = account.token_url.as_str();
        let claims = Claims { iss: &account.email, scope: SCOPE, aud, iat: now, exp: now + ASSERTION_S };
        let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &account.key);
        let assertion = assertion.map_err(|_| malformed("the key of the service account signs nothing"))?;
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT)
            .append_pair("assertion", &assertion)
            .finish();
        let post = || {
            let post = endpoint.client.post(account.token_url.clone());
            post.header("content-type", "application/x-www-form-urlencoded").body(body.clone())
        };
        let response = endpoint.send(post).await?;
        if response.status() != StatusCode::OK {
            let message =
                format!("Google gives no token to {}: HTTP status {}", account.email, response.status());
            return Err(Error::new(cause::WRONG_PASSWORD, message)
                .with_hint("check the key of the service account, and this machine's clock"));
        }
        let body = endpoint.body(response, ANSWER_BYTES_MAX).await?;
        let token: Token =
            serde_json::from_slice(&body).map_err(|_| malformed("the answer is not a token"))?;
        Ok(Self { sheets, token: token.access_token.into() })
    }

    /// The answer with the values of a range, unformatted.
    pub(super) async fn values(&self, range: &str) -> Result<Vec<u8>, Error> {
        let mut url = self.url()?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("values").push(range);
        }
        url.query_pairs_mut()
            .append_pair("valueRenderOption", "UNFORMATTED_VALUE")
            // Unformatted dates would be numbers.
            .append_pair("dateTimeRenderOption", "FORMATTED_STRING");
        self.ask(&url, RANGE_BYTES_MAX).await
    }

    /// The titles of the sheets.
    pub(super) async fn titles(&self) -> Result<Vec<String>, Error> {
        let mut url = self.url()?;
        url.query_pairs_mut().append_pair("fields", "sheets.properties.title");
        let answer = self.ask(&url, ANSWER_BYTES_MAX).await?;
        let found: Spreadsheet =
            serde_json::from_slice(&answer).map_err(|_| malformed("it is no spreadsheet"))?;
        Ok(found.sheets.into_iter().map(|sheet| sheet.properties.title).collect())
    }

    fn url(&self) -> Result<Url, Error> {
        let path = format!("/v4/spreadsheets/{}", self.sheets.spreadsheet);
        self.sheets.endpoint.url.join(&path).map_err(|_| malformed("its address"))
    }

    async fn ask(&self, url: &Url, bytes_max: usize) -> Result<Vec<u8>, Error> {
        let endpoint = &self.sheets.endpoint;
        let get =
            || -> RequestBuilder { endpoint.client.get(url.clone()).bearer_auth(self.token.expose_secret()) };
        let response = endpoint.send(get).await?;
        let status = response.status();
        if status == StatusCode::OK {
            return endpoint.body(response, bytes_max).await;
        }
        let refusal: Option<Refusal> = serde_json::from_slice(&endpoint.refusal(response).await).ok();
        let Some(Words { message, status: name }) = refusal.map(|refusal| refusal.error) else {
            return Err(endpoint.unexpected(status));
        };
        let words = format!("Google refused the request: {message} ({name})");
        Err(match &*name {
            "UNAUTHENTICATED" => {
                Error::new(cause::WRONG_PASSWORD, words).with_hint("check the key of the service account")
            }
            "PERMISSION_DENIED" => Error::new(cause::PERMISSION_DENIED, words).with_hint(
                "share the spreadsheet with the address of the service account, and enable the Sheets API",
            ),
            "NOT_FOUND" => {
                Error::new(cause::UNKNOWN_DATABASE, words).with_hint("check `spreadsheet` of the source")
            }
            "INVALID_ARGUMENT" => Error::new(cause::UNKNOWN_TABLE, words)
                .with_hint("check the name of the sheet; `larder source tables` lists them"),
            "RESOURCE_EXHAUSTED" | "UNAVAILABLE" | "INTERNAL" => of_database(Meaning::Unavailable, words),
            _ => of_database(Meaning::Statement, words),
        })
    }
}
