//! The common parts of both listeners: sockets, the layers around every request, bodies, request ids,
//! and the form of a refusal.

pub(super) mod answer;
pub(super) mod error;
mod host;
pub(super) mod layers;
pub mod listener;
pub(super) mod request_id;
pub(super) mod unread;
