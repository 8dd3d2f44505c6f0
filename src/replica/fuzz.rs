//! A hostile or damaged file of the node's state.

// A panic is how a target says that a promise is broken.
#![allow(clippy::unwrap_used)]

use super::local::{State, file_of};
use crate::domain::limits::FORMAT;

/// Bytes as the file, and as the state in a file whose digest is right: it keeps damage out, and not
/// whoever can write.
pub(crate) fn state(bytes: &[u8]) -> bool {
    let whole = State::read(bytes);
    let inside = str::from_utf8(bytes).ok().and_then(|text| file_of(text.to_owned()).ok());
    let Some(state) = whole.or_else(|| State::read(&inside?)) else { return false };
    assert!(state.format <= FORMAT);
    // What is read stays the same when it is written and read again.
    let file = state.written().unwrap();
    assert_eq!(State::read(&file).unwrap().written().unwrap(), file);
    // No part of it may be another, or missing.
    let at = bytes.len() % file.len();
    for changed in [[&file[..at], b"0", &file[at..]].concat(), file[..at].to_vec()] {
        assert!(State::read(&changed).is_none_or(|read| read.written().unwrap() == file));
    }
    true
}
