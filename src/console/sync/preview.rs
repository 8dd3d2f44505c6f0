//! Records of a sync as they would be served, and the rows that would be rejected.

use maud::{Markup, html};

use super::super::{
    collection::json_tree,
    layout::{Visitor, page},
    notice::Refusal,
    run::rejected_rows,
    sync_path,
    words::counted,
};
use crate::domain::{CollectionName, RejectedRow};

/// What the page shows.
#[derive(Debug)]
pub struct PreviewPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The sync's name.
    pub name: &'a CollectionName,
    /// The records as JSON.
    pub records: &'a [&'a str],
    /// The rows that would be rejected.
    pub rejected: &'a [RejectedRow],
    /// What works in the mapping, but probably not as meant.
    pub warnings: &'a [String],
    /// Whether records were left off because of their size.
    pub is_cut: bool,
    /// Why there is no preview.
    pub refusal: Option<Refusal>,
}

impl PreviewPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let content = html! {
            p { a href=(sync_path(self.name)) { "Sync " (self.name) } }
            @if let Some(refusal) = &self.refusal { (refusal.notice()) }
            @else { (self.preview()) }
        };
        page(&format!("Preview of {}", self.name), Some(self.visitor), &content)
    }

    fn preview(&self) -> Markup {
        html! {
            p class="quiet" { "The first rows of the model, read from the source just now. Nothing is stored." }
            @for warning in self.warnings { p class="notice" { (warning) } }
            h2 { (counted(self.records.len(), "record")) }
            @for (at, record) in self.records.iter().enumerate() {
                details class="tree" open[at == 0] {
                    summary { "Record " (at + 1) }
                    (json_tree(record))
                }
            }
            @if self.is_cut { p class="quiet" { "Further records are too large to be shown." } }
            h2 id="rejected" { "Rows that would be rejected" }
            (rejected_rows(self.rejected))
        }
    }
}
