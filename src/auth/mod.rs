//! API keys: their text, their digests, and the key ring that a request is checked against.
//!
//! A key is 256 random bits, so a plain SHA-256 keeps it safe at rest and costs 45 ns to check; a
//! slow password hash would buy nothing.

mod base62;
mod credential;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key;
mod refusal;
mod ring;

pub use credential::{SCRATCH_BYTES, credential};
pub use key::{ApiKey, ID_CHARS, KEY_CHARS, ParsedKey};
pub use refusal::Refusal;
pub use ring::{KeyRing, Principal};
