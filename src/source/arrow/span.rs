//! Durations and intervals in ISO 8601: every part has its own sign, as Postgres' `iso_8601` style has it.

use crate::{domain::row::CellKind, source::cell};

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// `P1Y2M3DT4H5M6.7S`; parts that are zero are left out, `PT0S` is an empty span.
pub(super) fn span(months: i64, days: i64, nanos: i128, out: &mut Vec<u8>) -> CellKind {
    out.push(b'P');
    part(months / 12, b'Y', out);
    part(months % 12, b'M', out);
    part(days, b'D', out);
    if nanos == 0 {
        if (months, days) == (0, 0) {
            out.extend_from_slice(b"T0S");
        }
        return CellKind::Text;
    }
    out.push(b'T');
    let (seconds, nanos) = (nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND);
    // A duration in seconds has more hours than 64 bits of nanoseconds, and never more than 64 bits of seconds.
    part((seconds / 3600) as i64, b'H', out);
    part((seconds / 60 % 60) as i64, b'M', out);
    let rest = seconds % 60;
    if rest != 0 || nanos != 0 {
        if rest < 0 || nanos < 0 {
            out.push(b'-');
        }
        cell::integer(rest.unsigned_abs() as u64, out);
        cell::fraction(nanos.unsigned_abs() as u32, out);
        out.push(b'S');
    }
    CellKind::Text
}

fn part(value: i64, unit: u8, out: &mut Vec<u8>) {
    if value != 0 {
        cell::integer(value, out);
        out.push(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_signs() {
        for (months, days, nanos, expected) in [
            (0, 0, 0, "PT0S"),
            (14, 3, 14_706_700_000_000, "P1Y2M3DT4H5M6.7S"),
            (-14, 3, -1, "P-1Y-2M3DT-0.000000001S"),
            (0, 0, 86_400_000_000_000, "PT24H"),
            (0, -1, 0, "P-1D"),
            (0, 0, i128::from(i64::MIN) * NANOS_PER_SECOND, "PT-2562047788015215H-30M-8S"),
        ] {
            let mut out = Vec::new();
            span(months, days, nanos, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
