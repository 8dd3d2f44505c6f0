//! What a form has done, or why it was refused, as the next page says.
//!
//! The address of the page that follows a form has a word for what it has done, not the text: a link of somebody else
//! cannot make a page say anything else.

use maud::{Markup, html};

use super::deleted::DELETED;

/// A form that was refused as a whole.
#[derive(Debug)]
pub struct Refusal {
    /// The code that `docs/errors.md` explains.
    pub code: &'static str,
    /// What happened and what to do.
    pub message: String,
}

impl Refusal {
    pub(super) fn notice(&self) -> Markup {
        html! {
            div class="notice fault" role="alert" {
                p class="lines" { (self.message) }
                p { "Code: " code { (self.code) } }
            }
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum Done {
    /// A collection was rolled back.
    RolledBack,
    /// A region was pinned.
    Pinned,
    /// A region was unpinned.
    Unpinned,
    /// A sync was resumed.
    Resumed,
    /// A collection was dropped.
    Dropped,
    /// A run will be cancelled.
    CancelRequested,
    /// The result of a held run was announced.
    Approved,
    /// A source, model or sync was stored.
    Saved,
    /// A source, model or sync was deleted.
    Deleted,
}

impl Done {
    /// The parameter of a page's address.
    pub const PARAMETER: &'static str = "done";

    /// The address of the page at `path` that says so.
    pub fn at(self, path: &str) -> String {
        let word: &str = self.into();
        format!("{path}?{}={word}", Self::PARAMETER)
    }

    fn text(self) -> &'static str {
        match self {
            Self::RolledBack => {
                "The earlier version is announced again under a new number. The sync is paused until it is resumed."
            }
            Self::Pinned => "The region is pinned. It serves that version until it is unpinned.",
            Self::Unpinned => "The region follows the newest version again.",
            Self::Resumed => "The sync runs by its schedule again.",
            Self::Dropped => "The collection is dropped. Readers see it as one that does not exist.",
            Self::CancelRequested => {
                "The run will end within two seconds, unless it is being announced already."
            }
            Self::Approved => "The result of the run is announced.",
            Self::Saved => "Saved. Every publisher applies it within two poll intervals.",
            Self::Deleted => "Deleted. The page of deleted entries stores it again.",
        }
    }
}

/// What was done, if something was.
pub(super) fn notice(done: Option<Done>) -> Markup {
    html! {
        @if let Some(done) = done {
            p class="notice" role="status" {
                (done.text())
                @if done == Done::Deleted { " " a href=(DELETED) { "Deleted entries" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn words_are_read_back_and_nothing_else_is_shown() {
        for done in Done::iter() {
            let address = done.at("/console/x");
            let word = address.strip_prefix("/console/x?done=").unwrap();
            assert_eq!(word.parse(), Ok(done));
            assert!(notice(Some(done)).into_string().contains(done.text()));
        }
        assert!("<b>".parse::<Done>().is_err());
        assert_eq!(notice(None).into_string(), "");
    }
}
