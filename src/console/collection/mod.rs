//! The page of a collection: what is announced, who serves it, its versions, and what an operator does with them.

mod change;
mod message;
mod nodes;
mod record;
mod snippet;
mod tree;
mod versions;

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use self::snippet::Address;
pub(super) use self::tree::json_tree;
pub use self::{
    message::{MESSAGE, MESSAGE_KEY, MESSAGE_VALUE, MessagePage},
    record::RecordPage,
    snippet::tag_of,
};
use super::{
    collection_path,
    form::{Form, script},
    layout::{Visitor, page},
    notice::{Done, Refusal, notice},
    run_path,
    state::{notes_of, troubles_of},
    sync_path,
    table::terms,
    words::{age, bytes, number, time},
};
use crate::{
    admin::{AdminRole, CollectionStatus, ServableVersion, fleet::FleetStatus},
    domain::RegionName,
};

/// What the page shows.
#[derive(Debug)]
pub struct CollectionPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The announced state.
    pub status: &'a CollectionStatus,
    /// The setting `[server] public_url`.
    pub public_url: Option<&'a str>,
    /// The tag of that state, which forms send back.
    pub tag: &'a str,
    /// The nodes.
    pub fleet: &'a FleetStatus,
    /// A page of the versions that can be served, newest first.
    pub versions: &'a [ServableVersion],
    /// The cursor of that page.
    pub cursor: Option<&'a str>,
    /// The cursor of the next page.
    pub next: Option<&'a str>,
    /// Whether a sync of this name is configured.
    pub is_configured: bool,
    /// What was entered.
    pub form: Form<'a>,
    /// Why a form was refused.
    pub refusal: Option<Refusal>,
    /// What a form has done before.
    pub done: Option<Done>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl CollectionPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let status = self.status;
        let (is_served, path) = (status.version.is_some(), collection_path(&status.collection));
        let content = html! {
            (notice(self.done))
            @if let Some(refusal) = &self.refusal { (refusal.notice()) }
            (self.problems())
            (self.facts())
            @if self.visitor.may(AdminRole::Operator) && status.paused.is_some() { (self.resume()) }
            @if is_served {
                h2 id="nodes" { "Regions and nodes" }
                (nodes::nodes(&status.collection, self.fleet))
                h2 id="versions" { "Versions" }
                (self.version_list())
                @if self.visitor.may(AdminRole::Operator) {
                    (self.rollback())
                    (self.pins())
                    h2 id="find" { "Find a record" }
                    (record::form(&path, &status.indexes, self.form))
                }
                h2 id="snippet" { "Connected Content" }
                (Address { public_url: self.public_url, collection: &status.collection }.snippets(&status.indexes))
                @if self.visitor.may(AdminRole::Operator) {
                    p { a class="button" href=(format!("{path}/message")) { "Render a message" } }
                }
                @if self.visitor.may(AdminRole::Admin) { (self.drop_form()) }
            } @else {
                p { "Nothing is announced. The first run of its sync announces it." }
            }
            (script())
        };
        page(&format!("Collection {}", status.collection), Some(self.visitor), &content)
    }

    /// What an operator should look at.
    fn problems(&self) -> Markup {
        let mut troubles = troubles_of(self.status);
        troubles.extend(nodes::troubles(&self.status.collection, self.fleet));
        let notes = notes_of(self.status);
        html! {
            @if !troubles.is_empty() {
                ul class="problems" { @for text in troubles { li class="notice fault" { (text) } } }
            }
            @if !notes.is_empty() { p class="notice" { (notes) } }
        }
    }

    fn facts(&self) -> Markup {
        let status = self.status;
        let regions = status.regions.as_deref().map_or_else(
            || "all".to_owned(),
            |regions| regions.iter().map(RegionName::as_str).collect::<Vec<_>>().join(", "),
        );
        let retained = html! {
            (number(status.records))
            @if status.left > 0 { " (" (number(status.left)) " of them retained: their row has left the model)" }
        };
        let (base, changes) = status.segments;
        let mut facts = Vec::new();
        if let Some(version) = status.version {
            let paths = status
                .indexes
                .iter()
                .map(|index| format!("/v1/collections/{}/records/{index}/VALUE", status.collection));
            facts.extend([
                ("Version", html! { (version) }),
                ("Records", retained),
                ("Data as of", html! {
                    @if let Some(at) = status.data_as_of { (time(at)) ", " (age(Some(at), self.now)) } @else { "–" }
                }),
                ("Served at", html! { @for path in paths { div { code { (path) } } } }),
                ("Regions", html! { (regions) }),
                ("Size", html! {
                    (bytes(status.bytes)) " in " (base) " base and " (changes) " change segments"
                }),
            ]);
        }
        facts.push((
            "Sync",
            html! {
                @if self.is_configured { a href=(sync_path(&status.collection)) { (status.collection) } }
                @else { "not configured on this node" }
            },
        ));
        if let Some(run) = &status.last_run {
            let at = run.finished_at.unwrap_or(run.started_at);
            facts.push((
                "Last run",
                html! { a href=(run_path(run.id)) { (run.status) } ", " (age(Some(at), self.now)) },
            ));
        }
        if let Some(run) = status.held_run {
            facts.push(("Held run", html! { a href=(run_path(run)) { (run) } }));
        }
        terms(&facts)
    }
}
