//! Files of a directory, a bucket or an SFTP server: a model reads one file, or all files that a pattern matches.

mod batches;
mod content;
mod csv;
mod csv_records;
mod excel_time;
mod format;
mod json_lines;
mod pattern;
mod place;
mod settings;
mod sftp;
#[cfg(test)]
mod tests;
mod xlsx;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use tokio::{runtime::Runtime, task::spawn_blocking};

use self::{
    content::Content,
    csv::CsvOptions,
    format::Format,
    pattern::Pattern,
    place::{Opened, Place},
};
pub(super) use self::{
    place::of_store,
    xlsx::{WORKBOOK_BYTES_MAX, Workbook},
};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::{Error, cause, causes, connection_lost},
    rows::RowSender,
};
use crate::domain::row::{Column, RowBatch};

pub(super) const TYPE: SourceType = SourceType { name: "files", causes: CAUSES, open: settings::open };

causes! {
    CAUSES {
        SQL_UNSUPPORTED: "source_sql_unsupported" Invalid;
        FORMAT_UNKNOWN: "source_format_unknown" Invalid;
        FILES_DIFFER: "source_files_differ" Invalid;
        TOO_MANY_FILES: "source_too_many_files" Invalid;
        BUCKET_UNUSABLE: "source_bucket_unusable" Invalid;
    }
}

/// Files below a place.
#[derive(Debug)]
struct Files {
    place: Place,
    reading: Reading,
}

/// How files are read.
#[derive(Debug, Clone, Default)]
struct Reading {
    /// The format of every file; `None` when the end of a file's name tells it.
    format: Option<Format>,
    csv: CsvOptions,
    /// The sheet of a workbook; `None` for its first one.
    sheet: Option<String>,
}

/// The files of one query, as they were when it began.
struct Snapshot {
    opened: Opened,
    files: Vec<place::Entry>,
    /// The columns that the model chooses; `None` means all.
    chosen: Option<Vec<String>>,
}

impl Snapshot {
    /// Whether the model reads every column of the files.
    fn is_whole(&self) -> bool {
        self.chosen.is_none()
    }
}

/// Reads the rows of one file.
pub(super) trait RowReader: Send {
    /// The columns that are read.
    fn columns(&self) -> &[Column];

    /// The number of columns of the file; `None` when it does not say.
    fn width(&self) -> Option<usize>;

    /// Appends the next row to `batch`; false at the end of the file.
    fn read_row(&mut self, batch: &mut RowBatch) -> Result<bool, Error>;
}

#[async_trait]
impl Driver for Files {
    fn check_query(&self, query: &Query) -> Result<(), Error> {
        let (pattern, _) = parts(query)?;
        if pattern.is_literal() { self.format_of(pattern.text()).map(drop) } else { Ok(()) }
    }

    async fn check(&self) -> Result<(), Error> {
        self.place.check().await
    }

    async fn tables(&self) -> Result<Tables, Error> {
        self.place.names().await.map(Tables::Listed)
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let snapshot = self.snapshot(query).await?;
        let reading = self.reading.clone();
        blocking(move || {
            let content = snapshot.opened.content(&snapshot.files[0])?;
            let reader = open(&content, &reading, snapshot.chosen.as_deref(), snapshot.is_whole())?;
            let columns = reader.columns().to_vec();
            content.check_unchanged().map(|()| columns)
        })
        .await
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let snapshot = self.snapshot(query).await?;
        let (reading, described) = (self.reading.clone(), columns.to_vec());
        rows.read_blocking(move |rows| {
            let mut left = limit.unwrap_or(u64::MAX);
            let mut width = None;
            for (at, file) in snapshot.files.iter().enumerate() {
                let content = snapshot.opened.content(file)?;
                let names: Vec<String>;
                let chosen = if at == 0 {
                    snapshot.chosen.as_deref()
                } else {
                    names = described.iter().map(|column| column.name.clone()).collect();
                    Some(&*names)
                };
                let opened = open(&content, &reading, chosen, snapshot.is_whole());
                let mut reader = opened.map_err(|error| match error.code() {
                    // The model names no column that the first file lacks.
                    code if at > 0 && code == cause::UNKNOWN_COLUMN.code => differ(&content, error.message()),
                    _ => error,
                })?;
                if at == 0 {
                    check_unchanged(&described, reader.columns())?;
                    width = reader.width().filter(|_| snapshot.chosen.is_none());
                } else {
                    check_alike(&described, width, &*reader, &content)?;
                }
                while left > 0 && reader.read_row(&mut rows.batch)? {
                    left -= 1;
                    if rows.is_full() && rows.send_blocking().is_err() {
                        return Ok(());
                    }
                }
                content.check_unchanged()?;
            }
            Ok(())
        })
        .await
    }
}

