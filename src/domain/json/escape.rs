//! Writes a JSON string, and reads one that was written here.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// For each byte: 0 when it needs no escape, else the character after the backslash (`u` for `\u00XX`).
const ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Appends `text` (UTF-8) as a JSON string, quotes included (RFC 8259, section 7): only what must
/// be escaped is.
#[expect(clippy::needless_bitwise_bool, reason = "without branches the compiler compares many bytes at once")]
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut from = 0;
    // Without an early end, so that the compiler examines many bytes at once.
    let has_escape =
        text.iter().fold(false, |has, &byte| has | (byte < b' ') | (byte == b'"') | (byte == b'\\'));
    let examined = if has_escape { text } else { &[] };
    for (at, &byte) in examined.iter().enumerate() {
        let escape = ESCAPE[usize::from(byte)];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&text[from..at]);
        from = at + 1;
        write_escape(out, byte, escape);
    }
    out.extend_from_slice(&text[from..]);
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8, escape: u8) {
    out.extend_from_slice(&[b'\\', escape]);
    if escape == b'u' {
        out.extend_from_slice(&[b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Appends one character of a JSON string, escaped when it must be.
pub(super) fn write_char(out: &mut Vec<u8>, character: char) {
    let mut utf8 = [0; 4];
    let text = character.encode_utf8(&mut utf8).as_bytes();
    match ESCAPE[usize::from(text[0])] {
        0 => out.extend_from_slice(text),
        escape => write_escape(out, text[0], escape),
    }
}

/// Appends the text of `string`: a JSON string, quotes included, as [`write_string`] and
/// [`super::compact()`] write it (no `\uXXXX` but for control characters).
pub fn read_string(string: &[u8], out: &mut Vec<u8>) {
    let mut rest = string.strip_prefix(b"\"").unwrap_or(string);
    rest = rest.strip_suffix(b"\"").unwrap_or(rest);
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = rest.get(at + 1).copied().unwrap_or(b'\\');
        let mut length = 2;
        out.push(match escape {
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 0x0c,
            b'r' => b'\r',
            b'u' => {
                length = 6;
                rest.get(at + 4..at + 6).map_or(0, |hex| digit(hex[0]) << 4 | digit(hex[1]))
            }
            other => other,
        });
        rest = rest.get(at + length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back_as_written() {
        let all: String = (0..=0x7f_u8).map(char::from).chain("é😀".chars()).collect();
        for text in ["", "plain", "a\"b\\c", "\u{0}\u{1f}\n", &all] {
            let mut out = Vec::new();
            write_string(&mut out, text.as_bytes());
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), *text);
            let mut back = Vec::new();
            read_string(&out, &mut back);
            assert_eq!(back, text.as_bytes());
            let mut by_char = vec![b'"'];
            text.chars().for_each(|character| write_char(&mut by_char, character));
            by_char.push(b'"');
            assert_eq!(by_char, out);
        }
    }
}
