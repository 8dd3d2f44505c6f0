//! Durations as people write them, in configuration and in query parameters.

use std::time::Duration;

/// The units, largest first, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration: whole numbers with `ms`, `s`, `m`, `h` or `d`, largest first where several stand
/// together (`1h30m`). The error is what to write instead.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("add a unit: \"{text}s\"")
        } else {
            "write a whole number and a unit: \"250ms\", \"30s\", \"5m\", \"24h\", \"7d\"".to_owned()
        }
    };
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        // `units` goes on behind the last unit, which holds their order.
        let (_, unit_ms) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let part_ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*unit_ms));
        total_ms = part_ms.and_then(|part| total_ms.checked_add(part)).ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(total_ms)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("250ms", Some(250)),
            ("1s", Some(1000)),
            ("5m", Some(300_000)),
            ("24h", Some(86_400_000)),
            ("7d", Some(604_800_000)),
            ("1h30m", Some(5_400_000)),
            // The longest that `api/openapi.json` allows.
            ("999999999d999999999h999999999m999999999s999999999ms", Some(90_061_000_909_938_999)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("m", None),
            ("5 m", None),
            ("-5m", None),
            ("1.5h", None),
            ("30m1h", None),
            ("1m1m", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
            ("5é", None),
        ] {
            assert_eq!(parse(text).ok(), ms.map(Duration::from_millis), "{text}");
        }
        assert_eq!(parse("60").unwrap_err(), "add a unit: \"60s\"");
    }
}
