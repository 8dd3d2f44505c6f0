//! The requests of one call: a token, the statement until it has a result, and the chunks of that result.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::{
    sync::{Mutex, mpsc::Sender},
    time::Instant,
};

use super::{Databricks, Login, fault, types};
use crate::{
    domain::row::Column,
    source::{
        error::{Error, connection_lost, malformed},
        http::RunningQuery,
    },
    support::{
        backoff::Backoff,
        result_code::Phase,
        secret::{ExposeSecret as _, SecretString},
    },
};

const STATEMENTS: &str = "api/2.0/sql/statements";
/// The first and the longest wait between two questions for a statement's state.
const POLL_FIRST: Duration = Duration::from_millis(100);
const POLL_LONGEST: Duration = Duration::from_secs(5);
/// Most bytes of an answer that is no chunk: a manifest names every chunk.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most bytes of one chunk. Warehouses make chunks of 20 MB, and of one row that is longer.
const CHUNK_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Chunks that are fetched at once; as many are in memory, and two more.
const FETCHES: usize = 3;
/// A signed address is valid for minutes; a second one is asked for when the first has expired.
const ADDRESSES_MAX: usize = 2;
/// A token is fetched anew this long before its end.
const TOKEN_MARGIN: Duration = Duration::from_mins(1);

/// One call.
pub(super) struct Session<'a> {
    databricks: &'a Databricks,
    /// The token of a service principal, and when it is fetched anew.
    token: Mutex<Option<(SecretString, Instant)>>,
}

/// A statement that has ended well.
pub(super) struct Outcome {
    id: String,
    pub(super) columns: Vec<Column>,
    chunks: usize,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "statement_id")]
    id: String,
    status: Status,
    manifest: Option<Manifest>,
}

#[derive(Deserialize)]
struct Status {
    state: String,
    #[serde(default)]
    error: Option<fault::Words>,
    #[serde(default)]
    sql_state: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    schema: Schema,
    #[serde(default)]
    total_chunk_count: usize,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct Schema {
    #[serde(default)]
    columns: Vec<types::Described>,
}

#[derive(Deserialize)]
struct Links {
    external_links: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    #[serde(rename = "external_link")]
    address: String,
    chunk_index: usize,
    #[serde(default)]
    http_headers: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl<'a> Session<'a> {
    pub(super) fn new(databricks: &'a Databricks) -> Self {
        Self { databricks, token: Mutex::default() }
    }

    /// Runs a statement to its end. Dropped before, it is cancelled.
    pub(super) async fn execute(&self, sql: &str, phase: Phase) -> Result<Outcome, Error> {
        let Databricks { endpoint, warehouse, catalog, schema, .. } = self.databricks;
        let mut body = json!({
            "statement": sql, "warehouse_id": warehouse,
            "disposition": "EXTERNAL_LINKS", "format": "ARROW_STREAM",
            // The answer has the id at once, so that the statement can be cancelled from then on.
            "wait_timeout": "0s",
        });
        for (key, value) in [("catalog", catalog), ("schema", schema)] {
            if let Some(value) = value {
                body[key] = json!(value);
            }
        }
        let url = self.url(STATEMENTS)?;
        let post = || endpoint.client.post(url.clone()).body(body.to_string());
        let mut statement: Statement = self.ask(post, phase).await?;
        let id = statement.id.clone();
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(malformed("the statement's id"));
        }
        let url = self.url(&format!("{STATEMENTS}/{id}"))?;
        let cancel = endpoint.client.post(self.url(&format!("{STATEMENTS}/{id}/cancel"))?);
        let running = RunningQuery::new(self.with_token(cancel).await?);
        let mut backoff = Backoff::new(POLL_FIRST, POLL_LONGEST);
        while matches!(&*statement.status.state, "PENDING" | "RUNNING") {
            tokio::time::sleep(backoff.next_delay()).await;
            statement = self.ask(|| endpoint.client.get(url.clone()), phase).await?;
        }
        running.ended();
        if statement.status.state != "SUCCEEDED" {
            let Status { state, error, sql_state } = &statement.status;
            return Err(fault::of_statement(state, error.as_ref(), sql_state.as_deref(), phase));
        }
        let manifest = statement.manifest.ok_or_else(|| malformed("a result has no manifest"))?;
        if manifest.truncated {
            return Err(malformed("the result was cut off"));
        }
        let columns = manifest.schema.columns.into_iter().map(types::column).collect();
        Ok(Outcome { id, columns, chunks: manifest.total_chunk_count })
    }

