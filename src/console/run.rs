//! The page of a run: its state, what it has done, and what an operator does with it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    assets::WATCH,
    collection_path,
    layout::{Visitor, page},
    notice::{Done, Refusal, notice},
    run_path,
    state::counts_of as known_counts,
    sync_path,
    table::{Column, table, terms},
    words::{age, counted, duration, number, time},
};
use crate::{
    admin::{AdminRole, HeldRemovals},
    domain::{RejectedRow, RunCounts, RunProgress, RunRecord, RunStatus},
};

/// What the page shows.
#[derive(Debug)]
pub struct RunPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The run.
    pub run: &'a RunRecord,
    /// What it has done so far.
    pub progress: Option<RunProgress>,
    /// What it has read.
    pub sql: Option<&'a str>,
    /// Of a held run, the records that it would remove, for those who may see primary keys.
    pub removals: Option<&'a HeldRemovals>,
    /// Its rejected rows, for those who may see primary keys.
    pub rejected: Option<&'a [RejectedRow]>,
    /// Why a form was refused.
    pub refusal: Option<Refusal>,
    /// What a form has done before.
    pub done: Option<Done>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl RunPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let (run, is_operator) = (self.run, self.visitor.may(AdminRole::Operator));
        let content = html! {
            (notice(self.done))
            @if let Some(refusal) = &self.refusal { (refusal.notice()) }
            @if let Some(error) = &run.error {
                div class=(if run.status == RunStatus::Failed { "notice fault" } else { "notice" }) {
                    p class="lines" { (error.message) }
                    p { "Code: " code { (error.code) } }
                }
            }
            @if run.status.is_open() { (self.in_progress(is_operator)) }
            @if run.status == RunStatus::Held { (self.held(is_operator)) }
            (self.facts())
            h2 id="counts" { "Counts" }
            (counts_of(run))
            @if let Some(sql) = self.sql {
                h2 id="sql" { "What it has read" }
                pre tabindex="0" { code { (sql) } }
            }
            @if let Some(rejected) = self.rejected {
                h2 id="rejected" { "Rejected rows" }
                (rejected_rows(rejected))
            } @else if run.counts.rejected > 0 {
                p class="quiet" { "The primary keys of rejected rows are shown to operators." }
            }
        };
        page(&format!("Run of {}", run.sync), Some(self.visitor), &content)
    }

    /// The progress, which a script keeps up to date, and the form that ends the run.
    fn in_progress(&self, is_operator: bool) -> Markup {
        let RunProgress { rows, changed, expected } = self.progress.unwrap_or_default();
        let path = run_path(self.run.id);
        html! {
            section data-run=(self.run.id) data-path=(path) aria-label="Progress" {
                p {
                    "The run is " strong data-shows="status" { (self.run.status) } ": "
                    span data-shows="rows" { (number(rows)) } " rows read, "
                    span data-shows="changed" { (number(changed)) } " new or changed records so far."
                }
                // Without a value it says that the end is not known.
                progress aria-label="Rows read" max=(expected.max(1)) value=[(expected > 0).then(|| rows.min(expected))] {}
                noscript { p { a href=(path) { "Reload to see its progress" } } }
            }
            @if is_operator {
                form class="stack" method="post" action=(format!("{path}/cancel")) {
                    p { "Readers see nothing of a run that is cancelled." }
                    div { button class="danger" { "Cancel the run" } }
                }
            }
            script type="module" src=(WATCH.path()) {}
        }
    }

    /// What a held run would do, and the form that announces it.
    fn held(&self, is_operator: bool) -> Markup {
        let counts = &self.run.counts;
        html! {
            div class="notice" {
                p {
                    "A guard holds this run, and readers see nothing of it. Announced, it would remove "
                    strong { (number(counts.removed)) } " records, add " (number(counts.added)) ", change "
                    (number(counts.changed)) ", and leave " strong { (number(counts.records)) } " records."
                }
            }
            @if is_operator && counts.removed > 0 { (self.removals()) }
            @if is_operator {
                form class="stack" method="post" action=(format!("{}/approve", run_path(self.run.id))) {
                    p {
                        "Approving announces exactly what the run has made, unless the collection was changed since. If the model is \
                         wrong, mend it instead: the next run is compared again."
                    }
                    div { button { "Approve the run" } }
                }
            }
        }
    }

    /// The records that a held run would remove. A key is sent in the body of a form: it is in no address and no log.
    fn removals(&self) -> Markup {
        let Some(HeldRemovals { index, keys }) = self.removals.filter(|removals| !removals.keys.is_empty())
        else {
            return html! {
                p class="quiet" {
                    "The records cannot be listed: they are retained by " code { "on_delete" } ", the collection was changed since, or \
                     the run has written every record anew."
                }
            };
        };
        let path = format!("{}/records", collection_path(&self.run.sync));
        let mut columns = vec![Column::Text("Primary key")];
        columns.extend(index.as_ref().map(|_| Column::Text("Record, as it is served")));
        let rows = html! {
            @for key in keys {
                tr {
                    th scope="row" class="text" { code { (key) } }
                    @if let Some(index) = index {
                        td {
                            form method="post" action=(path) {
                                input type="hidden" name="index" value=(index);
                                input type="hidden" name="value" value=(key);
                                button class="quiet" aria-label=(format!("Show record {key}")) { "Show" }
                            }
                        }
                    }
                }
            }
        };
        html! {
            h2 id="removals" { "Records that it would remove" }
            p class="quiet" { (number(keys.len() as u64)) " of " (number(self.run.counts.removed)) " records." }
            (table("Records that it would remove", &columns, &rows))
        }
    }

    fn facts(&self) -> Markup {
        let run = self.run;
        let mut facts = vec![
            ("Run", html! { code { (run.id) } }),
            ("Status", html! { (run.status) }),
            ("Sync", html! { a href=(sync_path(&run.sync)) { (run.sync) } }),
            ("Collection", html! { a href=(collection_path(&run.sync)) { (run.sync) } }),
            ("Started by", html! { (run.trigger) }),
            ("Started", html! { (time(run.started_at)) ", " (age(Some(run.started_at), self.now)) }),
        ];
        if let Some(at) = run.finished_at {
            facts.push(("Finished", html! { (time(at)) ", after " (duration(at - run.started_at)) }));
        }
        facts.extend(run.data_as_of.map(|at| ("Data as of", html! { (time(at)) })));
        facts.extend(run.version.map(|version| ("Version", html! { (version) })));
        terms(&facts)
    }
}

