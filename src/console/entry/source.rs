//! What a source has: whether it answers, its tables, their columns; and the first rows of a model.

use maud::{Markup, html};

use super::{
    super::{
        layout::{Visitor, page},
        notice::Refusal,
        table::{Column as Heading, link, table},
        words::counted,
    },
    entry_path, new_path,
    page::EntryPage,
};
use crate::{
    admin::{AdminRole, SourceCheck},
    domain::{Column, StoredName, StoredSection},
};

/// Tables that are listed: more are narrowed by a part of the name.
pub(super) const TABLES_SHOWN_MAX: usize = 200;

/// The answer of a source.
#[derive(Debug)]
pub enum SourceAnswer {
    /// It was asked whether it answers.
    Checked(SourceCheck),
    /// Its tables, those whose names contain a text.
    Tables {
        /// The text.
        contains: String,
        /// The names, sorted.
        names: Vec<String>,
    },
    /// The columns of a table.
    Columns {
        /// The table.
        table: String,
        /// Its columns.
        columns: Vec<Column>,
    },
}

impl EntryPage<'_> {
    /// The forms that ask a source, and its last answer.
    pub(super) fn source(&self) -> Markup {
        let path = entry_path(self.name);
        let contains = match &self.source_answer {
            Some(SourceAnswer::Tables { contains, .. }) => contains,
            _ => "",
        };
        html! {
            @if self.visitor.may(AdminRole::Operator) {
                form class="row" method="post" action=(format!("{path}/check")) { button { "Check the connection" } }
            }
            h2 id="tables" { "Tables" }
            form class="row" method="get" action=(path) {
                label for="contains" { "Part of a name" }
                input id="contains" name="contains" value=(contains) autocomplete="off" spellcheck="false";
                input type="hidden" name="show" value="tables";
                button { "List tables" }
            }
            @if let Some(source_answer) = &self.source_answer { (self.show_answer(source_answer, &path)) }
        }
    }

    fn show_answer(&self, source_answer: &SourceAnswer, path: &str) -> Markup {
        match source_answer {
            SourceAnswer::Checked(checked) => connection_words(checked),
            SourceAnswer::Tables { names, .. } => html! {
                p { (counted(names.len(), "table")) @if names.len() > TABLES_SHOWN_MAX { "; the first " (TABLES_SHOWN_MAX) ":" } }
                ul { @for name in names.iter().take(TABLES_SHOWN_MAX) {
                    li {
                        @if self.visitor.may(AdminRole::Operator) {
                            a href=(link(path, &[("show", "columns"), ("table", name)])) { (name) }
                        } @else { (name) }
                    }
                } }
            },
            SourceAnswer::Columns { table: name, columns } => {
                let rows = html! { @for column in columns { tr { th scope="row" { (column.name) } td { (column.type_name) } } } };
                let new =
                    link(&new_path(StoredSection::Models), &[("source", &self.name.name), ("table", name)]);
                html! {
                    h3 { (name) }
                    (table("Columns", &["Column", "Type"].map(Heading::Text), &rows))
                    @if self.visitor.may(AdminRole::Admin) { p { a class="button" href=(new) { "Make a model of this table" } } }
                }
            }
        }
    }
}

/// That a source answers.
pub(super) fn connection_words(SourceCheck { version, latency_ms, .. }: &SourceCheck) -> Markup {
    html! {
        p class="notice" role="status" {
            "The source answers, within " (latency_ms) " ms."
            @if let Some(version) = version { " It is " (version) "." }
        }
    }
}

/// The first rows of a model, before any mapping.
#[derive(Debug)]
pub struct PreviewedModel<'a> {
    /// Who sees them.
    pub visitor: Visitor<'a>,
    /// The model.
    pub name: &'a StoredName,
    /// Its columns.
    pub columns: &'a [Column],
    /// Its rows as JSON objects.
    pub rows: &'a [&'a str],
    /// Whether rows were left off because of their size.
    pub is_cut: bool,
    /// Why there are none.
    pub refusal: Option<Refusal>,
}

impl PreviewedModel<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let content = html! {
            p { a href=(entry_path(self.name)) { "Model " (self.name.name) } }
            @if let Some(refusal) = &self.refusal { (refusal.notice()) }
            @else { (self.rows()) }
        };
        page(&format!("Rows of {}", self.name.name), Some(self.visitor), &content)
    }

    fn rows(&self) -> Markup {
        html! {
            p class="quiet" { "The first rows of the model, read from the source just now, before any mapping." }
            (rows_table(self.columns, self.rows, self.is_cut))
        }
    }
}

/// The first rows of a model, each a JSON object.
pub(super) fn rows_table(columns: &[Column], rows: &[impl AsRef<str>], is_cut: bool) -> Markup {
    let cells = |row: &str| -> Vec<String> {
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(row).unwrap_or_default();
        let cell = |column: &Column| match row.get(&column.name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        columns.iter().map(cell).collect()
    };
    html! {
        div class="table" tabindex="0" role="region" aria-label="Rows" {
            table {
                thead { tr { @for column in columns { th scope="col" { (column.name) br; (column.type_name) } } } }
                tbody { @for row in rows { tr { @for cell in cells(row.as_ref()) { td { (cell) } } } } }
            }
        }
        p { (counted(rows.len(), "row")) }
        @if is_cut { p class="quiet" { "Further rows are too large to be shown." } }
    }
}
