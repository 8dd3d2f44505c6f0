//! Questions about values, answered as Shopify's Liquid does: truth, emptiness, equality, order,
//! text.

use std::{borrow::Cow, cmp::Ordering};

use liquid_core::{
    ValueView,
    model::{KStringCow, ScalarCow, State, ValueViewCmp},
};

use super::node::ORDERED_OBJECT;
use crate::domain::json;

/// A value without its structure.
pub(super) enum Plain<'v> {
    Nil,
    Boolean(bool),
    Whole(i64),
    Fractional(f64),
    Text(KStringCow<'v>),
    /// An array or an object.
    Structure,
}

/// What kind of value `view` is.
pub(super) fn plain(view: &dyn ValueView) -> Plain<'_> {
    let Some(scalar) = view.as_scalar() else {
        return if view.is_array() || view.is_object() { Plain::Structure } else { Plain::Nil };
    };
    if let Some(value) = scalar.to_bool() {
        return Plain::Boolean(value);
    }
    match scalar.type_name() {
        "whole number" => scalar.to_integer().map_or(Plain::Nil, Plain::Whole),
        "fractional number" => scalar.to_float().map_or(Plain::Nil, Plain::Fractional),
        _ => Plain::Text(owned_or_borrowed(scalar)),
    }
}

fn owned_or_borrowed(scalar: ScalarCow<'_>) -> KStringCow<'_> {
    match scalar.into_cow_str() {
        Cow::Borrowed(text) => KStringCow::from_ref(text),
        Cow::Owned(text) => KStringCow::from_string(text),
    }
}

/// A count as a value.
pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Everything but nil and false is true.
pub(super) fn is_truthy(view: &dyn ValueView) -> bool {
    match view.as_state() {
        // `{% if empty %}`: the words are no values.
        Some(_) => false,
        None => !matches!(plain(view), Plain::Nil | Plain::Boolean(false)),
    }
}

fn has_no_parts(view: &dyn ValueView) -> bool {
    view.as_array().is_some_and(|array| array.size() == 0)
        || view.as_object().is_some_and(|object| object.size() == 0)
}

/// Whether `default` fires: nil, false, `""`, `[]`, `{}`.
pub(super) fn is_default(view: &dyn ValueView) -> bool {
    match plain(view) {
        Plain::Nil | Plain::Boolean(false) => true,
        Plain::Text(text) => text.is_empty(),
        Plain::Structure => has_no_parts(view),
        _ => false,
    }
}

/// Whether the value `== empty`.
pub(super) fn is_empty(view: &dyn ValueView) -> bool {
    match plain(view) {
        Plain::Text(text) => text.is_empty(),
        Plain::Structure => has_no_parts(view),
        _ => false,
    }
}

/// Whether the value `== blank`.
pub(super) fn is_blank(view: &dyn ValueView) -> bool {
    match plain(view) {
        Plain::Text(text) => text.trim().is_empty(),
        _ => is_default(view),
    }
}

/// The `==` of templates. A string never equals a number, and `true` equals nothing but `true`.
pub(super) fn are_equal(left: &dyn ValueView, right: &dyn ValueView) -> bool {
    match (left.as_state(), right.as_state()) {
        (Some(left), Some(right)) => return left == right,
        (Some(state), None) => return in_state(right, state),
        (None, Some(state)) => return in_state(left, state),
        (None, None) => {}
    }
    match (plain(left), plain(right)) {
        (Plain::Nil, Plain::Nil) => true,
        (Plain::Boolean(left), Plain::Boolean(right)) => left == right,
        (Plain::Structure, Plain::Structure) => ValueViewCmp::new(left) == ValueViewCmp::new(right),
        (left, right) => order_of(&left, &right) == Some(Ordering::Equal),
    }
}

fn in_state(view: &dyn ValueView, state: State) -> bool {
    match state {
        State::Empty => is_empty(view),
        State::Blank => is_blank(view),
        State::Truthy => is_truthy(view),
        State::DefaultValue => is_default(view),
    }
}

/// The order of two numbers or of two strings; nothing else has one.
pub(super) fn order(left: &dyn ValueView, right: &dyn ValueView) -> Option<Ordering> {
    order_of(&plain(left), &plain(right))
}

fn order_of(left: &Plain<'_>, right: &Plain<'_>) -> Option<Ordering> {
    match (left, right) {
        (Plain::Whole(left), Plain::Whole(right)) => Some(left.cmp(right)),
        (Plain::Whole(left), Plain::Fractional(right)) => (*left as f64).partial_cmp(right),
        (Plain::Fractional(left), Plain::Whole(right)) => left.partial_cmp(&(*right as f64)),
        (Plain::Fractional(left), Plain::Fractional(right)) => left.partial_cmp(right),
        (Plain::Text(left), Plain::Text(right)) => Some(left.as_str().cmp(right.as_str())),
        _ => None,
    }
}

/// The `contains` of templates: a part of a string, an element of an array, a key of an object.
pub(super) fn contains(whole: &dyn ValueView, part: &dyn ValueView) -> bool {
    if let Some(array) = whole.as_array() {
        return array.values().any(|element| are_equal(element, part));
    }
    if matches!(plain(part), Plain::Nil) {
        return false;
    }
    if let Some(object) = whole.as_object() {
        return object.contains_key(part.to_kstr().as_str());
    }
    match plain(whole) {
        Plain::Text(text) => text.contains(part.to_kstr().as_str()),
        _ => false,
    }
}

/// How many bytes a value takes, roughly.
pub(super) fn weight(view: &dyn ValueView) -> usize {
    const PER_VALUE: usize = 8;
    if let Some(array) = view.as_array() {
        return array.values().map(weight).sum::<usize>() + PER_VALUE;
    }
    if let Some(object) = view.as_object() {
        return object.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>() + PER_VALUE;
    }
    match plain(view) {
        Plain::Text(text) => text.len() + PER_VALUE,
        _ => PER_VALUE,
    }
}

/// What `{{ value }}` prints: the elements of an array one after the other, an object as JSON.
pub(super) fn text(view: &dyn ValueView) -> String {
    let mut out = String::new();
    write_text(view, &mut out);
    out
}

fn write_text(view: &dyn ValueView, out: &mut String) {
    if let Some(array) = view.as_array() {
        for element in array.values() {
            write_text(element, out);
        }
    } else if view.is_object() {
        out.push_str(&json_text(view));
    } else if view.as_state().is_none() {
        out.push_str(view.to_kstr().as_str());
    }
}

/// A value as compact JSON.
pub(super) fn json_text(view: &dyn ValueView) -> String {
    let mut out = Vec::new();
    write_json(view, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn write_json(view: &dyn ValueView, out: &mut Vec<u8>) {
    if let Some(array) = view.as_array() {
        out.push(b'[');
        for (at, element) in array.values().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_json(element, out);
        }
        out.push(b']');
        return;
    }
    if view.is_object() {
        out.push(b'{');
        for (at, (key, value)) in members(view).into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::write_string(out, key.as_bytes());
            out.push(b':');
            write_json(value, out);
        }
        out.push(b'}');
        return;
    }
    match plain(view) {
        Plain::Nil | Plain::Structure => out.extend_from_slice(b"null"),
        Plain::Fractional(value) if !value.is_finite() => out.extend_from_slice(b"null"),
        Plain::Text(text) => json::write_string(out, text.as_bytes()),
        Plain::Boolean(_) | Plain::Whole(_) | Plain::Fractional(_) => {
            out.extend_from_slice(view.to_kstr().as_bytes());
        }
    }
}

/// The members of an object, in their order; in the order of their keys when the crate's own value
/// has forgotten it, so that the same row always makes the same record.
pub(super) fn members(view: &dyn ValueView) -> Vec<(KStringCow<'_>, &dyn ValueView)> {
    let mut members: Vec<_> = view.as_object().map(|object| object.iter().collect()).unwrap_or_default();
    if view.type_name() != ORDERED_OBJECT {
        members.sort_unstable_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
    }
    members
}
