//! Numbers in templates: decimals are exact, so that `19.99 | times: 100` is 1999.

use liquid_core::{Value, ValueView};

use crate::mapping::liquid::facts::{self, Plain};

/// Most digits after the point that are kept exactly; with more, or past 38 digits in all, floats
/// take over.
const SCALE_MAX: u32 = 18;

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// `units` divided by ten to the power of `scale`. A scale of 0 is a whole number.
    Exact { units: i128, scale: u32 },
    /// A number beyond exact reach.
    Float(f64),
}

/// The whole number that `text` begins with, 0 when there is none.
pub(super) fn leading_whole(text: &str) -> i64 {
    let text = text.trim_start();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    text[..text.len() - digits.len() + length].parse().unwrap_or(0)
}

impl Number {
    /// A value as a number; what is none counts as 0, as in Shopify's Liquid.
    pub(super) fn of(view: &dyn ValueView) -> Self {
        match facts::plain(view) {
            Plain::Whole(whole) => Self::whole(whole.into()),
            Plain::Fractional(value) => match Self::parse(&view.to_kstr()) {
                // A float without a fraction is still one: 7.0 divides without rounding.
                Some(Self::Exact { units, scale: 0 }) => {
                    units.checked_mul(10).map_or(Self::Float(value), |units| Self::Exact { units, scale: 1 })
                }
                Some(exact) => exact,
                None => Self::Float(value),
            },
            Plain::Text(text) => {
                Self::parse(text.trim()).unwrap_or_else(|| Self::whole(leading_whole(&text).into()))
            }
            Plain::Nil | Plain::Boolean(_) | Plain::Structure => Self::whole(0),
        }
    }

    fn whole(units: i128) -> Self {
        Self::Exact { units, scale: 0 }
    }

