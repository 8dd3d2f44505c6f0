//! Why a credential is refused.

use crate::domain::error::codes;

/// Why a credential is refused. Holds nothing of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request carries no credential.
    #[error("the request carries no API key")]
    Missing,
    /// The text has not the form of a key, or its checksum is wrong: cut off, mistyped, a placeholder.
    #[error("this is not an API key: its form or its checksum is wrong")]
    Malformed,
    /// The key was never created, is revoked, or has not reached this node yet.
    #[error("the API key is unknown or revoked")]
    Unknown,
    /// The key has expired.
    #[error("the API key has expired")]
    Expired,
}

codes! {
    Refusal {
        "key_missing" Unauthenticated: Missing,
        "key_malformed" Unauthenticated: Malformed,
        "key_unknown" Unauthenticated: Unknown,
        "key_expired" Unauthenticated: Expired,
    }
}
