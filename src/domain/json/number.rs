//! Numbers of JSON: checked, digits kept, exponents written out.

use crate::domain::reject::RejectReason;

/// Most digits of a number, written out: what Postgres' `numeric`, and so `jsonb`, can hold before and behind
/// the point (<https://www.postgresql.org/docs/current/datatype-numeric.html>). One bound for numbers of every
/// type of column, with an exponent or without.
pub const NUMBER_DIGITS_MAX: usize = 131_072 + 16_383;

/// Appends the number at the start of `raw` to `out` and returns its length in `raw`.
///
/// Digits stay as they are, `-0` is `0`, an exponent is written out (`1.50e1` is `15.0`).
///
/// # Errors
/// `InvalidJson` when there is no number, or it has more than [`NUMBER_DIGITS_MAX`] digits when it is written
/// out.
pub fn number(raw: &[u8], out: &mut Vec<u8>) -> Result<usize, RejectReason> {
    let negative = raw.first() == Some(&b'-');
    let whole_from = usize::from(negative);
    let whole_to = digits_end(raw, whole_from)?;
    if raw[whole_from] == b'0' && whole_to > whole_from + 1 {
        return Err(RejectReason::InvalidJson);
    }
    let mut end = whole_to;
    let mut fraction: &[u8] = &[];
    if raw.get(end) == Some(&b'.') {
        end = digits_end(raw, end + 1)?;
        fraction = &raw[whole_to + 1..end];
    }
    if let Some(b'e' | b'E') = raw.get(end) {
        let (exponent, end) = exponent(raw, end + 1)?;
        expand(negative, &raw[whole_from..whole_to], fraction, exponent, out)?;
        return Ok(end);
    }
    if end - whole_from > NUMBER_DIGITS_MAX + 1 {
        return Err(RejectReason::InvalidJson);
    }
    let is_zero = negative && raw[whole_from..end].iter().all(|byte| matches!(byte, b'0' | b'.'));
    out.extend_from_slice(&raw[if is_zero { whole_from } else { 0 }..end]);
    Ok(end)
}

/// The end of the digits that begin at `from`; there is at least one.
fn digits_end(raw: &[u8], from: usize) -> Result<usize, RejectReason> {
    let count = raw[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 { Err(RejectReason::InvalidJson) } else { Ok(from + count) }
}

/// The exponent whose sign or digits begin at `from`, and its end. Far beyond every bound it
/// saturates.
fn exponent(raw: &[u8], from: usize) -> Result<(i64, usize), RejectReason> {
    let digits_from = from + usize::from(matches!(raw.get(from), Some(b'+' | b'-')));
    if digits_from > raw.len() {
        return Err(RejectReason::InvalidJson);
    }
    let end = digits_end(raw, digits_from)?;
    let value = raw[digits_from..end].iter().fold(0_i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(1_000_000_000)
    });
    Ok((if raw[from] == b'-' { -value } else { value }, end))
}

fn expand(
    negative: bool,
    whole: &[u8],
    fraction: &[u8],
    exponent: i64,
    out: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    if whole.len() + fraction.len() > NUMBER_DIGITS_MAX {
        return Err(RejectReason::InvalidJson);
    }
    let all = [whole, fraction].concat();
    let zeros = all.iter().take_while(|&&digit| digit == b'0').count();
    let digits = &all[zeros..];
    if digits.is_empty() {
        return zero(exponent, fraction.len(), out);
    }
    // The value is 0.DIGITS times ten to the power of `point`.
    let point = exponent.saturating_add_unsigned(whole.len() as u64).saturating_sub_unsigned(zeros as u64);
    let places = point.unsigned_abs() as usize;
    let printed = if point > 0 { places } else { 1 + places + digits.len() };
    if printed > NUMBER_DIGITS_MAX {
        return Err(RejectReason::InvalidJson);
    }
    if negative {
        out.push(b'-');
    }
    write_decimal(digits, point, out);
    Ok(())
}

/// Appends a zero with the places that are left of `places` after the point, as `numeric` keeps them.
fn zero(exponent: i64, places: usize, out: &mut Vec<u8>) -> Result<(), RejectReason> {
    let places =
        0_i64.saturating_add_unsigned(places as u64).saturating_sub(exponent).max(0).unsigned_abs() as usize;
    if places + 1 > NUMBER_DIGITS_MAX {
        return Err(RejectReason::InvalidJson);
    }
    out.push(b'0');
    if places > 0 {
        out.push(b'.');
        out.resize(out.len() + places, b'0');
    }
    Ok(())
}

/// Appends `0.DIGITS` times ten to the power of `point`, positionally. `digits` begins with
/// another digit than 0.
pub fn write_decimal(digits: &[u8], point: i64, out: &mut Vec<u8>) {
    let places = point.unsigned_abs() as usize;
    if point <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + places, b'0');
        out.extend_from_slice(digits);
    } else if places >= digits.len() {
        out.extend_from_slice(digits);
        out.resize(out.len() + places - digits.len(), b'0');
    } else {
        out.extend_from_slice(&digits[..places]);
        out.push(b'.');
        out.extend_from_slice(&digits[places..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positional() {
        let zeros = format!("0.{}", "0".repeat(NUMBER_DIGITS_MAX - 1));
        let long = format!("1{}", "0".repeat(400));
        let (longest, too_long) = ("7".repeat(NUMBER_DIGITS_MAX), "7".repeat(NUMBER_DIGITS_MAX + 2));
        for (raw, expected) in [
            ("0", Some("0")),
            ("-0", Some("0")),
            ("-0.00", Some("0.00")),
            ("-0e5", Some("0")),
            ("0e-5", Some("0.00000")),
            ("-0.0E-2", Some("0.000")),
            ("0.00e1", Some("0.0")),
            ("0.00e2", Some("0")),
            ("0e-147454", Some(zeros.as_str())),
            ("0e-147455", None),
            ("12345678901234567890123", Some("12345678901234567890123")),
            ("1.50", Some("1.50")),
            ("-1.50e1", Some("-15.0")),
            ("1e3", Some("1000")),
            ("1E+3", Some("1000")),
            ("1.25e1", Some("12.5")),
            ("125e-2", Some("1.25")),
            ("125e-5", Some("0.00125")),
            ("0.0001e4", Some("1")),
            ("0.00012e2", Some("0.012")),
            ("0e999999999999999999999", Some("0")),
            ("1e400", Some(long.as_str())),
            (long.as_str(), Some(long.as_str())),
            (longest.as_str(), Some(longest.as_str())),
            (too_long.as_str(), None),
            ("1e147455", None),
            ("1e-147455", None),
            ("1e99999999999999999999999", None),
            ("01", None),
            ("-", None),
            ("1.", None),
            (".5", None),
            ("1e", None),
            ("1e+", None),
            ("+1", None),
        ] {
            let mut out = Vec::new();
            let written = number(raw.as_bytes(), &mut out);
            let text = written.is_ok().then(|| String::from_utf8(out).unwrap());
            assert_eq!(text.as_deref(), expected, "{raw}");
        }
    }
}
