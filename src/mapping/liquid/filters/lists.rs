//! Filters on lists and objects.

use std::{cmp::Ordering, collections::HashSet};

use liquid_core::{Result, Value, ValueView};

use super::{
    Definition,
    arguments::{Call, list_of, text_of},
    filter,
    number::Number,
    strings,
};
use crate::mapping::liquid::facts::{self, Plain};

pub(super) const FILTERS: &[Definition] = &[
    filter("compact", (0, 1), |call| {
        list(call.list().into_iter().filter(|item| !is_nil(property(call, *item))))
    }),
    filter("concat", (1, 1), |call| list(call.list().into_iter().chain(list_of(call.argument(0))))),
    filter("find", (1, 2), |call| Ok(first_match(call).map_or(Value::Nil, |(_, item)| item.to_value()))),
    filter("find_index", (1, 2), |call| {
        Ok(first_match(call).map_or(Value::Nil, |(at, _)| Value::scalar(at as i64)))
    }),
    filter("first", (0, 0), |call| end_of(call, true)),
    filter("has", (1, 2), |call| Ok(Value::scalar(first_match(call).is_some()))),
    filter("join", (0, 1), strings::join),
    filter("json", (0, 0), |call| strings::text(facts::json_text(call.input))),
    filter("last", (0, 0), |call| end_of(call, false)),
    filter("map", (1, 1), |call| {
        list(call.list().into_iter().map(|item| property(call, item).unwrap_or(&Value::Nil)))
    }),
    filter("push", (1, 1), |call| list(call.list().into_iter().chain([call.argument(0)]))),
    filter("reject", (1, 2), |call| list(call.list().into_iter().filter(|item| !matches(call, *item)))),
    filter("reverse", (0, 0), |call| list(call.list().into_iter().rev())),
    filter("size", (0, 0), size),
    filter("sort", (0, 1), |call| sorted(call, compare)),
    filter("sort_natural", (0, 1), |call| {
        let key = |view: &dyn ValueView| text_of(view).to_lowercase();
        sorted(call, |a, b| nils_last(a, b).unwrap_or_else(|| key(a).cmp(&key(b))))
    }),
    filter("sum", (0, 1), sum),
    filter("uniq", (0, 1), uniq),
    filter("where", (1, 2), |call| list(call.list().into_iter().filter(|item| matches(call, *item)))),
];

fn list<'v>(items: impl Iterator<Item = &'v dyn ValueView>) -> Result<Value> {
    Ok(Value::array(items.map(ValueView::to_value)))
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

fn end_of(call: &Call<'_>, first: bool) -> Result<Value> {
    let found = call.input.as_array().and_then(|array| if first { array.first() } else { array.last() });
    Ok(found.map_or(Value::Nil, ValueView::to_value))
}

fn size(call: &Call<'_>) -> Result<Value> {
    let size = match (call.input.as_array(), call.input.as_object()) {
        (Some(array), _) => array.size(),
        (None, Some(object)) => object.size(),
        (None, None) => match facts::plain(call.input) {
            Plain::Text(text) => text.chars().count() as i64,
            _ => 0,
        },
    };
    Ok(Value::scalar(size))
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

fn sorted(call: &Call<'_>, order: impl Fn(&dyn ValueView, &dyn ValueView) -> Ordering) -> Result<Value> {
    let mut items: Vec<_> =
        call.list().into_iter().map(|item| (property(call, item).unwrap_or(&Value::Nil), item)).collect();
    items.sort_by(|a, b| order(a.0, b.0));
    list(items.into_iter().map(|(_, item)| item))
}

fn sum(call: &Call<'_>) -> Result<Value> {
    let zero = Number::of(&Value::Nil);
    let total = call
        .list()
        .into_iter()
        .filter_map(|item| property(call, item))
        .map(Number::of)
        .fold(zero, Number::plus);
    Ok(total.value().unwrap_or_default())
}

fn uniq(call: &Call<'_>) -> Result<Value> {
    let mut seen = HashSet::new();
    list(call.list().into_iter().filter(|item| {
        seen.insert(property(call, *item).map_or_else(|| "null".to_owned(), facts::json_text))
    }))
}
