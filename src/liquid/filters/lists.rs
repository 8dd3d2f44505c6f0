//! Filters on lists and objects.

use std::{cmp::Ordering, collections::HashSet};

use indexmap::IndexMap;

use super::{Call, Failure, Filter, Made, Meter, Number, Result, Text, Value, filter, flatten, selecting};
use crate::liquid::{compare, print, render};

/// Most levels of a value that a filter makes: printing recurses over them.
const DEPTH_MAX: usize = 100;

pub(super) const FILTERS: &[Filter] = &[
    filter("array_to_sentence_string", (0, 1), |call| {
        let connector = format!(" {} ", &*call.argument_or(0, "and")?);
        let list = call.list()?;
        let last = format!(",{connector}");
        let last = if list.len() == 2 { &connector } else { &last };
        join(call, &list, ", ", last)
    }),
    filter("compact", (0, 1), |call| {
        kept(call, |call, item| Ok(!matches!(property(call, item)?, Value::Nil)))
    }),
    filter("concat", (1, 1), |call| {
        if !matches!(call.value(0), Value::Array(_) | Value::Range(..)) {
            return Err(Failure::Failed);
        }
        let mut list = call.list()?;
        flatten(call.value(0), call.meter(), &mut list)?;
        Ok(Value::array(list))
    }),
    selecting("find", "find_exp", |call| Ok(first_match(call)?.map_or(Value::Nil, |(_, item)| item))),
    selecting("find_index", "find_index_exp", |call| {
        Ok(first_match(call)?.map_or(Value::Nil, |(at, _)| Value::count(at)))
    }),
    filter("first", (0, 0), |call| Ok(render::end(call.input, true))),
    selecting("group_by", "group_by_exp", group_by),
    selecting("has", "has_exp", |call| Ok(Value::Bool(first_match(call)?.is_some()))),
    filter("join", (0, 1), |call| {
        let (separator, list) = (call.argument_or(0, " ")?, call.list()?);
        join(call, &list, &separator, &separator)
    }),
    filter("last", (0, 0), |call| Ok(render::end(call.input, false))),
    filter("map", (1, 1), |call| {
        let mut values = call.list()?;
        for value in &mut values {
            *value = property(call, value)?;
        }
        Ok(Value::array(values))
    }),
    filter("pop", (0, 0), |call| edited(call, |items, _| drop(items.pop()))),
    filter("property_accessor", (1, 1), |call| property(call, call.input)),
    filter("push", (1, 1), |call| edited(call, Vec::push)),
    selecting("reject", "reject_exp", |call| selected(call, false)),
    filter("reverse", (0, 0), |call| Ok(Value::array(call.list()?.into_iter().rev()))),
    filter("shift", (0, 0), |call| edited(call, |items, _| drop(items.drain(..items.len().min(1))))),
    filter("size", (0, 0), |call| Ok(Value::count(render::size(call.input, call.meter())?.unwrap_or(0)))),
    filter("sort", (0, 1), |call| sorted(call, |_, value| Ok(value.clone()))),
    filter("sort_natural", (0, 1), |call| {
        sorted(call, |call, value| match value {
            Value::Nil => Ok(Value::Nil),
            value => call.made(call.text_of(value)?.to_lowercase()),
        })
    }),
    filter("sum", (0, 1), |call| {
        let mut sum = Number::zero();
        for item in call.list()? {
            let value = property(call, &item)?;
            sum = sum.combine(&Number::of(&value, call.meter())?, |a, b| a + b)?;
        }
        Ok(sum.value())
    }),
    filter("uniq", (0, 1), |call| {
        let mut seen = HashSet::new();
        kept(call, |call, item| {
            let value = property(call, item)?;
            Ok(seen.insert(key(call, &value)?))
        })
    }),
    filter("unshift", (1, 1), |call| edited(call, |items, new| items.insert(0, new))),
    selecting("where", "where_exp", |call| selected(call, true)),
];

