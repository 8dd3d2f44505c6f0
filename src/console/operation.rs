//! The page of something that was requested: it waits for its turn, has failed, or was a dry run. Once there is a run, that
//! run's page takes its place.

use maud::{Markup, html};

use super::{
    SYNCS,
    layout::{Visitor, page},
    run::{counts, rejected_rows},
    sync_path,
    words::number,
};
use crate::{
    admin::{OperationKind, OperationResult, OperationView},
    domain::RunRecord,
};

/// What the page shows.
#[derive(Debug)]
pub struct OperationPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The operation.
    pub operation: &'a OperationView,
}

impl OperationPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let operation = self.operation;
        let title = match operation.kind {
            OperationKind::Sync => "Requested run",
            OperationKind::DryRun => "Dry run",
            OperationKind::Approve => "Approval",
        };
        let content = html! {
            p {
                @if let Some(sync) = &operation.sync { a href=(sync_path(sync)) { "Sync " (sync) } }
                @else { a href=(SYNCS) { "All syncs" } }
            }
            @if let Some(error) = &operation.error {
                div class="notice fault" role="alert" {
                    p class="lines" { (error.message) }
                    p { "Code: " code { (error.code) } }
                }
            } @else if let Some(result) = &operation.result {
                (outcome(result))
            } @else {
                p class="notice" role="status" {
                    "In progress: " (number(operation.progress.rows)) " rows read, " (number(operation.progress.changed))
                    " new or changed records so far. This page reloads by itself."
                }
            }
        };
        page(title, Some(self.visitor), &content)
    }
}

/// What a dry run has found.
fn outcome(result: &OperationResult) -> Markup {
    let RunRecord { status, error, counts: counted, .. } = &result.run;
    html! {
        p class="notice" role="status" { "It would end as " strong { (status) } ". Nothing was changed." }
        @if let Some(error) = error {
            div class="notice fault" { p class="lines" { (error.message) } p { "Code: " code { (error.code) } } }
        }
        @for warning in &result.warnings { p class="notice" { (warning) } }
        h2 id="counts" { "Counts" }
        (counts(counted))
        h2 id="rejected" { "Rejected rows" }
        (rejected_rows(&result.rejected))
    }
}
