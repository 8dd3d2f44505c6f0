//! The admin listener: its state, caller, table of codes, and the handlers but those of metrics and status, which
//! are in `ops`.
//!
//! A handler is an axum function with `#[utoipa::path]` and one line in `router.rs`. It takes what it needs as
//! arguments: [`Publishing`] for use cases, `Query`, `Path` or `Json` for input. It
//! returns `Result<_, Error>`: `?` turns the error of a use case into an answer ([`codes`]).

mod caller;
pub(super) mod codes;
pub(super) mod runs;
mod state;

pub(super) use caller::Caller;
pub use state::AdminState;
use state::Publishing;
