//! Reading dates and times that people and warehouses write.
//!
//! The forms are those of Ruby's `Time.parse` in which every word has a meaning: a text with other words
//! is no date. `docs/mapping.md` lists them.

use chrono::{DateTime, Datelike, FixedOffset, Month, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

/// Longest text that is read as a date.
const TEXT_BYTES_MAX: usize = 100;
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Words without a meaning of their own.
const FILLERS: [&str; 10] = ["st", "nd", "rd", "th", "of", "the", "at", "on", "t", "m"];

/// What a text says, as far as it is read.
#[derive(Debug, Default)]
struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    /// Value and digits of each number of the date, and the byte before it.
    numbers: Vec<(u32, usize, u8)>,
    month: Option<u32>,
    /// Hour, minute, second and nanosecond.
    time: Option<[u32; 4]>,
    /// Seconds east of UTC.
    offset: Option<i32>,
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
    let text = text.to_ascii_lowercase();
    let mut reader = Reader { text: text.as_bytes(), ..Reader::default() };
    reader.read()?;
    let [hour, minute, second, nanos] = reader.time.unwrap_or_default();
    // 24:00 is the end of the day, and a 60th second a leap second.
    let (days, extra) = (u32::from((hour, minute, second, nanos) == (24, 0, 0, 0)), u32::from(second == 60));
    let time = NaiveTime::from_hms_nano_opt(hour - 24 * days, minute, second - extra, nanos)?;
    let after = TimeDelta::seconds(i64::from(days * 86_400 + extra));
    let local = reader.date(now)?.and_time(time).checked_add_signed(after)?;
    match (zone, reader.offset) {
        (Some(zone), None) => Some(local.and_local_timezone(zone).earliest()?.fixed_offset()),
        (_, offset) => local.and_local_timezone(FixedOffset::east_opt(offset.unwrap_or(0))?).single(),
    }
}

