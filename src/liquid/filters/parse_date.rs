//! Reading dates and times that people and warehouses write.
//!
//! The forms are those of Ruby's `Time.parse` in which every word has a meaning: a text with other words
//! is no date. `docs/mapping.md` lists them.

use std::{borrow::Cow, sync::LazyLock};

use chrono::{
    DateTime, Datelike, FixedOffset, NaiveDate, TimeDelta, Timelike, Utc,
    format::{Item, Parsed, StrftimeItems, parse_and_remainder},
};
use chrono_tz::Tz;

/// Longest text that is read as a date.
const TEXT_BYTES_MAX: usize = 100;
const MONTHS: &str = "january february march april may june july august september october november december";
const WEEKDAYS: &str = "monday tuesday wednesday thursday friday saturday sunday";
/// Other words, and what they are read as: many say nothing.
const WORDS: &str = "am:am a:am pm:pm p:pm utc:+0000 gmt:+0000 ut:+0000 z:+0000 est:-0500 edt:-0400 cst:-0600 \
    cdt:-0500 mst:-0700 mdt:-0600 pst:-0800 pdt:-0700 st: nd: rd: th: of: the: at: on: m:";
/// Forms of a date, a time, an offset, and a year that stands alone. The first that fits counts: so
/// `3/5/2024` is in March.
#[rustfmt::skip]
const PARTS: [&[&str]; 4] = [
    &[
        "%Y-%m-%d", "%m/%d/%Y", "%Y/%m/%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y.%m.%d", "%Y%m%d",
        "%Y-%m", "%Y-%j", "%m/%d", "%Y %m %d", "%d %m %Y", "%d %b -%Y", "%d %b %Y", "%Y %b -%d", "%Y %b %d",
        "%b -%d-%Y", "%b %d %Y", "%b %d", "%d %b", "%b %Y", "%Y %b", "%b", "%Y-%m-%d %H",
    ],
    &["%H:%M:%S%.f", "%H:%M", "%I:%M:%S%.f %p", "%I:%M %p", "%I %p", "t%H%M%S%.f", "t%H%M", "t%H"],
    &["%#z"],
    &["%Y"],
];
const TIME: usize = 1;
const OFFSET: usize = 2;

static FORMS: LazyLock<[Vec<Vec<Item<'_>>>; 4]> = LazyLock::new(|| {
    // The crate takes a space in a form for any white space, or none.
    let exact = |item| if matches!(item, Item::Space(_)) { Item::Literal(" ") } else { item };
    PARTS.map(|forms| forms.iter().map(|form| StrftimeItems::new(form).map(exact).collect()).collect())
});

/// The time that `text` names. What it leaves out is taken from `now`; without an offset it is UTC.
pub(super) fn parse(text: &str, now: DateTime<Utc>) -> Option<DateTime<FixedOffset>> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || !text.is_ascii() {
        return None;
    }
    // The form of most columns is read fast, but not a leap second.
    if let Some(time) =
        DateTime::parse_from_rfc3339(text).ok().filter(|time| time.nanosecond() < 1_000_000_000)
    {
        return Some(time);
    }
    // A zone by its name stands at the end: `2024-03-05 07:08:09 Europe/Berlin`.
    let (text, zone) = match text.rsplit_once(' ') {
        Some((rest, name)) if let Ok(zone) = name.parse::<Tz>() => (rest, Some(zone)),
        _ => (text, None),
    };
    let text = plain(text)?;
    // The end of a day is the start of the next, and so is a leap second.
    let day_end = text.contains(" 24:00");
    let mut parsed = read(&text.replace(" 24:00", " 00:00"), &Parsed::new(), [true; 4])?;
    let date = date(&text, &parsed, now)?;
    if parsed.hour_mod_12().is_none() {
        parsed.set_hour(0).ok()?;
    }
    if parsed.minute().is_none() {
        parsed.set_minute(0).ok()?;
    }
    let after = i64::from(day_end) * 86_400 + i64::from(parsed.second() == Some(60));
    let local = date.and_time(parsed.to_naive_time().ok()?).checked_add_signed(TimeDelta::seconds(after))?;
    match (zone, parsed.offset()) {
        (Some(zone), None) => Some(local.and_local_timezone(zone).earliest()?.fixed_offset()),
        (_, offset) => local.and_local_timezone(FixedOffset::east_opt(offset.unwrap_or(0))?).single(),
    }
}

