//! The caller and the table of codes of the admin listener. A route is a handler and one line in
//! `router.rs`.

mod caller;
pub(super) mod codes;

pub(super) use caller::Caller;
