//! The versions of a collection that can be served again.

use maud::{Markup, html};

use super::{
    super::{
        collection_path, run_path,
        state::has_read_rows,
        table::{Column, link, pages, table},
        words::{age, bytes, number},
    },
    CollectionPage,
};
use crate::{
    admin::{AdminRole, ServableVersion},
    domain::{RegionName, RunCounts},
};

impl CollectionPage<'_> {
    /// The table of versions.
    pub(super) fn version_list(&self) -> Markup {
        let mut columns = vec![
            Column::Number("Version"),
            Column::Text("Data as of"),
            Column::Number("Records"),
            Column::Number("Added"),
            Column::Number("Changed"),
            Column::Number("Removed"),
            Column::Number("Size"),
            Column::Text("Announced by"),
            Column::Text("Served"),
        ];
        if self.visitor.may(AdminRole::Operator) {
            columns.push(Column::Text("Go back"));
        }
        let rows = html! { @for one in self.versions { (self.version_row(one)) } };
        let path = collection_path(&self.status.collection);
        html! {
            @if self.versions.is_empty() { p { "No version can be read." } }
            @else { (table("Versions", &columns, &rows)) }
            (pages(&path, &[], self.cursor, self.next))
        }
    }

    fn version_row(&self, one: &ServableVersion) -> Markup {
        let path = collection_path(&self.status.collection);
        let version = one.version.to_string();
        let go = link(&path, &[("version", &version), ("cursor", self.cursor.unwrap_or_default())]);
        let counts = one.counts.filter(|_| one.origin.as_deref().is_none_or(has_read_rows));
        let count = |of: fn(&RunCounts) -> u64| {
            counts.as_ref().map_or_else(|| "–".to_owned(), |counts| number(of(counts)))
        };
        let pinned: Vec<&str> = one.pinned.iter().map(RegionName::as_str).collect();
        html! {
            tr {
                th scope="row" class="number" { (version) }
                td { (age(Some(one.data_as_of), self.now)) }
                td class="number" { (number(one.records)) }
                td class="number" { (count(|counts| counts.added)) }
                td class="number" { (count(|counts| counts.changed)) }
                td class="number" { (count(|counts| counts.removed)) }
                td class="number" { (bytes(one.bytes)) }
                td {
                    @match (one.run, &one.origin) {
                        (Some(run), Some(origin)) => a href=(run_path(run)) { (origin) },
                        _ => "–",
                    }
                }
                td {
                    @if one.newest { "newest" }
                    @if one.newest && !pinned.is_empty() { ", " }
                    @if !pinned.is_empty() { "pinned in " (pinned.join(", ")) }
                }
                @if self.visitor.may(AdminRole::Operator) {
                    td {
                        @if one.newest { "–" }
                        @else { a href=(format!("{go}#rollback")) { "Roll back or pin to " (version) } }
                    }
                }
            }
        }
    }
}