fn date(text: &str, parsed: &Parsed, now: DateTime<Utc>) -> Option<NaiveDate> {
    let year = match parsed.year() {
        None => now.year(),
        Some(year) if year > 99 || text.contains(&format!("{year:04}")) => year,
        Some(year) => year + if year < 69 { 2000 } else { 1900 },
    };
    match (parsed.month(), parsed.ordinal()) {
        // The number is a day that no month has: `Mar 45`.
        _ if parsed.day().is_none() && parsed.year().is_some_and(|year| year < 100) => None,
        (Some(month), _) => NaiveDate::from_ymd_opt(year, month, parsed.day().unwrap_or(1)),
        (None, Some(day)) if text.contains(&format!("-{day:03}")) => NaiveDate::from_yo_opt(year, day),
        (None, Some(_)) => None,
        (None, None) => (parsed.hour_mod_12().is_some() && parsed.year().is_none()).then(|| now.date_naive()),
    }
}

/// What `text` says in parts that are still open, beside what is parsed.
fn read(text: &str, parsed: &Parsed, open: [bool; 4]) -> Option<Parsed> {
    if text.is_empty() {
        return Some(parsed.clone());
    }
    let is_offset = text.starts_with(['+', '-']);
    let kinds = (0..FORMS.len()).filter(|kind| open[*kind] && (*kind == OFFSET) == is_offset);
    kinds.flat_map(|kind| FORMS[kind].iter().map(move |form| (kind, form))).find_map(|(kind, form)| {
        let (mut parsed, mut open) = (parsed.clone(), open);
        // The form of an offset would take the next number for its minutes.
        let part = if is_offset { text.split(' ').next()? } else { text };
        let rest = parse_and_remainder(&mut parsed, part, form.iter()).ok()?;
        let rest = &text[part.len() - rest.len()..];
        open[kind] = false;
        let is_end =
            rest.is_empty() || rest.starts_with(' ') || (kind == TIME && rest.starts_with(['+', '-']));
        let is_part = is_end && parsed.year().is_none_or(|year| year >= 0);
        if is_part { read(rest.trim_start(), &parsed, open) } else { None }
    })
}

/// The text in lower case with one form of each word, and spaces around words.
fn plain(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let mut out = String::with_capacity(2 * text.len());
    let mut chunks =
        text.as_bytes().chunk_by(|a, b| a.is_ascii_alphabetic() == b.is_ascii_alphabetic()).peekable();
    while let Some(chunk) = chunks.next() {
        let chunk = std::str::from_utf8(chunk).ok()?;
        let next = chunks.peek().copied().unwrap_or_default();
        if !chunk.starts_with(|c: char| c.is_ascii_alphabetic()) {
            // A comma before a fraction is a point.
            let is_fraction = |at: usize| at > 2 && chunk.as_bytes()[at - 3] == b':';
            let chars = chunk.char_indices().map(|(at, c)| match c {
                ',' if is_fraction(at) => '.',
                ',' | '(' | ')' | '\'' | '\t' => ' ',
                c => c,
            });
            let numbers: String = chars.collect();
            let before_word = if next.is_empty() { "" } else { "-./" };
            out.push_str(
                numbers.trim_start_matches(['.', '/']).trim_end_matches(|c| before_word.contains(c)),
            );
            continue;
        }
        out.push(' ');
        out.push_str(match chunk {
            "t" if next.iter().take(3).any(|byte| *byte == b':') => "",
            "t" => "t",
            // `GMT+2` is the offset.
            "utc" | "gmt" if next.starts_with(b"+") || next.starts_with(b"-") => "",
            word => meaning(word)?,
        });
        out.push_str(if chunk == "t" { "" } else { " " });
    }
    Some(out.split_ascii_whitespace().map(two_digits).collect::<Vec<_>>().join(" "))
}

/// An offset of one digit with two: `+5:30`.
fn two_digits(word: &str) -> Cow<'_, str> {
    match word.as_bytes() {
        [b'+' | b'-', b'0'..=b'9'] | [b'+' | b'-', b'0'..=b'9', b':', ..] => {
            format!("{}0{}", &word[..1], &word[1..]).into()
        }
        _ => word.into(),
    }
}

fn meaning(word: &str) -> Option<&'static str> {
    let among = |names: &'static str| names.split(' ').find(|name| word.len() > 2 && name.starts_with(word));
    let other = || WORDS.split_ascii_whitespace().find_map(|pair| pair.strip_prefix(word)?.strip_prefix(':'));
    among(MONTHS).map(|name| &name[..3]).or_else(|| among(WEEKDAYS).map(|_| "")).or_else(other)
}
