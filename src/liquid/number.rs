//! Exact arithmetic on integers and decimals of any size.

use std::cmp::Ordering;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};

use super::{
    Failure,
    meter::Meter,
    value::{self, Decimal, Text, Value},
};

/// Most digits of a number, before and after the point together: none of a warehouse has more.
const DIGITS_MAX: usize = 1_000;
/// Work of an operation on decimals.
const DECIMAL_UNITS: usize = 20;
/// Decimals of so many bytes differ as floats when they differ.
const FLOAT_BYTES: usize = 15;

/// The value of a number as JSON writes it.
pub(super) fn literal(text: &str) -> Value<'_> {
    if let Ok(whole) = text.parse() {
        return Value::Int(whole);
    }
    let is_whole = !text.contains(['.', 'e', 'E']);
    Value::Decimal(Decimal { digits: Text::Borrowed(text), is_whole })
}

/// A number at work.
#[derive(Debug, Clone)]
pub(super) enum Number {
    Int(i64),
    Big {
        value: BigDecimal,
        /// Whether it is of Ruby's type Integer, which divides to integers.
        is_whole: bool,
    },
}

use Number::{Big, Int};

impl Number {
    /// Ruby's coercion: text that is no decimal counts by its leading digits, all else that is no
    /// number as 0.
    pub(super) fn of(value: &Value<'_>, meter: &Meter) -> Result<Self, Failure> {
        match value {
            Value::Int(_) => {}
            Value::Decimal(decimal) => meter.spend(DECIMAL_UNITS + 2 * decimal.digits.len())?,
            Value::Text(text) => meter.spend(DECIMAL_UNITS + text.len().min(2 * DIGITS_MAX))?,
            _ => return Ok(Int(0)),
        }
        Self::free_of(value)
    }

    /// As [`Self::of`], when the work is paid for.
    fn free_of(value: &Value<'_>) -> Result<Self, Failure> {
        match value {
            Value::Int(whole) => Ok(Int(*whole)),
            Value::Decimal(decimal) => Self::parse(&decimal.digits, decimal.is_whole),
            Value::Text(text) => {
                let text = text.trim();
                let digits = leading_digits(text);
                let fraction = text[digits.len()..].strip_prefix('.');
                let is_decimal = fraction
                    .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
                match digits {
                    "" | "-" | "+" => Ok(Int(0)),
                    _ if is_decimal => Self::parse(text, false),
                    _ => Self::parse(digits, true),
                }
            }
            _ => Ok(Int(0)),
        }
    }

    fn parse(text: &str, is_whole: bool) -> Result<Self, Failure> {
        if is_whole && let Ok(whole) = text.parse() {
            return Ok(Int(whole));
        }
        if text.len() > DIGITS_MAX {
            return Err(Failure::Limit);
        }
        Self::big(text.parse().map_err(|_| Failure::Failed)?, is_whole)
    }

    fn big(value: BigDecimal, is_whole: bool) -> Result<Self, Failure> {
        let (digits, scale) = value.as_bigint_and_scale();
        if digits.bits() as usize > 4 * DIGITS_MAX || scale.unsigned_abs() as usize > DIGITS_MAX {
            return Err(Failure::Limit);
        }
        Ok(Big { value, is_whole })
    }

    fn decimal(&self) -> BigDecimal {
        match self {
            Int(whole) => BigDecimal::from(*whole),
            Big { value, .. } => value.clone(),
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self, Int(_) | Big { is_whole: true, .. })
    }

    pub(super) fn value<'r>(self) -> Value<'r> {
        match self {
            Int(whole) => Value::Int(whole),
            Big { value, is_whole } => match value.to_i64().filter(|_| is_whole) {
                Some(whole) => Value::Int(whole),
                None => {
                    Value::Decimal(Decimal { digits: value.normalized().to_plain_string().into(), is_whole })
                }
            },
        }
    }

    pub(super) fn float(&self) -> f64 {
        match self {
            Int(whole) => *whole as f64,
            Big { value, .. } => value.to_f64().unwrap_or(f64::NAN),
        }
    }

