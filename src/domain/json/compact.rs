//! Checks and compacts one JSON value in one pass, without recursion.

use super::{
    escape,
    members::{Members, OpenObject},
    number::number,
};
use crate::domain::{
    limits::{DEPTH_MAX, RECORD_BYTES_MAX},
    reject::RejectReason,
};

/// Output may grow to this before duplicates are dropped and the record's bound is applied:
/// bounds what exponents that are written out can cost.
const WORKING_BYTES_MAX: usize = 4 * RECORD_BYTES_MAX;

/// Appends `raw`, one JSON value (RFC 8259), to `out` in canonical form and returns its depth in
/// levels: 0 for a scalar, 1 for `[]`.
///
/// White space is dropped. Of members with one name only the last stays, at its place. Escapes are written only
/// where they must be. Digits stay as they are, `-0` is `0`, exponents are written out. On an error `out` is as
/// it was.
///
/// # Errors
/// `InvalidText` for bytes that are not UTF-8; `InvalidJson` for what is not JSON, `\u0000`, a lone
/// surrogate or a number of more than [`super::NUMBER_DIGITS_MAX`] digits; `RecordTooDeep` past [`DEPTH_MAX`]
/// levels; `RecordTooLarge` when the result is over [`RECORD_BYTES_MAX`]. What a duplicate hides
/// counts too.
pub fn compact(raw: &[u8], out: &mut Vec<u8>) -> Result<usize, RejectReason> {
    Compactor::default().compact(raw, out)
}

/// [`compact`] with reusable buffers.
#[derive(Debug, Default)]
pub struct Compactor {
    members: Members,
    open: Vec<Frame>,
}

#[derive(Debug)]
enum Frame {
    Array,
    Object(OpenObject),
}

