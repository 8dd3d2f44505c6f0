//! What a source type has to do, and how it is opened. See "Adding a source type" in `docs/sources.md`.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Query,
    error::{Cause, Error, statement_timeout},
    rows::RowSender,
    sql::Dialect,
};
use crate::{
    domain::Column,
    settings::{Environment, Section},
};

/// A source type: one entry of [`super::TYPES`].
pub(super) struct SourceType {
    /// The word after `type =`.
    pub(super) name: &'static str,
    /// Causes of errors that only this type has.
    pub(super) causes: &'static [Cause],
    /// Reads the type's own keys of `[sources.NAME]` and opens a driver; connects to nothing. `None`
    /// after a fault was reported.
    pub(super) open: fn(&Section<'_>, &OpenOptions<'_>) -> Option<Arc<dyn Driver>>,
}

/// What every source type needs beside its own keys.
pub(super) struct OpenOptions<'a> {
    /// The directory that relative paths of the section are from.
    pub(super) dir: &'a Path,
    /// The variables of the environment.
    pub(super) env: &'a Environment,
    /// Longest time for a connection to be made, or for a lock to be waited for.
    pub(super) connect_timeout: Duration,
    /// Longest time of one query. [`super::Source`] ends a call that takes longer by itself.
    pub(super) statement_timeout: Duration,
}

/// How the tables of a source are found.
pub(super) enum Tables {
    /// A query of one column: the names, as [`Query::Table`] takes them, in order.
    Sql(&'static str),
    /// The names themselves.
    Listed(Vec<String>),
}

/// One configured source. Its `Debug` shows no secret.
///
/// A call makes its own connection and keeps none. Dropping a call's future ends its query.
#[async_trait]
pub(super) trait Driver: fmt::Debug + Send + Sync {
    /// The grammar of its SQL; `None` for a source without SQL.
    fn dialect(&self) -> Option<&'static Dialect> {
        None
    }

    /// Refuses a query that this source cannot answer whatever its data, such as SQL for a source
    /// without SQL. The configuration is read with it, so it connects to nothing.
    fn check_query(&self, query: &Query) -> Result<(), Error> {
        self.dialect().map_or(Ok(()), |dialect| dialect.check_query(query))
    }

    /// Reads the files that a connection would read, such as certificates; connects to nothing. Blocks.
    fn check_files(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Connects and makes a trivial request.
    async fn check(&self) -> Result<(), Error> {
        self.describe(&Query::Sql("select 1 as one".to_owned())).await.map(drop)
    }

    /// A query of the server's version; `None` when there is no server.
    fn version_sql(&self) -> Option<&'static str> {
        None
    }

    /// The tables that may be read.
    async fn tables(&self) -> Result<Tables, Error>;

    /// The columns of `query`, in its order; reads no row.
    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error>;

    /// Reads the rows of `query`, at most `limit`, in one read-only snapshot: fills `rows.batch` and
    /// sends it whenever `rows` is full. The last batch may be left unsent.
    ///
    /// `columns` are those that [`Driver::describe`] gave earlier. Where the columns can change
    /// meanwhile, compares them in the snapshot with [`super::check_unchanged`] before the first row.
    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error>;

    /// How much longer than the statement timeout a call may take: for servers that end a query at
    /// its timeout by themselves and say so.
    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    /// The error of a call that took longer than `timeout` and the grace.
    fn overdue(&self, timeout: Duration) -> Error {
        statement_timeout(timeout)
    }
}
