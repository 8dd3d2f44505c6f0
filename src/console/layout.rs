//! What all pages share: head, name of the signed-in, sign-out, and the policy for browsers.

use maud::{DOCTYPE, Markup, html};

use super::{
    ADMIN_KEYS, AUDIT, HOME, KEYS, NODES, SESSIONS, SIGN_OUT_PATH, SYNCS,
    assets::{ICON, STYLE},
    entry::{MODELS, SOURCES},
};
use crate::{
    admin::{Grant, SIGN_IN_PATH},
    domain::AdminRole,
};

/// `Content-Security-Policy` of every page: nothing of elsewhere, no inline script or style, in no frame.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages that every page leads to. The title of each is its name here.
const NAVIGATION: &[(&str, &str)] = &[
    (HOME, "Overview"),
    (SYNCS, "Syncs"),
    (MODELS, "Models"),
    (SOURCES, "Sources"),
    (NODES, "Nodes"),
    (KEYS, "Keys"),
    (ADMIN_KEYS, "Admin keys"),
    (SESSIONS, "Sessions"),
    (AUDIT, "Audit log"),
];

/// Who sees a page.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// The name of the key or session.
    pub name: &'a str,
    /// Its role.
    pub role: AdminRole,
}

impl Visitor<'_> {
    /// Whether the visitor may do what needs `role`.
    pub(super) fn may(&self, role: AdminRole) -> bool {
        self.role >= role
    }
}

impl<'a> From<&'a Grant> for Visitor<'a> {
    fn from(grant: &'a Grant) -> Self {
        Self { name: &grant.name, role: grant.role }
    }
}

/// A page with `content`; for nobody without a visitor.
pub(super) fn page(title: &str, visitor: Option<Visitor<'_>>, content: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Larder" }
                link rel="icon" href=(ICON.path());
                link rel="stylesheet" href=(STYLE.path());
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                header {
                    a class="name" href=(HOME) { "Larder" }
                    @if let Some(Visitor { name, role }) = visitor {
                        nav aria-label="Console" {
                            @for (path, label) in NAVIGATION {
                                a href=(path) aria-current=[(title == *label).then_some("page")] { (label) }
                            }
                        }
                        form method="post" action=(SIGN_OUT_PATH) {
                            span class="quiet" { (name) " · " (role) }
                            button class="quiet" { "Sign out" }
                        }
                    }
                }
                main id="main" class=[visitor.is_none().then_some("narrow")] {
                    h1 { (title) }
                    (content)
                }
            }
        }
    };
    markup.into_string()
}

/// A page that the browser opens again at once. A link of another site comes without the session's cookie; the same
/// page opened by this one comes with it.
pub fn reload() -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content="0";
                title { "Larder" }
            }
            body { p { a href="" { "Continue" } } }
        }
    };
    markup.into_string()
}

/// The page of a refused request, with what happened, what to do, and the code that `docs/errors.md` explains.
pub fn refusal(code: &str, message: &str) -> String {
    let content = html! {
        p class="notice fault" { (message) }
        p class="quiet" { "Code: " code { (code) } }
        p { a href=(HOME) { "To the overview" } }
    };
    page("This did not work", None, &content)
}

/// The page for a form that came without a session. The browser keeps what was entered, and sends it again when the page is
/// loaded again.
pub fn form_without_session() -> String {
    let content = html! {
        p class="notice fault" { "You are signed out, so nothing was changed." }
        p {
            a href=(SIGN_IN_PATH) target="_blank" rel="noopener" { "Sign in in another tab" }
            ", then reload this page: the browser sends the form again, with all that you entered."
        }
    };
    page("You are signed out", None, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_pages_have_no_inline_script_or_style() {
        let text = "\"><script>alert('x')</script>&amp;";
        let visitor = Visitor { name: text, role: AdminRole::Viewer };
        for page in [page(text, Some(visitor), &html! { p { (text) } }), refusal(text, text)] {
            assert!(!page.contains("<script") && !page.contains("style="), "{page}");
            assert!(page.contains("&quot;&gt;&lt;script&gt;") && page.contains("&amp;amp;"), "{page}");
        }
    }
}