    /// Fetches the chunks, several at once, and sends them in their order. Ends quietly when nobody takes them.
    pub(super) async fn fetch(&self, outcome: &Outcome, chunks: Sender<Bytes>) -> Result<(), Error> {
        let fetches = stream::iter(0..outcome.chunks).map(|at| self.chunk(&outcome.id, at));
        let mut fetches = std::pin::pin!(fetches.buffered(FETCHES));
        while let Some(chunk) = fetches.next().await {
            if chunks.send(chunk?).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn chunk(&self, id: &str, at: usize) -> Result<Bytes, Error> {
        let endpoint = &self.databricks.endpoint;
        let url = self.url(&format!("{STATEMENTS}/{id}/result/chunks/{at}"))?;
        for _ in 0..ADDRESSES_MAX {
            let links: Links = self.ask(|| endpoint.client.get(url.clone()), Phase::Reading).await?;
            let link = links.external_links.into_iter().find(|link| link.chunk_index == at);
            let link = link.ok_or_else(|| malformed("a chunk has no address"))?;
            let address = Url::parse(&link.address);
            let address = address.map_err(|_| malformed("the address of a chunk is none"))?;
            // The address itself is the credential: the workspace's must not go to a bucket.
            let get = || {
                let headers = link.http_headers.iter().flatten();
                headers
                    .fold(endpoint.client.get(address.clone()), |get, (name, value)| get.header(name, value))
            };
            let response = endpoint.send(get).await.map_err(of_bucket)?;
            match response.status() {
                StatusCode::OK => return endpoint.body(response, CHUNK_BYTES_MAX).await.map(Bytes::from),
                StatusCode::FORBIDDEN => {}
                status => {
                    return Err(malformed(format_args!(
                        "the bucket of a chunk answered with HTTP status {status}"
                    )));
                }
            }
        }
        Err(connection_lost("the bucket of the result refuses the addresses that the workspace gives"))
    }

    /// Sends a request of the API and reads its answer.
    async fn ask<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
        phase: Phase,
    ) -> Result<T, Error> {
        let endpoint = &self.databricks.endpoint;
        let token = self.token().await?;
        let with_token = || {
            let request = request().header("content-type", "application/json");
            request.bearer_auth(token.expose_secret())
        };
        let response = endpoint.send(with_token).await?;
        let status = response.status();
        if status != StatusCode::OK {
            let body = endpoint.refusal(response).await;
            return Err(fault::of_refusal(&body, phase).unwrap_or_else(|| endpoint.unexpected(status)));
        }
        let body = endpoint.body(response, ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|_| malformed("it is not that of a statement"))
    }

    async fn with_token(&self, request: RequestBuilder) -> Result<RequestBuilder, Error> {
        Ok(request.bearer_auth(self.token().await?.expose_secret()))
    }

    async fn token(&self) -> Result<SecretString, Error> {
        let (id, secret) = match &self.databricks.login {
            Login::Token(token) => return Ok(token.clone()),
            Login::Client { id, secret } => (id, secret),
        };
        let mut kept = self.token.lock().await;
        if let Some((token, until)) = &*kept
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let endpoint = &self.databricks.endpoint;
        let url = self.url("oidc/v1/token")?;
        let post = || {
            let post = endpoint.client.post(url.clone()).basic_auth(id, Some(secret.expose_secret()));
            post.header("content-type", "application/x-www-form-urlencoded")
                .body("grant_type=client_credentials&scope=all-apis")
        };
        let response = endpoint.send(post).await?;
        if response.status() != StatusCode::OK {
            return Err(endpoint.unexpected(response.status()));
        }
        let body = endpoint.body(response, ANSWER_BYTES_MAX).await?;
        let token: Token =
            serde_json::from_slice(&body).map_err(|_| malformed("the answer is not a token"))?;
        let lasts = Duration::from_secs(token.expires_in).saturating_sub(TOKEN_MARGIN);
        let access_token = SecretString::from(token.access_token);
        *kept = Some((access_token.clone(), Instant::now() + lasts));
        Ok(access_token)
    }

    fn url(&self, path: &str) -> Result<Url, Error> {
        self.databricks.endpoint.url.join(&format!("/{path}")).map_err(|_| malformed("its address"))
    }
}

/// The error of a request to a bucket.
fn of_bucket(error: Error) -> Error {
    error.with_hint("the run will be tried again; check that this machine reaches the workspace's bucket")
}