impl Files {
    async fn snapshot(&self, query: &Query) -> Result<Snapshot, Error> {
        let (pattern, chosen) = parts(query)?;
        let (opened, files) = self.place.snapshot(&pattern).await?;
        for file in &files {
            self.format_of(file.name())?;
        }
        Ok(Snapshot { opened, files, chosen })
    }

    fn format_of(&self, name: &str) -> Result<Format, Error> {
        self.reading.format.or_else(|| Format::of(name)).ok_or_else(|| format_unknown(name))
    }
}

fn format_unknown(name: &str) -> Error {
    Error::new(
        FORMAT_UNKNOWN,
        format!("the format of the file `{name}` is unknown: its name has no known ending"),
    )
    .with_hint(
        "set the source's `format`, or let the name end in .csv, .tsv, .jsonl, .parquet, .arrow or .xlsx",
    )
}

/// The pattern of a query, and the columns that it chooses.
fn parts(query: &Query) -> Result<(Pattern, Option<Vec<String>>), Error> {
    let Query::Table { name, columns } = query else {
        return Err(Error::new(SQL_UNSUPPORTED, "a file cannot be queried with SQL")
            .with_hint("name a file or a pattern instead: `table = \"customers.csv\"` of a model, `--table customers.csv` of a command"));
    };
    let pattern = Pattern::parse(name).ok_or_else(|| {
        Error::new(cause::TABLE_NAME_INVALID, "this is not the name of a file")
            .with_hint("name a file below the source's place, as in \"customers.csv\" or \"2026/*.parquet\"")
    })?;
    Ok((pattern, columns.clone()))
}

/// Opens a file. `chosen` are the columns that are read; `is_whole` tells that the file must have no others.
fn open(
    content: &Arc<Content>,
    reading: &Reading,
    chosen: Option<&[String]>,
    is_whole: bool,
) -> Result<Box<dyn RowReader>, Error> {
    let format = reading.format.or_else(|| Format::of(content.name()));
    let format = format.ok_or_else(|| format_unknown(content.name()))?;
    Ok(match format {
        Format::Csv | Format::Tsv => {
            Box::new(csv::CsvReader::open(content, &reading.csv.of(format), chosen)?)
        }
        Format::JsonLines => Box::new(json_lines::JsonLinesReader::open(content, chosen, is_whole)?),
        Format::Parquet => Box::new(batches::parquet(content, chosen)?),
        Format::Arrow => Box::new(batches::arrow(content, chosen)?),
        Format::Xlsx => Box::new(xlsx::XlsxReader::open(content, reading.sheet.as_deref(), chosen)?),
    })
}

/// The error of a file that has no columns.
fn no_columns(content: &Content, reason: &str) -> Error {
    Error::new(cause::NO_COLUMNS, format!("{} has no columns: {reason}", content.name()))
}

fn differ(content: &Content, what: &str) -> Error {
    Error::new(FILES_DIFFER, format!("{} is not like the files before it: {what}", content.name()))
        .with_hint("read files of one kind, or choose the columns that all have with `columns`")
}

/// Refuses a file whose columns are not those of the first file.
fn check_alike(
    described: &[Column],
    width: Option<usize>,
    reader: &dyn RowReader,
    content: &Content,
) -> Result<(), Error> {
    for (then, now) in described.iter().zip(reader.columns()) {
        // What a model declares of a column is not in a file.
        if (&then.name, &then.type_name) != (&now.name, &now.type_name) {
            let what = format!("column `{}` is {}, not {}", now.name, now.type_name, then.type_name);
            return Err(differ(content, &what));
        }
    }
    match (width, reader.width()) {
        (Some(then), Some(now)) if then != now => {
            Err(differ(content, &format!("it has {now} columns, not {then}")))
        }
        _ => Ok(()),
    }
}

/// Where the columns `chosen` stand among `names`, which must differ; `None` chooses all.
fn positions(names: &[&str], chosen: Option<&[String]>, content: &Content) -> Result<Vec<usize>, Error> {
    if names.is_empty() {
        return Err(no_columns(content, "its schema is empty"));
    }
    let mut seen = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        // A file without a line of names has values in its place, so messages give positions.
        if let Some(other) = seen.insert(name, at) {
            let message = format!("columns {} and {} of {} have one name", other + 1, at + 1, content.name());
            return Err(
                Error::new(cause::DUPLICATE_COLUMN, message).with_hint("rename one of them in the file")
            );
        }
    }
    let Some(chosen) = chosen else { return Ok((0..names.len()).collect()) };
    let position = |name: &String| {
        names.iter().position(|other| other == name).ok_or_else(|| {
            Error::new(cause::UNKNOWN_COLUMN, format!("{} has no column `{name}`", content.name()))
                .with_hint("check its name and case in the file")
        })
    };
    chosen.iter().map(position).collect()
}

/// A runtime of a thread that may block: the caller's may end while a request is under way.
fn own_runtime() -> Result<Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| connection_lost(format_args!("this machine gives no thread: {error}")))
}

/// Runs `work` on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(connection_lost("the reading thread ended")))
}
