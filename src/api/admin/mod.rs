//! The admin listener: its state, gate, table of codes, and the handlers but those of metrics and status, which
//! are in `ops`.
//!
//! A handler is an axum function with `#[utoipa::path]`, one line in `router.rs` and one row in `routes.rs`, which says
//! what role it needs. It takes what it needs as arguments: [`Publishing`] for use cases, [`gate::Caller`] for who asks,
//! `Query`, `Path` or `Json` for input. It returns `Result<_, Error>`: `?` turns the error of a use case into an answer
//! ([`codes`]).

pub(super) mod browser;
pub(super) mod codes;
pub(super) mod collections;
mod etag;
pub(super) mod events;
mod failure;
pub(super) mod gate;
pub(super) mod input;
pub(super) mod keys;
pub(super) mod login_links;
pub(super) mod page;
pub(super) mod routes;
pub(super) mod runs;
pub(super) mod sessions;
pub(super) mod sources;
mod state;
pub(super) mod stored;
pub(super) mod syncs;
pub(super) mod whoami;

pub use state::AdminState;
pub(super) use state::Publishing;
