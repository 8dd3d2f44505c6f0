//! Floats: the shortest digits that read back as the same float.

use super::write_decimal;

/// From this power of ten on, and below [`POSITIONAL_FROM`], an exponent is written, as JavaScript
/// does for large numbers.
const POSITIONAL_TO: i64 = 21;
/// The lowest power of ten that is written positionally.
const POSITIONAL_FROM: i64 = -7;

/// Appends a float of 64 bits. Returns false, and writes nothing, for NaN and infinities.
pub fn double(value: f64, out: &mut Vec<u8>) -> bool {
    if value.is_finite() {
        write(zmij::Buffer::new().format_finite(value), out);
    }
    value.is_finite()
}

/// Appends a float of 32 bits. Returns false, and writes nothing, for NaN and infinities.
pub fn single(value: f32, out: &mut Vec<u8>) -> bool {
    if value.is_finite() {
        write(zmij::Buffer::new().format_finite(value), out);
    }
    value.is_finite()
}

fn write(shortest: &str, out: &mut Vec<u8>) {
    match shortest.split_once('e') {
        None => {
            let text = shortest.strip_suffix(".0").unwrap_or(shortest);
            out.extend_from_slice(if text == "-0" { b"0" } else { text.as_bytes() });
        }
        Some((mantissa, exponent)) => {
            let power: i64 = exponent.parse().unwrap_or_default();
            let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
            if unsigned.len() < mantissa.len() {
                out.push(b'-');
            }
            let unsigned = unsigned.strip_suffix(".0").unwrap_or(unsigned);
            if (POSITIONAL_FROM..POSITIONAL_TO).contains(&power) {
                let digits: Vec<u8> = unsigned.bytes().filter(u8::is_ascii_digit).collect();
                write_decimal(&digits, power + 1, out);
            } else {
                out.extend_from_slice(unsigned.as_bytes());
                out.extend_from_slice(if power < 0 { b"e-" } else { b"e+" });
                out.extend_from_slice(itoa::Buffer::new().format(power.unsigned_abs()).as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        double(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_short_and_positional() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (5.0, "5"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e-7, "0.0000001"),
            (-1.25e-7, "-0.000000125"),
            (9.5e-8, "9.5e-8"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, ""),
            (f64::NEG_INFINITY, ""),
        ] {
            assert_eq!(text(value), expected);
        }
        let mut out = Vec::new();
        single(0.1, &mut out);
        single(16_777_216.0, &mut out);
        single(1e10, &mut out);
        assert_eq!(out, b"0.11677721610000000000");
    }

    proptest! {
        #[test]
        fn floats_read_back(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            let text = text(value);
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), (value + 0.0).to_bits());
            let magnitude = value.abs();
            let is_positional = magnitude == 0.0 || (1e-7..1e21).contains(&magnitude);
            prop_assert_eq!(text.contains('e'), !is_positional);
            prop_assert!(!text.ends_with(".0"));
        }

        #[test]
        fn common_floats_read_back(digits in any::<i32>(), power in -25..25) {
            let value: f64 = format!("{digits}e{power}").parse().unwrap();
            let text = text(value);
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), (value + 0.0).to_bits());
            prop_assert_eq!(text.contains('e'), value != 0.0 && !(1e-7..1e21).contains(&value.abs()));
        }
    }
}
