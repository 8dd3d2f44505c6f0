//! Reading dates and times that people and warehouses write.
//!
//! The forms are those of Ruby's `Time.parse` in which every word has a meaning: a text with other words
//! is no date. `docs/mapping.md` lists them.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

/// Longest text that is read as a date.
const TEXT_BYTES_MAX: usize = 100;
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Words without a meaning of their own.
const FILLERS: [&str; 9] = ["st", "nd", "rd", "th", "of", "the", "at", "on", "t"];
/// Zones of RFC 2822, in hours.
const ZONES: [(&str, i32); 12] = [
    ("utc", 0),
    ("gmt", 0),
    ("ut", 0),
    ("z", 0),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
];

/// What a text says, piece by piece.
#[derive(Debug, Default)]
struct Found {
    /// Value and digits of each number of the date, and the byte before it.
    numbers: Vec<(u32, usize, u8)>,
    month: Option<u32>,
    time: Option<Clock>,
    /// Seconds east of UTC.
    offset: Option<i32>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
}

/// The time that `text` names. What it leaves out is taken from `now`; without an offset it is UTC.
pub(super) fn parse(text: &str, now: DateTime<Utc>) -> Option<DateTime<FixedOffset>> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || !text.is_ascii() {
        return None;
    }
    // A zone by its name stands at the end: `2024-03-05 07:08:09 Europe/Berlin`.
    let (text, zone) = match text.rsplit_once(' ') {
        Some((rest, name)) if let Ok(zone) = name.parse::<Tz>() => (rest, Some(zone)),
        _ => (text, None),
    };
    let found = read(text.to_ascii_lowercase().as_bytes())?;
    let date = date(&found, now)?;
    let clock = found.time.unwrap_or_default();
    // 24:00 is the end of the day, and a 60th second a leap second.
    if clock.hour > 24 || (clock.hour == 24 && (clock.minute, clock.second, clock.nanos) != (0, 0, 0)) {
        return None;
    }
    let second = clock.second.min(59);
    let time = NaiveTime::from_hms_nano_opt(clock.hour % 24, clock.minute, second, clock.nanos)?;
    let days = TimeDelta::days(i64::from(clock.hour / 24));
    let extra = TimeDelta::seconds(i64::from(clock.second.checked_sub(second).filter(|extra| *extra <= 1)?));
    let local = date.and_time(time).checked_add_signed(days + extra)?;
    match (zone, found.offset) {
        (Some(zone), None) => Some(local.and_local_timezone(zone).earliest()?.fixed_offset()),
        (_, offset) => local.and_local_timezone(FixedOffset::east_opt(offset.unwrap_or(0))?).single(),
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn read(text: &[u8]) -> Option<Found> {
    let mut found = Found::default();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let before = at.checked_sub(1).map_or(b' ', |before| text[before]);
        match byte {
            b'0'..=b'9' => at = read_number(text, at, before, &mut found)?,
            b'a'..=b'z' => {
                let length = text[at..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
                read_word(std::str::from_utf8(&text[at..at + length]).ok()?, &mut found)?;
                at += length;
            }
            b'+' | b'-' if found.time.is_some() && found.offset.is_none() && digits(&text[at + 1..]) > 0 => {
                at = read_offset(text, at, &mut found)?;
            }
            b' ' | b'\t' | b',' | b'-' | b'/' | b'.' | b'(' | b')' | b'\'' => at += 1,
            _ => return None,
        }
    }
    Some(found)
}

/// Reads a number: of a date, an hour with `am` or `pm`, a time, or a date or time without separators.
fn read_number(text: &[u8], at: usize, before: u8, found: &mut Found) -> Option<usize> {
    let length = digits(&text[at..]);
    let end = at + length;
    let value = number(&text[at..end])?;
    let rest = &text[end..];
    let is_time = rest.first() == Some(&b':') && found.time.is_none();
    let after_date = before == b't' && !found.numbers.is_empty() && found.time.is_none();
    if is_time || (after_date && matches!(length, 4 | 6)) {
        let mut clock = Clock::default();
        let mut end = end;
        if is_time {
            (clock.hour, clock.minute) =
                (value, number(&text[end + 1..end + 1 + digits(&text[end + 1..]).min(2)])?);
            end += 1 + digits(&text[end + 1..]);
            let seconds = text.get(end + 1..).map_or(0, digits);
            if text.get(end) == Some(&b':') && seconds > 0 {
                clock.second = number(&text[end + 1..end + 1 + seconds])?;
                end += 1 + seconds;
            }
        } else {
            let pairs = if length == 4 { value * 100 } else { value };
            (clock.hour, clock.minute, clock.second) = (pairs / 10_000, pairs / 100 % 100, pairs % 100);
        }
        let fraction = text.get(end + 1..).map_or(0, digits);
        if matches!(text.get(end), Some(b'.' | b',')) && fraction > 0 {
            let kept = fraction.min(9);
            clock.nanos = number(&text[end + 1..end + 1 + kept])? * 10_u32.pow(9 - kept as u32);
            end += 1 + fraction;
        }
        found.time = Some(clock);
        return Some(end);
    }
    let word = rest.trim_ascii_start();
    let is_hour = found.time.is_none() && length <= 2 && (word.starts_with(b"am") || word.starts_with(b"pm"));
    // An hour alone after a whole date.
    if is_hour || (length <= 2 && found.numbers.len() == 3 && found.time.is_none()) {
        found.time = Some(Clock { hour: value, ..Clock::default() });
        return Some(end);
    }
    if length == 8 && found.numbers.is_empty() {
        found.numbers = vec![(value / 10_000, 4, b' '), (value / 100 % 100, 2, b'-'), (value % 100, 2, b'-')];
    } else {
        found.numbers.push((value, length, before));
    }
    (found.numbers.len() <= 3).then_some(end)
}

fn read_word(word: &str, found: &mut Found) -> Option<()> {
    let is_name =
        |name: &&str| word.len() >= 3 && name.starts_with(word) || (word == "sept" && name.starts_with(word));
    if let Some(month) = MONTHS.iter().position(is_name) {
        return found.month.replace(month as u32 + 1).is_none().then_some(());
    }
    if let (Some((_, hours)), true) = (ZONES.iter().find(|(name, _)| *name == word), found.time.is_some()) {
        found.offset.get_or_insert(hours * 3600);
        return Some(());
    }
    if matches!(word, "am" | "pm" | "a" | "p") {
        let clock = found.time.as_mut().filter(|clock| (1..=12).contains(&clock.hour))?;
        clock.hour = clock.hour % 12 + if word.starts_with('p') { 12 } else { 0 };
        return Some(());
    }
    let is_known = FILLERS.contains(&word) || word == "m" || WEEKDAYS.iter().any(is_name);
    is_known.then_some(())
}

fn read_offset(text: &[u8], at: usize, found: &mut Found) -> Option<usize> {
    let mut parts = [0; 3];
    let mut end = at + 1;
    for part in &mut parts {
        let start = end + usize::from(text.get(end) == Some(&b':'));
        let length = text.get(start..).map_or(0, digits).min(2);
        if length == 0 {
            break;
        }
        end = start + length;
        *part = number(&text[start..end])?.cast_signed();
    }
    let seconds = parts[0] * 3600 + parts[1] * 60 + parts[2];
    found.offset = Some(if text[at] == b'-' { -seconds } else { seconds });
    Some(end)
}

fn date(found: &Found, now: DateTime<Utc>) -> Option<NaiveDate> {
    let is_year = |(value, length, _): &(u32, usize, u8)| *length > 2 || *value > 31;
    let year = |(value, length, _): (u32, usize, u8)| match (length, value) {
        (1 | 2, 0..69) => value.cast_signed() + 2000,
        (1 | 2, _) => value.cast_signed() + 1900,
        _ => value.cast_signed(),
    };
    let this_year = now.year();
    if let Some(month) = found.month {
        return match found.numbers[..] {
            [] => NaiveDate::from_ymd_opt(this_year, month, 1),
            [only] if is_year(&only) => NaiveDate::from_ymd_opt(year(only), month, 1),
            [day] => NaiveDate::from_ymd_opt(this_year, month, day.0),
            [first, day] if is_year(&first) => NaiveDate::from_ymd_opt(year(first), month, day.0),
            [day, last] => NaiveDate::from_ymd_opt(year(last), month, day.0),
            _ => None,
        };
    }
    match found.numbers[..] {
        [] => found.time.map(|_| now.date_naive()),
        [first, (day, 3, b'-')] if first.1 == 4 => NaiveDate::from_yo_opt(year(first), day),
        [first, (month, 1..=2, b'-')] if first.1 == 4 => NaiveDate::from_ymd_opt(year(first), month, 1),
        [(month, 1..=2, _), (day, 1..=2, b'/')] => NaiveDate::from_ymd_opt(this_year, month, day),
        [first, (month, ..), (day, ..)] if is_year(&first) => {
            NaiveDate::from_ymd_opt(year(first), month, day)
        }
        // As in the United States, unless that is impossible.
        [first, second, third] if second.2 == b'/' => match (first.0, second.0) {
            (month @ ..=12, day) => NaiveDate::from_ymd_opt(year(third), month, day),
            (day, month) if is_year(&third) => NaiveDate::from_ymd_opt(year(third), month, day),
            _ => NaiveDate::from_ymd_opt(year(first), second.0, third.0),
        },
        [day, month, last] if is_year(&last) || month.2 == b'.' => {
            NaiveDate::from_ymd_opt(year(last), month.0, day.0)
        }
        [first, (month, ..), (day, ..)] => NaiveDate::from_ymd_opt(year(first), month, day),
        _ => None,
    }
}
