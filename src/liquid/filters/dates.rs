//! Filters on dates and times.

use chrono::{DateTime, Datelike, FixedOffset, Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use strftime::{Time, buffered};

use super::{Call, Failure, Filter, Made, Number, Result, Value, filter, parse_date};

/// A number of so many seconds since 1970, which is the year 5138, or more is one of milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;
/// Work of writing a date, and of reading a text in all forms.
const DATE_UNITS: usize = 25;
const READ_UNITS: usize = 150;
/// Work of a field that is as wide as it may be.
const WIDTH_UNITS: usize = 350;
/// Bytes of a text for each byte of its format, and for one wide field; a longer text is none.
const BYTES_PER_BYTE: usize = 16;
const WIDTH_MAX: usize = 1_000;
/// Offsets up to this one are written in another way.
const FAR_WEST: i32 = -10 * 3600;
/// What `time_zone` makes: a form that `date` reads.
const ZONED: &str = "%Y-%m-%d %H:%M:%S %z";

pub(super) const FILTERS: &[Filter] = &[
    filter("date", (1, 2), |call| {
        let format = call.argument(0)?;
        let zone = call.value(1).clone();
        formatted(call, &format, &zone)
    }),
    filter("date_to_long_string", (0, 2), |call| with_month(call, "%B")),
    filter("date_to_rfc822", (0, 0), |call| formatted(call, "%a, %d %b %Y %H:%M:%S %z", &Value::Nil)),
    filter("date_to_string", (0, 2), |call| with_month(call, "%b")),
    filter("date_to_xmlschema", (0, 0), |call| formatted(call, "%Y-%m-%dT%H:%M:%S%:z", &Value::Nil)),
    filter("time_zone", (1, 1), |call| {
        let zone = call.value(0).clone();
        formatted(call, ZONED, &zone)
    }),
];

/// `05 Mar 2024`; with `'ordinal'` `5th Mar 2024`, or `Mar 5th, 2024` in the style `'US'`.
fn with_month<'r>(call: &Call<'_, 'r>, month: &str) -> Made<'r> {
    let format = match (&*call.argument(0)?, &*call.argument(1)?) {
        ("ordinal", "US") => format!("{month} %-d%q, %Y"),
        ("ordinal", _) => format!("%-d%q {month} %Y"),
        _ => format!("%d {month} %Y"),
    };
    formatted(call, &format, &Value::Nil)
}

/// Formats the input in a zone; what is no date stays as it is, and what is no zone fails.
fn formatted<'r>(call: &Call<'_, 'r>, format: &str, zone: &Value<'r>) -> Made<'r> {
    call.meter().spend(DATE_UNITS)?;
    let time = if format.is_empty() { None } else { time_of(call)? };
    let Some(time) = time else { return Ok(call.input.clone()) };
    let time = match zone {
        Value::Nil => time,
        // Minutes west of UTC, as in JavaScript.
        Value::Int(minutes) => {
            let seconds = i32::try_from(minutes.saturating_mul(-60)).map_err(|_| Failure::Failed)?;
            time.with_timezone(&FixedOffset::east_opt(seconds).ok_or(Failure::Failed)?)
        }
        zone => {
            let zone: Tz = call.text_of(zone)?.trim().parse().map_err(|_| Failure::Failed)?;
            let offset = zone.offset_from_utc_datetime(&time.naive_utc()).fix();
            time.with_timezone(&offset)
        }
    };
    let has_widths = format.contains(|c: char| c.is_ascii_digit());
    call.meter().spend(4 * format.len() + if has_widths { WIDTH_UNITS } else { 0 })?;
    match as_text(time, format) {
        Some(text) => {
            call.meter().spend(text.len())?;
            call.made(text)
        }
        None => Ok(call.input.clone()),
    }
}

fn time_of(call: &Call<'_, '_>) -> Result<Option<DateTime<FixedOffset>>> {
    let time = match call.input {
        Value::Int(seconds) => since_1970(*seconds),
        Value::Decimal(_) => {
            let micros = Number::of(call.input, call.meter())?.float() * 1e6;
            DateTime::from_timestamp_micros(micros as i64).map(|time| time.fixed_offset())
        }
        Value::Text(text) => {
            call.meter().spend_bytes(text.len())?;
            let text = text.trim();
            if text.eq_ignore_ascii_case("now") || text.eq_ignore_ascii_case("today") {
                Some(call.render.now.fixed_offset())
            } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
                text.parse().ok().and_then(since_1970)
            } else {
                call.meter().spend(READ_UNITS)?;
                parse_date::parse(text, call.render.now)
            }
        }
        _ => None,
    };
    Ok(time)
}

fn since_1970(number: i64) -> Option<DateTime<FixedOffset>> {
    let time = if number.abs() < MILLISECONDS_FROM {
        DateTime::<Utc>::from_timestamp(number, 0)
    } else {
        DateTime::from_timestamp_millis(number)
    };
    time.map(|time| time.fixed_offset())
}

/// A time in a format of Ruby's `strftime`, or `%q` of liquidjs; `None` if the format is invalid or the
/// text too long.
fn as_text(time: DateTime<FixedOffset>, format: &str) -> Option<String> {
    let ordinal = match time.day() {
        1 | 21 | 31 => "st",
        2 | 22 => "nd",
        3 | 23 => "rd",
        _ => "th",
    };
    let format = format.split("%%").map(|part| part.replace("%q", ordinal)).collect::<Vec<_>>().join("%%");
    let mut buffer = vec![0; format.len() * BYTES_PER_BYTE + WIDTH_MAX];
    let mut format = format.into_bytes();
    // The crate prints a zero too many for hours from -10 on. So they are written with a plus, which becomes a minus;
    // a plus of the format is kept as a byte that no text has.
    let is_far_west = time.offset().local_minus_utc() <= FAR_WEST;
    let swap = |bytes: &mut [u8], from, to| {
        bytes.iter_mut().filter(|byte| **byte == from).for_each(|byte| *byte = to);
    };
    if is_far_west {
        swap(&mut format, b'+', 0xff);
    }
    let length = buffered::strftime(&Moment(time), &format, &mut buffer).ok()?.len();
    buffer.truncate(length);
    if is_far_west {
        swap(&mut buffer, b'+', b'-');
        swap(&mut buffer, 0xff, b'+');
    }
    String::from_utf8(buffer).ok()
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
    utc_offset: i32 = |time| match time.offset().local_minus_utc() {
        far_west @ ..=FAR_WEST => -far_west,
        seconds => seconds,
    };
    time_zone: &'static str = |time| if time.offset().local_minus_utc() == 0 { "UTC" } else { "" };
}
