//! `/admin/v1/sources` and `/admin/v1/models`: what is configured, and what a warehouse has.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{
    AdminState,
    gate::Caller,
    input::{Input, invalid, limit},
    page::Page,
};
use crate::{
    admin::{self, EntryView, KeyCheck, SourceCheck},
    api::http::error::Error,
    domain::{Column, StoredSection},
};

/// Rows of a preview when the request does not say.
const ROWS_DEFAULT: u64 = 100;
/// Most rows of a preview.
const ROWS_MAX: u64 = 1000;
/// Most bytes of a preview's rows.
const PREVIEW_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ListQuery {
    /// Most items, from 1 to 1,000.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    pub(super) limit: Option<usize>,
    /// `next` of the page before.
    pub(super) cursor: Option<String>,
}

/// How many rows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RowsQuery {
    /// Most rows, from 1 to 1,000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
}

impl RowsQuery {
    pub(super) fn rows(&self) -> Result<u64, Error> {
        rows(self.limit)
    }
}

fn rows(limit: Option<u64>) -> Result<u64, Error> {
    let rows = limit.unwrap_or(ROWS_DEFAULT);
    if (1..=ROWS_MAX).contains(&rows) { Ok(rows) } else { Err(invalid("limit must be from 1 to 1000")) }
}

/// Rows of a preview as JSON, bounded by their bytes.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::api) struct Rows {
    /// Each a JSON object.
    #[serde(rename = "rows")]
    #[schema(value_type = Vec<Object>)]
    values: Vec<Box<RawValue>>,
    /// Whether rows were left off because of their size.
    pub(in crate::api) is_cut: bool,
    #[serde(skip)]
    #[schema(ignore)]
    bytes: usize,
}

impl Rows {
    /// The rows, each as JSON.
    pub(in crate::api) fn texts(&self) -> Vec<&str> {
        self.values.iter().map(|value| value.get()).collect()
    }

    /// Adds one JSON value.
    pub(in crate::api) fn push(&mut self, json: &[u8]) {
        self.bytes += json.len();
        let row = String::from_utf8(json.to_vec()).ok().and_then(|text| RawValue::from_string(text).ok());
        match row {
            Some(row) if self.bytes <= PREVIEW_BYTES_MAX => self.values.push(row),
            _ => self.is_cut = true,
        }
    }
}

/// The entries of a section of the configuration, as a page.
pub(super) fn section(
    state: &AdminState,
    section: StoredSection,
    query: &ListQuery,
) -> Result<Page<EntryView>, Error> {
    let entries = state.configured.read().section(section);
    let entries = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
    Ok(Page::by_name(entries, limit(query.limit)?, query.cursor.as_deref()))
}

/// The configured sources, by name. Secrets are masked.
#[utoipa::path(get, path = "/admin/v1/sources", params(ListQuery), responses(
    (status = 200, description = "A page of sources", body = Page<EntryView>),
))]
pub(in crate::api) async fn list_sources(
    State(state): State<AdminState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<EntryView>>, Error> {
    section(&state, StoredSection::Sources, &query).map(Json)
}

/// Connects to a source, makes a trivial request, and asks for the version and for the columns of its models.
#[utoipa::path(post, path = "/admin/v1/sources/{source}/check", params(("source" = String, Path)), responses(
    (status = 200, description = "It answered", body = SourceCheck),
    (status = 404, description = "There is no such source"),
    (status = 400, description = "The source refuses, or its settings are wrong"),
))]
pub(in crate::api) async fn check_source(
    State(state): State<AdminState>,
    Path(source): Path<String>,
) -> Result<Json<SourceCheck>, Error> {
    let configuration = state.configured.read();
    Ok(Json(configuration.check_source(&source).await?))
}

/// Which tables.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct TablesQuery {
    /// Only names that contain this, in any case.
    contains: Option<String>,
    /// Most items, from 1 to 1,000.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The tables that the source's user may read, or the files.
#[utoipa::path(get, path = "/admin/v1/sources/{source}/tables", params(("source" = String, Path), TablesQuery), responses(
    (status = 200, description = "A page of names", body = Page<String>),
    (status = 404, description = "There is no such source"),
    (status = 400, description = "The source refuses, or a parameter is wrong"),
))]
pub(in crate::api) async fn list_tables(
    State(state): State<AdminState>,
    Path(source): Path<String>,
    Query(query): Query<TablesQuery>,
) -> Result<Json<Page<String>>, Error> {
    let limit = limit(query.limit)?;
    let contains = query.contains.as_deref().unwrap_or_default();
    let mut tables = state.configured.read().sources.tables(&source, contains).await?;
    tables.sort();
    let tables = tables.into_iter().map(|table| (table.clone(), table)).collect();
    Ok(Json(Page::by_name(tables, limit, query.cursor.as_deref())))
}

/// Which table.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ColumnsQuery {
    /// The table or file, as `table` of a model names it.
    table: String,
}