impl Compactor {
    /// See [`compact`].
    pub fn compact(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<usize, RejectReason> {
        let start = out.len();
        self.members.clear();
        self.open.clear();
        let mut scan = Scan { raw, at: 0, out, start, buffers: self };
        let result = scan.run();
        let length = out.len() - start;
        let result = match result {
            Ok(_) if length > RECORD_BYTES_MAX => Err(RejectReason::RecordTooLarge),
            other => other,
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

struct Scan<'a> {
    raw: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    start: usize,
    buffers: &'a mut Compactor,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<usize, RejectReason> {
        if self.raw.len() > u32::MAX as usize {
            return Err(RejectReason::RecordTooLarge);
        }
        if std::str::from_utf8(self.raw).is_err() {
            return Err(RejectReason::InvalidText);
        }
        self.out.reserve(self.raw.len());
        let mut deepest = 0;
        loop {
            self.value()?;
            deepest = deepest.max(self.buffers.open.len());
            if self.opened_with_content()? {
                continue;
            }
            if self.close_and_advance()? {
                return Ok(deepest);
            }
            if self.out.len() - self.start > WORKING_BYTES_MAX {
                return Err(RejectReason::RecordTooLarge);
            }
        }
    }

    /// Writes a scalar, or opens an array or object.
    fn value(&mut self) -> Result<(), RejectReason> {
        match self.next_token() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => {
                self.at += number(&self.raw[self.at..], self.out)?;
                Ok(())
            }
            Some(b'{') => {
                let object = self.buffers.members.open();
                self.open(b'{', Frame::Object(object))
            }
            Some(b'[') => self.open(b'[', Frame::Array),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(RejectReason::InvalidJson),
        }
    }

    /// Whether the value just begun is an array or object that is not empty; then writes the first member's
    /// key. The closing bracket of an empty one is read later.
    fn opened_with_content(&mut self) -> Result<bool, RejectReason> {
        match self.out.last().copied() {
            // A string ends with its quote, so a bracket at the end is not text.
            Some(b'{') if self.next_token() != Some(b'}') => self.key().map(|()| true),
            Some(b'[') if self.next_token() != Some(b']') => Ok(true),
            _ => Ok(false),
        }
    }

    /// After a value: closes what ends here and reads up to the next value. True at the end.
    fn close_and_advance(&mut self) -> Result<bool, RejectReason> {
        loop {
            let token = self.next_token();
            match (self.buffers.open.last(), token) {
                (None, None) => return Ok(true),
                (Some(Frame::Array), Some(b',')) => {
                    self.copy(b',');
                    return Ok(false);
                }
                (Some(Frame::Object(_)), Some(b',')) => {
                    self.copy(b',');
                    self.key()?;
                    return Ok(false);
                }
                (Some(Frame::Array), Some(b']')) => {
                    self.buffers.open.pop();
                    self.copy(b']');
                }
                (Some(Frame::Object(_)), Some(b'}')) => {
                    if let Some(Frame::Object(object)) = self.buffers.open.pop() {
                        self.buffers.members.close(&object, self.out, self.start);
                    }
                    self.copy(b'}');
                }
                _ => return Err(RejectReason::InvalidJson),
            }
        }
    }

    fn open(&mut self, bracket: u8, frame: Frame) -> Result<(), RejectReason> {
        if self.buffers.open.len() == DEPTH_MAX {
            return Err(RejectReason::RecordTooDeep);
        }
        self.buffers.open.push(frame);
        self.copy(bracket);
        Ok(())
    }

    /// Writes the key of the next member and its colon.
    fn key(&mut self) -> Result<(), RejectReason> {
        if self.next_token() != Some(b'"') {
            return Err(RejectReason::InvalidJson);
        }
        let from = self.out.len() - self.start;
        self.string()?;
        let to = self.out.len() - self.start;
        if self.next_token() != Some(b':') {
            return Err(RejectReason::InvalidJson);
        }
        if let Some(Frame::Object(object)) = self.buffers.open.last_mut() {
            self.buffers.members.add(object, &self.out[self.start..], from, to);
        }
        self.copy(b':');
        Ok(())
    }

    /// Writes the string whose opening quote is next.
    fn string(&mut self) -> Result<(), RejectReason> {
        let mut from = self.at;
        let mut at = self.at + 1;
        loop {
            at = plain_end(self.raw, at);
            match self.raw.get(at) {
                Some(b'"') => {
                    self.out.extend_from_slice(&self.raw[from..=at]);
                    self.at = at + 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.out.extend_from_slice(&self.raw[from..at]);
                    at = self.escape(at + 1)?;
                    from = at;
                }
                _ => return Err(RejectReason::InvalidJson),
            }
        }
    }

    /// Writes the escape whose letter is at `at` and returns its end.
    fn escape(&mut self, at: usize) -> Result<usize, RejectReason> {
        let character = match self.raw.get(at) {
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(*letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(at + 1),
            _ => return Err(RejectReason::InvalidJson),
        };
        escape::write_char(self.out, character);
        Ok(at + 1)
    }

    /// Writes the character of the four hexadecimal digits at `at`, or of the pair of surrogates
    /// that begins there, and returns the end.
    fn unicode(&mut self, at: usize) -> Result<usize, RejectReason> {
        let high = self.hex(at)?;
        let (code, end) = if (0xd800..0xdc00).contains(&high) {
            if self.raw.get(at + 4..at + 6) != Some(b"\\u") {
                return Err(RejectReason::InvalidJson);
            }
            let low = self.hex(at + 6)?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(RejectReason::InvalidJson);
            }
            (0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), at + 10)
        } else {
            (high, at + 4)
        };
        match char::from_u32(code) {
            Some(character) if character != '\0' => escape::write_char(self.out, character),
            _ => return Err(RejectReason::InvalidJson),
        }
        Ok(end)
    }

    fn hex(&self, at: usize) -> Result<u32, RejectReason> {
        let digits = self.raw.get(at..at + 4).ok_or(RejectReason::InvalidJson)?;
        digits.iter().try_fold(0, |code, digit| {
            let value = char::from(*digit).to_digit(16).ok_or(RejectReason::InvalidJson)?;
            Ok(code << 4 | value)
        })
    }

    fn word(&mut self, word: &[u8]) -> Result<(), RejectReason> {
        if !self.raw[self.at..].starts_with(word) {
            return Err(RejectReason::InvalidJson);
        }
        self.out.extend_from_slice(word);
        self.at += word.len();
        Ok(())
    }

    /// The next byte that is not white space; stays before it.
    fn next_token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.raw.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn copy(&mut self, byte: u8) {
        self.out.push(byte);
        self.at += 1;
    }
}

/// The first byte from `at` on that does not stand for itself in a string: a quote, a backslash or
/// a control character. Eight bytes at a time.
fn plain_end(raw: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    const fn zero_bytes(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    while let Some(bytes) = raw.get(at..at + 8) {
        let word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        // Only the lowest mark is exact (a borrow may add marks above it), and only it is used.
        let marks = control | zero_bytes(word ^ (ONES * 0x22)) | zero_bytes(word ^ (ONES * 0x5c));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while raw.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests;
