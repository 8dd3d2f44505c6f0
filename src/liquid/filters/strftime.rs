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

/// Implements the parts of a time; numbers that are cast are at most 366.
macro_rules! parts {
    ($($part:ident: $type:ty = |$time:ident| $value:expr;)*) => {
        impl Time for Moment {
            $(fn $part(&self) -> $type {
                let $time = &self.0;
                $value
            })*
        }
    };
}

parts! {
    year: i32 = |time| time.year();
    month: u8 = |time| time.month() as u8;
    day: u8 = |time| time.day() as u8;
    hour: u8 = |time| time.hour() as u8;
    minute: u8 = |time| time.minute() as u8;
    second: u8 = |time| time.second() as u8;
    nanoseconds: u32 = |time| time.nanosecond() % 1_000_000_000;
    day_of_week: u8 = |time| time.weekday().num_days_from_sunday() as u8;
    day_of_year: u16 = |time| time.ordinal() as u16;
    to_int: i64 = |time| time.timestamp();
    is_utc: bool = |time| time.offset().local_minus_utc() == 0;
    utc_offset: i32 = |time| time.offset().local_minus_utc();
    time_zone: &'static str = |time| if time.offset().local_minus_utc() == 0 { "UTC" } else { "" };
}
