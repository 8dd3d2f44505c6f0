//! Numbers as fixed-width base-62 text: digits, upper case, lower case; most significant first.

/// The digits, in the order of their values.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether `byte` is a base-62 digit.
pub(super) const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// `number` in 6 digits (62^6 > 2^32).
pub(super) fn from_u32(mut number: u32) -> [u8; 6] {
    let mut out = [b'0'; 6];
    for digit in out.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    out
}

/// 256 bits, big-endian, in 43 digits (62^43 > 2^256).
pub(super) fn from_256_bits(bytes: [u8; 32]) -> [u8; 43] {
    let mut number = bytes;
    let mut out = [b'0'; 43];
    for digit in out.iter_mut().rev() {
        // Schoolbook division by 62, a byte at a time from the most significant.
        let mut remainder = 0_u16;
        for byte in &mut number {
            let part = remainder << 8 | u16::from(*byte);
            *byte = (part / 62) as u8;
            remainder = part % 62;
        }
        *digit = DIGITS[usize::from(remainder)];
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(digit: u8) -> u32 {
        DIGITS.iter().position(|&known| known == digit).unwrap() as u32
    }

    #[test]
    fn extremes_have_their_full_width() {
        assert_eq!(&from_u32(0), b"000000");
        assert_eq!(&from_u32(61), b"00000z");
        assert_eq!(&from_u32(62), b"000010");
        assert_eq!(
            from_u32(u32::MAX).iter().fold(0_u64, |n, &d| n * 62 + u64::from(value(d))),
            u64::from(u32::MAX)
        );
        assert_eq!(&from_256_bits([0; 32]), &[b'0'; 43]);
        let mut one = [0; 32];
        one[31] = 63;
        assert!(from_256_bits(one).ends_with(b"0011"));
    }

    proptest! {
        #[test]
        fn digits_read_back_as_the_number(bytes in any::<[u8; 32]>()) {
            let mut back = [0_u8; 32];
            for digit in from_256_bits(bytes) {
                let mut carry = value(digit);
                for byte in back.iter_mut().rev() {
                    carry += u32::from(*byte) * 62;
                    *byte = carry as u8;
                    carry >>= 8;
                }
                prop_assert_eq!(carry, 0);
            }
            prop_assert_eq!(back, bytes);
        }
    }
}
