//! The stable code of an error that ended the start of a server.

use std::error::Error;

use crate::{
    admin,
    api::{listener, tls},
    auth::tokens,
    catalog, replica,
    support::file_lock::LockError,
    telemetry,
};

/// The code of the first cause that has one.
pub fn code_of(error: &anyhow::Error) -> Option<&'static str> {
    fn code<E: Error + 'static>(
        cause: &(dyn Error + 'static),
        code: fn(&E) -> &'static str,
    ) -> Option<&'static str> {
        cause.downcast_ref().map(code)
    }
    error.chain().find_map(|cause| {
        code(cause, LockError::code)
            .or_else(|| code(cause, listener::Error::code))
            .or_else(|| code(cause, tls::Error::code))
            .or_else(|| code(cause, tokens::Error::code))
            .or_else(|| code(cause, telemetry::Error::code))
            .or_else(|| code(cause, replica::Error::code))
            .or_else(|| code(cause, admin::Error::code))
            .or_else(|| code(cause, catalog::Error::code))
    })
}
