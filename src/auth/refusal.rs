//! Why a credential opens nothing.

use crate::domain::error::ErrorKind;

/// A credential that is not accepted. Carries nothing of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request carries none.
    #[error("the request carries no API key")]
    Missing,
    /// It has not the form of a key, or its checksum is wrong: cut off, mistyped, a placeholder.
    #[error("this is not an API key: its form or its checksum is wrong")]
    Malformed,
    /// A key that was never made, is revoked, or has not reached this node yet.
    #[error("the API key is unknown or revoked")]
    Unknown,
    /// A key whose time is over.
    #[error("the API key has expired")]
    Expired,
}

impl Refusal {
    /// Always [`ErrorKind::Unauthenticated`].
    pub const fn kind(self) -> ErrorKind {
        ErrorKind::Unauthenticated
    }

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "key_missing",
            Self::Malformed => "key_malformed",
            Self::Unknown => "key_unknown",
            Self::Expired => "key_expired",
        }
    }
}
