//! The cursor of a sync that reads increments: the highest value of a column that its rows have had.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SubsecRound as _, TimeDelta, Timelike as _, Utc};
use serde::{Deserialize, Serialize};

use super::{digest::Digest, row::CellKind};

/// How far the runs up to a version have read. Announced with the version, so that another publisher and a rollback
/// go on from the right place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The highest value, as the source prints it; `None` when no row had one.
    pub value: Option<String>,
    /// When the last run began that read the whole model, by the publisher's clock.
    pub whole_at: DateTime<Utc>,
    /// Digest of what decides which records a row makes, and of the source: with another one the whole model is read.
    pub input: Digest,
}

/// How far before the cursor an increment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Of a column of times.
    Time(Duration),
    /// Of a column of integers.
    Number(u64),
}

/// Why a value is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACursor;

/// A value of a cursor's column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorValue {
    text: String,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Integer(i128),
    Time(DateTime<Utc>, TimeForm),
}

/// How a source prints a time. The beginning of an increment is printed alike: SQLite compares times as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeForm {
    /// A day.
    Date,
    /// `separator` stands between day and time of day; `zone` is `Z`, `+00:00` or empty. SQLite compares such texts
    /// right when they have one number of digits.
    Time {
        /// `T` or a space.
        separator: char,
        /// Digits after the point of the seconds.
        digits: usize,
        /// What follows the time of day.
        zone: &'static str,
    },
}

impl CursorValue {
    /// The value of a cell; `None` for null.
    ///
    /// # Errors
    /// [`NotACursor`] for anything but an integer, a time or a date. Digits of a text are refused, too: some sources order
    /// them as text.
    pub fn of(kind: CellKind, text: &[u8]) -> Result<Option<Self>, NotACursor> {
        let text = std::str::from_utf8(text).map_err(|_| NotACursor)?;
        match kind {
            CellKind::Null => Ok(None),
            CellKind::Integer | CellKind::Number => Self::parse(text).map(Some),
            CellKind::Text => match Self::parse(text)? {
                Self { value: Value::Integer(_), .. } => Err(NotACursor),
                time => Ok(Some(time)),
            },
            CellKind::Boolean | CellKind::Json | CellKind::Invalid => Err(NotACursor),
        }
    }

    /// Reads an integer, a time or a date.
    ///
    /// # Errors
    /// [`NotACursor`] for anything else.
    pub fn parse(text: &str) -> Result<Self, NotACursor> {
        let integer = text.parse().ok().map(Value::Integer);
        let value = integer.or_else(|| time(text)).ok_or(NotACursor)?;
        Ok(Self { text: text.to_owned(), value })
    }

    /// The value as the source printed it.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Whether it is higher than `other`; a time and an integer cannot be compared.
    ///
    /// # Errors
    /// [`NotACursor`] for values of different kinds.
    pub fn exceeds(&self, other: &Self) -> Result<bool, NotACursor> {
        match (self.value, other.value) {
            (Value::Integer(one), Value::Integer(other)) => Ok(one > other),
            (Value::Time(one, _), Value::Time(other, _)) => Ok(one > other),
            _ => Err(NotACursor),
        }
    }

    /// The same value, but no time after `now`: a row dated in the future must not hide those that come before it.
    #[must_use]
    pub fn until(self, now: DateTime<Utc>) -> Self {
        match self.value {
            Value::Time(time, form) if time > now => Self::of_time(now, form),
            _ => self,
        }
    }

    /// Where an increment begins: `overlap` before the value. A time is rounded down to the second.
    ///
    /// # Errors
    /// [`NotACursor`] when the overlap is of the other kind, or the time has no common form.
    pub fn minus(&self, overlap: Overlap) -> Result<Self, NotACursor> {
        match (self.value, overlap) {
            (Value::Integer(integer), Overlap::Number(overlap)) => {
                let value = integer.saturating_sub(i128::from(overlap));
                Ok(Self { text: value.to_string(), value: Value::Integer(value) })
            }
            // Nothing is nothing of every kind.
            (Value::Time(..), Overlap::Number(0)) => self.minus(Overlap::Time(Duration::ZERO)),
            (Value::Integer(_), Overlap::Time(Duration::ZERO)) => self.minus(Overlap::Number(0)),
            (Value::Time(time, form), Overlap::Time(overlap)) => {
                let overlap = TimeDelta::from_std(overlap).map_err(|_| NotACursor)?;
                let from = time.checked_sub_signed(overlap).ok_or(NotACursor)?.trunc_subsecs(0);
                Ok(Self::of_time(from, form))
            }
            _ => Err(NotACursor),
        }
    }

    /// How the time is printed; `None` for an integer.
    pub fn time_form(&self) -> Option<TimeForm> {
        match self.value {
            Value::Integer(_) => None,
            Value::Time(_, form) => Some(form),
        }
    }

