//! The page of a sync: what is configured, when it runs, its runs, and what an operator does with it.

mod chart;
mod history;
mod list;
mod preview;

use chrono::{DateTime, Utc};
use maud::{Markup, html};

pub use self::{list::SyncsPage, preview::PreviewPage};
use super::{
    collection_path,
    entry::entry_path,
    form::{Form, script},
    layout::{Visitor, page},
    notice::{Done, Refusal, notice},
    run_path,
    state::troubles_of,
    sync_path,
    table::terms,
    words::{age, time},
};
use crate::{
    admin::{AdminRole, CollectionStatus, EntryView, ManagedBy, ScheduleView},
    domain::{CollectionName, RunRecord, StoredName, StoredSection},
};

/// What the page shows.
#[derive(Debug)]
pub struct SyncPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The sync's name.
    pub name: &'a CollectionName,
    /// What is configured.
    pub entry: &'a EntryView,
    /// The name of the model's source.
    pub source: Option<&'a str>,
    /// When it runs; `None` of a sync that is left out because of its faults.
    pub schedule: Option<&'a ScheduleView>,
    /// Its collection; `None` while nothing is known of it.
    pub collection: Option<&'a CollectionStatus>,
    /// A page of its runs, newest first.
    pub runs: &'a [RunRecord],
    /// The cursor of that page.
    pub cursor: Option<&'a str>,
    /// The cursor of the next page.
    pub next: Option<&'a str>,
    /// The form that starts a run.
    pub form: Form<'a>,
    /// Why a form was refused.
    pub refusal: Option<Refusal>,
    /// What a form has done before.
    pub done: Option<Done>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl SyncPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let content = html! {
            (notice(self.done))
            @if let Some(refusal) = &self.refusal { (refusal.notice()) }
            (self.problems())
            (self.facts())
            @if self.visitor.may(AdminRole::Operator) { (self.operate()) }
            h2 id="runs" { "Runs" }
            (self.history())
            (script())
        };
        page(&format!("Sync {}", self.name), Some(self.visitor), &content)
    }

    fn problems(&self) -> Markup {
        let faults = self.entry.faults.iter().map(|fault| format!("not in force: {fault}"));
        let troubles: Vec<String> = faults.chain(self.collection.into_iter().flat_map(troubles_of)).collect();
        html! {
            @if !troubles.is_empty() {
                ul class="problems" { @for text in troubles { li class="notice fault" { (text) } } }
            }
            @if let Some(pause) = self.collection.and_then(|one| one.paused.as_ref()) {
                p class="notice" { "Scheduled runs are paused: " (pause) ", by " (pause.by) "." }
            }
            @if let Some(version) = self.collection.and_then(|one| one.dropped) {
                p class="notice" {
                    "The collection was dropped at version " (version) ". Only a run that you start brings it back."
                }
            }
        }
    }

    fn facts(&self) -> Markup {
        let managed_by = match self.entry.managed_by {
            ManagedBy::File => "the configuration file".to_owned(),
            ManagedBy::Api => {
                let version =
                    self.entry.version.map(|version| format!(", version {version}")).unwrap_or_default();
                format!("the admin API{version}")
            }
        };
        let configured = StoredName { section: StoredSection::Syncs, name: self.name.to_string() };
        let settings = serde_json::to_string_pretty(&self.entry.settings).unwrap_or_default();
        let mut facts = vec![
            ("Collection", html! { a href=(collection_path(self.name)) { (self.name) } }),
            ("Model", entry_link(StoredSection::Models, self.entry.settings["model"].as_str())),
            ("Source", entry_link(StoredSection::Sources, self.source)),
            ("Schedule", self.schedule()),
            (
                "Managed by",
                html! { (managed_by) ": " a href=(entry_path(&configured)) { "settings and versions" } },
            ),
        ];
        if let Some(run) = self.collection.and_then(|one| one.held_run) {
            facts.push(("Held run", html! { a href=(run_path(run)) { (run) } }));
        }
        html! {
            (terms(&facts))
            details {
                summary { "Settings" }
                pre tabindex="0" { code { (settings) } }
            }
        }
    }

    fn schedule(&self) -> Markup {
        let Some(schedule) = self.schedule else { return html! { "–" } };
        let is_stopped = self.collection.is_some_and(|one| one.paused.is_some() || one.dropped.is_some());
        html! { div data-times { (next_times(schedule, self.now, !is_stopped)) } }
    }

    /// What an operator may do.
    fn operate(&self) -> Markup {
        let path = sync_path(self.name);
        let is_paused = self.collection.is_some_and(|one| one.paused.is_some());
        html! {
            @if is_paused {
                form class="stack" method="post" action=(format!("{path}/resume")) {
                    div { button { "Resume the schedule" } }
                }
            }
            @if self.schedule.is_some() {
                h2 id="run" { "Run now" }
                form class="stack" method="post" action=(format!("{path}/run")) data-once {
                    (self.form.head())
                    fieldset {
                        legend { "How" }
                        (self.form.choice("checkbox", "dry_run", "yes", "Dry run: read and compare only; nothing is announced"))
                        (self.form.choice("checkbox", "full", "yes", "Read the whole model, also of a sync that reads increments"))
                        (self.form.choice("checkbox", "accept", "yes", "Announce the result even if a guard would hold it"))
                    }
                    div class="row" {
                        button { "Run now" }
                        a href=(format!("{path}/preview")) { "Preview records" }
                    }
                }
            }
        }
    }
}

/// A link to an entry; a dash without one.
fn entry_link(section: StoredSection, name: Option<&str>) -> Markup {
    html! {
        @if let Some(name) = name {
            a href=(entry_path(&StoredName { section, name: name.to_owned() })) { (name) }
        } @else { "–" }
    }
}

/// A schedule in words, and with `has_times` its next times. Within an element with `data-times`, browsers with
/// JavaScript add each in their own time zone.
pub(super) fn next_times(schedule: &ScheduleView, now: DateTime<Utc>, has_times: bool) -> Markup {
    html! {
        (schedule.words)
        @if has_times && !schedule.next.is_empty() {
            ol {
                @for next in &schedule.next {
                    @let at = next.to_utc();
                    li {
                        @if at <= now { "now" } @else { (time(at)) }
                        @if let Some(zone) = schedule.timezone.as_deref().filter(|zone| *zone != "UTC") {
                            ", " (next.format("%Y-%m-%d %H:%M:%S").to_string()) " in " (zone)
                        }
                    }
                }
            }
        }
    }
}

/// When something was, in short.
fn when(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    age(Some(at), now)
}
