//! Filters on numbers.

use std::cmp::Ordering;

use bigdecimal::{BigDecimal, RoundingMode};

use super::{Call, Filter, Made, Number, Result, Value, filter};

pub(super) const FILTERS: &[Filter] = &[
    filter("abs", (0, 0), |call| Ok(input(call)?.abs().value())),
    filter("at_least", (1, 1), |call| bounded(call, Ordering::Less)),
    filter("at_most", (1, 1), |call| bounded(call, Ordering::Greater)),
    filter("ceil", (0, 0), |call| Ok(input(call)?.rounded(0, RoundingMode::Ceiling)?.value())),
    filter("divided_by", (1, 1), |call| Ok(input(call)?.divided_by(&operand(call)?)?.value())),
    filter("floor", (0, 0), |call| Ok(input(call)?.rounded(0, RoundingMode::Floor)?.value())),
    filter("minus", (1, 1), |call| arithmetic(call, i64::checked_sub, |a, b| a - b)),
    filter("modulo", (1, 1), |call| Ok(input(call)?.modulo(&operand(call)?)?.value())),
    filter("number_with_delimiter", (0, 1), with_delimiter),
    filter("plus", (1, 1), |call| arithmetic(call, i64::checked_add, |a, b| a + b)),
    filter("round", (0, 1), |call| {
        let places = super::leading_integer(call.value(0), call.meter())?;
        Ok(input(call)?.rounded(places, RoundingMode::HalfUp)?.value())
    }),
    filter("times", (1, 1), |call| arithmetic(call, i64::checked_mul, |a, b| a * b)),
    filter("to_integer", (0, 0), |call| Ok(input(call)?.value())),
];

fn input(call: &Call<'_, '_>) -> Result<Number> {
    Number::of(call.input, call.meter())
}

fn operand(call: &Call<'_, '_>) -> Result<Number> {
    Number::of(call.value(0), call.meter())
}

/// Most numbers are small: they need no memory.
fn arithmetic<'r>(
    call: &Call<'_, 'r>,
    small: fn(i64, i64) -> Option<i64>,
    big: fn(&BigDecimal, &BigDecimal) -> BigDecimal,
) -> Made<'r> {
    if let (Value::Int(a), Value::Int(b)) = (call.input, call.value(0))
        && let Some(result) = small(*a, *b)
    {
        return Ok(Value::Int(result));
    }
    Ok(input(call)?.combine(&operand(call)?, big)?.value())
}

/// The input, or the argument if the input lies on the wrong side of it.
fn bounded<'r>(call: &Call<'_, 'r>, wrong: Ordering) -> Made<'r> {
    let (number, bound) = (input(call)?, operand(call)?);
    Ok(if number.order(&bound) == wrong { bound } else { number }.value())
}

/// The digits before the point in groups of three, as Braze prints them.
fn with_delimiter<'r>(call: &mut Call<'_, 'r>) -> Made<'r> {
    let (text, delimiter) = (call.text()?, call.argument_or(0, ",")?);
    let sign = usize::from(text.starts_with('-'));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    call.meter().spend_text(text.len() + (digits / 3).saturating_mul(delimiter.len()))?;
    let mut out = text[..sign].to_owned();
    for (at, digit) in text[sign..sign + digits].chars().enumerate() {
        if at > 0 && (digits - at).is_multiple_of(3) {
            out.push_str(&delimiter);
        }
        out.push(digit);
    }
    out.push_str(&text[sign + digits..]);
    Ok(Value::text(out))
}
