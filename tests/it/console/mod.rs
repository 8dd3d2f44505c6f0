//! The web console: signing in and out, single sign-on, sessions and their end, and the pages.

mod accessibility;
mod admin_keys;
mod browser;
mod collections;
mod commands;
mod deleted;
mod entries;
mod first_run;
mod forms;
mod held;
mod keys;
mod layout;
mod lists;
mod mapper;
mod messages;
mod oidc;
mod open_pages;
mod pages;
mod roles;
mod runs;
mod sessions;
mod syncs;
mod two_tabs;
pub(crate) mod visitor;
mod volume;
mod wrong_values;
