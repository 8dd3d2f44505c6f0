//! Sources that speak HTTP: one client for all of them, and what a request without an answer means.

use std::{
    error::Error as _,
    path::PathBuf,
    pin::pin,
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header::RETRY_AFTER, redirect::Policy};
use tokio::time::timeout;

use super::error::{Error, cause, connection_lost, malformed, other_protocol};
use crate::{
    settings::{item::Item, read_authorities, section::Section, url::find_unencoded},
    support::{backoff::Backoff, connection_words::connection_hint},
};

/// A connection that went silent is given up after about 54 s: probes begin after this time ...
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// ... follow one another after this time ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(8);
/// ... and this many may stay without an answer.
const KEEPALIVE_RETRIES: u32 = 3;
/// Longest time for sent data to be acknowledged.
const USER_TIMEOUT: Duration = Duration::from_secs(50);
/// Most times that one request is sent, and the first and the longest wait between two: more than a minute in all.
const ATTEMPTS_MAX: u32 = 10;
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(30);
/// The longest wait that a server may name. One that names a longer wait is not asked again: the call fails, and the run is tried
/// again on its schedule.
const RETRY_NAMED_LONGEST: Duration = Duration::from_mins(5);
/// Most bytes of a refusal that are read.
pub(super) const REFUSAL_BYTES_MAX: usize = 16 * 1024;
/// Longest wait for an answer, or for the next part of one: services of this kind answer before a query has ended.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// Silence after which a server is asked something else, the longest wait for that answer, and the missing answers in a row
/// after which the connection is given up: 54 s in all.
const SILENCE_ASKED: Duration = Duration::from_secs(20);
const ASKED_MAX: Duration = Duration::from_secs(7);
const MISSES_MAX: u32 = 2;
/// Longest time for the request that ends a query.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that is reached over HTTP. Its `Debug` shows no secret.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) client: Client,
    pub(crate) url: Url,
    /// What messages call the server: host and port.
    pub(super) address: String,
    connect_timeout: Duration,
}

