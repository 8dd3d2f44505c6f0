//! An error in an answer that is none itself.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin;

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Failure {
    /// The stable code.
    code: &'static str,
    /// What happened and what to do.
    message: String,
}

impl Failure {
    pub(super) fn of(error: &admin::Error) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}
