//! HTTP: the read contract, health, metrics.
//!
//! `router` has every path of both listeners, `layers` what surrounds every request, `codes` every
//! refusal with its status, `error` turns a refusal into an answer, `unread` keeps an answer from overtaking a
//! body, `openapi` describes it all, `serve` owns the sockets.

mod codes;
mod error;
mod layers;
mod openapi;
mod ops;
mod read;
mod readiness;
mod reply;
mod request_id;
mod router;
pub mod serve;
mod settings;
mod status;
mod unread;

pub use codes::{Answered, Code};
pub use error::Error;
pub use openapi::description;
pub use ops::AdminState;
#[cfg(any(test, fuzzing))]
pub(crate) use read::fuzz;
pub use read::{ReadLimits, ReadState};
pub use readiness::Readiness;
pub use reply::{Answering, Body};
pub use router::{Answer, admin, public};
pub use serve::{Limits, Listener};
pub use settings::Settings;
