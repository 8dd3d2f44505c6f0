//! Dates and times of Excel: a number of days, which the number format of its cell makes a date, a moment, a time of day
//! or a duration.

use calamine::{ExcelDateTime, ExcelDateTimeType};

use crate::{
    domain::{reject::RejectReason, row::CellKind},
    source::cell,
};

const MILLIS_PER_DAY: i64 = 86_400_000;
/// More days than from 1900 to 9999, and fewer than overflow as milliseconds.
const DAYS_MAX: f64 = 3_000_000.0;
/// Days from 1970-01-01 to the day 0 of the date system of 1904, and of that of 1900.
const EPOCH_1904: i64 = -24_107;
const EPOCH_1900: i64 = -25_569;
/// 29 February 1900, which Excel counts and no calendar has.
const NO_DAY: i64 = 60;

/// What a number format shows of a number of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Date,
    Moment,
    Time,
    /// The format is one of a language, by a number that means something else in another one.
    Unknown,
}

impl Shown {
    /// By the letters of the format: `y`, `d` and `m` are of a date; `h`, `s`, an `m` beside one of them, and `AM/PM` of a
    /// time. Text between quotes or brackets, or after a backslash, means nothing, as does what is for other signs.
    pub(super) fn by(format: &str) -> Self {
        let format = format.to_ascii_lowercase().replace("am/pm", "h").replace("a/p", "h");
        let mut letters: Vec<char> = Vec::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            match character {
                ';' => break,
                '"' => while characters.next().is_some_and(|other| other != '"') {},
                '[' => while characters.next().is_some_and(|other| other != ']') {},
                '\\' | '_' | '*' => drop(characters.next()),
                'y' | 'm' | 'd' | 'h' | 's' if letters.last() != Some(&character) => letters.push(character),
                _ => {}
            }
        }
        let is_time = |at: usize| match letters[at] {
            'm' => at > 0 && letters[at - 1] == 'h' || letters.get(at + 1) == Some(&'s'),
            letter => matches!(letter, 'h' | 's'),
        };
        match ((0..letters.len()).any(is_time), !(0..letters.len()).all(is_time)) {
            (true, true) => Self::Moment,
            (true, false) => Self::Time,
            (false, true) => Self::Date,
            (false, false) => Self::Unknown,
        }
    }
}

/// Writes a value as its format shows it. A date with a time of day that the format hides, or a time with a day, is a
/// moment. A value that is none of the calendar's days is invalid.
pub(super) fn write(value: ExcelDateTime, shown: Shown, out: &mut Vec<u8>) -> CellKind {
    let serial = value.as_f64();
    if !serial.is_finite() || serial.abs() > DAYS_MAX {
        return cell::invalid(RejectReason::InvalidValue, out);
    }
    // Excel keeps milliseconds.
    let millis = (serial * MILLIS_PER_DAY as f64).round() as i64;
    if value.is_duration() {
        return duration(millis, out);
    }
    let (day, rest) = (millis.div_euclid(MILLIS_PER_DAY), millis.rem_euclid(MILLIS_PER_DAY));
    let (seconds, nanos) = (rest / 1000, nanos(rest.unsigned_abs()));
    if day == 0 && matches!(shown, Shown::Time | Shown::Unknown) {
        return cell::time(seconds.unsigned_abs() as u32, nanos, out);
    }
    let is_1904 = value == ExcelDateTime::new(serial, ExcelDateTimeType::DateTime, true);
    let unix_day = match day {
        0.. if is_1904 => Some(day + EPOCH_1904),
        // The days before one that no calendar has are a day late.
        1..NO_DAY if !is_1904 => Some(day + 1 + EPOCH_1900),
        61.. => Some(day + EPOCH_1900),
        _ => None,
    };
    let written = unix_day.and_then(|day| match shown {
        Shown::Date | Shown::Unknown if rest == 0 => cell::date(day, out),
        _ => cell::moment(day * MILLIS_PER_DAY / 1000 + seconds, nanos, false, out),
    });
    written.unwrap_or_else(|| cell::invalid(RejectReason::InvalidValue, out))
}

/// The fraction of a second, in nanoseconds.
fn nanos(millis: u64) -> u32 {
    (millis % 1000) as u32 * 1_000_000
}

