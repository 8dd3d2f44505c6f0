//! Texts whose bytes sort like the values that they stand for. By them a collection finds the newest of the
//! records that share an index value.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};

use super::{json, row::CellKind};

/// Nines' complement of a digit: a negative number with a larger magnitude is lower.
fn complement(digit: char) -> char {
    char::from(b'9' - (digit as u8 - b'0') + b'0')
}

/// The text of a cell, or `None` if the cell has no order: null, JSON. Numbers sort below times, and times below
/// other text. A time without a zone counts as UTC.
pub fn sortable(kind: CellKind, text: &str) -> Option<String> {
    match kind {
        CellKind::Null | CellKind::Json | CellKind::Invalid => None,
        CellKind::Integer | CellKind::Number => number(text),
        CellKind::Boolean => Some(format!("t{text}")),
        CellKind::Text if text.is_empty() => None,
        CellKind::Text => {
            Some(time(text).map_or_else(|| format!("t{text}"), |time| format!("s{}", fixed(time))))
        }
    }
}

/// A year with a sign and of six digits: years beyond 9999 and before 0 sort, too.
fn fixed(time: DateTime<Utc>) -> String {
    use chrono::Datelike as _;
    let year = i64::from(time.year()) + 500_000;
    let rest = time.to_rfc3339_opts(SecondsFormat::Nanos, true);
    let from = rest.len() - "-01-01T00:00:00.000000000Z".len();
    format!("{year:07}{}", &rest[from..])
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let day = || Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN));
    naive.or_else(day).map(|naive| naive.and_utc())
}

/// The sign, the position of the first digit, the digits: `n` for negative ones, whose other parts are
/// complemented, `o` for zero, `p` for positive ones. NaN and infinities have no order.
fn number(text: &str) -> Option<String> {
    let mut plain = Vec::new();
    json::number(text.as_bytes(), &mut plain).ok()?;
    let plain = String::from_utf8(plain).ok()?;
    let is_negative = plain.starts_with('-');
    let unsigned = plain.trim_start_matches('-');
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some("o".to_owned());
    }
    let leading_zeros = digits.len() - significant.len();
    // The position of the first digit that is not zero, from 500,000 in front of the point.
    let mut sorted = format!("{:06}", 500_000 + whole.len() - leading_zeros);
    let _ = write!(sorted, "{}", significant.trim_end_matches('0'));
    if !is_negative {
        return Some(format!("p{sorted}"));
    }
    // A longer number is lower: the mark behind it is above every digit.
    let sorted: String = sorted.chars().map(complement).collect();
    Some(format!("n{sorted}~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_sort_like_their_values() {
        use CellKind::{Integer, Number, Text};
        let rising = [
            (Number, "-1e30"),
            (Integer, "-124"),
            (Number, "-123.45"),
            (Number, "-123.4"),
            (Integer, "-123"),
            (Number, "-0.001"),
            (Integer, "0"),
            (Number, "0.0009"),
            (Number, "0.001"),
            (Integer, "9"),
            (Integer, "10"),
            (Number, "10.5"),
            (Number, "1e30"),
            (Text, "1969-12-31"),
            (Text, "2026-01-01"),
            (Text, "2026-01-01T00:00:00.5Z"),
            (Text, "2026-01-01 00:00:01"),
            (Text, "2026-01-01T00:00:01.000001Z"),
            (Text, "2026-01-01T02:00:00+00:30"),
            (Text, "v1"),
            (Text, "v2"),
        ];
        let texts: Vec<_> = rising.iter().map(|&(kind, text)| sortable(kind, text).unwrap()).collect();
        for (at, pair) in texts.windows(2).enumerate() {
            assert!(pair[0] < pair[1], "{:?} {:?}: {pair:?}", rising[at], rising[at + 1]);
        }
        assert_eq!(sortable(Number, "-0.0"), sortable(Integer, "0"));
        assert_eq!(sortable(Number, "12.50"), sortable(Number, "12.5"));
        assert_eq!(sortable(Text, "2026-01-01T01:00:00+01:00"), sortable(Text, "2026-01-01"));
        for (kind, text) in [(CellKind::Null, ""), (CellKind::Json, "{}"), (Text, "")] {
            assert_eq!(sortable(kind, text), None);
        }
    }
}
