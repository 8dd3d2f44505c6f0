//! Exact arithmetic on integers and decimals of any size.

use std::cmp::Ordering;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};

use super::{
    Failure, Meter, Result, Text, Value,
    value::{self, Decimal},
};

/// Most digits of a number, before and after the point together: none of a warehouse has more.
const DIGITS_MAX: usize = 1_000;
/// Work of an operation on integers, and on decimals.
const INTEGER_UNITS: usize = 5;
const DECIMAL_UNITS: usize = 20;
/// Decimals of so many bytes differ as floats when they differ.
const FLOAT_BYTES: usize = 15;

/// The value of a number as JSON writes it.
pub(super) fn literal(digits: Text<'_>) -> Value<'_> {
    if let Ok(whole) = digits.parse() {
        return Value::Int(whole);
    }
    let kind = if digits.contains(['.', 'e', 'E']) { Kind::Decimal } else { Kind::Whole };
    Value::Decimal(Decimal { digits, kind })
}

/// What a number is. A result is of the last kind among its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Ruby's type Integer, which divides to integers.
    Whole,
    Decimal,
    /// Has the digits of a 64-bit float, as a quotient with a decimal and what is calculated with it.
    Float,
}

/// A number at work.
#[derive(Debug, Clone)]
pub(super) struct Number {
    value: BigDecimal,
    kind: Kind,
}

impl Number {
    pub(super) fn zero() -> Self {
        Self { value: BigDecimal::zero(), kind: Kind::Whole }
    }

    /// Ruby's coercion: text that is no decimal counts by its leading digits, all else that is no
    /// number as 0.
    pub(super) fn of(value: &Value<'_>, meter: &Meter) -> Result<Self> {
        meter.spend(match value {
            Value::Decimal(decimal) => DECIMAL_UNITS + 2 * decimal.digits.len(),
            Value::Text(text) => DECIMAL_UNITS + text.len().min(DIGITS_MAX) + text.len() / 4,
            _ => INTEGER_UNITS,
        })?;
        Self::free_of(value)
    }

    /// As [`Self::of`], when the work is paid for.
    fn free_of(value: &Value<'_>) -> Result<Self> {
        let (digits, kind) = match value {
            Value::Int(whole) => return Ok(Self { value: (*whole).into(), kind: Kind::Whole }),
            Value::Decimal(decimal) => (&*decimal.digits, decimal.kind),
            Value::Text(text) => leading_number(text.trim()),
            _ => ("0", Kind::Whole),
        };
        if digits.len() > DIGITS_MAX {
            return Err(Failure::Limit);
        }
        Self::checked(digits.parse().map_err(|_| Failure::Failed)?, kind)
    }

    fn checked(value: BigDecimal, kind: Kind) -> Result<Self> {
        let (digits, scale) = value.as_bigint_and_scale();
        if digits.bits() as usize > 4 * DIGITS_MAX || scale.unsigned_abs() as usize > DIGITS_MAX {
            return Err(Failure::Limit);
        }
        Ok(Self { value, kind })
    }

    pub(super) fn value<'r>(&self) -> Value<'r> {
        if let Some(whole) = self.value.to_i64().filter(|_| self.kind == Kind::Whole) {
            return Value::Int(whole);
        }
        let digits = self.value.normalized().to_plain_string().into();
        Value::Decimal(Decimal { digits, kind: self.kind })
    }

    pub(super) fn float(&self) -> f64 {
        self.value.to_f64().unwrap_or(f64::NAN)
    }

    fn of_float(value: f64) -> Result<Self> {
        let value = value.to_string().parse().map_err(|_| Failure::Failed)?;
        Ok(Self { value, kind: Kind::Float })
    }

    /// The result of an operation.
    pub(super) fn combine(
        &self,
        other: &Self,
        operation: impl Fn(&BigDecimal, &BigDecimal) -> BigDecimal,
    ) -> Result<Self> {
        let result = Self::checked(operation(&self.value, &other.value), self.kind.max(other.kind))?;
        if result.kind == Kind::Float { Self::of_float(result.float()) } else { Ok(result) }
    }

