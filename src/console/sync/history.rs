//! The runs of a sync: a chart, and the table that has the same numbers.

use maud::{Markup, html};

use super::{
    super::{
        run_path,
        state::counts_of,
        sync_path,
        table::{Column, pages, table},
        words::{duration, number, time},
    },
    SyncPage,
    chart::chart,
};
use crate::domain::{RunCounts, RunRecord};

impl SyncPage<'_> {
    /// The chart, the table, and the links to other pages.
    pub(super) fn history(&self) -> Markup {
        let columns = [
            Column::Text("Started"),
            Column::Text("Status"),
            Column::Number("Duration"),
            Column::Number("Rows"),
            Column::Number("Added"),
            Column::Number("Changed"),
            Column::Number("Removed"),
            Column::Number("Rejected"),
            Column::Number("Version"),
            Column::Text("Started by"),
        ];
        let rows = html! { @for run in self.runs { (row(run)) } };
        html! {
            @if self.runs.is_empty() { p { "No run yet." } }
            @else {
                (chart(self.runs))
                (table("Runs", &columns, &rows))
            }
            (pages(&sync_path(self.name), &[], self.cursor, self.next))
        }
    }
}

fn row(run: &RunRecord) -> Markup {
    let counts = counts_of(run);
    let count =
        |of: fn(&RunCounts) -> u64| counts.map_or_else(|| "–".to_owned(), |counts| number(of(counts)));
    html! {
        tr {
            th scope="row" { a href=(run_path(run.id)) { (time(run.started_at)) } }
            td { (run.status) @if let Some(error) = &run.error { " (" (error.code) ")" } }
            td class="number" { (run.finished_at.map_or_else(|| "–".to_owned(), |at| duration(at - run.started_at))) }
            td class="number" { (count(|counts| counts.rows)) }
            td class="number" { (count(|counts| counts.added)) }
            td class="number" { (count(|counts| counts.changed)) }
            td class="number" { (count(|counts| counts.removed)) }
            td class="number" { (count(|counts| counts.rejected)) }
            td class="number" { (run.version.map_or_else(|| "–".to_owned(), |version| version.to_string())) }
            td { (run.trigger) }
        }
    }
}
