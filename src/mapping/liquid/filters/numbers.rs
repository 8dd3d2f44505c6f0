//! Filters on numbers.

use liquid_core::{Error, Result, Value};

use super::{
    Definition,
    arguments::{Call, whole},
    number::Number,
    partial,
};

pub(super) const FILTERS: &[Definition] = &[
    partial("abs", (0, 0), |call| {
        let number = input(call);
        done(if number.is_negative() { number.negated() } else { number })
    }),
    partial("at_least", (1, 1), |call| {
        let (number, bound) = (input(call), operand(call));
        done(if number.is_less(bound) { bound } else { number })
    }),
    partial("at_most", (1, 1), |call| {
        let (number, bound) = (input(call), operand(call));
        done(if bound.is_less(number) { bound } else { number })
    }),
    partial("ceil", (0, 0), |call| done(input(call).ceil())),
    partial("divided_by", (1, 1), |call| done(input(call).divided_by(divisor(call)?))),
    partial("floor", (0, 0), |call| done(input(call).floor())),
    partial("minus", (1, 1), |call| done(input(call).plus(operand(call).negated()))),
    partial("modulo", (1, 1), |call| done(input(call).modulo(divisor(call)?))),
    partial("plus", (1, 1), |call| done(input(call).plus(operand(call)))),
    partial("round", (0, 1), |call| done(input(call).rounded(whole(call.argument(0)).unwrap_or(0)))),
    partial("times", (1, 1), |call| done(input(call).times(operand(call)))),
];

fn input(call: &Call<'_>) -> Number {
    Number::of(call.input)
}

fn operand(call: &Call<'_>) -> Number {
    Number::of(call.argument(0))
}

fn divisor(call: &Call<'_>) -> Result<Number> {
    let divisor = operand(call);
    if divisor.is_zero() { Err(Error::with_msg("a division by zero")) } else { Ok(divisor) }
}

fn done(number: Number) -> Result<Value> {
    number.value().ok_or_else(|| Error::with_msg("the result is no number"))
}
