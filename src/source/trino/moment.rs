//! Moments as Trino prints them: `2024-07-01 12:00:00.500`, and a zone's name or offset behind it.

use chrono::{NaiveDateTime, TimeDelta, TimeZone as _};

use crate::{domain::row::CellKind, source::cell};

/// Bytes of date and time without their fraction.
const WHOLE_BYTES: usize = 19;

/// A moment in ISO 8601, the fraction without trailing zeros, `zone` behind it; `None` outside the years 0001 to 9999.
pub(super) fn moment(text: &str, zone: &str, out: &mut Vec<u8>) -> Option<CellKind> {
    let (whole, fraction) = text.split_at_checked(WHOLE_BYTES)?;
    if !whole.starts_with(|first: char| first.is_ascii_digit()) || whole.starts_with("0000") {
        return None;
    }
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    Some(cell::text(format!("{}{fraction}{zone}", whole.replacen(' ', "T", 1)).as_bytes(), out))
}

/// A moment with a zone, in UTC.
pub(super) fn zoned_moment(text: &str, out: &mut Vec<u8>) -> Option<CellKind> {
    let (local, zone) = text.rsplit_once(' ')?;
    if zone == "UTC" {
        return moment(local, "Z", out);
    }
    let (whole, fraction) = local.split_at_checked(WHOLE_BYTES)?;
    let whole = NaiveDateTime::parse_from_str(whole, "%Y-%m-%d %H:%M:%S").ok()?;
    let utc = match offset(zone) {
        Some(offset) => whole.checked_sub_signed(offset)?,
        // Of an hour that occurs twice the server does not tell which it means.
        None => zone.parse::<chrono_tz::Tz>().ok()?.from_local_datetime(&whole).earliest()?.naive_utc(),
    };
    moment(&format!("{}{fraction}", utc.format("%Y-%m-%d %H:%M:%S")), "Z", out)
}

/// `+02:00`
fn offset(zone: &str) -> Option<TimeDelta> {
    let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
    let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
    TimeDelta::try_minutes(if zone.starts_with('-') { -minutes } else { minutes })
}