impl Reader<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(b' ')
    }

    /// Takes a number of at most so many digits, with its length.
    fn number(&mut self, digits_max: usize) -> Option<(u32, usize)> {
        let rest = &self.text[self.at..];
        let length = rest.iter().take(digits_max).take_while(|byte| byte.is_ascii_digit()).count();
        self.at += length;
        Some((std::str::from_utf8(&rest[..length]).ok()?.parse().ok()?, length))
    }

    fn read(&mut self) -> Option<()> {
        while self.at < self.text.len() {
            let is_offset = self.time.is_some() && self.offset.is_none() && self.byte(1).is_ascii_digit();
            match self.byte(0) {
                b'0'..=b'9' => self.read_number()?,
                b'a'..=b'z' => self.read_word()?,
                b'+' | b'-' if is_offset => self.read_offset(),
                b' ' | b'\t' | b',' | b'-' | b'/' | b'.' | b'(' | b')' | b'\'' => self.at += 1,
                _ => return None,
            }
        }
        Some(())
    }

    /// Reads a number: of a date, an hour with `am` or `pm`, a time, or a date or time without separators.
    fn read_number(&mut self) -> Option<()> {
        let before = self.at.checked_sub(1).map_or(b' ', |before| self.text[before]);
        let (value, length) = self.number(TEXT_BYTES_MAX)?;
        let word = self.text[self.at..].trim_ascii_start();
        let is_hour = self.numbers.len() == 3 || word.starts_with(b"am") || word.starts_with(b"pm");
        if self.time.is_some() {
            self.numbers.push((value, length, before));
        } else if self.byte(0) == b':' {
            let mut parts = [value, 0, 0, 0];
            for part in &mut parts[1..3] {
                if self.byte(0) == b':' {
                    self.at += 1;
                    *part = self.number(2)?.0;
                }
            }
            parts[3] = self.fraction()?;
            self.time = Some(parts);
        } else if before == b't' && !self.numbers.is_empty() && matches!(length, 4 | 6) {
            let pairs = if length == 4 { value * 100 } else { value };
            self.time = Some([pairs / 10_000, pairs / 100 % 100, pairs % 100, self.fraction()?]);
        } else if length <= 2 && is_hour {
            self.time = Some([value, 0, 0, 0]);
        } else if length == 8 && self.numbers.is_empty() {
            self.numbers.extend([
                (value / 10_000, 4, b' '),
                (value / 100 % 100, 2, b'-'),
                (value % 100, 2, b'-'),
            ]);
        } else {
            self.numbers.push((value, length, before));
        }
        (self.numbers.len() <= 3).then_some(())
    }

    /// The nanoseconds after a point or a comma.
    fn fraction(&mut self) -> Option<u32> {
        if !matches!(self.byte(0), b'.' | b',') || !self.byte(1).is_ascii_digit() {
            return Some(0);
        }
        self.at += 1;
        let (value, length) = self.number(9)?;
        while self.byte(0).is_ascii_digit() {
            self.at += 1;
        }
        Some(value * 10_u32.pow(9 - length as u32))
    }

    fn read_word(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        self.at += length;
        let word = std::str::from_utf8(&rest[..length]).ok()?;
        let month = word.get(..3).and_then(|short| short.parse::<Month>().ok());
        if let Some(month) = month.filter(|month| month.name().to_ascii_lowercase().starts_with(word)) {
            return self.month.replace(month.number_from_month()).is_none().then_some(());
        }
        if let (Some(hours), Some(_)) = (zone_hours(word), self.time) {
            self.offset.get_or_insert(hours * 3600);
            return Some(());
        }
        if matches!(word, "am" | "pm" | "a" | "p") {
            let [hour, ..] = self.time.as_mut().filter(|time| (1..=12).contains(&time[0]))?;
            *hour = *hour % 12 + if word.starts_with('p') { 12 } else { 0 };
            return Some(());
        }
        let is_weekday = length >= 3 && WEEKDAYS.iter().any(|name| name.starts_with(word));
        (is_weekday || FILLERS.contains(&word)).then_some(())
    }

    fn read_offset(&mut self) {
        let sign = if self.byte(0) == b'-' { -1 } else { 1 };
        let mut seconds = 0;
        for unit in [3600, 60, 1] {
            if unit == 3600 || (self.byte(0) == b':' && self.byte(1).is_ascii_digit()) {
                self.at += 1;
            }
            seconds += self.number(2).map_or(0, |(value, _)| value.cast_signed() * unit);
        }
        self.offset = Some(sign * seconds);
    }

    fn date(&self, now: DateTime<Utc>) -> Option<NaiveDate> {
        let is_year = |(value, length, _): (u32, usize, u8)| length > 2 || value > 31;
        let on = |(value, length, _): (u32, usize, u8), month, day| {
            let century = match (length, value) {
                (1 | 2, 0..69) => 2000,
                (1 | 2, _) => 1900,
                _ => 0,
            };
            NaiveDate::from_ymd_opt(value.cast_signed() + century, month, day)
        };
        let this_year = (now.year().cast_unsigned(), 4, b' ');
        if let Some(month) = self.month {
            return match self.numbers[..] {
                [] => on(this_year, month, 1),
                [only] if is_year(only) => on(only, month, 1),
                [day] => on(this_year, month, day.0),
                [first, day] if is_year(first) => on(first, month, day.0),
                [day, last] => on(last, month, day.0),
                _ => None,
            };
        }
        match self.numbers[..] {
            [] => self.time.map(|_| now.date_naive()),
            [(year, 4, _), (day, 3, b'-')] => NaiveDate::from_yo_opt(year.cast_signed(), day),
            [first @ (_, 4, _), (month, 1..=2, b'-')] => on(first, month, 1),
            [(month, 1..=2, _), (day, 1..=2, b'/')] => on(this_year, month, day),
            [first, (month, ..), (day, ..)] if is_year(first) => on(first, month, day),
            // As in the United States, unless that is impossible.
            [(month @ ..=12, ..), (day, _, b'/'), last] => on(last, month, day),
            [(day, ..), (month, _, b'/'), last] if is_year(last) => on(last, month, day),
            [(day, ..), (month, _, separator), last]
                if separator != b'/' && (is_year(last) || separator == b'.') =>
            {
                on(last, month, day)
            }
            [first, (month, ..), (day, ..)] => on(first, month, day),
            _ => None,
        }
    }
}

/// Hours east of UTC of the zones of RFC 2822.
fn zone_hours(name: &str) -> Option<i32> {
    match name.as_bytes() {
        b"utc" | b"gmt" | b"ut" | b"z" => Some(0),
        [zone, kind @ (b's' | b'd'), b't'] => {
            let west = b"ecmp".iter().position(|other| other == zone)?;
            Some(i32::from(*kind == b'd') - 5 - i32::try_from(west).ok()?)
        }
        _ => None,
    }
}
