//! What runs have read. Runs of one query share one text.

use chrono::{DateTime, Utc};

use super::{
    Error, Metadata,
    statement::{Statement, storable},
};
use crate::domain::{Digest, RunId};

/// Longest text that is kept, in bytes: the longest query that a source reads.
const QUERY_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Metadata {
    /// Stores what a run reads, as people see it.
    pub async fn set_run_query(&self, id: RunId, text: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let text = storable(text, QUERY_BYTES_MAX);
        let sha256 = Digest::of(text.as_bytes()).to_string();
        let insert = Statement::new(
            "insert into queries (sha256, text, used_at) values ($1, $2, $3) \
             on conflict (sha256) do update set used_at = excluded.used_at",
        );
        self.database.execute(insert.bind(sha256.as_str()).bind(text).bind(now)).await?;
        let update = Statement::new("update runs set query_sha256 = $2 where id = $1");
        self.database.execute(update.bind(id.to_string()).bind(sha256)).await.map(drop)
    }

    /// What a run has read; `None` when it failed before that was known.
    pub async fn run_query(&self, id: RunId) -> Result<Option<String>, Error> {
        let select = Statement::new(
            "select text from queries join runs on runs.query_sha256 = queries.sha256 where runs.id = $1",
        );
        self.database.row(select.bind(id.to_string())).await?.map(|row| row.text("text")).transpose()
    }

    /// Deletes the texts that no run refers to, last used before `older_than`, so that a run that is being recorded
    /// keeps its own; returns their number.
    pub async fn prune_queries(&self, older_than: DateTime<Utc>) -> Result<u64, Error> {
        let delete = Statement::new(
            "delete from queries where used_at < $1 \
             and not exists (select id from runs where runs.query_sha256 = queries.sha256)",
        );
        self.database.execute(delete.bind(older_than)).await
    }
}
