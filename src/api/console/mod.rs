//! The pages of the console on the admin listener: their routes, who may see them, and the answers.
//!
//! A page is a function of `console`; a handler here gets what it shows from a use case.

mod answer;
mod collections;
mod editor;
mod entries;
mod form;
mod gate;
mod overview;
mod records;
mod routes;
mod runs;
mod sign_in;
mod syncs;

pub(super) use routes::routes;
