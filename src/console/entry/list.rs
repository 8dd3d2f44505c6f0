//! The list of the sources or models.

use maud::{Markup, html};
use serde_json::Value;

use super::{
    super::{
        layout::{Visitor, page},
        notice::{Done, notice},
        table::{Column, pages, table},
    },
    entry_path, new_path, section_path,
};
use crate::{
    admin::{AdminRole, EntryView, ManagedBy},
    domain::{StoredName, StoredSection},
};

/// What the page shows.
#[derive(Debug)]
pub struct EntriesPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The section.
    pub section: StoredSection,
    /// A page of its entries.
    pub entries: &'a [EntryView],
    /// The cursor of that page.
    pub cursor: Option<&'a str>,
    /// The cursor of the next page.
    pub next: Option<&'a str>,
    /// What a form has done before.
    pub done: Option<Done>,
}

/// `Sources`.
pub(super) fn title(section: StoredSection) -> &'static str {
    match section {
        StoredSection::Sources => "Sources",
        StoredSection::Models => "Models",
        StoredSection::Syncs => "Syncs",
    }
}

/// The setting that tells most of an entry, and what it is.
fn main_setting(section: StoredSection) -> (&'static str, &'static str) {
    match section {
        StoredSection::Sources => ("type", "Type"),
        StoredSection::Models => ("source", "Source"),
        StoredSection::Syncs => ("model", "Model"),
    }
}

impl EntriesPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let (key, heading) = main_setting(self.section);
        let columns = ["Name", heading, "Managed by", "Note"].map(Column::Text);
        let rows = html! { @for entry in self.entries { (self.row(entry, &entry.settings[key])) } };
        let one = self.section.singular();
        let content = html! {
            (notice(self.done))
            @if self.visitor.may(AdminRole::Admin) {
                p { a class="button" href=(new_path(self.section)) { "Add a " (one) } }
            }
            @if self.entries.is_empty() && self.cursor.is_none() { p { "There is no " (one) " yet." } }
            @else { (table(title(self.section), &columns, &rows)) }
            (pages(&section_path(self.section), &[], self.cursor, self.next))
        };
        page(title(self.section), Some(self.visitor), &content)
    }

    fn row(&self, entry: &EntryView, main: &Value) -> Markup {
        let name = StoredName { section: self.section, name: entry.name.clone() };
        html! {
            tr {
                th scope="row" { a href=(entry_path(&name)) { (entry.name) } }
                td { (main.as_str().unwrap_or("–")) }
                td { (managed_by(entry.managed_by)) }
                td class="text" { @for fault in &entry.faults { p class="fault" { "not in force: " (fault) } } }
            }
        }
    }
}

/// Where an entry may be changed, in words.
pub(super) fn managed_by(managed_by: ManagedBy) -> &'static str {
    match managed_by {
        ManagedBy::File => "the configuration file",
        ManagedBy::Api => "the console and the admin API",
    }
}
