//! Deleted sources, models and syncs, each with the form that stores it again.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    layout::{Visitor, page},
    notice::Refusal,
    table::{Column, pages, table},
    words::{age, segment, time},
};
use crate::admin::{AdminRole, DeletedEntry};

/// The path of the list.
pub const DELETED: &str = "/console/deleted";
/// The hidden field with the version that a form restores.
pub const RESTORED_VERSION: &str = "version";

/// What the page shows.
#[derive(Debug)]
pub struct DeletedPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// A page of the deleted entries, by their names.
    pub entries: &'a [DeletedEntry],
    /// The cursor of that page.
    pub cursor: Option<&'a str>,
    /// The cursor of the next page.
    pub next: Option<&'a str>,
    /// Why a form was refused.
    pub refusal: Option<Refusal>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl DeletedPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let columns = ["Entry", "Deleted", "By", "Restore"].map(Column::Text);
        let rows = html! { @for entry in self.entries { (self.row(entry)) } };
        let content = html! {
            @if let Some(refusal) = &self.refusal { (refusal.notice()) }
            p {
                "Restoring stores the last version before the deletion again, under a new number. Restore a source before its \
                 models, and a model before its syncs."
            }
            @if self.entries.is_empty() && self.cursor.is_none() {
                p { "Nothing is deleted." }
            } @else {
                (table("Deleted entries", &columns, &rows))
            }
            (pages(DELETED, &[], self.cursor, self.next))
        };
        page("Deleted entries", Some(self.visitor), &content)
    }

    fn row(&self, deleted: &DeletedEntry) -> Markup {
        let entry = &deleted.entry;
        let path = format!("{DELETED}/{}/{}", entry.section.as_str(), segment(&entry.name));
        html! {
            tr {
                th scope="row" { (entry.section.singular()) " " (entry.name) }
                td { (time(deleted.at)) br; span class="quiet" { (age(Some(deleted.at), self.now)) } }
                td { (deleted.by) }
                td {
                    @match deleted.restorable {
                        Some(version) if self.visitor.may(AdminRole::Admin) => form method="post" action=(path) {
                            input type="hidden" name=(RESTORED_VERSION) value=(version);
                            button class="quiet" aria-label=(format!("Restore {} {}", entry.section.singular(), entry.name)) {
                                "Restore version " (version)
                            }
                        },
                        Some(version) => { "version " (version) }
                        None => "no earlier version is kept",
                    }
                }
            }
        }
    }
}
