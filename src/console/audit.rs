//! The audit log.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    AUDIT,
    layout::{Visitor, page},
    table::{Column, link, pages, table},
    words::{age, time},
};
use crate::admin::AuditEntry;

/// The log, newest entries first.
#[derive(Debug)]
pub struct AuditPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The entries of this page.
    pub entries: &'a [AuditEntry],
    /// What entries are limited to; empty for all.
    pub subject: &'a str,
    /// The cursor of this page.
    pub cursor: Option<&'a str>,
    /// That of the next one.
    pub next: Option<&'a str>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl AuditPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let columns =
            ["When", "Who", "From", "Action", "Subject", "What, before and after"].map(Column::Text);
        let rows = html! { @for entry in self.entries { (self.row(entry)) } };
        let content = html! {
            form class="row" method="get" action=(AUDIT) {
                div class="field" {
                    label for="subject" { "Subject" }
                    input id="subject" name="subject" type="search" value=(self.subject) spellcheck="false"
                        aria-describedby="subject-hint";
                    p id="subject-hint" class="quiet" {
                        "A collection, the id of a key, admin key or session, or a stored entry such as sources.crm"
                    }
                }
                button class="quiet" { "Show" }
                @if !self.subject.is_empty() { a href=(AUDIT) { "All entries" } }
            }
            @if self.entries.is_empty() {
                p { "There is no such entry." }
            } @else {
                (table("Entries", &columns, &rows))
            }
            (pages(AUDIT, &[("subject", self.subject)], self.cursor, self.next))
        };
        page("Audit log", Some(self.visitor), &content)
    }

    fn row(&self, entry: &AuditEntry) -> Markup {
        html! {
            tr {
                td { (time(entry.at)) br; span class="quiet" { (age(Some(entry.at), self.now)) } }
                td { (entry.actor) }
                td { (entry.address.as_deref().unwrap_or("–")) }
                td { code { (entry.action) } }
                td { a href=(link(AUDIT, &[("subject", &entry.subject)])) { (entry.subject) } }
                td class="lines" { (entry.detail.as_deref().unwrap_or_default()) }
            }
        }
    }
}