    /// Integers divide to the integer below.
    pub(super) fn divided_by(&self, other: &Self) -> Result<Self> {
        if self.kind.max(other.kind) == Kind::Whole {
            let rest = self.modulo(other)?;
            let integer = |value: &BigDecimal| value.with_scale(0).into_bigint_and_scale().0;
            return self.combine(other, |a, b| (integer(&(a - &rest.value)) / integer(b)).into());
        }
        if other.value.is_zero() {
            return Err(Failure::DivisionByZero);
        }
        Self::of_float(self.float() / other.float())
    }

    /// The rest of a division, with the sign of the divisor.
    pub(super) fn modulo(&self, other: &Self) -> Result<Self> {
        if other.value.is_zero() {
            return Err(Failure::DivisionByZero);
        }
        self.combine(other, |a, b| {
            let rest = a % b;
            if rest.is_zero() || rest.sign() == b.sign() { rest } else { rest + b }
        })
    }

    pub(super) fn abs(&self) -> Self {
        Self { value: self.value.abs(), kind: self.kind }
    }

    /// Rounded to `places` after the point.
    pub(super) fn rounded(&self, places: i64, mode: RoundingMode) -> Result<Self> {
        let most = value::signed(DIGITS_MAX);
        let places = places.clamp(-most, most);
        let is_exact = self.value.fractional_digit_count() <= places;
        let value = if is_exact { self.value.clone() } else { self.value.with_scale_round(places, mode) };
        Self::checked(value, if places <= 0 { Kind::Whole } else { self.kind })
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}

/// The number that a text is, or the digits that it begins with.
fn leading_number(text: &str) -> (&str, Kind) {
    // As in Ruby, `_` may stand between the digits of an integer.
    let digits = |text: &str| {
        let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        let is_between =
            |at: usize| text.as_bytes()[at] == b'_' && at > 0 && is_digit(at - 1) && is_digit(at + 1);
        (0..text.len()).take_while(|at| is_digit(*at) || is_between(*at)).count()
    };
    let sign = usize::from(text.starts_with(['-', '+']));
    let whole = sign + digits(&text[sign..]);
    let fraction = text[whole..].strip_prefix('.').unwrap_or_default();
    match whole - sign {
        0 => ("0", Kind::Whole),
        _ if !fraction.is_empty() && digits(fraction) == fraction.len() && !text.contains('_') => {
            (text, Kind::Decimal)
        }
        _ => (&text[..whole], Kind::Whole),
    }
}

/// The order of two numbers; `None` for other kinds.
pub(super) fn order(left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<Option<Ordering>> {
    let cost = |value: &Value<'_>| if let Value::Decimal(decimal) = value { decimal.digits.len() } else { 1 };
    meter.spend(cost(left) + cost(right))?;
    let float = |value: &Value<'_>| match value {
        Value::Int(whole) if whole.unsigned_abs() < 1 << 49 => Some(*whole as f64),
        Value::Decimal(decimal) if decimal.digits.len() <= FLOAT_BYTES => decimal.digits.parse().ok(),
        _ => None,
    };
    Ok(match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(_) | Value::Decimal(_), Value::Int(_) | Value::Decimal(_)) => {
            match (float(left), float(right)) {
                (Some(a), Some(b)) => a.partial_cmp(&b),
                _ => Some(Number::free_of(left)?.order(&Number::free_of(right)?)),
            }
        }
        _ => None,
    })
}

/// The number that a text is as a whole, for comparisons with numbers; nil if it is none. As in liquidjs,
/// a blank one is 0.
pub(super) fn of_text<'r>(text: &Text<'r>, meter: &Meter) -> Result<Value<'r>> {
    meter.spend_bytes(text.len())?;
    let text = text.slice(text.trim());
    let is_number = text.len() <= DIGITS_MAX
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        && text.parse::<f64>().is_ok();
    Ok(match &*text {
        "" => Value::Int(0),
        _ if is_number => literal(text),
        _ => Value::Nil,
    })
}
