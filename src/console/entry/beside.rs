//! What stands beside a form: whether the source answers, what it has, and what the form makes of it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    super::{
        collection::json_tree,
        form::Fields,
        notice::Refusal,
        sync::next_times,
        table::{Column as Heading, table},
        words::{counted, number},
    },
    edit::FORM,
    source::{TABLES_SHOWN_MAX, connection_words, rows_table},
};
use crate::{
    admin::{KeyCheck, MappedRow, ScheduleView, SourceCheck},
    domain::Column,
};

/// The id of the list of the columns of the model.
pub(super) const COLUMNS: &str = "columns-known";
/// The hidden field with the row that is shown.
pub const ROW: &str = "row";
/// The field with a part of the names of tables.
pub const CONTAINS: &str = "contains";

/// What is shown.
#[derive(Debug, Default)]
pub struct Beside {
    /// The columns of the model; empty if they are not known.
    pub columns: Vec<Column>,
    /// The record of a row.
    pub record: Option<MappedRow>,
    /// When the sync would run.
    pub schedule: Option<ScheduleView>,
    /// The tables of the source, sorted.
    pub tables: Option<Vec<String>>,
    /// The first rows of the model, each as a JSON object, and whether some were left off because of their size.
    pub rows: Option<(Vec<String>, bool)>,
    /// How the primary key fits.
    pub key: Option<KeyCheck>,
    /// That the source answers.
    pub connected: Option<SourceCheck>,
    /// Why the source was not read.
    pub refusal: Option<Refusal>,
}

impl Beside {
    /// The list of the columns, which fields name.
    pub(super) fn columns(&self) -> Markup {
        html! { datalist id=(COLUMNS) { @for column in &self.columns { option value=(column.name) { (column.type_name) } } } }
    }

    /// Beside the form of a source: whether it answers.
    pub(super) fn of_source(&self, action: &str) -> Markup {
        html! {
            section id="beside" class="beside" aria-label="The connection" {
                @if let Some(refusal) = &self.refusal { (refusal.notice()) }
                @if let Some(connected) = &self.connected { (connection_words(connected)) }
                h2 { "Connection" }
                p class="quiet" { "Connects with what is in the form. Nothing is saved." }
                div class="row" { (ask(action, "connect", "Test the connection")) }
            }
        }
    }

    /// Beside the form of a sync: the record of a row, and when the sync would run. `action` is where the form goes.
    pub(super) fn of_sync(&self, fields: &Fields, action: &str, now: DateTime<Utc>) -> Markup {
        html! {
            section id="beside" class="beside" aria-label="Preview" data-beside {
                h2 { "Preview" }
                input type="hidden" name=(ROW) form=(FORM) value=(self.record.as_ref().map_or(0, |record| record.at));
                @if let Some(refusal) = &self.refusal { (refusal.notice()) }
                @if let Some(record) = &self.record { (shown_record(record, action)) }
                @else { p class="quiet" { "The record of a real row, as the form would make it. It is shown when the form has no fault." } }
                div class="row" { (ask(action, "preview", "Preview")) }
                @if let Some(schedule) = &self.schedule {
                    h2 { "When it runs" }
                    div data-times { (next_times(schedule, now, true)) }
                } @else if !fields.text("schedule").is_empty() || !fields.text("cron").is_empty() {
                    p class="quiet" { "The preview also has the next times of the schedule." }
                }
            }
        }
    }

    /// Beside the form of a model: the tables of its source, its rows, and how its primary key fits.
    pub(super) fn of_model(&self, fields: &Fields, action: &str) -> Markup {
        html! {
            section id="beside" class="beside" aria-label="The source" {
                @if let Some(refusal) = &self.refusal { (refusal.notice()) }
                @if let Some(key) = &self.key { (key_words(key)) }
                h2 { "Tables" }
                div class="row" {
                    label for=(CONTAINS) { "Part of a name" }
                    input id=(CONTAINS) name=(CONTAINS) form=(FORM) value=(fields.text(CONTAINS)) autocomplete="off" spellcheck="false";
                    (ask(action, "tables", "List the tables of the source"))
                }
                @if let Some(tables) = &self.tables { (picker(tables, action)) }
                h2 { "Columns and rows" }
                div class="row" {
                    (ask(action, "rows", "Show columns and rows"))
                    (ask(action, "key", "Check the primary key"))
                }
                @if let Some((rows, is_cut)) = &self.rows {
                    @let columns = html! { @for column in &self.columns { tr { th scope="row" { (column.name) } td { (column.type_name) } } } };
                    (table("Columns", &["Column", "Type"].map(Heading::Text), &columns))
                    (rows_table(&self.columns, rows, *is_cut))
                }
            }
        }
    }
}

/// A button that sends the form, and shows the answer from here on.
fn ask(action: &str, act: &str, words: &str) -> Markup {
    html! {
        button class="quiet" form=(FORM) formaction=(format!("{action}#beside")) name="act" value=(act) { (words) }
    }
}

fn shown_record(record: &MappedRow, action: &str) -> Markup {
    let step = |step: &str, at: usize, words: &str| {
        html! {
            button class="quiet" form=(FORM) formaction=(format!("{action}#beside")) name="change" value=(format!("row-{at}"))
                data-step=(step) { (words) }
        }
    };
    html! {
        @for warning in &record.warnings { p class="notice" { (warning) } }
        @match &record.outcome {
            None => p { "The model has no row." },
            Some(Ok(body)) => div class="tree" { (json_tree(body)) },
            Some(Err(rejected)) => p class="notice fault" {
                "This row would be rejected: " code { (rejected.reason) }
                @if let Some(field) = &rejected.field { " (" (field) ")" }
            },
        }
        @if record.rows > 0 {
            p class="quiet" { "Row " (record.at + 1) " of the first " (record.rows) ", read from the source just now. Nothing is stored." }
            div class="row" {
                @if record.at > 0 { (step("previous", record.at - 1, "Previous row")) }
                @if record.at + 1 < record.rows { (step("next", record.at + 1, "Next row")) }
            }
        }
    }
}

fn picker(tables: &[String], action: &str) -> Markup {
    html! {
        p { (counted(tables.len(), "table")) @if tables.len() > TABLES_SHOWN_MAX { "; the first " (TABLES_SHOWN_MAX) ":" } }
        ul class="tables" { @for name in tables.iter().take(TABLES_SHOWN_MAX) {
            li { button class="quiet" form=(FORM) formaction=(format!("{action}#beside")) name="pick" value=(name) { (name) } }
        } }
    }
}

/// The outcome of the check of a primary key. It never keeps a form from being saved.
fn key_words(key: &KeyCheck) -> Markup {
    let KeyCheck { column, rows, nulls, repeated, is_complete } = key;
    let nulls_words = match nulls {
        0 => "no nulls".to_owned(),
        1 => "1 row without a value".to_owned(),
        _ => format!("{} rows without a value", number(*nulls)),
    };
    let repeated_words = match repeated {
        0 => "no value occurs more than once".to_owned(),
        1 => "1 value occurs more than once".to_owned(),
        _ => format!("{} values occur more than once", number(*repeated)),
    };
    let class = if *nulls + *repeated == 0 { "notice" } else { "notice fault" };
    html! {
        div class=(class) role="status" {
            p {
                "Primary key " code { (column) } ": "
                @if !is_complete { "of the first " }
                (number(*rows)) @if *rows == 1 { " row, " } @else { " rows, " } (nulls_words) ", " (repeated_words) "."
            }
            @if *nulls + *repeated > 0 { p { "Rows without a value, and all rows that share one, would be rejected." } }
        }
    }
}
