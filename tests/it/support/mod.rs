//! What tests share.

pub(crate) mod catalog;
pub(crate) mod faulty_store;
