//! The sessions of browsers that are open.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    layout::{Visitor, page},
    table::{Column, link, pages, table},
    words::{age, segment, time},
};
use crate::admin::{AdminRole, Grant, SessionView};

/// The path of the list.
pub const SESSIONS: &str = "/console/sessions";

/// The list.
#[derive(Debug)]
pub struct SessionsPage<'a> {
    /// Who sees it.
    pub grant: &'a Grant,
    /// The sessions of this page.
    pub sessions: &'a [SessionView],
    /// The cursor of this page.
    pub cursor: Option<&'a str>,
    /// That of the next one.
    pub next: Option<&'a str>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl SessionsPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let columns =
            ["Whose", "Role", "Began by", "Since", "Last use", "Ends at", "Session"].map(Column::Text);
        let rows = html! { @for session in self.sessions { (self.row(session)) } };
        let content = html! {
            p { "Each browser that is signed in has a session. An ended one is refused by every publisher within two seconds." }
            (table("Sessions", &columns, &rows))
            (pages(SESSIONS, &[], self.cursor, self.next))
        };
        page("Sessions", Some(Visitor::from(self.grant)), &content)
    }

    fn row(&self, session: &SessionView) -> Markup {
        let SessionView { id, name, role, key_id, is_single_sign_on, created_at, used_at, expires_at } =
            session;
        let may_end = session.is_own_of(self.grant) || self.grant.role >= AdminRole::Admin;
        html! {
            tr {
                th scope="row" { (name) }
                td { (role) }
                td {
                    @if let Some(key_id) = key_id {
                        "admin key " a href=(link(super::AUDIT, &[("subject", key_id)])) { code { (key_id) } }
                    } @else if *is_single_sign_on { "single sign-on" } @else { "link of a command" }
                }
                td { (age(Some(*created_at), self.now)) }
                td { (age(Some(*used_at), self.now)) }
                td { (time(*expires_at)) }
                td {
                    @if session.is_session_of(self.grant) { "this browser " }
                    @if may_end {
                        form method="post" action=(format!("{SESSIONS}/{}/end", segment(id))) {
                            button class="quiet" aria-label=(format!("End the session {id} of {name}")) { "End" }
                        }
                    }
                }
            }
        }
    }
}
