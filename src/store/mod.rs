//! The object store: each request is bounded, verified and retried, and a refusal comes in words.
//!
//! Everything that touches the store goes through [`Store`]. No text found in the store is ever used as an
//! address.

mod backend;
mod client;
pub(crate) mod error;
pub(crate) mod paths;
mod probe;
mod refusal;
mod settings;
mod signature;

pub use client::Store;
pub(crate) use client::{Conditional, PUT_BYTES_MAX};
pub use error::Error;
pub use settings::{Bucket, Location, Service, Settings};
pub(crate) use signature::Kind;
pub use signature::{Seal, VerifyKey};
