//! Who may read what: API keys, access tokens, the check of a request against them, and grants.
//!
//! A key has 256 random bits, so a plain SHA-256 protects it at rest and costs 45 ns to check. A slow
//! password hash would not make it safer.

mod address;
mod admin_key;
mod base62;
mod caller;
mod credential;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod grant;
mod key;
pub mod oidc;
mod ring;
mod ticket;
pub mod tokens;

pub use admin_key::AdminKey;
pub use caller::{Authenticator, Caller, client_address};
pub use credential::{Refusal, SCRATCH_BYTES, credential};
pub use grant::{CollectionGrant, Grant};
pub use key::ApiKey;
pub use ring::{KeyRing, ValidKey};
pub use ticket::{Ticket, TicketKind};
