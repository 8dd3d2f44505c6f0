//! The parts of JSON text that [`super::compact()`] wrote: cells of a row and bodies of records.
//!
//! Nothing is parsed into values. On other text the parts are wrong, but the scan always ends and never
//! panics.

use std::borrow::Cow;

use memchr::memchr2;

/// The place after the string that begins (with its quote) at `at`.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The place after the value that begins at `at`.
fn value_end(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => string_end(text, at),
        Some(b'{' | b'[') => container(text, at).0,
        _ => text
            .get(at..)
            .and_then(|rest| rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']')))
            .map_or(text.len(), |found| at + found),
    }
}

/// The place after the array or object that begins at `at`, and how many stand inside each other in it.
fn container(text: &[u8], mut at: usize) -> (usize, usize) {
    let (mut open, mut deepest) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return (at + 1, deepest);
                }
            }
            _ => {}
        }
        at += 1;
    }
    (text.len(), deepest)
}

/// How many arrays and objects stand inside each other; 0 for a scalar.
pub fn depth(text: &[u8]) -> usize {
    if matches!(text.first(), Some(b'{' | b'[')) { container(text, 0).1 } else { 0 }
}

/// The elements of an array; none when `text` is not one. There may be blanks before them.
pub fn elements(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = if text.first() == Some(&b'[') { 1 } else { text.len() };
    std::iter::from_fn(move || {
        if at + 1 >= text.len() {
            return None;
        }
        let blanks = text[at..].iter().take_while(|byte| **byte == b' ').count();
        let start = at + blanks;
        let end = value_end(text, start);
        at = end + 1;
        text.get(start..end)
    })
}

/// The members of an object, keys as they are written, with their quotes; none when `text` is not
/// one.
pub fn members(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = if text.first() == Some(&b'{') { 1 } else { text.len() };
    std::iter::from_fn(move || {
        if at + 1 >= text.len() {
            return None;
        }
        let key_end = string_end(text, at);
        let key = text.get(at..key_end)?;
        let end = value_end(text, key_end + 1);
        let value = text.get(key_end + 1..end)?;
        at = end + 1;
        Some((key, value))
    })
}

/// The text that a JSON string stands for, or `None` when it is none.
pub fn unescaped(string: &[u8]) -> Option<Cow<'_, str>> {
    let inner = string.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    let mut text = Vec::new();
    super::read_string(string, &mut text);
    String::from_utf8(text).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Any JSON value of modest size.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a\"\\\\\\[\\]{},:é\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c\"\\\\]{0,3}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn depth_of(value: &Value) -> usize {
        match value {
            Value::Array(elements) => 1 + elements.iter().map(depth_of).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn parts_are_those_of_a_parser(value in any_json()) {
            let text = value.to_string();
            prop_assert_eq!(depth(text.as_bytes()), depth_of(&value));
            let parts: Vec<Value> =
                elements(text.as_bytes()).map(|part| serde_json::from_slice(part).unwrap()).collect();
            prop_assert_eq!(parts, value.as_array().cloned().unwrap_or_default());
            let parts: Vec<(String, Value)> = members(text.as_bytes())
                .map(|(key, part)| (unescaped(key).unwrap().into_owned(), serde_json::from_slice(part).unwrap()))
                .collect();
            let expected: Vec<(String, Value)> =
                value.as_object().cloned().unwrap_or_default().into_iter().collect();
            prop_assert_eq!(parts, expected);
        }

        #[test]
        fn any_bytes_end_without_a_panic(bytes in prop::collection::vec(prop::sample::select(b"[]{}\",:\\a1 ".to_vec()), 0..40)) {
            depth(&bytes);
            prop_assert!(elements(&bytes).count() <= bytes.len());
            prop_assert!(members(&bytes).count() <= bytes.len());
            unescaped(&bytes);
        }
    }
}
