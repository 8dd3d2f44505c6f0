//! API keys: their list, and the page of one.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    layout::{Visitor, page},
    table::{Column, link, pages, table, terms},
    words::{age, segment, time},
};
use crate::admin::{AdminRole, KeyState, KeyView};

/// The path of the list.
pub const KEYS: &str = "/console/keys";
/// The path of the form that creates a key.
pub(super) const NEW_KEY: &str = "/console/keys/new";
/// The states that a list can be limited to.
const STATES: [KeyState; 3] = [KeyState::Valid, KeyState::Expired, KeyState::Revoked];

/// The path of the page of a key.
pub fn key_path(id: &str) -> String {
    format!("{KEYS}/{}", segment(id))
}

/// The list.
#[derive(Debug)]
pub struct KeysPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The keys of this page.
    pub keys: &'a [KeyView],
    /// A part of names or ids that keys are limited to.
    pub search: &'a str,
    /// The state that keys are limited to.
    pub state: &'a str,
    /// The cursor of this page, and of the next one.
    pub cursor: Option<&'a str>,
    /// That of the next page.
    pub next: Option<&'a str>,
    /// Whether the last changes are not announced yet.
    pub has_unannounced: bool,
    /// The time.
    pub now: DateTime<Utc>,
}

impl KeysPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let Self { search, state, .. } = *self;
        let columns = ["Name", "Id", "Opens", "Created", "Expires", "Last use", "State"].map(Column::Text);
        let rows = html! { @for key in self.keys { (row(key, self.now)) } };
        let content = html! {
            (unannounced(self.has_unannounced))
            p { "With an API key a program reads records. Only the SHA-256 of a key is stored." }
            @if self.visitor.role >= AdminRole::Admin { p { a class="button" href=(NEW_KEY) { "Create a key" } } }
            form class="row" method="get" action=(KEYS) {
                div class="field" {
                    label for="search" { "Name or id" }
                    input id="search" name="search" type="search" value=(search) spellcheck="false";
                }
                div class="field" {
                    label for="state" { "State" }
                    select id="state" name="state" {
                        option value="" { "any" }
                        @for one in STATES {
                            option value=(one.as_str()) selected[state == one.as_str()] { (one.as_str()) }
                        }
                    }
                }
                button class="quiet" { "Show" }
            }
            @if self.keys.is_empty() {
                p { "There is no such key." }
            } @else {
                (table("Keys", &columns, &rows))
            }
            (pages(KEYS, &[("search", search), ("state", state)], self.cursor, self.next))
        };
        page("Keys", Some(self.visitor), &content)
    }
}

fn row(key: &KeyView, now: DateTime<Utc>) -> Markup {
    let last = key.last_used.iter().max_by_key(|(_, at)| **at);
    html! {
        tr {
            th scope="row" { a href=(key_path(&key.id)) { (key.name) } }
            td { code { (key.id) } }
            td class="text" { (key.opens()) }
            td { (age(Some(key.created_at), now)) }
            td { (expiry(key.expires_at)) }
            td { @if let Some((region, at)) = last { (age(Some(*at), now)) " in " (region) } @else { "–" } }
            td { (state(key, now)) }
        }
    }
}

/// The end of a key.
pub(super) fn expiry(at: Option<DateTime<Utc>>) -> Markup {
    html! { @if let Some(at) = at { (time(at)) } @else { "never" } }
}

fn state(key: &KeyView, now: DateTime<Utc>) -> Markup {
    let state = key.state(now);
    html! {
        span class=[(state != KeyState::Valid).then_some("fault")] { (state.as_str()) }
        @if let (KeyState::Valid, Some(end)) = (state, key.previous_secret_until) { "; old secret until " (time(end)) }
    }
}

/// The notice that changes are not in force.
fn unannounced(is_so: bool) -> Markup {
    html! {
        @if is_so {
            p class="notice fault" {
                "The last changes of keys are not announced yet, and not in force on any node. A publisher that reaches the \
                 store announces them."
            }
        }
    }
}

/// The page of one key.
#[derive(Debug)]
pub struct KeyPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The key.
    pub key: &'a KeyView,
    /// Whether the last changes are not announced yet.
    pub has_unannounced: bool,
    /// The time.
    pub now: DateTime<Utc>,
}

impl KeyPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let (key, now) = (self.key, self.now);
        let path = key_path(&key.id);
        let state_of_key = html! {
            (state(key, now))
            @if let Some(at) = key.revoked_at { ", " (time(at)) }
        };
        let used = html! {
            @if key.last_used.is_empty() { "no use is known" }
            ul { @for (region, at) in &key.last_used { li { (region) ": " (age(Some(*at), now)) } } }
        };
        let content = html! {
            (unannounced(self.has_unannounced))
            (terms(&[
                ("Name", html! { (key.name) }),
                ("Id", html! { code { (key.id) } }),
                ("State", state_of_key),
                ("Opens", html! { (key.opens()) }),
                ("Created", time(key.created_at)),
                ("Expires", expiry(key.expires_at)),
                ("Last use", used),
            ]))
            div class="row" {
                @if self.visitor.role >= AdminRole::Admin && key.revoked_at.is_none() {
                    a class="button" href=(format!("{path}/rotate")) { "Rotate" }
                    a class="button danger" href=(format!("{path}/revoke")) { "Revoke" }
                }
                a href=(link(super::AUDIT, &[("subject", &key.id)])) { "Audit log of this key" }
                a href=(KEYS) { "All keys" }
            }
        };
        page(&format!("Key {}", key.name), Some(self.visitor), &content)
    }
}
