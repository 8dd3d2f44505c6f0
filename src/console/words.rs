//! Numbers and times as people read them.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// `1234567` as `1,234,567`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0`, `0.3`, `1,234`: a rate with as many digits as it is worth.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        rate if rate <= 0.0 => "0".to_owned(),
        ..0.05 => "under 0.1".to_owned(),
        ..100.0 => format!("{rate:.1}"),
        rate => number(format!("{rate:.0}").parse().unwrap_or(u64::MAX)),
    }
}

/// `2 collections`, `1 collection`.
pub(super) fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {what}{s}", number(count as u64))
}

/// `15 ms`, `1.5 s`, `2 min 5 s`, `3 h 4 min`.
pub(super) fn duration(duration: TimeDelta) -> String {
    let millis = duration.num_milliseconds().max(0);
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{}.{} s", seconds, millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `512 bytes`, `1.5 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let (mut tenths, mut unit) = (bytes / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", number(tenths / 10), tenths % 10, UNITS[unit])
}

/// How long ago `at` was, with the time itself as a tooltip; a dash for none.
pub(super) fn age(at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Markup {
    let Some(at) = at else { return html! { "–" } };
    let time = at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(at.to_rfc3339()) title=(time) { (ago(now - at)) } }
}

/// A time itself.
pub(super) fn time(at: DateTime<Utc>) -> Markup {
    html! { time datetime=(at.to_rfc3339()) { (at.format("%Y-%m-%d %H:%M:%S UTC")) } }
}

/// `text` as one segment of a path.
pub(super) fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

fn ago(age: TimeDelta) -> String {
    let seconds = age.num_seconds();
    match seconds {
        ..0 => "in the future".to_owned(),
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_rounded_down() {
        for (given, expected) in [
            (-5, "0 ms"),
            (999, "999 ms"),
            (1_560, "1.5 s"),
            (59_999, "59 s"),
            (125_000, "2 min 5 s"),
            (11_100_000, "3 h 5 min"),
        ] {
            assert_eq!(duration(TimeDelta::milliseconds(given)), expected);
        }
        for (given, expected) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_550_000, "1.5 MB"),
            (u64::MAX, "18,446.7 PB"),
        ] {
            assert_eq!(bytes(given), expected);
        }
    }

    #[test]
    fn numbers_are_grouped_and_ages_are_rounded_down() {
        for (given, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(given), expected);
        }
        for (given, expected) in
            [(0.0, "0"), (0.04, "under 0.1"), (0.06, "0.1"), (99.94, "99.9"), (1234.6, "1,235")]
        {
            assert_eq!(rate(given), expected);
        }
        assert_eq!((counted(1, "node"), counted(0, "node")), ("1 node".to_owned(), "0 nodes".to_owned()));
        for (seconds, expected) in [
            (-1, "in the future"),
            (59, "59 s ago"),
            (119, "1 min ago"),
            (7199, "1 h ago"),
            (172_800, "2 d ago"),
        ] {
            assert_eq!(ago(TimeDelta::seconds(seconds)), expected);
        }
    }
}
