//! The requests of one call: signed ones to Athena, and those for the result to S3.

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Athena;
use crate::{
    domain::row::Column,
    source::{
        error::{Error, cause, connection_lost, malformed, of_database},
        files::of_store,
        http::RunningQuery,
        trino::{fault, types},
    },
    store::{self, Bucket, Location, ObjectVersion, Signer, Store},
    support::{
        backoff::Backoff,
        result_code::{Meaning, Phase},
    },
};

/// The first and the longest wait between two questions for a query's state, or two attempts.
const POLL_FIRST: Duration = Duration::from_millis(100);
const POLL_LONGEST: Duration = Duration::from_secs(5);
/// Most times that a request is sent while the service says that there are too many.
const ATTEMPTS_MAX: u32 = 10;
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a result that are read at once.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;

/// One call.
pub(super) struct Session<'a> {
    athena: &'a Athena,
    signer: Signer,
}

/// A query that has ended well.
pub(super) struct Outcome {
    id: String,
    location: String,
}

/// The file of a result.
pub(super) struct ResultFile {
    store: Store,
    version: ObjectVersion,
    at: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Started {
    query_execution_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecutionAnswer {
    query_execution: Execution,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    status: Status,
    result_configuration: Option<ResultConfiguration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    state: String,
    state_change_reason: Option<String>,
    athena_error: Option<AthenaError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AthenaError {
    error_category: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultConfiguration {
    output_location: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Results {
    result_set: ResultSet,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultSet {
    result_set_metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    column_info: Vec<ColumnInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ColumnInfo {
    name: String,
    #[serde(rename = "Type")]
    type_name: String,
    #[serde(default)]
    precision: i64,
    #[serde(default)]
    scale: i64,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl<'a> Session<'a> {
    pub(super) fn open(athena: &'a Athena) -> Result<Self, Error> {
        Ok(Self { athena, signer: Signer::open(&athena.output).map_err(of_store)? })
    }

    /// Runs a query to its end. Dropped before, it is stopped.
    pub(super) async fn execute(&self, sql: &str, phase: Phase) -> Result<Outcome, Error> {
        let Athena { endpoint, output, workgroup, catalog, database, .. } = self.athena;
        let mut body = json!({
            "QueryString": sql,
            "ClientRequestToken": format!("larder-{}", Uuid::now_v7()),
            "ResultConfiguration": { "OutputLocation": format!("s3://{}/{}", output.name, output.prefix) },
            "QueryExecutionContext": {},
        });
        for (key, value) in [("Catalog", catalog), ("Database", database)] {
            if let Some(value) = value {
                body["QueryExecutionContext"][key] = json!(value);
            }
        }
        if let Some(workgroup) = workgroup {
            body["WorkGroup"] = json!(workgroup);
        }
        let started: Started = self.ask("AmazonAthena.StartQueryExecution", &body).await?;
        let query = json!({ "QueryExecutionId": started.query_execution_id });
        let text = query.to_string();
        let stop = self.signed("AmazonAthena.StopQueryExecution", &text).await?;
        let running = RunningQuery::new(endpoint.client.post(endpoint.url.clone()).headers(stop).body(text));
        let mut backoff = Backoff::new(POLL_FIRST, POLL_LONGEST);
        let execution = loop {
            let found: ExecutionAnswer = self.ask("AmazonAthena.GetQueryExecution", &query).await?;
            if !matches!(&*found.query_execution.status.state, "QUEUED" | "RUNNING") {
                break found.query_execution;
            }
            tokio::time::sleep(backoff.next_delay()).await;
        };
        running.ended();
        if execution.status.state != "SUCCEEDED" {
            return Err(failed(&execution.status, phase));
        }
        let location = execution.result_configuration.and_then(|found| found.output_location);
        let location = location.ok_or_else(|| malformed("a result has no place"))?;
        Ok(Outcome { id: started.query_execution_id, location })
    }

    /// The columns of a result.
    pub(super) async fn columns(&self, outcome: &Outcome) -> Result<Vec<Column>, Error> {
        let body = json!({ "QueryExecutionId": outcome.id, "MaxResults": 1 });
        let results: Results = self.ask("AmazonAthena.GetQueryResults", &body).await?;
        let column = |found: ColumnInfo| {
            let ColumnInfo { name, type_name, precision, scale } = found;
            let type_name = match &*type_name {
                "float" => "real".to_owned(),
                "decimal" => format!("decimal({precision},{scale})"),
                _ => type_name,
            };
            types::column(name, type_name)
        };
        Ok(results.result_set.result_set_metadata.column_info.into_iter().map(column).collect())
    }

    /// The file of a result. A workgroup may leave it in another bucket than the source names.
    pub(super) async fn open_result(&self, outcome: &Outcome) -> Result<ResultFile, Error> {
        let parts = outcome.location.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let (name, key) = parts.ok_or_else(|| malformed("the place of a result is none of S3"))?;
        let bucket = Bucket { name: name.to_owned(), prefix: String::new(), ..self.athena.output.clone() };
        let store = Store::open(&Location::Bucket(bucket)).map_err(of_store)?;
        let path = store::Path::parse(key).map_err(|_| malformed("the place of a result is none of S3"))?;
        let version = store.version(&path).await.map_err(of_store)?;
        let version = version.ok_or_else(|| {
            Error::new(cause::FILE_MISSING, format!("there is no result in {}", outcome.location))
                .with_hint("the run will be tried again; a rule of the bucket may delete results too early")
        })?;
        Ok(ResultFile { store, version, at: 0 })
    }

    /// Sends a request, and sends it again while the service says that there are too many.
    async fn ask<T: DeserializeOwned>(&self, target: &'static str, body: &Value) -> Result<T, Error> {
        let endpoint = &self.athena.endpoint;
        let body = body.to_string();
        let mut backoff = Backoff::new(POLL_FIRST, POLL_LONGEST);
        let mut attempts = 1;
        loop {
            let headers = self.signed(target, &body).await?;
            let post =
                || endpoint.client.post(endpoint.url.clone()).headers(headers.clone()).body(body.clone());
            let response = endpoint.send(post).await?;
            let status = response.status();
            if status == StatusCode::OK {
                let answer = endpoint.body(response, ANSWER_BYTES_MAX).await?;
                return serde_json::from_slice(&answer).map_err(|_| malformed("it is not one of Athena"));
            }
            let refusal = serde_json::from_slice(&endpoint.refusal(response).await);
            let refusal: Refusal = refusal.map_err(|_| endpoint.unexpected(status))?;
            let kind = refusal.kind.rsplit('#').next().unwrap_or_default();
            if attempts == ATTEMPTS_MAX || !matches!(kind, "TooManyRequestsException" | "ThrottlingException")
            {
                return Err(refused(kind, &refusal.message));
            }
            attempts += 1;
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    async fn signed(&self, target: &'static str, body: &str) -> Result<reqwest::header::HeaderMap, Error> {
        let Athena { endpoint, region, .. } = self.athena;
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        let signed = self.signer.sign(("athena", region), endpoint.url.as_str(), &headers, body).await;
        signed.map_err(of_store)
    }
}

impl ResultFile {
    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.is_ended() {
            return Ok(None);
        }
        let to = self.version.bytes.min(self.at + PIECE_BYTES);
        let piece = self.store.read_version(&self.version, self.at..to).await.map_err(of_store)?;
        self.at = to;
        piece.map(Some).ok_or_else(|| connection_lost("the result changed while it was read"))
    }

    pub(super) fn is_ended(&self) -> bool {
        self.at >= self.version.bytes
    }
}

/// The error of a query that did not succeed.
fn failed(status: &Status, phase: Phase) -> Error {
    let reason = status.state_change_reason.as_deref().unwrap_or_default();
    if status.state == "CANCELLED" {
        return of_database(
            Meaning::Cancelled,
            "the query was stopped, or a limit of the workgroup did".to_owned(),
        );
    }
    // `TABLE_NOT_FOUND: line 1:15: Table ...`, as Trino names errors.
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let (name, message) = match reason.split_once(": ").filter(|(name, _)| is_name(name)) {
        Some((name, message)) => (name, message),
        None => ("FAILED", reason),
    };
    let category = status.athena_error.as_ref().and_then(|error| error.error_category);
    let error_type = if category == Some(1) { "EXTERNAL" } else { "USER_ERROR" };
    let words = fault::Words {
        message: message.to_owned(),
        error_name: name.to_owned(),
        error_type: error_type.to_owned(),
    };
    fault::of(&words, phase)
}

/// The error of a request that the service refuses.
fn refused(kind: &str, message: &str) -> Error {
    let words = format!("Athena refused the request: {message} ({kind})");
    match kind {
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException" => {
            Error::new(cause::WRONG_PASSWORD, words).with_hint("check the credentials in `s3` of the source")
        }
        "AccessDeniedException" => Error::new(cause::PERMISSION_DENIED, words).with_hint(
            "allow athena:StartQueryExecution, GetQueryExecution, GetQueryResults and StopQueryExecution",
        ),
        "TooManyRequestsException" | "ThrottlingException" => of_database(Meaning::Unavailable, words),
        _ => of_database(Meaning::Statement, words),
    }
}
