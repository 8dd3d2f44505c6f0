//! CSV files in a local directory: a model reads one file, every column is text.

mod file;
mod settings;
#[cfg(test)]
mod tests;

use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use self::file::CsvFile;
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType},
    error::{Error, cause, causes, connection_lost},
    rows::RowSender,
};
use crate::domain::Column;

pub(super) const TYPE: SourceType = SourceType { name: "csv", causes: CAUSES, open: settings::open };

causes! {
    CAUSES {
        SQL_UNSUPPORTED: "source_sql_unsupported" Invalid;
    }
}

/// A directory of CSV files.
#[derive(Debug)]
struct Csv {
    directory: PathBuf,
}

#[async_trait]
impl Driver for Csv {
    fn check_query(&self, query: &Query) -> Result<(), Error> {
        self.file(query).map(|_| ())
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let (path, chosen) = self.file(query)?;
        blocking(move || Ok(CsvFile::open(&path, chosen.as_deref())?.columns().to_vec())).await
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let (path, chosen) = self.file(query)?;
        let described = columns.to_vec();
        rows.read_blocking(move |rows| {
            let mut file = CsvFile::open(&path, chosen.as_deref())?;
            check_unchanged(&described, file.columns())?;
            let mut left = limit.unwrap_or(u64::MAX);
            while left > 0 && file.read_row(&mut rows.batch)? {
                left -= 1;
                if rows.is_full() && rows.send_blocking().is_err() {
                    return Ok(());
                }
            }
            file.check_unchanged()
        })
        .await
    }
}

impl Csv {
    /// The file of a query, and the columns that it chooses.
    fn file(&self, query: &Query) -> Result<(PathBuf, Option<Vec<String>>), Error> {
        let Query::Table { name, columns } = query else {
            return Err(Error::new(SQL_UNSUPPORTED, "a CSV file cannot be queried with SQL")
                .with_hint("name the file, as in table = \"customers.csv\""));
        };
        let is_below =
            Path::new(name).components().all(|component| matches!(component, Component::Normal(_)));
        if name.is_empty() || !is_below || name.contains(char::is_control) {
            return Err(Error::new(cause::TABLE_NAME_INVALID, "this is not the name of a file")
                .with_hint("name a file below the source's `path`, as in \"customers.csv\""));
        }
        Ok((self.directory.join(name), columns.clone()))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(connection_lost("the reading thread ended")))
}
