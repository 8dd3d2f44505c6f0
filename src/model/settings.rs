//! Reads `[models.*]`: one query on a source, and its primary key.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, Utc};
use strum::VariantArray as _;

use super::Model;
use crate::{
    domain::limits::FIELDS_MAX,
    mapping::settings::ModelColumns,
    settings::{Declaration, Entry, Item, Section, modified_at, read_bounded},
    source::{ColumnTypes, DeclaredType, Query, Source},
};

pub(crate) const SECTION: Declaration = Declaration::reloadable("models");

/// Largest query text, in bytes: longer than anyone writes by hand, and Postgres still parses it fast.
const SQL_BYTES_MAX: u64 = 1024 * 1024;

/// A model as configured. A faulty part is `None`, so that syncs are checked as far as possible.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelConfig {
    /// The source's name.
    pub(crate) source: Option<String>,
    pub(crate) model: Option<Model>,
    /// Its columns, as far as they are known.
    pub(crate) columns: ModelColumns,
    /// Whether its source can read rows from a cursor on.
    pub(crate) has_increments: bool,
    /// When its SQL file was last changed.
    pub(crate) changed_at: DateTime<Utc>,
}

/// Models by name, faulty ones included.
pub(crate) type Models = BTreeMap<String, ModelConfig>;

/// Sources by name; a faulty one is `None`.
type Sources = BTreeMap<String, Option<Source>>;

/// Reads `[models.*]`; relative paths are from `dir`.
pub(crate) fn read(section: &Section<'_>, sources: &Sources, dir: &Path) -> Models {
    let read = |(entry, item): (&Entry, Item<'_>)| {
        section.check_name(entry, "model");
        let model = item.section().map(|section| model(&section, sources, dir));
        (entry.key.clone(), model.unwrap_or_default())
    };
    section.entries().map(read).collect()
}

fn model(section: &Section<'_>, sources: &Sources, dir: &Path) -> ModelConfig {
    let names: Vec<String> = sources.keys().cloned().collect();
    let source =
        section.need("source", "name one of [sources]").and_then(|item| item.reference("source", &names));
    let found = source.and_then(|name| sources.get(name)?.as_ref());
    let query = query(section, found, dir);
    let types = section.read("types", types);
    let primary_key = section.need("primary_key", "name the column whose value is unique in every row");
    section.finish();
    let listed = match &query {
        Some(Query::Table { columns, .. }) => columns.clone(),
        _ => None,
    };
    let types = types.and_then(|types| listed_types(section, types.unwrap_or_default(), listed.as_deref()));
    let mut columns = ModelColumns { primary_key: None, listed };
    columns.primary_key = primary_key.and_then(|item| columns.read(&item));
    let file = section.get("sql_file").filter(|_| query.is_some()).and_then(|item| item.file_path(dir));
    let changed_at = file.map_or(DateTime::UNIX_EPOCH, |file| modified_at(&file));
    let model = query.zip(types).map(|(query, types)| Model::Query { query, types });
    let has_increments = found.is_none_or(Source::has_increments);
    ModelConfig { source: source.map(str::to_owned), model, columns, has_increments, changed_at }
}

fn query(section: &Section<'_>, source: Option<&Source>, dir: &Path) -> Option<Query> {
    let (sql, sql_file, table) = (section.get("sql"), section.get("sql_file"), section.get("table"));
    let columns = section.read("columns", columns);
    let given = [&sql, &sql_file, &table].into_iter().flatten().collect::<Vec<_>>();
    let item = match given.as_slice() {
        [] => {
            return section.fail(
                "has no query",
                "write one of sql = \"select ...\", sql_file = \"model.sql\", table = \"schema.table\""
                    .to_owned(),
            );
        }
        [item] => (*item).clone(),
        [.., last] => {
            return last
                .fail("comes beside another query", "keep one of `sql`, `sql_file`, `table`".to_owned());
        }
    };
    if table.is_none() {
        section.refuse("columns", "goes with `table` only", "name the columns in the SQL".to_owned());
    }
    let query = if sql.is_some() {
        statement(&item, item.printable().string()?)?
    } else if sql_file.is_some() {
        let path = item.file_path(dir)?;
        match read_bounded(&path, SQL_BYTES_MAX) {
            Ok(text) => statement(&item, &text)?,
            Err(error) => {
                return item.fail(
                    format!("cannot be read: {error}"),
                    "relative paths are from the configuration file's directory".to_owned(),
                );
            }
        }
    } else {
        Query::Table { name: item.printable().word()?.to_owned(), columns: columns.clone().flatten() }
    };
    match source.map_or(Ok(()), |source| source.check_query(&query)) {
        Ok(()) => columns.map(|_| query),
        Err(error) => item.fail(error.message(), error.hint().map(str::to_owned)),
    }
}

/// The statement without white space around it and without a semicolon at its end.
fn statement(item: &Item<'_>, text: &str) -> Option<Query> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let sql = text.trim_matches(|letter: char| letter.is_whitespace() || letter == ';');
    if sql.is_empty() {
        return item.fail("is empty", "write one `select` statement".to_owned());
    }
    if sql.len() as u64 > SQL_BYTES_MAX || sql.contains('\0') {
        return item.fail("is longer than 1 MiB or holds a NUL character", None);
    }
    Some(Query::Sql(sql.to_owned()))
}

fn columns(item: &Item<'_>) -> Option<Vec<String>> {
    let columns = item.list(|item| item.printable().word().map(str::to_owned))?;
    if columns.is_empty() || columns.len() > FIELDS_MAX {
        return item.fail(
            format!("must name from 1 to {FIELDS_MAX} columns"),
            "leave it out for all columns".to_owned(),
        );
    }
    Some(columns)
}

/// Reports a type of a column that is not among those that the model lists.
fn listed_types(section: &Section<'_>, types: ColumnTypes, listed: Option<&[String]>) -> Option<ColumnTypes> {
    let Some(listed) = listed else { return Some(types) };
    let unlisted = types.names().find(|name| !listed.iter().any(|column| column == name)).map(str::to_owned);
    match unlisted {
        None => Some(types),
        Some(name) => {
            let message = format!("names `{name}`, which is not among `columns`");
            section.get("types").and_then(|item| item.fail(message, None))
        }
    }
}

/// The types of `[models.NAME.types]`.
fn types(item: &Item<'_>) -> Option<ColumnTypes> {
    let words: Vec<(&str, DeclaredType)> =
        DeclaredType::VARIANTS.iter().map(|declared| (declared.into(), *declared)).collect();
    let section = item.section()?;
    let types: Vec<_> =
        section.entries().map(|(entry, item)| Some((entry.key.clone(), item.one_of(&words)?))).collect();
    types.into_iter().collect()
}