/// The counts of a run, as far as they are known: a run in progress has none yet, and one that announces an earlier content
/// again only that of its records.
fn counts_of(run: &RunRecord) -> Markup {
    table_of_counts(&run.counts, known_counts(run).is_some())
}

/// The counts of a run, each with what it counts.
pub(super) fn counts(counts: &RunCounts) -> Markup {
    table_of_counts(counts, true)
}

/// The counts; of a run that has not counted with a dash for each 0.
fn table_of_counts(counts: &RunCounts, has_counted: bool) -> Markup {
    let RunCounts {
        rows,
        added,
        changed,
        removed,
        rejected,
        carried,
        left,
        conflicts,
        unread,
        nulled,
        records,
    } = *counts;
    let rows_of = [
        ("Rows read", rows),
        ("Records added", added),
        ("Records changed", changed),
        ("Records removed: their row has left the model", removed),
        ("Rows rejected", rejected),
        ("Records kept because their row was rejected", carried),
        ("Records retained although their row has left the model", left),
        ("Index values that other records hold", conflicts),
        ("Records not read, by a run of an increment", unread),
        ("Values that became null (NaN, infinity)", nulled),
        ("Records served after the run", records),
    ];
    let shown = |count| if has_counted || count > 0 { number(count) } else { "–".to_owned() };
    let rows = html! {
        @for (what, count) in rows_of { tr { th scope="row" class="text" { (what) } td class="number" { (shown(count)) } } }
    };
    table("Counts", &[Column::Text("What"), Column::Number("Count")], &rows)
}

/// Rejected rows with their primary keys.
pub(super) fn rejected_rows(rejected: &[RejectedRow]) -> Markup {
    let rows = html! {
        @for row in rejected {
            tr {
                td class="text" { @if let Some(key) = &row.primary_key { code { (key) } } @else { "–" } }
                td { (row.reason) }
                td { (row.field.as_deref().unwrap_or("–")) }
            }
        }
    };
    html! {
        @if rejected.is_empty() { p { "None." } }
        @else {
            p class="quiet" { (counted(rejected.len(), "row")) " listed; at most 100 of a reason are kept." }
            (table("Rejected rows", &["Primary key", "Reason", "Field"].map(Column::Text), &rows))
        }
    }
}
