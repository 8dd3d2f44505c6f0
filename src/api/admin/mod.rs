//! What the admin listener's routes share: the caller and the table of codes. A route is a handler and one
//! line in `router.rs`.

mod caller;
pub(super) mod codes;

pub(super) use caller::Caller;
