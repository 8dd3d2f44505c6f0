//! The filters `date` and `time_zone`.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, Utc};
use liquid_core::{Value, model::DateTime as Moment};

use super::{Definition, arguments::Call, total};
use crate::mapping::liquid::{
    facts::{self, Plain},
    meter::Meter,
};

pub(super) const FILTERS: &[Definition] =
    &[total("date", (1, 1), date), total("time_zone", (1, 1), time_zone)];

/// Formats of dates and times that people write, besides ISO 8601.
const FORMATS: [&str; 6] = [
    "%d %B %Y %H:%M:%S",
    "%d %b %Y %H:%M:%S",
    "%B %d, %Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S",
];
const DATE_FORMATS: [&str; 6] = ["%Y-%m-%d", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%m/%d/%Y"];

/// Formats a date or time; what is none stays as it is.
fn date(call: &Call<'_>) -> Value {
    let format = call.text_argument(0);
    let time = if format.is_empty() || is_unbounded(&format) { None } else { time_of(call) };
    let formatted = time.and_then(|time| formatted(time, &format));
    formatted.map_or_else(|| call.input.to_value(), Value::scalar)
}

/// The time in a zone of the IANA's database, such as `Europe/Berlin`, with its offset: `date` after it prints
/// that zone's. What is no time, and an unknown zone, leave the input as it is.
fn time_zone(call: &Call<'_>) -> Value {
    let zone = call.text_argument(0).parse::<chrono_tz::Tz>().ok();
    let local = zone.and_then(|zone| Some(time_of(call)?.with_timezone(&zone)));
    local.map_or_else(
        || call.input.to_value(),
        |local| Value::scalar(local.format("%Y-%m-%d %H:%M:%S%.f %z").to_string()),
    )
}

/// Whether a field of the format asks for absurd padding.
fn is_unbounded(format: &str) -> bool {
    const DIGITS_MAX: usize = 3;
    format.split('%').skip(1).any(|field| {
        let field = field.trim_start_matches(['-', '_', '^', '#']);
        field.bytes().take_while(u8::is_ascii_digit).count() > DIGITS_MAX
    })
}

fn time_of(call: &Call<'_>) -> Option<DateTime<FixedOffset>> {
    match facts::plain(call.input) {
        Plain::Whole(seconds) => at(seconds),
        Plain::Fractional(seconds) => at(seconds as i64),
        Plain::Text(text) => {
            let text = text.trim();
            if text.eq_ignore_ascii_case("now") || text.eq_ignore_ascii_case("today") {
                return Some(call.runtime.registers().get_mut::<Meter>().now.fixed_offset());
            }
            parsed(text)
        }
        Plain::Nil | Plain::Boolean(_) | Plain::Structure => None,
    }
}

/// Seconds since 1970.
fn at(seconds: i64) -> Option<DateTime<FixedOffset>> {
    Some(DateTime::<Utc>::from_timestamp(seconds, 0)?.fixed_offset())
}

fn parsed(text: &str) -> Option<DateTime<FixedOffset>> {
    if let Ok(seconds) = text.parse() {
        return at(seconds);
    }
    let (text, offset) = with_offset(text)?;
    let local = local_time(text.trim_end())?;
    local.and_local_timezone(offset).single()
}

/// Splits a time from the offset that it ends in: `Z`, `UTC`, `+02:00`, `+0200`, `+02`; none is UTC.
fn with_offset(text: &str) -> Option<(&str, FixedOffset)> {
    let utc = Utc.fix();
    if let Some(rest) = text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix("UTC")) {
        return Some((rest, utc));
    }
    // The last sign after a time of day is an offset; before it, it is part of the date.
    let Some(colon) = text.find(':') else { return Some((text, utc)) };
    let Some(sign) = text[colon..].rfind(['+', '-']).map(|found| colon + found) else {
        return Some((text, utc));
    };
    let digits = text[sign + 1..].replace(':', "");
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 if digits.is_ascii() => digits.split_at(2),
        _ => return None,
    };
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    let east = if text.as_bytes()[sign] == b'-' { -seconds } else { seconds };
    Some((&text[..sign], FixedOffset::east_opt(east)?))
}

fn local_time(text: &str) -> Option<NaiveDateTime> {
    let iso = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    iso.into_iter()
        .chain(FORMATS)
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| {
            let date =
                DATE_FORMATS.into_iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok());
            Some(date?.and_time(NaiveTime::MIN))
        })
}

/// Formats with the crate's `strftime`, which follows Ruby's. It only knows UTC here, so that it gets
/// the local time, and the fields that tell the offset or count from 1970 are written before.
fn formatted(time: DateTime<FixedOffset>, format: &str) -> Option<String> {
    let local = time.naive_local();
    // Years of four digits: what dates in records have.
    if !(0..=9999).contains(&local.year()) {
        return None;
    }
    let offset = time.offset().local_minus_utc();
    let format = with_fields(format, &|field| match field {
        's' => Some(time.timestamp().to_string()),
        'z' if offset != 0 => Some(time.format("%z").to_string()),
        'Z' => Some(if offset == 0 { "UTC".to_owned() } else { time.format("%:z").to_string() }),
        _ => None,
    });
    let mut moment =
        Moment::from_ymd(local.year(), u8::try_from(local.month()).ok()?, u8::try_from(local.day()).ok()?);
    let since_midnight: TimeDelta = local.time().signed_duration_since(NaiveTime::MIN);
    *moment += since_midnight.to_std().ok()?;
    moment.format(&format).ok()
}

/// `format` with the plain fields that `value` knows already filled in.
fn with_fields(format: &str, value: &dyn Fn(char) -> Option<String>) -> String {
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let field = rest[at + 1..].chars().next();
        let length = 1 + field.map_or(0, char::len_utf8);
        match field.and_then(value) {
            Some(text) => out.push_str(&text),
            None => out.push_str(&rest[at..at + length]),
        }
        rest = &rest[at + length..];
    }
    out + rest
}
