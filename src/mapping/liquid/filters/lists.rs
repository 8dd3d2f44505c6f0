//! Filters on lists and objects.

use std::{cmp::Ordering, collections::HashSet};

use liquid_core::{Value, ValueView};

use super::{
    Definition,
    arguments::{Call, list_of, text_of},
    number::Number,
    partial, strings, total,
};
use crate::mapping::liquid::facts::{self, Plain};

pub(super) const FILTERS: &[Definition] = &[
    total("compact", (0, 1), |call| {
        list(call.list().into_iter().filter(|item| !is_nil(property(call, *item))))
    }),
    total("concat", (1, 1), |call| list(call.list().into_iter().chain(list_of(call.argument(0))))),
    total("find", (1, 2), |call| first_match(call).map_or(Value::Nil, |(_, item)| item.to_value())),
    total("find_index", (1, 2), |call| first_match(call).map_or(Value::Nil, |(at, _)| count(at))),
    total("first", (0, 0), |call| end_of(call, true)),
    total("has", (1, 2), |call| Value::scalar(first_match(call).is_some())),
    partial("join", (0, 1), strings::join),
    total("json", (0, 0), |call| strings::text(facts::json_text(call.input))),
    total("last", (0, 0), |call| end_of(call, false)),
    total("map", (1, 1), |call| {
        list(call.list().into_iter().map(|item| property(call, item).unwrap_or(&Value::Nil)))
    }),
    total("push", (1, 1), |call| list(call.list().into_iter().chain([call.argument(0)]))),
    total("reject", (1, 2), |call| list(call.list().into_iter().filter(|item| !matches(call, *item)))),
    total("reverse", (0, 0), |call| list(call.list().into_iter().rev())),
    total("size", (0, 0), size),
    total("sort", (0, 1), |call| sorted(call, compare)),
    total("sort_natural", (0, 1), |call| {
        let key = |view: &dyn ValueView| text_of(view).to_lowercase();
        sorted(call, |a, b| nils_last(a, b).unwrap_or_else(|| key(a).cmp(&key(b))))
    }),
    total("sum", (0, 1), sum),
    total("uniq", (0, 1), uniq),
    total("where", (1, 2), |call| list(call.list().into_iter().filter(|item| matches(call, *item)))),
];

fn list<'v>(items: impl Iterator<Item = &'v dyn ValueView>) -> Value {
    Value::array(items.map(ValueView::to_value))
}

fn count(number: usize) -> Value {
    Value::scalar(facts::count(number))
}

fn is_nil(view: Option<&dyn ValueView>) -> bool {
    view.is_none_or(|view| matches!(facts::plain(view), Plain::Nil))
}

/// The item's property that the first argument names; the item itself when there is none.
fn property<'v>(call: &Call<'_>, item: &'v dyn ValueView) -> Option<&'v dyn ValueView> {
    if !call.has(0) {
        return Some(item);
    }
    item.as_object()?.get(&call.text_argument(0))
}

/// Whether the item's property is the second argument, or true when there is none.
fn matches(call: &Call<'_>, item: &dyn ValueView) -> bool {
    let Some(found) = property(call, item) else { return false };
    if call.has(1) { facts::are_equal(found, call.argument(1)) } else { facts::is_truthy(found) }
}

fn first_match<'c>(call: &'c Call<'_>) -> Option<(usize, &'c dyn ValueView)> {
    call.list().into_iter().enumerate().find(|(_, item)| matches(call, *item))
}

fn end_of(call: &Call<'_>, first: bool) -> Value {
    let found = call.input.as_array().and_then(|array| if first { array.first() } else { array.last() });
    found.map_or(Value::Nil, ValueView::to_value)
}

fn size(call: &Call<'_>) -> Value {
    match (call.input.as_array(), call.input.as_object()) {
        (Some(array), _) => Value::scalar(array.size()),
        (None, Some(object)) => Value::scalar(object.size()),
        (None, None) => match facts::plain(call.input) {
            Plain::Text(text) => count(text.chars().count()),
            _ => count(0),
        },
    }
}

fn nils_last(a: &dyn ValueView, b: &dyn ValueView) -> Option<Ordering> {
    let is_nil = |view: &dyn ValueView| matches!(facts::plain(view), Plain::Nil);
    match (is_nil(a), is_nil(b)) {
        (false, false) => None,
        (a, b) => Some(a.cmp(&b)),
    }
}

/// A total order: numbers, then text, then booleans, then structures, nil last.
fn compare(a: &dyn ValueView, b: &dyn ValueView) -> Ordering {
    let rank = |view: &dyn ValueView| match facts::plain(view) {
        Plain::Whole(_) | Plain::Fractional(_) => 0,
        Plain::Text(_) => 1,
        Plain::Boolean(_) => 2,
        Plain::Structure => 3,
        Plain::Nil => 4,
    };
    rank(a).cmp(&rank(b)).then_with(|| match (facts::plain(a), facts::plain(b)) {
        (Plain::Whole(a), Plain::Whole(b)) => a.cmp(&b),
        (Plain::Text(a), Plain::Text(b)) => a.as_str().cmp(b.as_str()),
        (Plain::Boolean(a), Plain::Boolean(b)) => a.cmp(&b),
        _ => Number::of(a).float().total_cmp(&Number::of(b).float()),
    })
}

fn sorted(call: &Call<'_>, order: impl Fn(&dyn ValueView, &dyn ValueView) -> Ordering) -> Value {
    let mut items: Vec<_> =
        call.list().into_iter().map(|item| (property(call, item).unwrap_or(&Value::Nil), item)).collect();
    items.sort_by(|a, b| order(a.0, b.0));
    list(items.into_iter().map(|(_, item)| item))
}

fn sum(call: &Call<'_>) -> Value {
    let zero = Number::of(&Value::Nil);
    let total = call
        .list()
        .into_iter()
        .filter_map(|item| property(call, item))
        .map(Number::of)
        .fold(zero, Number::plus);
    total.value().unwrap_or_default()
}

fn uniq(call: &Call<'_>) -> Value {
    let mut seen = HashSet::new();
    list(call.list().into_iter().filter(|item| {
        seen.insert(property(call, *item).map_or_else(|| "null".to_owned(), facts::json_text))
    }))
}
