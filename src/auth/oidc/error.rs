//! Why nobody is signed in by the identity provider.

use crate::domain::error::codes;

/// Most characters of an error word of the provider that are shown.
const WORD_CHARACTERS_MAX: usize = 64;

/// An error of single sign-on. Holds no claim, code, token or secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The provider does not answer.
    #[error("the identity provider cannot be reached: {0}; sign in in another way, or try again later")]
    Unreachable(String),
    /// The provider answers in a way that cannot be used.
    #[error("the identity provider cannot be used: {0}")]
    Malformed(String),
    /// The provider refuses this deployment.
    #[error(
        "the identity provider refuses this deployment ({0}); check client_id and client_secret of [admin.oidc]"
    )]
    ClientRefused(String),
    /// The provider's answer is for no sign-in of this browser.
    #[error(
        "this browser has no sign-in that the answer belongs to: it was begun in another browser, again in another \
         tab, or more than ten minutes ago; sign in again"
    )]
    UnknownSignIn,
    /// The provider refuses the person, or the person has declined.
    #[error("the identity provider did not sign you in ({0})")]
    Refused(String),
    /// The ID token did not pass its checks.
    #[error("the ID token of the identity provider was refused: {0}; sign in again")]
    TokenRefused(&'static str),
    /// No group of the person has a role.
    #[error(
        "you are signed in, but none of your groups has a role in Larder; ask an administrator of Larder for one"
    )]
    NoRole,
}

codes! {
    Error {
        "oidc_unreachable" Unavailable: Unreachable,
        "oidc_malformed" Unavailable: Malformed,
        "oidc_client_refused" Unavailable: ClientRefused,
        "oidc_unknown_sign_in" Forbidden: UnknownSignIn,
        "oidc_refused" Forbidden: Refused,
        "oidc_token_refused" Forbidden: TokenRefused,
        "oidc_no_role" Forbidden: NoRole,
    }
}

impl Error {
    /// Whether the visitor, and not the provider or its configuration, is refused.
    pub const fn is_of_visitor(&self) -> bool {
        matches!(self, Self::UnknownSignIn | Self::Refused(_) | Self::TokenRefused(_) | Self::NoRole)
    }

    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    /// The refusal with the provider's error word, which is shown if it has the form of one.
    pub fn refused(word: &str) -> Self {
        Self::Refused(error_word(word))
    }
}

/// An error word of the provider, such as `access_denied`. Other text could be anybody's.
pub(super) fn error_word(text: &str) -> String {
    let is_word = !text.is_empty()
        && text.len() <= WORD_CHARACTERS_MAX
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { text.to_owned() } else { "an unknown error".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_errors_are_shown() {
        assert_eq!(error_word("access_denied"), "access_denied");
        for text in ["", "<b>", "Call +1 555 to sign in", "x y", &"x".repeat(65)] {
            assert_eq!(error_word(text), "an unknown error", "{text}");
        }
    }
}
