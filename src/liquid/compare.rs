//! Equality and order of values, as Ruby has them.

use std::cmp::Ordering;

use super::{
    Failure,
    meter::Meter,
    number, print,
    tree::Operator,
    value::{Text, Value},
};

/// Whether two values are equal: numbers by value, arrays by their elements, objects by their members.
pub(super) fn are_equal(left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<bool, Failure> {
    meter.spend(1)?;
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => {
            if a.len() == b.len() {
                meter.spend_bytes(a.len() / 4)?;
            }
            **a == **b
        }
        (Value::Range(a, b), Value::Range(c, d)) => (a, b) == (c, d),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b.iter()) {
                if !are_equal(a, b, meter)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            for (key, value) in a.iter() {
                meter.spend(1 + b.len() / 4)?;
                if !right.member(key).map_or(Ok(false), |other| are_equal(value, other, meter))? {
                    return Ok(false);
                }
            }
            true
        }
        _ => number_order(left, right, meter)? == Some(Ordering::Equal),
    })
}

/// The order of two numbers, of two texts or of two arrays; nothing else has one.
pub(super) fn order(left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<Option<Ordering>, Failure> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => {
            meter.spend_bytes(a.len().min(b.len()) / 4)?;
            Ok(Some((**a).cmp(&**b)))
        }
        (Value::Array(a), Value::Array(b)) => {
            for (a, b) in a.iter().zip(b.iter()) {
                match order(a, b, meter)? {
                    Some(Ordering::Equal) => {}
                    other => return Ok(other),
                }
            }
            Ok(Some(a.len().cmp(&b.len())))
        }
        _ => number_order(left, right, meter),
    }
}

fn number_order(left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<Option<Ordering>, Failure> {
    let cost = |value: &Value<'_>| if let Value::Decimal(decimal) = value { decimal.digits.len() } else { 1 };
    meter.spend(cost(left) + cost(right))?;
    Ok(number::order(left, right))
}

/// The number that a text is.
fn number_of<'r>(text: &Text<'r>, meter: &Meter) -> Result<Option<Value<'r>>, Failure> {
    meter.spend_bytes(text.len())?;
    Ok(number::of_text(text))
}

/// An operator other than `==` and `!=` with `empty` or `blank`.
pub(super) fn holds(
    operator: Operator,
    left: &Value<'_>,
    right: &Value<'_>,
    meter: &Meter,
) -> Result<bool, Failure> {
    let wanted = match operator {
        Operator::Equal => return are_equal(left, right, meter),
        Operator::NotEqual => return Ok(!are_equal(left, right, meter)?),
        Operator::Contains => return contains(left, right, meter),
        Operator::Order(wanted) => wanted,
    };
    // A text beside a number counts as the number that it is, as in liquidjs; Ruby fails.
    let found = match (left, right) {
        (Value::Text(text), Value::Int(_) | Value::Decimal(_)) => {
            number_of(text, meter)?.map_or(Ok(None), |left| number_order(&left, right, meter))?
        }
        (Value::Int(_) | Value::Decimal(_), Value::Text(text)) => {
            number_of(text, meter)?.map_or(Ok(None), |right| number_order(left, &right, meter))?
        }
        _ => order(left, right, meter)?,
    };
    Ok(found.is_some_and(|found| wanted.contains(&found)))
}

/// Whether `part` is in `whole`.
pub(super) fn has_part(whole: &str, part: &str, meter: &Meter) -> Result<bool, Failure> {
    meter.spend_bytes(whole.len())?;
    // The search reads the whole part before it begins.
    Ok(part.len() <= whole.len() && memchr::memmem::find(whole.as_bytes(), part.as_bytes()).is_some())
}

/// `contains`: a part of a text, an element of an array, a key of an object, a number in a range.
pub(super) fn contains(whole: &Value<'_>, part: &Value<'_>, meter: &Meter) -> Result<bool, Failure> {
    if !part.is_truthy() {
        return Ok(false);
    }
    match whole {
        Value::Text(whole) => {
            let part = print::text(part, meter)?;
            has_part(whole, &part, meter)
        }
        Value::Array(elements) => {
            for element in elements.iter() {
                if are_equal(element, part, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Object(members) => {
            meter.spend(members.len() / 4)?;
            Ok(matches!(part, Value::Text(key) if whole.member(key).is_some()))
        }
        Value::Range(first, last) => Ok(matches!(part, Value::Int(whole) if (first..=last).contains(&whole))),
        _ => Ok(false),
    }
}
