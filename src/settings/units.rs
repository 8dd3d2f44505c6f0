//! Parses sizes and shares, and formats durations and sizes.

use std::time::Duration;

/// Parses a size in bytes: a whole number with `B`, `kB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`, `MiB`,
/// `GiB`, `TiB` (powers of 1024), in any case. The error says what to write.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write a whole number and a unit: \"64MB\", \"2GiB\"".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

/// Parses `30%` or `12.5%` to a share in 0..=1. The error says what to write.
pub fn share(text: &str) -> Result<f64, String> {
    let wrong = || "write a percentage, \"30%\", or a number from 0.0 to 1.0".to_owned();
    let number = text.strip_suffix('%').map(str::trim_end).ok_or_else(wrong)?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent: f64 = number.parse().ok().filter(|_| is_plain).ok_or_else(wrong)?;
    if percent <= 100.0 { Ok(percent / 100.0) } else { Err(wrong()) }
}

/// Formats a duration as [`crate::domain::duration::parse`] reads it.
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (unit, unit_ms) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms > 0 && ms.is_multiple_of(unit_ms) {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    format!("{ms}ms")
}

/// Formats a size as [`size`] reads it.
pub fn show_size(bytes: u64) -> String {
    let units = [
        ("TB", 1_000_000_000_000),
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("kB", 1000),
    ];
    let unit = units.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::duration;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("64MB", Some(64_000_000)),
            ("64 mb", Some(64_000_000)),
            ("2GiB", Some(2 << 30)),
            ("0B", Some(0)),
            ("64", None),
            ("MB", None),
            ("-1MB", None),
            ("99999999TB", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn shares() {
        for (text, expected) in [
            ("30%", Some(0.3)),
            ("0%", Some(0.0)),
            ("100%", Some(1.0)),
            ("12.5 %", Some(0.125)),
            ("101%", None),
            ("30", None),
            ("%", None),
            ("-1%", None),
            ("nan%", None),
            ("1e1%", None),
        ] {
            assert_eq!(share(text).ok(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn formatted_values_parse_to_the_same_values(ms in 0_u64..100_000_000_000, bytes in 0_u64..1 << 50) {
            let time = Duration::from_millis(ms);
            prop_assert_eq!(duration::parse(&show_duration(time)), Ok(time));
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,20}") {
            let _ = (duration::parse(&text), size(&text), share(&text));
        }
    }
}
