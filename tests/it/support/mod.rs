//! What several tests need.

pub(crate) mod postgres;
pub(crate) mod source;
