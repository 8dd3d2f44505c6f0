//! Formatting of times as Ruby's `strftime` does it.

use chrono::{DateTime, Datelike, FixedOffset, Timelike};
use strftime::{Time, buffered};

/// Bytes of a text for each byte of its format, and for one wide field; a longer text is none.
const BYTES_PER_BYTE: usize = 16;
const WIDTH_MAX: usize = 1_000;

/// Formats a time; `None` if the format is invalid or the text too long.
pub(super) fn format(time: DateTime<FixedOffset>, format: &str) -> Option<String> {
    let mut buffer = vec![0; format.len() * BYTES_PER_BYTE + WIDTH_MAX];
    let text = buffered::strftime(&Moment(time), format.as_bytes(), &mut buffer).ok()?;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

struct Moment(DateTime<FixedOffset>);

/// Casts of numbers that are at most 366.
impl Time for Moment {
    fn year(&self) -> i32 {
        self.0.year()
    }

    fn month(&self) -> u8 {
        self.0.month() as u8
    }

    fn day(&self) -> u8 {
        self.0.day() as u8
    }

    fn hour(&self) -> u8 {
        self.0.hour() as u8
    }

    fn minute(&self) -> u8 {
        self.0.minute() as u8
    }

    fn second(&self) -> u8 {
        self.0.second() as u8
    }

    fn nanoseconds(&self) -> u32 {
        self.0.nanosecond() % 1_000_000_000
    }

    fn day_of_week(&self) -> u8 {
        self.0.weekday().num_days_from_sunday() as u8
    }

    fn day_of_year(&self) -> u16 {
        self.0.ordinal() as u16
    }

    fn to_int(&self) -> i64 {
        self.0.timestamp()
    }

    fn is_utc(&self) -> bool {
        self.utc_offset() == 0
    }

    fn utc_offset(&self) -> i32 {
        self.0.offset().local_minus_utc()
    }

    fn time_zone(&self) -> &'static str {
        if self.is_utc() { "UTC" } else { "" }
    }
}
