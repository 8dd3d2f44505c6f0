//! The list of the configured syncs.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    super::{
        DELETED, SYNCS,
        entry::new_path,
        layout::{Visitor, page},
        run_path,
        table::{Column, pages, table},
        words::segment,
    },
    when,
};
use crate::{
    admin::{AdminRole, EntryView, ManagedBy},
    domain::{RunRecord, StoredSection},
};

/// What the page shows.
#[derive(Debug)]
pub struct SyncsPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// A page of the syncs, each with its last run.
    pub syncs: &'a [(EntryView, Option<RunRecord>)],
    /// The cursor of that page.
    pub cursor: Option<&'a str>,
    /// The cursor of the next page.
    pub next: Option<&'a str>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl SyncsPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let columns = ["Sync", "Model", "Schedule", "Last run", "Managed by", "Note"].map(Column::Text);
        let rows = html! { @for (entry, run) in self.syncs { (self.row(entry, run.as_ref())) } };
        let content = html! {
            @if self.visitor.may(AdminRole::Admin) {
                p { a class="button" href=(new_path(StoredSection::Syncs)) { "Add a sync" } }
            }
            @if self.syncs.is_empty() && self.cursor.is_none() {
                p { "No sync is configured." }
            } @else {
                (table("Syncs", &columns, &rows))
            }
            (pages(SYNCS, &[], self.cursor, self.next))
            p class="quiet" { a href=(DELETED) { "Deleted sources, models and syncs" } }
        };
        page("Syncs", Some(self.visitor), &content)
    }

    fn row(&self, entry: &EntryView, run: Option<&RunRecord>) -> Markup {
        html! {
            tr {
                th scope="row" { a href=(format!("{SYNCS}/{}", segment(&entry.name))) { (entry.name) } }
                td { (text_of(&entry.settings["model"])) }
                td { (schedule_of(&entry.settings)) }
                td {
                    @if let Some(run) = run {
                        a href=(run_path(run.id)) { (run.status) } ", " (when(run.finished_at.unwrap_or(run.started_at), self.now))
                    } @else { "–" }
                }
                td { @match entry.managed_by { ManagedBy::File => "file", ManagedBy::Api => "admin API" } }
                td class="text" {
                    @for fault in &entry.faults { p class="fault" { "not in force: " (fault) } }
                }
            }
        }
    }
}

/// The text of a setting; a dash without one.
pub(super) fn text_of(setting: &Value) -> &str {
    setting.as_str().unwrap_or("–")
}

/// The schedule as it is written.
fn schedule_of(settings: &Value) -> String {
    let schedule = &settings["schedule"];
    let cron = settings.get("cron").or_else(|| schedule.get("cron")).and_then(Value::as_str);
    if let Some(cron) = cron {
        let zone = settings.get("timezone").or_else(|| schedule.get("timezone")).and_then(Value::as_str);
        return format!("{cron} ({})", zone.unwrap_or("UTC"));
    }
    match settings["after"]["dbt"].as_str() {
        Some(project) => format!("after dbt {project}"),
        None => text_of(schedule).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schedules_are_shown_as_written() {
        for (settings, expected) in [
            (json!({ "schedule": "every 5m" }), "every 5m"),
            (json!({ "cron": "0 3 * * *", "timezone": "Europe/Berlin" }), "0 3 * * * (Europe/Berlin)"),
            (json!({ "schedule": { "cron": "0 3 * * *" } }), "0 3 * * * (UTC)"),
            (json!({ "after": { "dbt": "main" } }), "after dbt main"),
            (json!({}), "–"),
        ] {
            assert_eq!(schedule_of(&settings), expected);
        }
    }
}