/// The columns of a table or file.
#[utoipa::path(get, path = "/admin/v1/sources/{source}/columns", params(("source" = String, Path), ColumnsQuery), responses(
    (status = 200, description = "The columns", body = Vec<Column>),
    (status = 404, description = "There is no such source or table"),
    (status = 400, description = "The source refuses, or a parameter is wrong"),
))]
pub(in crate::api) async fn list_columns(
    State(state): State<AdminState>,
    Path(source): Path<String>,
    Query(query): Query<ColumnsQuery>,
) -> Result<Json<Vec<Column>>, Error> {
    let table = admin::Query::Table { name: query.table, columns: None };
    Ok(Json(state.configured.read().sources.columns(&source, &table).await?))
}

/// A query of a source.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct SourceQuery {
    /// One select statement; or `table`.
    sql: Option<String>,
    /// A table or file; or `sql`.
    table: Option<String>,
    /// Most rows, from 1 to 1,000.
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
}

/// Rows of a query, before any mapping. The source is only read.
#[utoipa::path(post, path = "/admin/v1/sources/{source}/query", params(("source" = String, Path)), request_body = SourceQuery, responses(
    (status = 200, description = "The rows", body = Rows),
    (status = 404, description = "There is no such source or table"),
    (status = 400, description = "The source refuses, or the body is wrong"),
))]
pub(in crate::api) async fn query_source(
    State(state): State<AdminState>,
    caller: Caller,
    Path(source): Path<String>,
    Input { value, .. }: Input<SourceQuery>,
) -> Result<Json<Rows>, Error> {
    let limit = rows(value.limit)?;
    let query = match (value.sql, value.table) {
        (Some(sql), None) => admin::Query::Sql(sql),
        (None, Some(name)) => admin::Query::Table { name, columns: None },
        _ => return Err(invalid("the body needs `sql` or `table`, not both")),
    };
    let mut rows = Rows::default();
    state.audit_read(&caller.0, "source.query", &source).await?;
    state.configured.read().sources.rows(&source, &query, limit, |row| rows.push(row)).await?;
    Ok(Json(rows))
}

/// The configured models, by name.
#[utoipa::path(get, path = "/admin/v1/models", params(ListQuery), responses(
    (status = 200, description = "A page of models", body = Page<EntryView>),
))]
pub(in crate::api) async fn list_models(
    State(state): State<AdminState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<EntryView>>, Error> {
    section(&state, StoredSection::Models, &query).map(Json)
}

/// A model's columns and first rows.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ModelPreview {
    columns: Vec<Column>,
    #[serde(flatten)]
    rows: Rows,
}

/// The columns and first rows of a model, before any mapping.
#[utoipa::path(get, path = "/admin/v1/models/{model}/preview", params(("model" = String, Path), RowsQuery), responses(
    (status = 200, description = "Columns and rows", body = ModelPreview),
    (status = 404, description = "There is no such model or table"),
    (status = 400, description = "The source refuses, or a parameter is wrong"),
))]
pub(in crate::api) async fn preview_model(
    State(state): State<AdminState>,
    caller: Caller,
    Path(model): Path<String>,
    Query(query): Query<RowsQuery>,
) -> Result<Json<ModelPreview>, Error> {
    let (limit, mut rows) = (query.rows()?, Rows::default());
    state.audit_read(&caller.0, "model.preview", &model).await?;
    let configuration = state.configured.read();
    let columns = configuration.preview_model(&model, limit, |row| rows.push(row)).await?;
    Ok(Json(ModelPreview { columns, rows }))
}

/// Which column.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct KeyQuery {
    /// The column; the primary key of the model if the request does not say.
    column: Option<String>,
}

/// Whether a column of a model can be its primary key: how many rows it has, how many of them have no value, and how many
/// values occur more than once. The source is asked with one query; without SQL, its first million rows are read.
#[utoipa::path(post, path = "/admin/v1/models/{model}/check-key", params(("model" = String, Path), KeyQuery), responses(
    (status = 200, description = "The counts", body = KeyCheck),
    (status = 404, description = "There is no such model or table"),
    (status = 400, description = "The source refuses, there is no such column, or a parameter is wrong"),
))]
pub(in crate::api) async fn check_key(
    State(state): State<AdminState>,
    Path(model): Path<String>,
    Query(query): Query<KeyQuery>,
) -> Result<Json<KeyCheck>, Error> {
    let configuration = state.configured.read();
    let Some(column) = query.column.as_deref().or(configuration.primary_key(&model)?) else {
        return Err(invalid("name the column: the model has no primary_key, which only dbt knows"));
    };
    Ok(Json(configuration.check_key(&model, column).await?))
}

/// The configuration in force, defaults included, as `larder config print` shows it. Secrets are masked.
#[utoipa::path(get, path = "/admin/v1/configuration", responses(
    (status = 200, description = "TOML", body = String, content_type = "application/toml"),
))]
pub(in crate::api) async fn show_configuration(
    State(state): State<AdminState>,
) -> ([(hyper::header::HeaderName, &'static str); 1], String) {
    ([(hyper::header::CONTENT_TYPE, "application/toml")], state.configured.read().text.clone())
}
