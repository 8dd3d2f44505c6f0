//! Commands that work on a server, by its admin API: the client, and what it makes of refusals.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{args::ConfigArguments, exit::Exit, output::Failure};
use crate::{
    admin,
    domain::ErrorKind,
    support::{
        connection_words::with_hint,
        secret::{ExposeSecret, SecretString},
    },
};

/// Longest time for an answer: longer than the server takes.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Most items that one request gets.
const PAGE_MAX: usize = 1000;

/// The admin API of a server.
pub(super) struct Remote {
    client: Client,
    /// The URL of the listener, without a slash at its end.
    base: String,
    key: SecretString,
}

/// A refusal of the server.
#[derive(Debug, Deserialize)]
pub(super) struct Refused {
    /// The stable code.
    pub(super) code: String,
    /// What happened and what to do.
    pub(super) message: String,
    /// What it means.
    #[serde(skip)]
    pub(super) kind: Option<ErrorKind>,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl Remote {
    /// The server that the arguments name; `None` if they name none.
    pub(super) fn of(arguments: &ConfigArguments) -> Result<Option<Self>, Failure> {
        let Some(server) = &arguments.server else { return Ok(None) };
        let uri: hyper::Uri =
            server.parse().map_err(|error| Failure::Usage(format!("--server {server:?}: {error}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https"))
            || uri.host().is_none()
            || uri.query().is_some()
        {
            let message = format!("--server {server:?}: give http://host:port or https://...");
            return Err(Failure::Usage(message));
        }
        let key = arguments.admin_key.clone().ok_or_else(|| {
            Failure::Usage("--server needs an admin key: set LARDER_ADMIN_KEY, or --admin-key".to_owned())
        })?;
        let client = Client::builder().redirect(Policy::none()).timeout(TIMEOUT).build();
        let client = client.context("cannot make an HTTP client")?;
        let base = server.trim_end_matches('/').to_owned();
        Ok(Some(Self { client, base, key: SecretString::from(key.trim().to_owned()) }))
    }

    /// The URL of the listener, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The bytes of the answer to a `GET`.
    pub(super) async fn bytes(&self, path: &str, query: &[(&str, &str)]) -> Result<bytes::Bytes, Failure> {
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        let query = serializer.extend_pairs(query).finish();
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.send(Method::GET, &target, None).await
    }

    /// The answer to a `GET`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        read(&self.bytes(path, query).await?)
    }

    /// The first items of a list, at most `max`, page by page.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        max: usize,
    ) -> Result<Vec<T>, Failure> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let limit = (max - items.len()).min(PAGE_MAX).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &limit));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() || items.len() >= max {
                return Ok(items);
            }
        }
    }

    /// The answer to a request that changes something.
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<T, Failure> {
        read(&self.send(method, path, Some(body)).await?)
    }

    /// Sends a request; the bytes of a successful answer.
    pub(super) async fn send(
        &self,
        method: Method,
        target: &str,
        body: Option<Value>,
    ) -> Result<bytes::Bytes, Failure> {
        let url = format!("{}{target}", self.base);
        let mut request = self.client.request(method, &url).bearer_auth(self.key.expose_secret());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let base = &self.base;
        let answer = request.send().await.map_err(|error| explain(base, error))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| explain(base, error))?;
        if status.is_success() {
            return Ok(bytes);
        }
        let refused = serde_json::from_slice::<Value>(&bytes).ok();
        let refused = refused.and_then(|body| serde_json::from_value::<Refused>(body["error"].clone()).ok());
        Err(match refused {
            Some(refused) => Failure::Remote(Refused { kind: kind_of(status.as_u16()), ..refused }),
            None => Failure::Other(anyhow!("{base} answered {status}; is it the admin listener of larder?")),
        })
    }
}

/// JSON as a value of a type. It is read as a whole first: only so flattened numbers keep their type.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let value: Value = serde_json::from_slice(bytes).context("the server's answer is not JSON")?;
    let read = serde_json::from_value(value);
    Ok(read.context("the server's answer has another form; is it of the same version as this command?")?)
}

/// A name within a path.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// An empty body.
pub(super) fn nothing() -> Value {
    json!({})
}

fn kind_of(status: u16) -> Option<ErrorKind> {
    match status {
        400 => Some(ErrorKind::Invalid),
        401 => Some(ErrorKind::Unauthenticated),
        403 => Some(ErrorKind::Forbidden),
        404 => Some(ErrorKind::NotFound),
        409 | 412 => Some(ErrorKind::Conflict),
        503 => Some(ErrorKind::Unavailable),
        _ => None,
    }
}

impl Refused {
    /// The exit code that the same error has without a server.
    pub(super) fn exit(&self) -> Exit {
        match self.kind {
            _ if self.code == "cancelled" => Exit::Interrupted,
            Some(ErrorKind::Invalid | ErrorKind::NotFound) if admin::is_of_run(&self.code) => Exit::Failed,
            Some(ErrorKind::NotFound) if !admin::Error::CODES.contains(&self.code.as_str()) => Exit::Failed,
            Some(ErrorKind::Invalid | ErrorKind::NotFound) => Exit::Usage,
            Some(ErrorKind::Conflict) => Exit::Superseded,
            _ => Exit::Failed,
        }
    }
}

/// `error` without the URL, which its causes repeat.
fn explain(base: &str, error: reqwest::Error) -> Failure {
    let (is_timeout, is_connect) = (error.is_timeout(), error.is_connect());
    let error = anyhow::Error::new(error.without_url());
    let cause = with_hint(&error.root_cause().to_string(), "the variable SSL_CERT_FILE");
    Failure::Other(match () {
        () if is_timeout => anyhow!("{base} did not answer within {} s", TIMEOUT.as_secs()),
        () if is_connect => anyhow!("cannot connect to {base}: {cause}"),
        () => anyhow!("{base} gave no answer: {cause}"),
    })
}