impl Endpoint {
    /// Reads `url` and `ca_file`; connects to nothing.
    pub(crate) fn read(
        section: &Section<'_>,
        file_path: impl Fn(&Item<'_>) -> Option<PathBuf>,
        connect_timeout: Duration,
    ) -> Option<Self> {
        let url = section.need("url", "write url = \"https://host:port\"").and_then(|item| http_url(&item));
        Self::of(section, url, file_path, connect_timeout)
    }

    /// Reads `url`, which may be absent, and `ca_file`.
    pub(super) fn read_or(
        section: &Section<'_>,
        default: Option<Url>,
        file_path: impl Fn(&Item<'_>) -> Option<PathBuf>,
        connect_timeout: Duration,
    ) -> Option<Self> {
        let url = section.get("url").map_or(default, |item| http_url(&item));
        Self::of(section, url, file_path, connect_timeout)
    }

    /// The client follows no redirect: credentials go to the server that was named.
    fn of(
        section: &Section<'_>,
        url: Option<Url>,
        file_path: impl Fn(&Item<'_>) -> Option<PathBuf>,
        connect_timeout: Duration,
    ) -> Option<Self> {
        let authorities = section.read("ca_file", |item| read_authorities(item, &file_path(item)?));
        let (url, authorities) = (url?, authorities?);
        let client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(connect_timeout)
            .tcp_keepalive(KEEPALIVE_IDLE)
            .tcp_keepalive_interval(KEEPALIVE_INTERVAL)
            .tcp_keepalive_retries(KEEPALIVE_RETRIES)
            .tcp_user_timeout(USER_TIMEOUT)
            .tls_certs_merge(authorities.unwrap_or_default())
            .build();
        let Ok(client) = client else { return section.fail("the HTTP client cannot be made", None) };
        Some(Self { client, address: address(&url), url, connect_timeout })
    }

    /// Another server, such as one that gives tokens, by the same client.
    pub(super) fn at(&self, url: Url) -> Self {
        let (client, connect_timeout) = (self.client.clone(), self.connect_timeout);
        Self { client, address: address(&url), url, connect_timeout }
    }

    /// Sends a request, and sends it again while the server is busy.
    pub(super) async fn send(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, Error> {
        self.send_at_most(ATTEMPTS_MAX, RETRY_FIRST, SILENCE_MAX, request).await
    }

    /// Sends a request at most `attempts_max` times while the server is busy: after the time that it names, else after
    /// a growing one. Waits for each answer at most `silence_max`.
    pub(crate) async fn send_at_most(
        &self,
        attempts_max: u32,
        retry_first: Duration,
        silence_max: Duration,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, Error> {
        let mut backoff = Backoff::new(retry_first, RETRY_LONGEST);
        let mut attempts = 1;
        loop {
            let response = self.heard(silence_max, request().send()).await?;
            if attempts == attempts_max || !is_busy(response.status()) {
                return Ok(response);
            }
            attempts += 1;
            let named =
                response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let delay = named.map_or_else(|| backoff.next_delay(), Duration::from_secs);
            if delay > RETRY_NAMED_LONGEST {
                return Ok(response);
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// What comes within `silence_max`. Keepalives do not notice a server or proxy that keeps the connection and sends nothing.
    async fn heard<T>(
        &self,
        silence_max: Duration,
        answer: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, Error> {
        let Ok(answer) = timeout(silence_max, answer).await else {
            let (address, silence_s) = (&self.address, silence_max.as_secs());
            return Err(connection_lost(format_args!("nothing came from {address} for {silence_s} s")));
        };
        answer.map_err(|error| self.failed(&error))
    }

    /// What comes of a query that the server may work on for long without a word. After some silence `answers` asks it something
    /// else. Twice no answer, and the connection is given up.
    pub(super) async fn heard_while<T, F: Future<Output = bool>>(
        &self,
        answer: impl Future<Output = Result<T, reqwest::Error>>,
        answers: impl Fn() -> F,
    ) -> Result<T, Error> {
        let (mut answer, began, mut misses) = (pin!(answer), Instant::now(), 0);
        loop {
            if let Ok(answer) = timeout(SILENCE_ASKED, &mut answer).await {
                return answer.map_err(|error| self.failed(&error));
            }
            misses = if timeout(ASKED_MAX, answers()).await.unwrap_or(false) { 0 } else { misses + 1 };
            if misses >= MISSES_MAX {
                let (address, silence_s) = (&self.address, began.elapsed().as_secs());
                return Err(connection_lost(format_args!("nothing came from {address} for {silence_s} s")));
            }
        }
    }

    /// The body of an answer, at most `bytes_max` of it.
    pub(super) async fn body(&self, response: Response, bytes_max: usize) -> Result<Vec<u8>, Error> {
        let body = self.bounded_body(response, bytes_max).await?;
        body.ok_or_else(|| malformed(format_args!("it has more than {bytes_max} bytes")))
    }

    /// The body of an answer; `None` when it has more than `bytes_max` bytes.
    pub(crate) async fn bounded_body(
        &self,
        mut response: Response,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.heard(SILENCE_MAX, response.chunk()).await? {
            if body.len() + chunk.len() > bytes_max {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    /// The beginning of the body of a refusal, as much of it as comes.
    pub(super) async fn refusal(&self, mut response: Response) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < REFUSAL_BYTES_MAX
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend_from_slice(&chunk);
        }
        body
    }

    /// The error of a status that no other part of the answer explains.
    pub(super) fn unexpected(&self, status: StatusCode) -> Error {
        let address = &self.address;
        match status {
            StatusCode::UNAUTHORIZED => {
                Error::new(cause::WRONG_PASSWORD, format!("{address} refused the login"))
                    .with_hint("check the source's credentials")
            }
            StatusCode::FORBIDDEN => Error::new(
                cause::LOGIN_REFUSED,
                format!("{address} refused the request: HTTP status {status}"),
            )
            .with_hint("check the rights of the source's credentials"),
            status if is_busy(status) => {
                Error::new(cause::UNAVAILABLE, format!("{address} answers with HTTP status {status}"))
            }
            StatusCode::BAD_REQUEST if self.url.scheme() == "http" => {
                malformed(format_args!("{address} answered with HTTP status {status}"))
                    .with_hint("if the port speaks TLS, write https://; else look at the server's log")
            }
            status => malformed(format_args!("{address} answered with HTTP status {status}")),
        }
    }

    /// Why a request got no answer, or an answer no end.
    pub(super) fn failed(&self, error: &reqwest::Error) -> Error {
        let address = &self.address;
        let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let words: Vec<String> = causes.by_ref().map(ToString::to_string).collect();
        let root = words.last().map_or("no answer", String::as_str);
        let says = |parts: &[&str]| words.iter().any(|text| parts.iter().any(|part| text.contains(part)));
        if error.is_builder() {
            let message = "a user, a password or a token of the source has a line break, or another character that HTTP does not allow";
            Error::new(cause::LOGIN_REFUSED, message).with_hint(
                "a value from the environment or from a file often ends in a line break: remove it",
            )
        } else if says(&["tunnel error"]) {
            Error::new(cause::UNREACHABLE, format!("the proxy gives no connection to {address}: {root}"))
                .with_hint(
                    "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the environment, and the proxy's rules",
                )
        } else if error.is_connect() && error.is_timeout() {
            let limit = self.connect_timeout.as_millis();
            let message = format!("{address} did not accept a connection within {limit} ms");
            Error::new(cause::CONNECT_TIMEOUT, message).with_hint("check host, port and firewalls")
        } else if error.is_connect() && says(&["dns error", "failed to lookup"]) {
            Error::new(cause::HOST_UNKNOWN, format!("the host of {address} is unknown: {root}"))
                .with_hint("check the host in `url`")
        } else if error.is_connect() && says(&["certificate", "handshake", "InvalidContentType"]) {
            let trust = "the source's `ca_file` or the variable SSL_CERT_FILE";
            let hint = words.iter().find_map(|text| connection_hint(text, trust));
            let hint = hint
                .unwrap_or_else(|| "the port may not speak TLS: write http:// if that is meant".to_owned());
            Error::new(cause::TLS_REFUSED, format!("no TLS with {address}: {root}")).with_hint(hint)
        } else if error.is_connect() {
            Error::new(cause::UNREACHABLE, format!("cannot connect to {address}: {root}"))
                .with_hint("check host and port, and that the server runs")
        } else if says(&["invalid HTTP", "unexpected message"]) {
            other_protocol(address, format_args!("its answer is not HTTP ({root})"))
                .with_hint("check host and port; if the port speaks TLS, write https://")
        } else if self.url.scheme() == "http" && says(&["closed before message"]) {
            connection_lost(format_args!("{address}: {root}"))
                .with_hint("the run will be tried again; if the port speaks TLS, write https://")
        } else {
            connection_lost(format_args!("{address}: {root}"))
        }
    }
}

/// Whether an answer asks to try again: too many requests, or a server or proxy that cannot work at this moment.
pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504)
}

/// A query that a server works on. Dropped before its end, it is ended on the server, too: servers of this kind go on
/// with a query that nobody waits for any more.
pub(super) struct RunningQuery(Option<RequestBuilder>);

impl RunningQuery {
    /// `end` is the request that ends it.
    pub(super) fn new(end: RequestBuilder) -> Self {
        Self(Some(end.timeout(END_TIMEOUT)))
    }

    /// The server has nothing more to do for it.
    pub(super) fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        if let Some(end) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(end.send());
        }
    }
}

fn address(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// An address without credentials and parameters: those have keys of their own, which are never printed.
pub(super) fn http_url(item: &Item<'_>) -> Option<Url> {
    const HINT: &str =
        "write http://host:port or https://host:port; user and password have keys of their own";
    let text = item.url()?;
    if let Some(fault) = find_unencoded(text) {
        return item.fail(fault, HINT.to_owned());
    }
    let Ok(url) = Url::parse(text) else { return item.fail("is not a URL", HINT.to_owned()) };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return item.fail("is not an address of a web service", HINT.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return item.fail("has a user or a password in it", HINT.to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return item.fail("has parameters", HINT.to_owned());
    }
    Some(url)
}
