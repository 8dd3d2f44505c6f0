//! The object store: every request has a bound in time and size, is retried, and fails with a cause in words.
//!
//! This module knows storage services and local directories. It does not know what the objects mean: see
//! [`catalog`](crate::catalog). Only this module names the crate `object_store`.

mod backend;
mod client;
mod directory;
mod error;
mod probe;
mod profile;
mod read;
mod refusal;
mod section;
mod settings;
mod signer;
mod version;
mod write;

pub use object_store::path::Path;

pub use client::Store;
pub use error::Error;
pub(crate) use error::{blocking, corrupt};
pub(crate) use probe::{CLOCK, PROBES};
pub(crate) use read::{ConditionalRead, StoredObject};
pub(crate) use section::bucket_of;
pub use settings::{Bucket, Location, Service, Settings};
pub(crate) use signer::Signer;
pub(crate) use version::ObjectVersion;
