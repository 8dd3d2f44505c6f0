//! API keys: their text, their digests, and the key ring that a request is checked against.
//!
//! A key has 256 random bits, so a plain SHA-256 protects it at rest and costs 45 ns to check. A slow
//! password hash would not make it safer.

mod base62;
mod credential;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key;
mod ring;

pub use credential::{Refusal, SCRATCH_BYTES, credential};
pub use key::ApiKey;
pub use ring::{KeyRing, ValidKey};
