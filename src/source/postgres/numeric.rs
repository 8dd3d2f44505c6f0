//! Numerics from Postgres's binary form: exact digits, as Postgres prints them.

use super::decode::Outcome;
use crate::domain::CellKind;

/// Appends the digits of a numeric as `numeric_send` writes it (Postgres's `numeric.c`): four
/// 16-bit words (number of digits, weight of the first, sign, digits after the point), then digits
/// to the base of 10,000.
pub(super) fn numeric(value: &[u8], out: &mut Vec<u8>) -> Outcome {
    let (words, rest) = value.as_chunks::<2>();
    let [count, weight, sign, scale, digits @ ..] = words else { return Outcome::Malformed };
    let (count, scale) = (u16::from_be_bytes(*count), u16::from_be_bytes(*scale));
    if !rest.is_empty() || usize::from(count) != digits.len() {
        return Outcome::Malformed;
    }
    match u16::from_be_bytes(*sign) {
        0x0000 => {}
        0x4000 => out.push(b'-'),
        0xc000 | 0xd000 | 0xf000 => return Outcome::Nulled,
        _ => return Outcome::Malformed,
    }
    let weight = i32::from(i16::from_be_bytes(*weight));
    let digit = |at: i32| {
        let digit = usize::try_from(at).ok().and_then(|at| digits.get(at));
        digit.map_or(0, |digit| u16::from_be_bytes(*digit).min(9999))
    };
    if weight < 0 {
        out.push(b'0');
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(digit(0)).as_bytes());
        for at in 1..=weight {
            out.extend_from_slice(&four(digit(at)));
        }
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(scale);
        let mut at = weight + 1;
        while out.len() < end {
            out.extend_from_slice(&four(digit(at)));
            at += 1;
        }
        out.truncate(end);
    }
    Outcome::Cell(CellKind::Number)
}

fn four(value: u16) -> [u8; 4] {
    let digit = |value: u16| b'0' + (value % 10) as u8;
    [digit(value / 1000), digit(value / 100), digit(value / 10), digit(value)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[u16]) -> Option<String> {
        let value: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut out = Vec::new();
        (numeric(&value, &mut out) == Outcome::Cell(CellKind::Number))
            .then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn digits_are_exact() {
        let minus_one = u16::MAX;
        for (words, expected) in [
            (&[0, 0, 0, 0][..], Some("0")),
            (&[0, 0, 0, 2], Some("0.00")),
            (&[1, 0, 0, 0, 7], Some("7")),
            (&[2, 0, 0x4000, 3, 12, 5000], Some("-12.500")),
            (&[1, 1, 0, 0, 3], Some("30000")),
            (&[2, 2, 0, 1, 1, 20], Some("100200000.0")),
            (&[1, minus_one, 0, 4, 5], Some("0.0005")),
            (&[1, minus_one - 1, 0, 8, 5], Some("0.00000005")),
            (&[0, 0, 0xc000, 0], None),
            (&[0, 0, 0xd000, 0], None),
            (&[0, 0, 0x1234, 0], None),
            (&[2, 0, 0, 0, 1], None),
            (&[0, 0], None),
        ] {
            assert_eq!(read(words).as_deref(), expected, "{words:?}");
        }
        assert_eq!(numeric(&[0; 9], &mut Vec::new()), Outcome::Malformed);
    }
}
