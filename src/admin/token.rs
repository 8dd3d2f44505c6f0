//! Making an access token for trying an issuer's configuration out.

use std::path::Path;

use super::error::Error;
use crate::{
    auth::tokens::{self, TokenSettings},
    support::clock::Clock,
};

pub use crate::auth::tokens::{Binding, NewToken};

/// Makes a token of the issuer that is configured as `name`, with its secret or the private key in a file.
///
/// # Errors
/// [`Error::Token`].
pub fn mint_token(
    issuers: &[TokenSettings],
    name: &str,
    new: &NewToken,
    private_key: Option<&Path>,
    clock: &Clock,
) -> Result<String, Error> {
    let issuer = issuers.iter().find(|issuer| issuer.name == name);
    let issuer = issuer.ok_or_else(|| {
        let known: Vec<&str> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        tokens::Error::CannotMint(format!(
            "no issuer is configured as [tokens.{name}]; configured are: {known}"
        ))
    })?;
    Ok(tokens::mint(issuer, new, private_key, clock)?)
}