    /// A number in positional notation.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if digits.is_empty() || !all_digits(digits) || !all_digits(fraction) || text.ends_with('.') {
            return None;
        }
        let exact = || {
            let scale = u32::try_from(fraction.len()).ok().filter(|scale| *scale <= SCALE_MAX)?;
            let units = format!("{whole}{fraction}").parse().ok()?;
            Some(Self::Exact { units, scale })
        };
        exact().or_else(|| text.parse().ok().map(Self::Float))
    }

    pub(super) fn float(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Exact { units, scale: 0 } => units as f64,
            Self::Exact { .. } => self.text().parse().unwrap_or(f64::NAN),
        }
    }

    fn text(self) -> String {
        let Self::Exact { units, scale } = self else { return String::new() };
        let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
        format!("{}{whole}.{fraction}", if units < 0 { "-" } else { "" })
    }

    /// As a value of the crate; `None` for infinities and what is no number.
    pub(super) fn value(self) -> Option<Value> {
        if let Self::Exact { units, scale: 0 } = self
            && let Ok(whole) = i64::try_from(units)
        {
            return Some(Value::scalar(whole));
        }
        let value = self.float();
        value.is_finite().then(|| Value::scalar(value))
    }

    /// Both as units of one scale.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let (Self::Exact { units: a, scale: of_a }, Self::Exact { units: b, scale: of_b }) = (self, other)
        else {
            return None;
        };
        let scale = of_a.max(of_b);
        let raise = |units: i128, from: u32| units.checked_mul(10_i128.checked_pow(scale - from)?);
        Some((raise(a, of_a)?, raise(b, of_b)?, scale))
    }

    fn exact(units: i128, scale: u32) -> Option<Self> {
        (scale <= SCALE_MAX).then_some(Self::Exact { units, scale })
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.aligned(other)
            .and_then(|(a, b, scale)| Self::exact(a.checked_add(b)?, scale))
            .unwrap_or_else(|| Self::Float(self.float() + other.float()))
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Float(value) => Self::Float(-value),
            Self::Exact { units, scale } => Self::Exact { units: units.saturating_neg(), scale },
        }
    }

    pub(super) fn times(self, other: Self) -> Self {
        let exact = || match (self, other) {
            (Self::Exact { units: a, scale: of_a }, Self::Exact { units: b, scale: of_b }) => {
                Self::exact(a.checked_mul(b)?, of_a + of_b)
            }
            _ => None,
        };
        exact().unwrap_or_else(|| Self::Float(self.float() * other.float()))
    }

    pub(super) fn is_zero(self) -> bool {
        match self {
            Self::Exact { units, .. } => units == 0,
            Self::Float(value) => value == 0.0,
        }
    }

    /// Whole numbers divide to the whole number below. `other` is not 0.
    pub(super) fn divided_by(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exact { units: a, scale: 0 }, Self::Exact { units: b, scale: 0 }) => {
                Self::whole(floored(a, b))
            }
            _ => Self::Float(self.float() / other.float()),
        }
    }

    /// The rest of a division, with the sign of the divisor. `other` is not 0.
    pub(super) fn modulo(self, other: Self) -> Self {
        if let Some((a, b, scale)) = self.aligned(other) {
            return Self::Exact { units: a.wrapping_sub(floored(a, b).wrapping_mul(b)), scale };
        }
        let (a, b) = (self.float(), other.float());
        Self::Float(a - (a / b).floor() * b)
    }

    pub(super) fn is_less(self, other: Self) -> bool {
        match self.aligned(other) {
            Some((a, b, _)) => a < b,
            None => self.float() < other.float(),
        }
    }

    pub(super) fn is_negative(self) -> bool {
        self.is_less(Self::whole(0))
    }

    /// Rounded to `places` after the point: half goes away from zero.
    pub(super) fn rounded(self, places: i64) -> Self {
        self.to_places(places, |units, unit| {
            let half = unit / 2;
            if units < 0 { (units - half) / unit } else { (units + half) / unit }
        })
    }

    pub(super) fn floor(self) -> Self {
        self.to_places(0, floored)
    }

    pub(super) fn ceil(self) -> Self {
        self.to_places(0, |units, unit| -floored(-units, unit))
    }

    /// `divide` makes whole units of the wanted place out of the present ones.
    fn to_places(self, places: i64, divide: impl Fn(i128, i128) -> i128) -> Self {
        let Self::Exact { units, scale } = self else {
            let Self::Float(value) = self else { return self };
            // A float this large or small has no digits to round at any place in reach.
            return if value.abs() < 1.0 { Self::whole(0) } else { Self::Float(value) };
        };
        let drop = i64::from(scale).saturating_sub(places);
        let Ok(drop) = u32::try_from(drop) else { return self };
        let Some(unit) = 10_i128.checked_pow(drop).filter(|_| drop > 0) else {
            return if drop == 0 { self } else { Self::whole(0) };
        };
        // Room for the half that is added.
        if units.unsigned_abs() > i128::MAX.unsigned_abs() / 2 {
            return Self::Float(self.float());
        }
        let kept = divide(units, unit);
        match u32::try_from(places) {
            Ok(scale) => Self::Exact { units: kept, scale },
            Err(_) => match 10_i128
                .checked_pow(places.unsigned_abs() as u32)
                .and_then(|unit| kept.checked_mul(unit))
            {
                Some(units) => Self::whole(units),
                None => Self::Float(self.float()),
            },
        }
    }
}

/// The whole number at or below `a / b`.
fn floored(a: i128, b: i128) -> i128 {
    let quotient = a.wrapping_div(b);
    if a.wrapping_rem(b) != 0 && ((a < 0) != (b < 0)) { quotient - 1 } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_digits_count() {
        for (text, expected) in [("12abc", 12), (" -7.9", -7), ("abc", 0), ("", 0), ("+3", 3), ("-", 0)] {
            assert_eq!(leading_whole(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_beyond_exact_reach_still_end() {
        let huge = Number::of(&"9".repeat(60).as_str());
        let tiny = Number::of(&format!("0.{}1", "0".repeat(30)).as_str());
        for number in [huge, tiny, huge.times(huge), huge.plus(tiny), huge.modulo(tiny), tiny.rounded(2)] {
            assert!(number.value().is_some(), "{number:?}");
        }
        assert_eq!(Number::whole(i128::MAX).rounded(-3).value().unwrap().to_kstr().len(), 39);
        assert!(Number::whole(12).rounded(i64::MIN).value().is_some());
        assert!(Number::whole(12).rounded(i64::MAX).value().is_some());
    }
}
