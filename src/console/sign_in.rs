//! The page that begins a session: with an admin key, or with the token of a link.

use maud::html;

use super::layout::page;
use crate::admin::SIGN_IN_PATH;

/// What the page shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignInPage<'a> {
    /// The token of the link that was opened. It is used when the form is sent: programs that only open links, such as
    /// previews of a chat, do not use it up.
    pub token: Option<&'a str>,
    /// The page to go to afterwards.
    pub next: &'a str,
    /// Why the last attempt was refused.
    pub fault: Option<&'a str>,
    /// Why this node has no sessions.
    pub unavailable: Option<&'a str>,
    /// Whether the browser would not keep the session's cookie.
    pub is_insecure: bool,
}

impl SignInPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let Self { token, next, fault, unavailable, is_insecure } = *self;
        let content = html! {
            @if let Some(why) = unavailable {
                p class="notice fault" { (why) }
                p { "Sessions are kept in the metadata database, which publishers have. Open the console of a publisher." }
            } @else {
                @if is_insecure {
                    p class="notice fault" {
                        "Over plain HTTP a browser does not keep a session. Reach this listener through a proxy with TLS, or \
                         through a tunnel as http://127.0.0.1."
                    }
                }
                form class="stack" method="post" action=(SIGN_IN_PATH) {
                    input type="hidden" name="next" value=(next);
                    @if let Some(token) = token {
                        input type="hidden" name="token" value=(token);
                        p { "This link begins one session of this browser." }
                        @if let Some(fault) = fault { p class="fault" role="alert" { (fault) } }
                    } @else {
                        label for="key" { "Admin key" }
                        input id="key" name="key" type="password" required autofocus autocomplete="current-password"
                            spellcheck="false" aria-invalid=[fault.map(|_| "true")]
                            aria-describedby=(if fault.is_some() { "fault help" } else { "help" });
                        @if let Some(fault) = fault { p id="fault" class="fault" role="alert" { (fault) } }
                        p id="help" class="quiet" {
                            "It begins with " code { "lra_" } ". Without one, run " code { "larder admin login-link" }
                            " on a publisher and open the link that it prints."
                        }
                    }
                    div { button { "Sign in" } }
                }
            }
        };
        page("Sign in", None, &content)
    }
}
