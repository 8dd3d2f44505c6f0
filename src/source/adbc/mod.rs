//! Databases that are read by a driver of ADBC, a library in a file of its own: Snowflake, BigQuery, DuckDB and others.
//! The standard: <https://arrow.apache.org/adbc/>.
//!
//! A driver is foreign code: it may crash, hang, or take all memory. It is loaded by a child process, the worker
//! (`larder source-worker`), one for each call. The worker decodes the driver's Arrow batches and sends rows; the
//! parent bounds its time and memory, and ends it. What they say to each other is in `frame`.

mod credentials;
mod drivers;
mod duckdb_file;
mod fault;
mod frame;
mod job;
mod kinds;
mod objects;
mod process;
mod scratch;
mod secrets;
mod settings;
mod worker;

use std::{fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;

use self::{
    drivers::DriverName,
    frame::Frame,
    job::{Job, Task},
    kinds::{Form, Kind},
    process::{Process, Worker},
};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::Error,
    rows::RowSender,
    sql::Dialect,
};
use crate::{
    domain::row::Column,
    support::secret::{ExposeSecret, SecretString},
};

pub use drivers::{FoundDriver, found};
pub use worker::work;

macro_rules! types {
    ($($kind:ident)*) => {$(
        pub(super) const $kind: SourceType = SourceType {
            name: kinds::$kind.name,
            causes: &[],
            open: |section, options| settings::open(&kinds::$kind, section, options),
        };
    )*};
}
types! { SNOWFLAKE BIGQUERY DUCKDB FLIGHT_SQL REDSHIFT ORACLE SQL_SERVER ANY }

/// An option of a database, as its driver names it.
struct Setting {
    name: String,
    value: SecretString,
    /// Whether no message may show the value.
    is_secret: bool,
}

impl Setting {
    fn plain(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.into(), is_secret: false }
    }

    fn secret(name: &str, value: String) -> Self {
        Self { name: name.to_owned(), value: value.into(), is_secret: true }
    }
}

/// A database behind a driver of ADBC.
struct Adbc {
    kind: &'static Kind,
    driver: DriverName,
    options: Vec<Setting>,
    /// Statements that are run before a query.
    setup: Vec<SecretString>,
    /// Most memory that the worker may keep resident.
    memory_bytes_max: u64,
    connect_timeout: Duration,
    /// Where workers have their directories, see `scratch`.
    temp_dir: PathBuf,
}

impl fmt::Debug for Adbc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adbc")
            .field("kind", &self.kind.name)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for Adbc {
    fn dialect(&self) -> Option<&'static Dialect> {
        Some(&self.kind.dialect)
    }

    async fn check(&self) -> Result<(), Error> {
        let mut worker = self.start(Task::Connect).await?;
        worker.end().await
    }

    fn version_sql(&self) -> Option<&'static str> {
        self.kind.version_sql
    }

    async fn tables(&self) -> Result<Tables, Error> {
        if let Some(sql) = self.kind.tables_sql {
            return Ok(Tables::Sql(sql));
        }
        let mut worker = self.start(Task::Tables).await?;
        let Frame::Tables(names) = worker.next().await? else { return Err(worker.confused()) };
        worker.end().await?;
        Ok(Tables::Listed(names))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = self.kind.dialect.statement(query)?;
        let empty_sql = self.kind.dialect.around(&sql, |model| format!("select * from {model} where 1 = 0"));
        let mut worker = self.start(Task::Describe { sql, empty_sql }).await?;
        let Frame::Columns(columns) = worker.next().await? else { return Err(worker.confused()) };
        worker.end().await?;
        Ok(columns)
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let mut sql = self.kind.dialect.statement(query)?;
        if self.kind.nests_queries {
            sql = format!("select * from (\n{sql}\n) larder_query");
        }
        let mut worker = self.start(Task::Read { sql, rows_max: limit.unwrap_or(u64::MAX) }).await?;
        let Frame::Columns(found) = worker.next().await? else { return Err(worker.confused()) };
        check_unchanged(columns, &found)?;
        loop {
            match worker.next().await? {
                Frame::Rows(batch) if batch.columns() == columns.len() => {
                    rows.batch = batch;
                    if rows.send().await.is_err() {
                        return Ok(());
                    }
                }
                Frame::End => return Ok(()),
                _ => return Err(worker.confused()),
            }
        }
    }
}

impl Adbc {
    /// A worker that is connected to the database.
    async fn start(&self, task: Task) -> Result<Worker, Error> {
        let file = self.driver.find()?;
        if let Some(key) = self.kind.keys.iter().find(|key| matches!(key.form, Form::Database))
            && let Some(path) = self.options.iter().find(|option| option.name == key.option)
        {
            duckdb_file::check(path.value.expose_secret()).await?;
        }
        let exposed = |option: &Setting| (option.name.clone(), option.value.expose_secret().to_owned());
        let secrets = self.options.iter().filter(|option| option.is_secret);
        let secrets = secrets.flat_map(|option| secrets::secrets_of(option.value.expose_secret())).collect();
        let process = Process { kind: self.kind, driver: file.path.clone(), secrets };
        let job = Job {
            driver: file.path,
            entrypoint: file.entrypoint,
            options: self.options.iter().map(exposed).collect(),
            setup: self.setup.iter().map(|sql| sql.expose_secret().to_owned()).collect(),
            temp_dir: self.temp_dir.clone(),
            task,
        };
        Worker::start(&job, process, self.memory_bytes_max, self.connect_timeout).await
    }
}
