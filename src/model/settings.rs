//! Reads `[models.*]`: one query on a source, and its primary key; and the services that have models.

use std::{collections::BTreeMap, io, path::Path};

use chrono::{DateTime, Utc};
use strum::VariantArray as _;

use super::{
    Model, Origin,
    dbt::{self, DbtModel, DbtProject, Selector},
    looker::{self, Look, Looker},
    sigma::{self, Element, Sigma},
};
use crate::{
    domain::limits::FIELDS_MAX,
    mapping::settings::ModelColumns,
    settings::{Declaration, Entry, Environment, Item, Section, Value, modified_at, read_bounded},
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

/// The services that have models, by name; a faulty one is `None`.
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// `[dbt.*]`.
    pub(crate) dbt: BTreeMap<String, Option<DbtProject>>,
    looker: BTreeMap<String, Option<Looker>>,
    sigma: BTreeMap<String, Option<Sigma>>,
}

impl Services {
    /// Reads `[dbt.*]`, `[looker.*]` and `[sigma.*]`; relative paths are from `dir`.
    pub(crate) fn read(root: &Section<'_>, dir: &Path, env: &Environment) -> Self {
        let dbt = |section: &Section<'_>, name: &str| dbt::read(section, name, dir, env);
        let looker = |section: &Section<'_>, name: &str| looker::read(section, name, dir);
        let sigma = |section: &Section<'_>, name: &str| sigma::read(section, name, dir);
        Self {
            dbt: named(root, dbt::SECTION.name, "project", dbt),
            looker: named(root, looker::SECTION.name, "server", looker),
            sigma: named(root, sigma::SECTION.name, "organization", sigma),
        }
    }
}

/// Reads every `[key.NAME]`.
fn named<T>(
    root: &Section<'_>,
    key: &'static str,
    what: &str,
    read: impl Fn(&Section<'_>, &str) -> Option<T>,
) -> BTreeMap<String, Option<T>> {
    let found = root.read_table(key, |section| {
        let one = |(entry, item): (&Entry, Item<'_>)| {
            section.check_name(entry, what);
            (entry.key.clone(), item.section().and_then(|section| read(&section, &entry.key)))
        };
        Some(section.entries().map(one).collect())
    });
    found.unwrap_or_default()
}

/// What models may name.
struct Known<'a> {
    sources: &'a Sources,
    services: &'a Services,
    dir: &'a Path,
}

/// Reads `[models.*]`; relative paths are from `dir`.
pub(crate) fn read(section: &Section<'_>, sources: &Sources, services: &Services, dir: &Path) -> Models {
    let known = Known { sources, services, dir };
    let read = |(entry, item): (&Entry, Item<'_>)| {
        section.check_name(entry, "model");
        let model = item.section().map(|section| model(&section, &known));
        (entry.key.clone(), model.unwrap_or_default())
    };
    section.entries().map(read).collect()
}

fn model(section: &Section<'_>, known: &Known<'_>) -> ModelConfig {
    let names: Vec<String> = known.sources.keys().cloned().collect();
    let source =
        section.need("source", "name one of [sources]").and_then(|item| item.reference("source", &names));
    let found = source.and_then(|name| known.sources.get(name)?.as_ref());
    let origin = origin(section, found, known);
    let types = section.read("types", types);
    let is_key_inferred = section.has("dbt") && !section.has("primary_key");
    let primary_key = if is_key_inferred {
        None
    } else {
        section.need("primary_key", "name the column whose value is unique in every row")
    };
    section.finish();
    let listed = match &origin {
        Some(Origin::Query(Query::Table { columns, .. })) => columns.clone(),
        _ => None,
    };
    let types = types.and_then(|types| listed_types(section, types.unwrap_or_default(), listed.as_deref()));
    let mut columns = ModelColumns { primary_key: None, listed, is_key_inferred };
    columns.primary_key = primary_key.and_then(|item| columns.read(&item));
    let file = section.get("sql_file").filter(|_| origin.is_some());
    let file = file.and_then(|item| item.file_path(known.dir));
    let changed_at = file.map_or(DateTime::UNIX_EPOCH, |file| modified_at(&file));
    let model = origin.zip(types).map(|(origin, types)| Model { origin, types });
    let has_increments = found.is_none_or(Source::has_increments);
    ModelConfig { source: source.map(str::to_owned), model, columns, has_increments, changed_at }
}

/// The keys of which a model has one.
const ORIGINS: [&str; 6] = ["sql", "sql_file", "table", "dbt", "look", "sigma"];

