//! Fuzz target: a hostile or damaged file of the node's state.

// A fuzz target reports a broken promise by a panic.
#![allow(clippy::unwrap_used)]

use super::local::{SavedState, encode_envelope};
use crate::domain::limits::FORMAT;

/// Decodes `bytes` as the file, and as the state in a file with a correct digest. The digest detects damage; it
/// does not stop a writer.
pub(crate) fn state(bytes: &[u8]) -> bool {
    let whole = SavedState::decode(bytes);
    let inside = str::from_utf8(bytes).ok().and_then(|text| encode_envelope(text.to_owned()).ok());
    let Some(state) = whole.or_else(|| SavedState::decode(&inside?)) else { return false };
    assert!(state.format <= FORMAT);
    // A decoded state survives encoding and decoding.
    let file = state.encode().unwrap();
    assert_eq!(SavedState::decode(&file).unwrap().encode().unwrap(), file);
    // A file with a changed or missing part is refused.
    let at = bytes.len() % file.len();
    for changed in [[&file[..at], b"0", &file[at..]].concat(), file[..at].to_vec()] {
        assert!(SavedState::decode(&changed).is_none_or(|read| read.encode().unwrap() == file));
    }
    true
}
