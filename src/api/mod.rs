//! HTTP: records, health, metrics and status.
//!
//! `router` has every path of both listeners. `http` has what both share, `read` answers records, `ops`
//! health, metrics and status, `admin` the API of the admin listener, `console` its pages. `openapi` describes both
//! listeners.

mod admin;
mod console;
mod http;
mod openapi;
mod ops;
mod read;
mod router;
mod settings;

pub use admin::AdminState;
pub use console::pages;
pub use http::answer::{Body, Endpoint, ResponseFuture};
pub use http::listener::{self, Limits, Listener, tls};
pub use openapi::{DESCRIPTION, admin_description};
pub use ops::Readiness;
#[cfg(any(test, fuzzing))]
pub(crate) use read::fuzz;
pub use read::{ReadLimits, ReadState};
pub use router::{admin, public};
pub use settings::Settings;

/// Every code of an answer, of both listeners.
pub fn codes() -> impl Iterator<Item = &'static str> {
    read::Code::ALL.iter().map(|code| code.row().code).chain(admin::codes::TABLE.iter().map(|row| row.code))
}
