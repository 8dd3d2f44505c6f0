//! Admin keys: their list, and the form of a new one.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    form::{Form, script},
    key_forms::again,
    keys::expiry,
    layout::{Visitor, page},
    sessions::SESSIONS,
    table::{Column, pages, table},
    words::{age, segment},
};
use crate::admin::{AdminKeyView, AdminRole, KeyState};

/// The path of the list.
pub const ADMIN_KEYS: &str = "/console/admin-keys";
/// The path of the form.
const NEW_ADMIN_KEY: &str = "/console/admin-keys/new";

/// The path of the page that revokes an admin key.
pub fn revoke_admin_key_path(id: &str) -> String {
    format!("{ADMIN_KEYS}/{}/revoke", segment(id))
}

/// The list.
#[derive(Debug)]
pub struct AdminKeysPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The admin keys of this page.
    pub keys: &'a [AdminKeyView],
    /// The cursor of this page.
    pub cursor: Option<&'a str>,
    /// That of the next one.
    pub next: Option<&'a str>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl AdminKeysPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let columns =
            ["Name", "Id", "Role", "Created", "By", "Expires", "Last use", "State"].map(Column::Text);
        let rows = html! { @for key in self.keys { (self.row(key)) } };
        let content = html! {
            p {
                "With an admin key people and programs operate this deployment: they sign in here, or use the admin API. "
                "Browsers that are signed in are on the page " a href=(SESSIONS) { "Sessions" } "."
            }
            @if self.visitor.role >= AdminRole::Admin {
                p { a class="button" href=(NEW_ADMIN_KEY) { "Create an admin key" } }
            }
            (table("Admin keys", &columns, &rows))
            (pages(ADMIN_KEYS, &[], self.cursor, self.next))
        };
        page("Admin keys", Some(self.visitor), &content)
    }

    fn row(&self, key: &AdminKeyView) -> Markup {
        let state = key.state(self.now);
        html! {
            tr {
                th scope="row" { (key.name) }
                td { code { (key.id) } }
                td { (key.role) }
                td { (age(Some(key.created_at), self.now)) }
                td { (key.created_by) }
                td { (expiry(key.expires_at)) }
                td { (age(key.last_used_at, self.now)) }
                td {
                    span class=[(state != KeyState::Valid).then_some("fault")] { (state.as_str()) }
                    @if state != KeyState::Revoked && self.visitor.role >= AdminRole::Admin {
                        " · " a href=(revoke_admin_key_path(&key.id)) aria-label=(format!("Revoke {}", key.name)) { "Revoke" }
                    }
                }
            }
        }
    }
}

/// The form of a new admin key.
#[derive(Debug)]
pub struct NewAdminKeyPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The form.
    pub form: Form<'a>,
    /// Why the form must be sent again.
    pub notice: Option<&'a str>,
}

impl NewAdminKeyPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let form = self.form;
        let roles = [
            ("viewer", "viewer: sees everything but records"),
            (
                "operator",
                "operator: also previews records, starts, approves and cancels runs, rolls back and pins",
            ),
            (
                "admin",
                "admin: also edits sources, models and syncs, drops collections, and creates and revokes keys",
            ),
        ];
        let content = html! {
            (again(self.notice))
            form class="stack" method="post" action=(NEW_ADMIN_KEY) data-once {
                (form.head())
                (form.line("name", "Name", "Whose it is, 1 to 100 characters. The audit log names it."))
                (form.select("role", "Role", "A role includes the ones before it.", &roles))
                (form.line("expires", "Expires after", "Such as 90d or 12h; empty for never."))
                div { button { "Create the admin key" } }
            }
            p { a href=(ADMIN_KEYS) { "All admin keys" } }
            (script())
        };
        page("Create an admin key", Some(self.visitor), &content)
    }
}
