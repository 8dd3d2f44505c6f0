//! Dates and times: ISO 8601, years 0001 to 9999.

use chrono::{Datelike as _, NaiveDate};

use crate::domain::CellKind;

const SECONDS_PER_DAY: i64 = 86_400;

/// `YYYY-MM-DD` of a day counted from 1970-01-01; `None`, and nothing written, outside the years
/// 0001 to 9999.
pub(in crate::source) fn date(unix_days: i64, out: &mut Vec<u8>) -> Option<CellKind> {
    let date = i32::try_from(unix_days).ok().and_then(NaiveDate::from_epoch_days)?;
    let year = u32::try_from(date.year()).ok().filter(|year| (1..=9999).contains(year))?;
    let mut text = *b"0000-00-00";
    two(&mut text[0..2], year / 100);
    two(&mut text[2..4], year % 100);
    two(&mut text[5..7], date.month());
    two(&mut text[8..10], date.day());
    out.extend_from_slice(&text);
    Some(CellKind::Text)
}

/// [`moment`], counted in microseconds from 1970-01-01.
pub(in crate::source) fn timestamp(unix_micros: i64, is_utc: bool, out: &mut Vec<u8>) -> Option<CellKind> {
    let nanos = unix_micros.rem_euclid(1_000_000) as u32 * 1000;
    moment(unix_micros.div_euclid(1_000_000), nanos, is_utc, out)
}

/// `YYYY-MM-DDTHH:MM:SS.fffffffff`, the fraction without trailing zeros, then `Z` when the moment is
/// in UTC; `None`, and nothing written, outside the years 0001 to 9999.
pub(in crate::source) fn moment(
    unix_seconds: i64,
    nanos: u32,
    is_utc: bool,
    out: &mut Vec<u8>,
) -> Option<CellKind> {
    date(unix_seconds.div_euclid(SECONDS_PER_DAY), out)?;
    out.push(b'T');
    time(unix_seconds.rem_euclid(SECONDS_PER_DAY) as u32, nanos, out);
    if is_utc {
        out.push(b'Z');
    }
    Some(CellKind::Text)
}

/// `HH:MM:SS.fffffffff` of a time of day, the fraction without trailing zeros.
pub(in crate::source) fn time(seconds: u32, nanos: u32, out: &mut Vec<u8>) -> CellKind {
    let mut text = *b"00:00:00";
    two(&mut text[0..2], seconds / 3600);
    two(&mut text[3..5], seconds / 60 % 60);
    two(&mut text[6..8], seconds % 60);
    out.extend_from_slice(&text);
    fraction(nanos, out);
    CellKind::Text
}

/// `.fffffffff` of a number of nanoseconds below a second, without trailing zeros; nothing for zero.
pub(in crate::source) fn fraction(nanos: u32, out: &mut Vec<u8>) {
    if nanos == 0 {
        return;
    }
    let mut text = *b".000000000";
    let mut rest = nanos;
    for digit in text[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let end = text.iter().rposition(|digit| *digit != b'0').unwrap_or_default();
    out.extend_from_slice(&text[..=end]);
}

fn two(at: &mut [u8], value: u32) {
    at[0] = b'0' + (value / 10) as u8;
    at[1] = b'0' + (value % 10) as u8;
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_the_calendar() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-719_162, "0001-01-01"),
            (2_932_896, "9999-12-31"),
            (11_016, "2000-02-29"),
            (-719_163, ""),
            (2_932_897, ""),
            (i64::MAX / 86_400_000_000, ""),
        ] {
            let mut out = Vec::new();
            date(days, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{days}");
        }
    }

    #[test]
    fn fractions_have_no_trailing_zeros() {
        for (micros, is_utc, expected) in [
            (0, true, "1970-01-01T00:00:00Z"),
            (-1, false, "1969-12-31T23:59:59.999999"),
            (1_500_000, true, "1970-01-01T00:00:01.5Z"),
            (86_399_000_120, false, "1970-01-01T23:59:59.00012"),
        ] {
            let mut out = Vec::new();
            timestamp(micros, is_utc, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn times_go_to_nanoseconds() {
        for (seconds, nanos, expected) in [
            (0, 0, "00:00:00"),
            (86_399, 999_999_999, "23:59:59.999999999"),
            (3_661, 120, "01:01:01.00000012"),
        ] {
            let mut out = Vec::new();
            time(seconds, nanos, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn moments_agree_with_chrono(micros in -62_135_596_800_000_000_i64..=253_402_300_799_999_999) {
            let mut out = Vec::new();
            timestamp(micros, true, &mut out);
            let back = DateTime::parse_from_rfc3339(std::str::from_utf8(&out).unwrap()).unwrap();
            prop_assert_eq!(back.timestamp_micros(), micros);
        }
    }
}
