//! The web console: signing in and out, sessions and their end, and the pages.

mod browser;
mod commands;
mod entries;
mod pages;
mod sessions;
pub(crate) mod visitor;
