//! Why the keys of an issuer cannot be used, or a token not be made.

use std::path::PathBuf;

use crate::domain::error::codes;

/// An error of the keys of an issuer. Holds no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key file cannot be read, or holds no key of its kind.
    #[error("[tokens.{name}]: {} {reason}", file.display())]
    KeyFile {
        /// The issuer's name.
        name: String,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key set cannot be fetched. The keys that were fetched before stay.
    #[error("[tokens.{name}]: jwks_url {reason}")]
    Fetch {
        /// The issuer's name.
        name: String,
        /// Why.
        reason: String,
    },
    /// No issuer of this name is configured, or it has no secret and no private key was given.
    #[error("{0}")]
    CannotMint(String),
}

codes! {
    Error {
        "token_key_unusable" Invalid: KeyFile,
        "token_keys_unavailable" Unavailable: Fetch,
        "token_not_minted" Invalid: CannotMint,
    }
}