    /// The text of the value.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn of_time(time: DateTime<Utc>, form: TimeForm) -> Self {
        let text = match form {
            TimeForm::Date => time.format("%Y-%m-%d").to_string(),
            TimeForm::Time { separator, digits, zone } => {
                let (day, seconds) = (time.format("%Y-%m-%d"), time.format("%H:%M:%S"));
                let fraction = format!(".{:09}", time.nanosecond() % 1_000_000_000);
                let fraction = if digits == 0 { "" } else { fraction.get(..=digits).unwrap_or(&fraction) };
                format!("{day}{separator}{seconds}{fraction}{zone}")
            }
        };
        Self { text, value: Value::Time(time, form) }
    }
}

/// A time in one of the forms that sources print: ISO 8601, with `T` or a space. Without a zone it counts as UTC.
fn time(text: &str) -> Option<Value> {
    // Years beyond 9999 are printed with a sign.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(Value::Time(day.and_time(chrono::NaiveTime::MIN).and_utc(), TimeForm::Date));
    }
    let separator = text.chars().nth(10).filter(|separator| matches!(separator, 'T' | ' '))?;
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let form = |zone| TimeForm::Time { separator, digits, zone };
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        // A source compares such a text letter by letter, and the cursor is in UTC.
        if time.offset().local_minus_utc() != 0 {
            return None;
        }
        let zone = if text.ends_with('Z') { "Z" } else { "+00:00" };
        return Some(Value::Time(time.to_utc(), form(zone)));
    }
    let format = if separator == 'T' { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S%.f" };
    let naive = NaiveDateTime::parse_from_str(text, format).ok()?;
    Some(Value::Time(naive.and_utc(), form("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> CursorValue {
        CursorValue::parse(text).unwrap()
    }

    #[test]
    fn increments_begin_an_overlap_before_the_cursor_in_its_own_form() {
        let (minutes, number) = (Overlap::Time(Duration::from_mins(10)), Overlap::Number(1000));
        for (text, overlap, expected) in [
            ("2026-01-01T00:05:00.123456Z", minutes, "2025-12-31T23:55:00.000000Z"),
            ("2026-01-01T00:05:00.9", minutes, "2025-12-31T23:55:00.0"),
            ("2026-01-01 00:05:00", minutes, "2025-12-31 23:55:00"),
            ("2026-01-01 00:05:00+00:00", minutes, "2025-12-31 23:55:00+00:00"),
            ("2026-01-01", minutes, "2025-12-31"),
            ("2026-01-01", Overlap::Time(Duration::ZERO), "2026-01-01"),
            ("2026-01-01", Overlap::Number(0), "2026-01-01"),
            ("1500", Overlap::Time(Duration::ZERO), "1500"),
            ("1500", number, "500"),
            ("-5", number, "-1005"),
            (
                "170141183460469231731687303715884105727",
                Overlap::Number(0),
                "170141183460469231731687303715884105727",
            ),
        ] {
            assert_eq!(of(text).minus(overlap).unwrap().text(), expected, "{text}");
        }
        assert_eq!(of("5").minus(minutes), Err(NotACursor));
        assert_eq!(of("2026-01-01").minus(number), Err(NotACursor));
    }

    #[test]
    fn values_are_compared_as_values_and_not_as_text() {
        for (lower, higher) in [
            ("9", "10"),
            ("-10", "-9"),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"),
            ("2026-01-01T00:00:00.25Z", "2026-01-01T00:00:00.5Z"),
            ("2026-01-01 00:00:00+00:00", "2026-01-01 00:00:01Z"),
            ("2026-01-01", "2026-01-01 00:00:00.1"),
        ] {
            assert_eq!(of(higher).exceeds(&of(lower)), Ok(true), "{lower} {higher}");
            assert_eq!(of(lower).exceeds(&of(higher)), Ok(false), "{lower} {higher}");
            assert_eq!(of(lower).exceeds(&of(lower)), Ok(false), "{lower}");
        }
        assert_eq!(of("5").exceeds(&of("2026-01-01")), Err(NotACursor));
        assert_eq!(CursorValue::parse("2026-01-01 02:00:00+02:00"), Err(NotACursor));
        // SQLite orders `100` before `99` in a column of text.
        assert_eq!(CursorValue::of(CellKind::Text, b"99"), Err(NotACursor));
        assert!(CursorValue::of(CellKind::Integer, b"99").is_ok());
    }

    #[test]
    fn rows_of_the_future_do_not_move_the_cursor_beyond_now() {
        let now = "2026-01-01T12:00:00.75Z".parse().unwrap();
        for (text, expected) in [
            ("2099-01-01T00:00:00Z", "2026-01-01T12:00:00Z"),
            ("2099-01-01", "2026-01-01"),
            ("2026-01-01T11:59:59.5Z", "2026-01-01T11:59:59.5Z"),
            ("99999999999", "99999999999"),
        ] {
            assert_eq!(of(text).until(now).text(), expected);
        }
    }

    #[test]
    fn other_values_are_no_cursors() {
        for text in ["", "x", "1.5", "12:00:00", "+12026-01-01", "2026-13-01", "01HZX", "infinity"] {
            assert_eq!(CursorValue::of(CellKind::Text, text.as_bytes()), Err(NotACursor), "{text}");
        }
        assert_eq!(CursorValue::of(CellKind::Boolean, b"true"), Err(NotACursor));
        assert_eq!(CursorValue::of(CellKind::Null, b""), Ok(None));
    }
}
