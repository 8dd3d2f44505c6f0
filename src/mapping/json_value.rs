//! Checking and compacting one JSON value that a template wrote.

use crate::domain::reject::RejectReason;

/// Appends `raw`, one JSON value, in compact form; says how deep it is (0 for a scalar).
///
/// Fails with [`RejectReason::InvalidJson`] when `raw` is not one JSON value; `out` may then hold a
/// part of it.
pub(super) fn compact(raw: &[u8], out: &mut Vec<u8>) -> Result<usize, RejectReason> {
    crate::domain::json::compact(raw, out)
}

/// Whether `text`, one compact JSON value, is a number in positional notation.
pub(super) fn is_number(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'-' | b'0'..=b'9')) && !text.iter().any(|byte| matches!(byte, b'e' | b'E'))
}
