//! The pages of the console on the admin listener: their routes, who may see them, and the answers.
//!
//! A page is a function of `console`; a handler here gets what it shows from a use case.

mod admin_keys;
mod answer;
mod at_fault;
mod audit;
mod collections;
mod deleted;
mod draft;
mod editor;
mod entries;
mod form;
mod gate;
mod key_form;
mod keys;
mod messages;
mod nodes;
mod overview;
mod records;
mod routes;
mod runs;
mod sessions;
mod sign_in;
mod single_sign_on;
mod syncs;

pub use routes::pages;
pub(super) use routes::routes;
