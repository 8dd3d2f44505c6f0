//! The web console: signing in and out, sessions and their end, and the pages.

mod browser;
mod collections;
mod commands;
mod forms;
mod pages;
mod runs;
mod sessions;
mod syncs;
pub(crate) mod visitor;
