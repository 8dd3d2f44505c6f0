//! Moments as databases print them: `2024-07-01 12:00:00.500`, and an offset from UTC beside it.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use super::text;
use crate::domain::CellKind;

/// Bytes of date and time without their fraction.
const WHOLE_BYTES: usize = 19;
/// A date and a time as they are printed.
const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// A printed moment in ISO 8601, its fraction without trailing zeros, `zone` behind it; `None`, and nothing written,
/// for a date that [`printed_date`] refuses.
pub(in crate::source) fn printed_moment(printed: &str, zone: &str, out: &mut Vec<u8>) -> Option<CellKind> {
    let (whole, fraction) = printed.split_at_checked(WHOLE_BYTES)?;
    let (date, time) = whole.split_once(' ')?;
    printed_date(date, &mut Vec::new())?;
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let is_fraction = fraction.is_empty() || fraction.starts_with('.');
    is_fraction.then(|| text(format!("{date}T{time}{fraction}{zone}").as_bytes(), out))
}

/// The same of a moment whose distance to UTC is `offset`, in UTC.
pub(in crate::source) fn printed_moment_at(
    printed: &str,
    offset: TimeDelta,
    out: &mut Vec<u8>,
) -> Option<CellKind> {
    if offset.is_zero() {
        return printed_moment(printed, "Z", out);
    }
    let (whole, fraction) = printed.split_at_checked(WHOLE_BYTES)?;
    let utc = NaiveDateTime::parse_from_str(whole, FORMAT).ok()?.checked_sub_signed(offset)?;
    printed_moment(&format!("{}{fraction}", utc.format(FORMAT)), "Z", out)
}

/// A printed date; `None`, and nothing written, outside the years 0001 to 9999 and for a day that no calendar has.
pub(in crate::source) fn printed_date(printed: &str, out: &mut Vec<u8>) -> Option<CellKind> {
    let bytes = printed.as_bytes();
    let is_date = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_date || printed.starts_with("0000") {
        return None;
    }
    let (year, month, day) =
        (printed[..4].parse().ok()?, printed[5..7].parse().ok()?, printed[8..].parse().ok()?);
    NaiveDate::from_ymd_opt(year, month, day).map(|_| text(bytes, out))
}

/// `+02`, `-05:30` and `+01:02:03`.
pub(in crate::source) fn offset(printed: &str) -> Option<TimeDelta> {
    let mut seconds = 0;
    for (part, unit) in printed.strip_prefix(['+', '-'])?.split(':').zip([3600, 60, 1]) {
        seconds += i64::from(part.parse::<u8>().ok()?) * unit;
    }
    TimeDelta::try_seconds(if printed.starts_with('-') { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_moments_become_iso_8601() {
        for (printed, at, expected) in [
            ("2024-07-01 12:00:00", "+00", Some("2024-07-01T12:00:00Z")),
            ("2024-07-01 12:00:00.500", "+02:00", Some("2024-07-01T10:00:00.5Z")),
            ("2024-12-31 23:00:00.123456789", "-01:30", Some("2025-01-01T00:30:00.123456789Z")),
            ("1880-01-01 00:00:00", "+00:53:28", Some("1879-12-31T23:06:32Z")),
            ("0001-01-01 00:00:00", "+01", None),
            ("10000-01-01 00:00:00", "+00", None),
            ("2026-02-30 12:00:00", "+00", None),
            ("2026-00-10 12:00:00", "+00", None),
            ("2024-02-29 12:00:00", "+00", Some("2024-02-29T12:00:00Z")),
            ("2024-07-01 12:00:00 BC", "+00", None),
            ("infinity", "+00", None),
        ] {
            let mut out = Vec::new();
            let found = printed_moment_at(printed, offset(at).unwrap(), &mut out);
            assert_eq!(found.map(|_| String::from_utf8(out).unwrap()).as_deref(), expected, "{printed}{at}");
        }
    }
}
