//! The page of one source, model or sync: its settings, what uses it, its versions, and what can be done with it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    super::{
        SYNCS,
        form::{STATE, script},
        layout::{Visitor, page},
        notice::{Done, Refusal, notice},
        table::{Column, link, table, terms},
        words::{age, segment},
    },
    entry_path,
    list::{managed_by, title},
    new_path, section_path,
    source::SourceAnswer,
    toml,
};
use crate::{
    admin::{AdminRole, EntryView, ManagedBy, StoredView},
    domain::{StoredName, StoredSection},
};

/// What the page shows.
#[derive(Debug)]
pub struct EntryPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The entry's name.
    pub name: &'a StoredName,
    /// The entry.
    pub entry: &'a EntryView,
    /// Its secrets that are URLs: each key, and what of the URL may be shown.
    pub addresses: &'a [(String, String)],
    /// Whether it was to be deleted, and is not, because something uses it.
    pub is_used: bool,
    /// The entries that use it.
    pub users: &'a [StoredName],
    /// Its versions, newest first.
    pub versions: &'a [StoredView],
    /// The answer of a source.
    pub source_answer: Option<SourceAnswer>,
    /// Why a form was refused.
    pub refusal: Option<Refusal>,
    /// Why a model or sync that was just saved does not work.
    pub unread: Option<Refusal>,
    /// What a form has done before.
    pub done: Option<Done>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl EntryPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let section = self.name.section;
        let content = html! {
            p { a href=(section_path(section)) { "All " (section.as_str()) } }
            (notice(self.done))
            @if let Some(unread) = &self.unread {
                div class="notice fault" role="alert" {
                    p {
                        @if section == StoredSection::Syncs { "The sync is saved, but a run of it would fail now." }
                        @else { "The model is saved, but it cannot be read now. A sync of it would fail." }
                    }
                    p class="lines" { (unread.message) }
                    p { "Code: " code { (unread.code) } }
                }
            }
            @if self.is_used {
                p class="notice fault" role="alert" {
                    "Nothing was deleted: used by " (self.users()) ". Delete these first, or change what they use."
                }
            } @else if let Some(refusal) = &self.refusal { (refusal.notice()) }
            @if !self.entry.faults.is_empty() {
                ul class="problems" { @for fault in &self.entry.faults { li class="notice fault" { "not in force: " (fault) } } }
            }
            (self.facts())
            (self.actions())
            @if section == StoredSection::Sources { (self.source()) }
            @if !self.versions.is_empty() { (self.versions()) }
            @if self.is_editable() { (self.deletion()) }
            (script())
        };
        let one = title(section).trim_end_matches('s');
        page(&format!("{one} {}", self.name.name), Some(self.visitor), &content)
    }

    pub(super) fn is_editable(&self) -> bool {
        self.entry.managed_by == ManagedBy::Api && self.visitor.may(AdminRole::Admin)
    }

    fn facts(&self) -> Markup {
        let settings = self.entry.settings.as_object().and_then(toml::write);
        let settings = settings.unwrap_or_else(|| format!("{:#}", self.entry.settings));
        let mut facts = vec![("Managed by", html! { (managed_by(self.entry.managed_by)) })];
        facts.extend(self.addresses.iter().map(|(key, address)| (&**key, html! { code { (address) } })));
        if self.name.section == StoredSection::Syncs {
            facts.push(("Runs", html! { a href=(format!("{SYNCS}/{}", segment(&self.name.name))) { "schedule, runs and records of the sync" } }));
        } else {
            facts.push(("Used by", self.users()));
        }
        html! {
            (terms(&facts))
            pre tabindex="0" { code { (settings) } }
            @if self.entry.managed_by == ManagedBy::File {
                p class="quiet" { "Settings of the configuration file are changed there." }
            }
        }
    }

    fn users(&self) -> Markup {
        html! {
            @if self.users.is_empty() { "nothing" }
            @for (at, user) in self.users.iter().enumerate() {
                @if at > 0 { ", " }
                a href=(entry_path(user)) { (user.section.singular()) " " (user.name) }
            }
        }
    }

    fn actions(&self) -> Markup {
        let (path, name) = (entry_path(self.name), &*self.name.name);
        html! {
            div class="row" {
                @if self.is_editable() { a class="button" href=(format!("{path}/edit")) { "Edit" } }
                @if self.name.section == StoredSection::Sources && self.visitor.may(AdminRole::Admin) {
                    a class="button" href=(link(&new_path(StoredSection::Models), &[("source", name)])) { "Add a model" }
                }
                @if self.name.section == StoredSection::Models {
                    @if self.visitor.may(AdminRole::Operator) { a class="button" href=(format!("{path}/preview")) { "Preview rows" } }
                    @if self.visitor.may(AdminRole::Admin) {
                        a class="button" href=(link(&new_path(StoredSection::Syncs), &[("model", name)])) { "Add a sync" }
                    }
                }
            }
        }
    }

    fn versions(&self) -> Markup {
        let columns = ["Version", "Stored by", "When", "Settings", "Action"].map(Column::Text);
        let rows = html! {
            @for stored in self.versions {
                tr {
                    th scope="row" { (stored.version) }
                    td { (stored.author) }
                    td { (age(Some(stored.created_at), self.now)) }
                    td class="text" {
                        @if let Some(settings) = stored.settings.as_ref().and_then(|settings| settings.as_object()) {
                            details { summary { "Show" } pre { code { (toml::write(settings).unwrap_or_default()) } } }
                        } @else { "deleted" }
                    }
                    td {
                        @if self.is_editable() && stored.settings.is_some() && self.entry.version != Some(stored.version) {
                            form method="post" action=(format!("{}/undo", entry_path(self.name))) {
                                (self.state())
                                input type="hidden" name="version" value=(stored.version);
                                button class="quiet" { "Store again" }
                            }
                        }
                    }
                }
            }
        };
        html! { h2 { "Versions" } (table("Versions", &columns, &rows)) }
    }

    /// The hidden field with the version that the page shows.
    fn state(&self) -> Markup {
        html! { input type="hidden" name=(STATE) value=(self.entry.version.unwrap_or_default()); }
    }

    fn deletion(&self) -> Markup {
        let one = self.name.section.singular();
        html! {
            details {
                summary { "Delete this " (one) }
                form class="stack" method="post" action=(format!("{}/delete", entry_path(self.name))) {
                    (self.state())
                    p {
                        @if self.name.section == StoredSection::Syncs {
                            "The sync runs no more. Its collection stays as it is, until it is dropped on its own page."
                        } @else { "A " (one) " that something uses cannot be deleted." }
                    }
                    div { button class="danger" { "Delete" } }
                }
            }
        }
    }
}
