//! The web console: signing in and out, sessions and their end, and the pages.

mod accessibility;
mod admin_keys;
mod browser;
mod commands;
mod keys;
mod lists;
mod pages;
mod sessions;
pub(crate) mod visitor;
