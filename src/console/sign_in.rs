//! The page that begins a session: with an admin key, with the token of a link, or at the identity provider.

use maud::{DOCTYPE, Markup, html};

use super::{layout::page, table::link};
use crate::admin::{SIGN_IN_PATH, SingleSignOn};

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
    /// The identity provider, if one is configured.
    pub single_sign_on: Option<&'a SingleSignOn>,
    /// The code and message of why nobody was signed in there.
    pub refusal: Option<(&'a str, &'a str)>,
    /// Why this node has no sessions.
    pub unavailable: Option<&'a str>,
    /// Whether the browser would not keep the session's cookie.
    pub is_insecure: bool,
}

impl SignInPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let Self { token, next, fault, single_sign_on, refusal, unavailable, is_insecure } = *self;
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
                @if let Some((code, message)) = refusal {
                    div class="notice fault" role="alert" {
                        p { (message) }
                        p { "Code: " code { (code) } }
                    }
                }
                @if let (Some(provider), None) = (single_sign_on, token) { (provider_link(provider, next)) }
                form class="stack" method="post" action=(SIGN_IN_PATH) {
                    input type="hidden" name="next" value=(next);
                    @if let Some(token) = token {
                        input type="hidden" name="token" value=(token);
                        p { "This link begins one session of this browser." }
                        @if let Some(fault) = fault { p class="fault" role="alert" { (fault) } }
                    } @else {
                        label for="key" { "Admin key" }
                        input id="key" name="key" type="password" required autofocus[single_sign_on.is_none()] autocomplete="current-password"
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

/// The way to the identity provider. It is a link: a form of this page could not lead to another site.
fn provider_link(provider: &SingleSignOn, next: &str) -> Markup {
    html! {
        p { a class="button" href=(link(&provider.address, &[("next", next)])) { "Sign in with " (provider.name) } }
        p class="quiet" { "Or:" }
    }
}

/// The page that a browser gets with its session when it comes back from the identity provider. It goes on to `next` from
/// here: on the redirect of another site, browsers leave the session's cookie out.
pub fn signed_in(next: &str) -> String {
    onward(next, "You are signed in.", "Continue")
}

/// The page that a browser gets whose session has ended here. It goes on to `url`, where the one at the identity provider
/// ends.
pub fn signed_out(url: &str) -> String {
    onward(url, "You are signed out of Larder.", "Sign out at the identity provider, too")
}

/// A page that goes on to `url` by itself.
fn onward(url: &str, what: &str, words: &str) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content=(format!("0; url={url}"));
                title { "Larder" }
            }
            body { p { (what) " " a href=(url) { (words) } } }
        }
    };
    markup.into_string()
}