/// The input after a change with the argument. The elements of an array keep their levels.
fn edited<'r>(call: &Call<'_, 'r>, edit: impl FnOnce(&mut Vec<Value<'r>>, Value<'r>)) -> Made<'r> {
    let mut items = match call.input {
        Value::Array(values) => {
            call.meter().spend(1 + values.len())?;
            values.to_vec()
        }
        _ => call.list()?,
    };
    let new = call.value(0).clone();
    check_depth(&new, DEPTH_MAX, call.meter())?;
    edit(&mut items, new);
    Ok(Value::array(items))
}

/// Whether a value has few enough levels to become an element.
fn check_depth(value: &Value<'_>, levels: usize, meter: &Meter) -> Result {
    meter.spend(1)?;
    let levels = levels.checked_sub(1).ok_or(Failure::Limit)?;
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| check_depth(value, levels, meter)),
        Value::Object(members) => members.iter().try_for_each(|(_, value)| check_depth(value, levels, meter)),
        _ => Ok(()),
    }
}

/// The items that a test keeps.
fn kept<'c, 'r>(
    call: &mut Call<'c, 'r>,
    mut is_kept: impl FnMut(&mut Call<'c, 'r>, &Value<'r>) -> Result<bool>,
) -> Made<'r> {
    let mut items = Vec::new();
    for item in call.list()? {
        if is_kept(call, &item)? {
            items.push(item);
        }
    }
    Ok(Value::array(items))
}

fn join<'r>(call: &Call<'_, 'r>, list: &[Value<'r>], separator: &str, last: &str) -> Made<'r> {
    let mut out = String::new();
    for (at, item) in list.iter().enumerate() {
        if at > 0 {
            out.push_str(if at + 1 == list.len() { last } else { separator });
        }
        print::write(item, &mut out, call.meter())?;
        call.meter().spend_text(separator.len())?;
    }
    call.made(out)
}

/// The property of an item that the first argument names; the item itself without an argument.
fn property<'v, 'r>(call: &Call<'_, 'r>, item: &'v Value<'r>) -> Made<'r> {
    call.meter().spend(1)?;
    let name = call.value(0);
    if matches!(name, Value::Nil) && call.syntax.filter.arguments.0 == 0 {
        return Ok(item.clone());
    }
    match (item, name) {
        (Value::Object(_), Value::Text(name)) => {
            let member = |value: &'v Value<'r>, name| value.member(name, call.meter());
            let mut found = member(item, name)?;
            if found.is_none() {
                call.meter().spend_bytes(name.len())?;
                let inner = |value: Option<_>, part| value.map_or(Ok(None), |value| member(value, part));
                found = name.split('.').try_fold(Some(item), inner)?;
            }
            Ok(found.cloned().unwrap_or(Value::Nil))
        }
        // Ruby reads a part of a text, which is there or not.
        (Value::Text(text), Value::Text(name)) => {
            let is_there = compare::has_part(text, name, call.meter())?;
            Ok(if is_there { Value::Text(name.clone()) } else { Value::Nil })
        }
        _ => Ok(Value::Nil),
    }
}

/// What the expression gives for an item; without an expression, its property.
fn examined<'r>(call: &mut Call<'_, 'r>, item: &Value<'r>) -> Made<'r> {
    match &call.syntax.expression {
        Some((slot, chain)) => call.render.for_item(*slot, item.clone(), chain),
        None => property(call, item),
    }
}

/// Whether an item has the property, or the value of it that is asked for, or fulfils the expression.
fn is_match<'r>(call: &mut Call<'_, 'r>, item: &Value<'r>) -> Result<bool> {
    // A number without properties is compared itself.
    if let (1, Value::Int(_), Value::Int(_)) = (call.given(), item, call.value(0)) {
        return compare::are_equal(item, call.value(0), call.meter());
    }
    let value = examined(call, item)?;
    // `where` reads nil as no value, as in Ruby; the others compare with it, as in liquidjs.
    let compares_nil =
        call.given() > 1 && call.syntax.expression.is_none() && call.syntax.filter.name != "where";
    match call.value(1) {
        Value::Nil if !compares_nil => Ok(value.is_truthy()),
        wanted => compare::are_equal(&value, wanted, call.meter()),
    }
}

