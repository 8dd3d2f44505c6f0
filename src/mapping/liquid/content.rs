//! Rewriting what stands inside of tags and outputs.

use super::{
    filters,
    source::{ALIAS, Flaw, NESTING_MAX, Reader},
};
use crate::mapping::fault::nearest;

/// Most digits of a number in a template: the parser panics past 64 bits.
const DIGITS_MAX: usize = 18;
/// Words that the grammar takes for literals, also at the beginning of a longer name.
const LITERALS: [&str; 6] = ["nil", "null", "empty", "blank", "true", "false"];
/// Words that are part of the language where they stand, not names of variables.
const WORDS: [&str; 9] =
    ["in", "and", "or", "contains", "reversed", "limit", "offset", "forloop", "tablerowloop"];

/// Whether `name` may be a part of the language where it stands, and no variable.
pub(super) fn is_word(name: &str) -> bool {
    WORDS.contains(&name)
}

/// What came before a token, as far as it matters to the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    /// A name, or a closed bracket.
    Value,
    Dot,
    Pipe,
    Other,
}

/// What a piece of markup holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Output,
    Tag,
    /// The first name is given a value and not read.
    Binding,
}

impl Reader<'_> {
    /// Rewrites what stands inside of a tag or an output.
    pub(super) fn content(&mut self, (start, end): (usize, usize), content: Content) -> Result<(), Flaw> {
        let bytes = self.template.as_bytes();
        let mut at = start;
        let mut before = if content == Content::Binding { Before::Start } else { Before::Other };
        let mut brackets = 0_usize;
        while at < end {
            let token = at;
            if content == Content::Output && before == Before::Value && begins_value(bytes[at]) {
                return Err(Flaw::new(token, "a filter, or the end of the output, is expected")
                    .hint("put `|` before a filter"));
            }
            match bytes[at] {
                b'\'' | b'"' => {
                    at = self.quote_end(at)?;
                    self.string(token, at);
                    before = Before::Value;
                }
                byte if byte.is_ascii_whitespace() => {
                    at += 1;
                    self.emit(token, if byte == b'\n' { "\n" } else { " " });
                }
                byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                    at += identifier(&self.template[at..end]).len();
                    self.name(token, at, end, before)?;
                    before = if before == Before::Pipe { Before::Other } else { Before::Value };
                }
                byte if byte.is_ascii_digit() => {
                    at += self.number(at, end)?;
                    self.copy(token, at);
                    before = Before::Value;
                }
                b'.' if bytes[at..end].starts_with(b"..") => {
                    at += 2;
                    self.copy(token, at);
                    before = Before::Other;
                }
                b'.' if before == Before::Value
                    && bytes[at + 1..end].first().is_some_and(u8::is_ascii_digit) =>
                {
                    at += 1 + identifier(&self.template[at + 1..end]).len();
                    let key = &self.template[token + 1..at];
                    self.emit(token, &format!("['{key}']"));
                    before = Before::Value;
                }
                byte => {
                    at += self.template[at..].chars().next().map_or(1, char::len_utf8);
                    self.copy(token, at);
                    match byte {
                        b'[' => brackets += 1,
                        b']' => brackets = brackets.saturating_sub(1),
                        _ => {}
                    }
                    if brackets > NESTING_MAX {
                        return Err(Flaw::new(
                            token,
                            format!("brackets are nested more than {NESTING_MAX} deep"),
                        ));
                    }
                    before = match byte {
                        b'.' => Before::Dot,
                        b'|' => Before::Pipe,
                        b']' => Before::Value,
                        _ => Before::Other,
                    };
                }
            }
        }
        Ok(())
    }

    fn string(&mut self, start: usize, end: usize) {
        let inner = self.template[start + 1..end - 1].trim();
        if inner.eq_ignore_ascii_case("now") || inner.eq_ignore_ascii_case("today") {
            self.source.reads_clock = true;
        }
        self.copy(start, end);
    }

    fn name(&mut self, start: usize, end: usize, limit: usize, before: Before) -> Result<(), Flaw> {
        let name = &self.template[start..end];
        match before {
            Before::Dot => {}
            Before::Pipe => check_filter(name, start)?,
            _ if LITERALS.contains(&name) => {}
            _ => {
                let is_label = self.template[end..limit].trim_start().starts_with(':');
                if before == Before::Start {
                    self.source.assigned.insert(name.to_owned());
                } else if !is_label {
                    self.source.names.insert(name.to_owned());
                }
                if LITERALS.iter().any(|literal| name.starts_with(literal)) {
                    self.emit(start, ALIAS);
                }
            }
        }
        self.copy(start, end);
        Ok(())
    }

    /// The length of the number at `at`.
    fn number(&self, at: usize, end: usize) -> Result<usize, Flaw> {
        let rest = &self.template.as_bytes()[at..end];
        let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut length = digits(0);
        if length > DIGITS_MAX {
            return Err(Flaw::new(at, format!("a number in a template has at most {DIGITS_MAX} digits")));
        }
        if rest.get(length) == Some(&b'.') && rest.get(length + 1).is_some_and(u8::is_ascii_digit) {
            length += 1 + digits(length + 1);
        }
        Ok(length)
    }
}

fn begins_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\'' | b'"')
}

/// The letters, digits, `_` and inner `-` that `text` begins with.
pub(super) fn identifier(text: &str) -> &str {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let length = text.bytes().take_while(|byte| is_part(*byte)).count();
    text[..length].trim_end_matches('-')
}

fn check_filter(name: &str, at: usize) -> Result<(), Flaw> {
    if filters::names().any(|known| known == name) {
        return Ok(());
    }
    let flaw = Flaw::new(at, format!("the filter `{name}` is not supported"));
    Err(match nearest(name, filters::names()) {
        Some(near) => flaw.hint(format!("did you mean `{near}`?")),
        None => flaw,
    })
}
