//! Values of compound indexes: the values of several columns, joined by `,`.
//!
//! A part writes `~` as `~0` and `,` as `~1`, as JSON Pointer does (RFC 6901, section 3) and as a URL may have it
//! without further encoding.

use std::borrow::Cow;

/// Separates the parts.
const SEPARATOR: char = ',';
/// Begins an escape.
const ESCAPE: char = '~';

/// Appends `part` behind the parts in `joined`.
pub fn push_part(joined: &mut String, is_first: bool, part: &str) {
    if !is_first {
        joined.push(SEPARATOR);
    }
    for character in part.chars() {
        match character {
            ESCAPE => joined.push_str("~0"),
            SEPARATOR => joined.push_str("~1"),
            other => joined.push(other),
        }
    }
}

/// The parts of `joined`, unescaped. A part with an invalid escape is `None`: no value has it.
pub fn parts(joined: &str) -> impl Iterator<Item = Option<Cow<'_, str>>> {
    joined.split(SEPARATOR).map(unescaped)
}

fn unescaped(part: &str) -> Option<Cow<'_, str>> {
    let mut pieces = part.split(ESCAPE);
    let first = pieces.next().unwrap_or_default();
    if first.len() == part.len() {
        return Some(Cow::Borrowed(part));
    }
    let mut text = first.to_owned();
    for piece in pieces {
        let (character, rest) = match piece.as_bytes().first() {
            Some(b'0') => (ESCAPE, &piece[1..]),
            Some(b'1') => (SEPARATOR, &piece[1..]),
            _ => return None,
        };
        text.push(character);
        text.push_str(rest);
    }
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(parts: &[String]) -> String {
        let mut joined = String::new();
        parts.iter().enumerate().for_each(|(at, part)| push_part(&mut joined, at == 0, part));
        joined
    }

    #[test]
    fn invalid_escapes_are_no_values() {
        for (text, expected) in [
            ("US,A-1", vec![Some("US"), Some("A-1")]),
            ("a~1b,c~0d", vec![Some("a,b"), Some("c~d")]),
            ("~01", vec![Some("~1")]),
            (",", vec![Some(""), Some("")]),
            ("a~,b", vec![None, Some("b")]),
            ("a~2,~", vec![None, None]),
        ] {
            let found: Vec<_> = parts(text).collect();
            let found: Vec<_> = found.iter().map(Option::as_deref).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_read_back(expected in prop::collection::vec("[a~,01é]{0,6}", 1..5)) {
            let found: Option<Vec<_>> = parts(&joined(&expected)).map(|part| part.map(Cow::into_owned)).collect();
            prop_assert_eq!(found, Some(expected));
        }
    }
}
