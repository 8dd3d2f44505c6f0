//! Equality and order of values, as Ruby has them.

use std::cmp::Ordering;

use super::{Meter, Result, Value, number, print, tree::Operator};

/// Whether all items pass a test that may fail.
fn all<T>(items: impl Iterator<Item = T>, test: impl Fn(T) -> Result<bool>) -> Result<bool> {
    items.map(test).find(|passed| *passed != Ok(true)).unwrap_or(Ok(true))
}

/// Whether two values are equal: numbers by value, arrays by their elements, objects by their members.
pub(super) fn are_equal(left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<bool> {
    meter.spend(1)?;
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Text(a), Value::Text(b)) if a.len() == b.len() => {
            meter.spend_bytes(a.len() / 4)?;
            **a == **b
        }
        (Value::Range(a, b), Value::Range(c, d)) => (a, b) == (c, d),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            all(a.iter().zip(b.iter()), |(a, b)| are_equal(a, b, meter))?
        }
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => all(a.iter(), |(key, value)| {
            right.member(key, meter)?.map_or(Ok(false), |other| are_equal(value, other, meter))
        })?,
        _ => number::order(left, right, meter)? == Some(Ordering::Equal),
    })
}

/// The order of two numbers, of two texts or of two arrays; nothing else has one.
pub(super) fn order(left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<Option<Ordering>> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => {
            meter.spend_bytes(a.len().min(b.len()) / 4)?;
            Ok(Some((**a).cmp(&**b)))
        }
        (Value::Array(a), Value::Array(b)) => {
            let mut orders = a.iter().zip(b.iter()).map(|(a, b)| order(a, b, meter));
            let first = orders.find(|found| *found != Ok(Some(Ordering::Equal)));
            first.unwrap_or_else(|| Ok(Some(a.len().cmp(&b.len()))))
        }
        _ => number::order(left, right, meter),
    }
}

/// An operator other than `==` and `!=` with `empty` or `blank`.
pub(super) fn holds(operator: Operator, left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<bool> {
    let wanted = match operator {
        Operator::Equal => return are_equal(left, right, meter),
        Operator::NotEqual => return Ok(!are_equal(left, right, meter)?),
        Operator::Contains => return contains(left, right, meter),
        Operator::Order(wanted) => wanted,
    };
    Ok(loose_order(left, right, meter)?.is_some_and(|found| wanted.contains(&found)))
}

/// The order of two values, where a text beside a number counts as the number that it is, as in
/// liquidjs; Ruby fails.
pub(super) fn loose_order(left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<Option<Ordering>> {
    match (left, right) {
        (Value::Text(text), Value::Int(_) | Value::Decimal(_)) => {
            order(&number::of_text(text, meter)?, right, meter)
        }
        (Value::Int(_) | Value::Decimal(_), Value::Text(text)) => {
            order(left, &number::of_text(text, meter)?, meter)
        }
        _ => order(left, right, meter),
    }
}

/// Whether `part` is in `whole`.
pub(super) fn has_part(whole: &str, part: &str, meter: &Meter) -> Result<bool> {
    meter.spend_bytes(whole.len())?;
    // The search reads the whole part before it begins.
    Ok(part.len() <= whole.len() && memchr::memmem::find(whole.as_bytes(), part.as_bytes()).is_some())
}

/// `contains`: a part of a text, an element of an array, a key of an object, a number in a range.
fn contains(whole: &Value<'_>, part: &Value<'_>, meter: &Meter) -> Result<bool> {
    match (whole, part) {
        (_, Value::Nil | Value::Bool(false)) => Ok(false),
        (Value::Text(whole), part) => has_part(whole, &print::text(part, meter)?, meter),
        (Value::Array(elements), part) => {
            Ok(!all(elements.iter(), |element| Ok(!are_equal(element, part, meter)?))?)
        }
        (Value::Object(_), Value::Text(key)) => Ok(whole.member(key, meter)?.is_some()),
        (Value::Range(first, last), part) => {
            let is_in_order =
                |a: &Value<'_>, b: &Value<'_>| Ok(number::order(a, b, meter)?.is_some_and(Ordering::is_le));
            Ok(is_in_order(&Value::Int(*first), part)? && is_in_order(part, &Value::Int(*last))?)
        }
        _ => Ok(false),
    }
}