/// Hours, of which there may be more than a day has, minutes and seconds.
fn duration(millis: i64, out: &mut Vec<u8>) -> CellKind {
    let sign = if millis < 0 { "-" } else { "" };
    let seconds = millis.unsigned_abs() / 1000;
    let text = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    out.extend_from_slice(text.as_bytes());
    cell::fraction(nanos(millis.unsigned_abs()), out);
    CellKind::Text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_tell_dates_from_times() {
        for (format, expected) in [
            ("yyyy-mm-dd", Shown::Date),
            ("mmm-yy", Shown::Date),
            ("m/d/yy h:mm", Shown::Moment),
            ("[$-409]d. mmmm yyyy h:mm AM/PM;@", Shown::Moment),
            ("hh:mm:ss.000", Shown::Time),
            ("h AM/PM", Shown::Time),
            ("mm:ss", Shown::Time),
            ("h\" day \"mm", Shown::Time),
            ("m\"M\"d\"D\";h", Shown::Date),
            ("General", Shown::Unknown),
        ] {
            assert_eq!(Shown::by(format), expected, "{format}");
        }
    }

    #[test]
    fn numbers_of_days_follow_their_format() {
        const INVALID: &str = "invalid_value";
        use ExcelDateTimeType::{DateTime, TimeDelta};
        for (serial, kind, is_1904, shown, expected) in [
            (46_349.0, DateTime, false, Shown::Date, "2026-11-23"),
            (46_349.0, DateTime, false, Shown::Moment, "2026-11-23T00:00:00"),
            (46_349.5, DateTime, false, Shown::Moment, "2026-11-23T12:00:00"),
            // Nothing that a format hides is lost.
            (46_349.5, DateTime, false, Shown::Date, "2026-11-23T12:00:00"),
            (46_349.5, DateTime, false, Shown::Time, "2026-11-23T12:00:00"),
            (46_348.999_999_999_9, DateTime, false, Shown::Date, "2026-11-23"),
            (0.0, DateTime, false, Shown::Time, "00:00:00"),
            (0.75, DateTime, false, Shown::Time, "18:00:00"),
            (0.75, DateTime, false, Shown::Unknown, "18:00:00"),
            (0.75, DateTime, false, Shown::Moment, INVALID),
            (0.0, DateTime, false, Shown::Date, INVALID),
            (1.0, DateTime, false, Shown::Date, "1900-01-01"),
            (59.0, DateTime, false, Shown::Date, "1900-02-28"),
            (60.0, DateTime, false, Shown::Date, INVALID),
            (60.5, DateTime, false, Shown::Moment, INVALID),
            (61.0, DateTime, false, Shown::Date, "1900-03-01"),
            (2_958_465.0, DateTime, false, Shown::Date, "9999-12-31"),
            (2_958_466.0, DateTime, false, Shown::Date, INVALID),
            (1e300, DateTime, false, Shown::Date, INVALID),
            (f64::NAN, DateTime, false, Shown::Date, INVALID),
            (-1.0, DateTime, false, Shown::Date, INVALID),
            (-0.5, DateTime, false, Shown::Time, INVALID),
            (0.0, DateTime, true, Shown::Date, "1904-01-01"),
            (0.5, DateTime, true, Shown::Moment, "1904-01-01T12:00:00"),
            (0.5, DateTime, true, Shown::Time, "12:00:00"),
            (60.0, DateTime, true, Shown::Date, "1904-03-01"),
            (44_887.0, DateTime, true, Shown::Date, "2026-11-23"),
            (2_957_003.0, DateTime, true, Shown::Date, "9999-12-31"),
            (2_957_004.0, DateTime, true, Shown::Date, INVALID),
            (-1.0, DateTime, true, Shown::Date, INVALID),
            (0.0, TimeDelta, false, Shown::Time, "00:00:00"),
            (1.5, TimeDelta, false, Shown::Time, "36:00:00"),
            (100.000_005_786, TimeDelta, true, Shown::Time, "2400:00:00.5"),
            (-1.25, TimeDelta, true, Shown::Time, "-30:00:00"),
        ] {
            let mut out = Vec::new();
            let found = write(ExcelDateTime::new(serial, kind, is_1904), shown, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text, expected, "{serial} {shown:?} {is_1904}");
            assert_eq!(found == CellKind::Invalid, expected == INVALID, "{serial}");
        }
    }
}