fn first_match<'r>(call: &mut Call<'_, 'r>) -> Result<Option<(usize, Value<'r>)>> {
    for (at, item) in call.list()?.into_iter().enumerate() {
        if is_match(call, &item)? {
            return Ok(Some((at, item)));
        }
    }
    Ok(None)
}

fn selected<'r>(call: &mut Call<'_, 'r>, wanted: bool) -> Made<'r> {
    kept(call, |call, item| match &call.syntax.expression {
        // As in liquidjs, neither keeps an item for which the expression is no boolean.
        Some(_) => Ok(matches!(examined(call, item)?, Value::Bool(value) if value == wanted)),
        None => Ok(is_match(call, item)? == wanted),
    })
}

/// What two values have in common if they are the same.
fn key(call: &Call<'_, '_>, value: &Value<'_>) -> Result<String> {
    call.meter().spend(3)?;
    let key = print::json(value, 0, call.meter())?;
    call.meter().spend_bytes(key.len())?;
    Ok(key)
}

fn group_by<'r>(call: &mut Call<'_, 'r>) -> Made<'r> {
    let mut groups: IndexMap<String, (Value<'r>, Vec<Value<'r>>)> = IndexMap::new();
    for item in call.list()? {
        check_depth(&item, DEPTH_MAX, call.meter())?;
        let name = examined(call, &item)?;
        call.meter().spend(5)?;
        groups.entry(key(call, &name)?).or_insert((name, Vec::new())).1.push(item);
    }
    Ok(Value::array(groups.into_values().map(|(name, items)| {
        let size = Value::count(items.len());
        let members = [("name", name), ("items", Value::array(items)), ("size", size)];
        Value::Object(members.into_iter().map(|(key, value)| (Text::Borrowed(key), value)).collect())
    })))
}

/// Sorts by what `key` makes of the values; nil comes last.
fn sorted<'c, 'r>(call: &mut Call<'c, 'r>, key: impl Fn(&Call<'c, 'r>, &Value<'r>) -> Made<'r>) -> Made<'r> {
    let list = call.list()?;
    // The logarithm, at least 1: comparisons an element takes part in.
    let rounds = usize::BITS as usize - list.len().leading_zeros() as usize;
    call.meter().spend(list.len().saturating_mul(rounds))?;
    let mut keyed = Vec::with_capacity(list.len());
    for item in list {
        keyed.push((key(call, &property(call, &item)?)?, item));
    }
    let keyed = merge_sorted(keyed, &|(a, _), (b, _)| match (a, b) {
        (Value::Nil, Value::Nil) => Ok(Ordering::Equal),
        (Value::Nil, _) => Ok(Ordering::Greater),
        (_, Value::Nil) => Ok(Ordering::Less),
        (Value::Bool(a), Value::Bool(b)) => Ok(a.cmp(b)),
        _ => compare::loose_order(a, b, call.meter())?.ok_or(Failure::Failed),
    })?;
    Ok(Value::array(keyed.into_iter().map(|(_, item)| item)))
}

/// A stable sort whose comparison may fail: the standard library's may panic when an order is not total.
fn merge_sorted<T>(mut left: Vec<T>, order: &impl Fn(&T, &T) -> Result<Ordering>) -> Result<Vec<T>> {
    if left.len() < 2 {
        return Ok(left);
    }
    let mut merged = Vec::with_capacity(left.len());
    let mut right = merge_sorted(left.split_off(left.len() / 2), order)?.into_iter().peekable();
    let mut left = merge_sorted(left, order)?.into_iter().peekable();
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        merged.extend(if order(a, b)?.is_gt() { right.next() } else { left.next() });
    }
    merged.extend(left.chain(right));
    Ok(merged)
}
