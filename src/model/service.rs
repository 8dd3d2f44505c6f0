//! A web service that has models: requests with bounds in time, size and number, and what refusals mean.

use std::{path::Path, time::Duration};

use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use super::error::Error;
use crate::{
    settings::Section,
    source::{Endpoint, is_busy},
};

/// Longest time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for one request and its answer: generating SQL takes seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// Requests that one question may take, the repetitions of a busy service included.
const ATTEMPTS_MAX: u32 = 4;
/// Wait before the first repetition.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Largest answer but a manifest, in bytes: an SQL text has 1 MiB at most.
pub(super) const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest words of a refusal that are shown.
const WORDS_MAX: usize = 200;

/// A web service. Its `Debug` shows no secret.
#[derive(Debug)]
pub(super) struct Service {
    /// What messages call it: `[looker.main]`.
    shown: String,
    pub(super) endpoint: Endpoint,
}

/// An answer of a service, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Service {
    /// Reads `url` and `ca_file`; connects to nothing.
    pub(super) fn read(section: &Section<'_>, shown: String, dir: &Path) -> Option<Self> {
        let endpoint = Endpoint::read(section, |item| item.file_path(dir), CONNECT_TIMEOUT)?;
        Some(Self { shown, endpoint })
    }

    /// The address of `path`, which begins with a slash, below the service's URL.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint.url.as_str().trim_end_matches('/'))
    }

    /// Sends a request until the service is not busy, and reads the answer, at most `bytes_max` bytes.
    pub(super) async fn ask(
        &self,
        what: &str,
        bytes_max: usize,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, Error> {
        let Self { shown, endpoint } = self;
        let unreachable = |source| Error::ServiceUnreachable { service: shown.clone(), source };
        let request = || request().timeout(REQUEST_TIMEOUT);
        let response = endpoint
            .send_at_most(ATTEMPTS_MAX, RETRY_FIRST, REQUEST_TIMEOUT, request)
            .await
            .map_err(unreachable)?;
        let status = response.status();
        if is_busy(status) {
            return Err(Error::ServiceUnavailable { service: shown.clone(), status: status.as_u16() });
        }
        match endpoint.bounded_body(response, bytes_max).await.map_err(unreachable)? {
            Some(body) => Ok(Answer { status, body }),
            None => Err(self.malformed(what, format!("it is longer than {bytes_max} bytes"))),
        }
    }

    /// The answer to a request that must succeed, as JSON.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        what: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, Error> {
        let answer = self.ask(what, ANSWER_BYTES_MAX, request).await?;
        self.parse(what, &self.succeeded(what, answer)?)
    }

    /// The body of an answer that must be a success.
    pub(super) fn succeeded(&self, what: &str, answer: Answer) -> Result<Vec<u8>, Error> {
        let Answer { status, body } = answer;
        let (service, status) = (self.shown.clone(), status.as_u16());
        match status {
            200..=299 => Ok(body),
            500.. => Err(Error::ServiceUnavailable { service, status }),
            401 | 403 => Err(Error::ServiceLoginRefused { service, status }),
            _ => Err(Error::ServiceRefused { service, what: what.to_owned(), status, words: words(&body) }),
        }
    }

    /// An answer's body as JSON.
    pub(super) fn parse<T: DeserializeOwned>(&self, what: &str, body: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(body).map_err(|error| {
            self.malformed(what, format!("line {}, column {}", error.line(), error.column()))
        })
    }

    pub(super) fn malformed(&self, what: &str, reason: String) -> Error {
        Error::ServiceAnswerMalformed { service: self.shown.clone(), what: what.to_owned(), reason }
    }
}

/// What a refusal says, as Looker and Sigma have it (`message`) and dbt Cloud (`status.user_message`); empty for others.
fn words(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = body["message"].as_str().or(body["status"]["user_message"].as_str());
    let letters = message.unwrap_or_default().chars().filter(|letter| !letter.is_control());
    let line: String = letters.take(WORDS_MAX).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_refusals_are_shown_in_one_bounded_line() {
        let long = "x".repeat(500);
        for (body, expected) in [
            (r#"{"message":"Not\n found","documentation_url":"x"}"#.to_owned(), ": Not found".to_owned()),
            (
                r#"{"status":{"code":404,"user_message":"No such job."}}"#.to_owned(),
                ": No such job.".to_owned(),
            ),
            (format!(r#"{{"message":"{long}"}}"#), format!(": {}", &long[..WORDS_MAX])),
            (r#"{"message":5}"#.to_owned(), String::new()),
            ("<html>".to_owned(), String::new()),
        ] {
            assert_eq!(words(body.as_bytes()), expected);
        }
    }
}