    fn combine(
        &self,
        other: &Self,
        small: impl Fn(i64, i64) -> Option<i64>,
        big: impl Fn(BigDecimal, BigDecimal) -> BigDecimal,
    ) -> Result<Self, Failure> {
        if let (Int(a), Int(b)) = (self, other)
            && let Some(result) = small(*a, *b)
        {
            return Ok(Int(result));
        }
        Self::big(big(self.decimal(), other.decimal()), self.is_whole() && other.is_whole())
    }

    pub(super) fn plus(&self, other: &Self) -> Result<Self, Failure> {
        self.combine(other, i64::checked_add, |a, b| a + b)
    }

    pub(super) fn minus(&self, other: &Self) -> Result<Self, Failure> {
        self.combine(other, i64::checked_sub, |a, b| a - b)
    }

    pub(super) fn times(&self, other: &Self) -> Result<Self, Failure> {
        self.combine(other, i64::checked_mul, |a, b| a * b)
    }

    /// Integers divide to the integer below; a quotient with a decimal has the digits of a 64-bit float.
    pub(super) fn divided_by(&self, other: &Self) -> Result<Self, Failure> {
        if other.is_zero() {
            return Err(Failure::DivisionByZero);
        }
        if self.is_whole() && other.is_whole() {
            return self.combine(other, floored, |a, b| (a / b).with_scale_round(0, RoundingMode::Floor));
        }
        let quotient = self.float() / other.float();
        Self::parse(&quotient.to_string(), false)
    }

    /// The rest of a division, with the sign of the divisor.
    pub(super) fn modulo(&self, other: &Self) -> Result<Self, Failure> {
        if other.is_zero() {
            return Err(Failure::DivisionByZero);
        }
        let small = |a: i64, b: i64| {
            Some(a.checked_rem(b)?)
                .map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        };
        self.combine(other, small, |a, b| {
            let rest = a % &b;
            if !rest.is_zero() && (rest < BigDecimal::zero()) != (b < BigDecimal::zero()) {
                rest + b
            } else {
                rest
            }
        })
    }

    fn is_zero(&self) -> bool {
        match self {
            Int(whole) => *whole == 0,
            Big { value, .. } => value.is_zero(),
        }
    }

    pub(super) fn abs(&self) -> Self {
        match self {
            Int(whole) if let Some(abs) = whole.checked_abs() => Int(abs),
            _ => Big { value: self.decimal().abs(), is_whole: self.is_whole() },
        }
    }

    /// Rounded to `places` after the point.
    pub(super) fn rounded(&self, places: i64, mode: RoundingMode) -> Result<Self, Failure> {
        let most = value::signed(DIGITS_MAX);
        let places = places.clamp(-most, most);
        match self {
            Int(_) if places >= 0 => Ok(self.clone()),
            Big { value, is_whole } if value.fractional_digit_count() <= places => {
                Self::big(value.clone(), *is_whole || places <= 0)
            }
            _ => Self::big(self.decimal().with_scale_round(places, mode), self.is_whole() || places <= 0),
        }
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Int(a), Int(b)) => a.cmp(b),
            _ => self.decimal().cmp(&other.decimal()),
        }
    }
}

fn floored(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

/// The sign and the digits that `text` begins with.
fn leading_digits(text: &str) -> &str {
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    &text[..sign + digits]
}

/// The order of two values of kind number; `None` for other kinds.
pub(super) fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    let float = |value: &Value<'_>| match value {
        Value::Int(whole) if whole.unsigned_abs() < 1 << 49 => Some(*whole as f64),
        Value::Decimal(decimal) if decimal.digits.len() <= FLOAT_BYTES => decimal.digits.parse().ok(),
        _ => None,
    };
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(_) | Value::Decimal(_), Value::Int(_) | Value::Decimal(_)) => {
            if let (Some(a), Some(b)) = (float(left), float(right)) {
                return a.partial_cmp(&b);
            }
            Some(Number::free_of(left).ok()?.order(&Number::free_of(right).ok()?))
        }
        _ => None,
    }
}

/// The number that a text is as a whole, for comparisons with numbers.
pub(super) fn of_text<'r>(text: &Text<'r>) -> Option<Value<'r>> {
    let text = text.slice(text.trim());
    let is_number = text.len() <= DIGITS_MAX
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        && text.parse::<f64>().is_ok();
    is_number.then(|| match text.parse() {
        Ok(whole) => Value::Int(whole),
        Err(_) => Value::Decimal(Decimal { is_whole: !text.contains('.'), digits: text }),
    })
}
