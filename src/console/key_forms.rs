//! Forms that create, rotate and revoke keys, and the page that shows a new one once.

use maud::{Markup, html};

use super::{
    form::{Form, script},
    keys::{KEYS, NEW_KEY, key_path},
    layout::{Visitor, page},
};
use crate::admin::KeyView;

/// The form of a new API key.
#[derive(Debug)]
pub struct NewKeyPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The form.
    pub form: Form<'a>,
    /// The collections that are configured, as many as are offered.
    pub collections: &'a [String],
    /// Why the form must be sent again.
    pub notice: Option<&'a str>,
}

impl NewKeyPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let form = self.form;
        let content = html! {
            (again(self.notice))
            form class="stack" method="post" action=(NEW_KEY) data-once {
                (form.head())
                (form.line("name", "Name", "What the key is for, 1 to 100 characters. The audit log and this list show it."))
                (self.grant())
                (form.line("expires", "Expires after", "Such as 90d or 12h; empty for never."))
                details open[has_limits(form)] {
                    summary { "Limits" }
                    (self.limits())
                }
                div { button { "Create the key" } }
            }
            p { a href=(KEYS) { "All keys" } }
            (script())
        };
        page("Create a key", Some(self.visitor), &content)
    }

    fn grant(&self) -> Markup {
        let form = self.form;
        html! {
            fieldset {
                legend { "Collections" }
                (form.choice("radio", "grant", "all", "All, also those that are added later"))
                (form.choice("radio", "grant", "some", "Only these"))
                @if !self.collections.is_empty() {
                    div class="choices" role="group" aria-label="Configured collections" tabindex="0" {
                        @for name in self.collections { (form.choice("checkbox", "collection", name, name)) }
                    }
                }
                (form.line("collections", "Others", "Names between spaces. The key opens a collection as soon as there is one of that name."))
                (form.message("grant"))
            }
        }
    }

    fn limits(&self) -> Markup {
        let form = self.form;
        let modes = [("", "all fields"), ("only", "only these"), ("without", "all but these")];
        html! {
            (form.line("indexes", "Indexes", "Names between spaces; empty for all. The key looks values up in these only."))
            (form.select("mode", "Fields", "Which fields of records the key reads.", &modes))
            (form.lines("fields", "Names of fields", "One a line: full_name, or recommendations.concerts for a member."))
            (form.lines(
                "collection_fields",
                "Fields of single collections",
                "One a line, in place of the above: `customer only full_name`, or `customer without ssn`.",
            ))
            (form.lines("networks", "Networks", "One a line, such as 203.0.113.0/24; empty for everywhere."))
            (form.line("per_second", "Requests a second", "On one node; empty for the default of the nodes."))
            (form.line("burst", "Requests at once", "After a pause; empty for as many as a second has."))
            (form.choice(
                "checkbox",
                "never_throttle_status",
                "on",
                "Answer a request over the rate like a miss instead of 429, for callers that take 429 for a broken host",
            ))
        }
    }
}

/// Whether a limit is filled in, or refused.
fn has_limits(form: Form<'_>) -> bool {
    const LIMITS: [&str; 8] = [
        "indexes",
        "mode",
        "fields",
        "collection_fields",
        "networks",
        "per_second",
        "burst",
        "never_throttle_status",
    ];
    LIMITS.iter().any(|name| !form.fields.text(name).is_empty())
}

/// The notice of a form that must be sent again.
pub(super) fn again(notice: Option<&str>) -> Markup {
    html! { @if let Some(notice) = notice { p class="notice fault" role="alert" { (notice) } } }
}

/// The form that rotates a key.
#[derive(Debug)]
pub struct RotateKeyPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The key.
    pub key: &'a KeyView,
    /// The form.
    pub form: Form<'a>,
    /// Why the form must be sent again.
    pub notice: Option<&'a str>,
}

impl RotateKeyPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let path = key_path(&self.key.id);
        let content = html! {
            (again(self.notice))
            p { "The key gets a new secret, which is shown once. Its id, name and scopes stay. The old secret works on for the time below; an older one ends now." }
            form class="stack" method="post" action=(format!("{path}/rotate")) data-once {
                (self.form.head())
                (self.form.line("overlap", "The old secret works on for", "Such as 24h or 7d, at most 365d; 0s ends it at once."))
                div { button { "Rotate the key" } }
            }
            p { a href=(path) { "Back to the key" } }
            (script())
        };
        page(&format!("Rotate {}", self.key.name), Some(self.visitor), &content)
    }
}

/// The page that confirms a revocation.
#[derive(Debug)]
pub struct RevokePage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The name of the key.
    pub name: &'a str,
    /// What revoking does.
    pub consequence: &'a str,
    /// The path of this page.
    pub path: &'a str,
    /// Where to go instead.
    pub back: &'a str,
}

impl RevokePage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let Self { name, consequence, path, back, .. } = *self;
        let content = html! {
            p { (consequence) " It cannot be undone." }
            form class="row" method="post" action=(path) {
                button class="danger" { "Revoke the key" }
                a href=(back) { "Keep it" }
            }
        };
        page(&format!("Revoke {name}"), Some(self.visitor), &content)
    }
}

/// A new key, which is shown once: in the answer to the form.
pub struct SecretPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// What was done.
    pub title: &'a str,
    /// The id of the key.
    pub id: &'a str,
    /// The key; `None` when the form was sent before.
    pub secret: Option<&'a str>,
    /// Where a key that can be rotated gets another secret.
    pub rotation: Option<&'a str>,
    /// Why it is not announced yet.
    pub pending: Option<&'a str>,
    /// Where to go next.
    pub back: &'a str,
}

impl SecretPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let Self { visitor, title, id, secret, rotation, pending, back } = *self;
        let content = html! {
            @if let Some(pending) = pending { p class="notice fault" { (pending) } }
            @if let Some(secret) = secret {
                p class="notice" { "Copy the key now, and keep it with your secrets. It is stored nowhere and shown only here." }
                div class="field" {
                    label for="secret" { "Key" }
                    input id="secret" class="secret" value=(secret) readonly autocomplete="off" spellcheck="false";
                }
                div class="row" {
                    button type="button" hidden data-copies="secret" aria-describedby="copied" { "Copy" }
                    span id="copied" role="status" {}
                }
            } @else {
                p class="notice fault" {
                    "This form was sent before, and nothing was done again. The key is shown in the answer to the first one only, and \
                     stored nowhere. "
                    @if rotation.is_some() { "If you do not have it, rotate it: the same key gets a new secret." }
                    @else { "If you do not have it, revoke it and create another." }
                }
                @if let Some(rotation) = rotation { p { a class="button" href=(rotation) { "Rotate this key" } } }
            }
            p { "Its id is " code { (id) } ". " a href=(back) { "Continue" } }
            (script())
        };
        page(title, Some(visitor), &content)
    }
}