fn origin(section: &Section<'_>, source: Option<&Source>, known: &Known<'_>) -> Option<Origin> {
    let columns = section.read("columns", columns);
    let given: Vec<(&str, Item<'_>)> =
        ORIGINS.iter().filter_map(|key| Some((*key, section.get(key)?))).collect();
    let (key, item) = match given.as_slice() {
        [] => {
            return section.fail(
                "has no query",
                "write one of sql = \"select ...\", sql_file = \"model.sql\", table = \"schema.table\", \
                 dbt = \"model\", look = 42, sigma = { workbook = \"...\", element = \"...\" }"
                    .to_owned(),
            );
        }
        [one] => one,
        [.., (_, last)] => {
            let keys: Vec<String> = ORIGINS.iter().map(|key| format!("`{key}`")).collect();
            return last.fail("conflicts with another query", format!("keep one of {}", keys.join(", ")));
        }
    };
    if *key != "table" {
        section.refuse("columns", "goes with `table` only", "name the columns in the SQL".to_owned());
    }
    let origin = match *key {
        "sql" => Origin::Query(statement(item, item.printable().string()?)?),
        "sql_file" => Origin::Query(sql_file(item, known.dir)?),
        "table" => Origin::Query(Query::Table {
            name: item.printable().word()?.to_owned(),
            columns: columns.clone().flatten(),
        }),
        "dbt" => Origin::Dbt(dbt_model(item, known, !section.has("primary_key"))?),
        "look" => Origin::Look(read_look(item, known)?),
        _ => Origin::Sigma(element(item, known)?),
    };
    let check = |source: &Source| match &origin {
        Origin::Query(query) => source.check_query(query),
        // Their SQL is known when a run begins.
        Origin::Dbt(_) | Origin::Look(_) | Origin::Sigma(_) => source.check_sql(),
    };
    match source.map_or(Ok(()), check) {
        Ok(()) => columns.map(|_| origin),
        Err(error) => item.fail(error.message(), error.hint().map(str::to_owned)),
    }
}

fn sql_file(item: &Item<'_>, dir: &Path) -> Option<Query> {
    match read_bounded(&item.file_path(dir)?, SQL_BYTES_MAX) {
        Ok(text) => statement(item, &text),
        Err(error) => item.fail(
            format!("cannot be read: {error}"),
            "relative paths are from the configuration file's directory".to_owned(),
        ),
    }
}

/// The statement in a file.
pub(crate) fn read_sql_file(path: &Path) -> io::Result<String> {
    read_bounded(path, SQL_BYTES_MAX).map(|text| trimmed(&text).to_owned())
}

/// A statement without what editors add around it.
fn trimmed(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == ';')
}

/// `dbt = "customers"` or `dbt = { from = "main", model = "customers" }`.
fn dbt_model(item: &Item<'_>, known: &Known<'_>, infers_key: bool) -> Option<DbtModel> {
    let (from, selector) = if let Value::Table(_) = item.node.value {
        let section = item.section()?;
        let selector = section.need("model", "name a model of dbt").and_then(|item| Selector::read(&item));
        let from = from(&section, item, "dbt", &known.services.dbt);
        section.finish();
        (from, selector)
    } else {
        (only(item, "dbt", &known.services.dbt), Selector::read(item))
    };
    Some(DbtModel { project: from?, selector: selector?, infers_key })
}

/// Reads `look = 42` or `look = { from = "main", id = 42 }`.
fn read_look(item: &Item<'_>, known: &Known<'_>) -> Option<Look> {
    let id = |item: &Item<'_>| item.count(1..=i64::MAX as u64);
    let (from, id) = if let Value::Table(_) = item.node.value {
        let section = item.section()?;
        let id = section.need("id", "write the number in the Look's address").and_then(|item| id(&item));
        let from = from(&section, item, "looker", &known.services.looker);
        section.finish();
        (from, id)
    } else {
        (only(item, "looker", &known.services.looker), id(item))
    };
    Some(Look { looker: from?, id: id? })
}

/// `sigma = { workbook = "...", element = "...", tag = "...", from = "main" }`.
fn element(item: &Item<'_>, known: &Known<'_>) -> Option<Element> {
    let section = item.section()?;
    let workbook = section.need("workbook", "write the id at the end of the workbook's address");
    let workbook = workbook.and_then(|item| id(&item));
    let element = section.need("element", "write the id of a table of the workbook");
    let element = element.and_then(|item| id(&item));
    let tag = section.read("tag", Item::printable_word);
    let from = from(&section, item, "sigma", &known.services.sigma);
    section.finish();
    Some(Element { sigma: from?, workbook: workbook?, id: element?, tag: tag? })
}

/// An id that becomes a part of a URL's path.
fn id(item: &Item<'_>) -> Option<String> {
    item.parsed("an id", |text| {
        let is_good = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if is_good { Ok(text.to_owned()) } else { Err("write letters, digits, `-` and `_`".to_owned()) }
    })
}

/// The service that `from` names, or the only one.
fn from<T: Clone>(
    section: &Section<'_>,
    item: &Item<'_>,
    kind: &str,
    services: &BTreeMap<String, Option<T>>,
) -> Option<T> {
    let Some(named) = section.get("from") else { return only(item, kind, services) };
    named_service(&named, kind, services)
}

/// The service of a name.
pub(crate) fn named_service<T: Clone>(
    item: &Item<'_>,
    kind: &str,
    services: &BTreeMap<String, Option<T>>,
) -> Option<T> {
    let text = item.printable().text()?;
    match services.get(&text.value) {
        Some(found) => found.clone(),
        None => {
            item.fail(format!("names no [{kind}.NAME]"), format!("add [{kind}.NAME], or correct the name"))
        }
    }
}

fn only<T: Clone>(item: &Item<'_>, kind: &str, services: &BTreeMap<String, Option<T>>) -> Option<T> {
    let mut all = services.values();
    match (all.next(), all.next()) {
        (Some(one), None) => one.clone(),
        (None, _) => {
            item.fail(format!("needs a [{kind}.NAME]"), format!("add [{kind}.NAME], see docs/models.md"))
        }
        _ => item.fail(
            format!("does not say which [{kind}.NAME]"),
            "there are several: write { from = \"NAME\", ... }, see docs/models.md".to_owned(),
        ),
    }
}

/// The statement without white space around it and without a semicolon at its end.
fn statement(item: &Item<'_>, text: &str) -> Option<Query> {
    let sql = trimmed(text);
    if sql.is_empty() {
        return item.fail("is empty", "write one `select` statement".to_owned());
    }
    if sql.len() as u64 > SQL_BYTES_MAX || sql.contains('\0') {
        return item.fail("is longer than 1 MiB or holds a NUL character", None);
    }
    Some(Query::Sql(sql.to_owned()))
}

fn columns(item: &Item<'_>) -> Option<Vec<String>> {
    let columns = item.list(Item::printable_word)?;
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
