//! Requests that are sent again with the same key: each is worked on once, and its answer is kept for a day.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Error, Metadata,
    statement::{Statement, TEXT_BYTES_MAX},
};
use crate::domain::Digest;

/// How long answers are kept.
const KEPT: TimeDelta = TimeDelta::days(1);
/// After so long without an answer the process that worked on a request is taken for dead.
const ABANDONED: TimeDelta = TimeDelta::minutes(10);

/// What a request with a key finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the first one: work on it, then store the answer or give the key back.
    New,
    /// It was answered with this JSON.
    Answered(String),
    /// The first one is under way.
    UnderWay,
    /// The key came with another request.
    OtherRequest,
}

impl Metadata {
    /// Claims the key `name` of `holder` for the request with this digest.
    pub async fn claim_request(
        &self,
        holder: &str,
        name: &str,
        request: Digest,
        now: DateTime<Utc>,
    ) -> Result<Claim, Error> {
        let insert = Statement::new(
            "insert into idempotency_keys (holder, name, request_sha256, created_at) values ($1, $2, $3, $4)
             on conflict (holder, name) do update set request_sha256 = excluded.request_sha256,
                 created_at = excluded.created_at, answer = null
             where idempotency_keys.created_at < $5
                 or (idempotency_keys.answer is null and idempotency_keys.created_at < $6)",
        );
        let insert = insert.bind(holder).bind(name).bind(request.to_string()).bind(now);
        if self.database.execute(insert.bind(now - KEPT).bind(now - ABANDONED)).await? == 1 {
            return Ok(Claim::New);
        }
        let select = Statement::new(
            "select request_sha256, answer from idempotency_keys where holder = $1 and name = $2",
        );
        let Some(row) = self.database.row(select.bind(holder).bind(name)).await? else {
            // The first one failed just now.
            return Ok(Claim::UnderWay);
        };
        if row.text("request_sha256")? != request.to_string() {
            return Ok(Claim::OtherRequest);
        }
        Ok(row.text_or_null("answer")?.map_or(Claim::UnderWay, Claim::Answered))
    }

    /// Stores the answer to a request that was claimed; an answer of more than 4 KiB is not kept.
    pub async fn answer_request(&self, holder: &str, name: &str, answer: &str) -> Result<(), Error> {
        let answer = Some(answer).filter(|answer| answer.len() <= TEXT_BYTES_MAX).unwrap_or("null");
        let update =
            Statement::new("update idempotency_keys set answer = $3 where holder = $1 and name = $2");
        self.database.execute(update.bind(holder).bind(name).bind(answer)).await.map(drop)
    }

    /// Gives back the key of a request that failed, so that it can be sent again.
    pub async fn release_request(&self, holder: &str, name: &str) -> Result<(), Error> {
        let delete =
            Statement::new("delete from idempotency_keys where holder = $1 and name = $2 and answer is null");
        self.database.execute(delete.bind(holder).bind(name)).await.map(drop)
    }

    /// Deletes answers that are no longer kept at `now`.
    pub async fn prune_requests(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let delete = Statement::new("delete from idempotency_keys where created_at < $1");
        self.database.execute(delete.bind(now - KEPT)).await
    }
}
