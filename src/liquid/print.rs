//! Values as text: what `{{ value }}` prints, and the notations of Ruby and JSON.

use std::fmt::Write as _;

use super::{
    Meter, Result, Text, Value,
    value::{Decimal, range_size},
};
use crate::domain::json;

/// A value as text: arrays and objects as Ruby's `inspect` writes them.
pub(super) fn text<'r>(value: &Value<'r>, meter: &Meter) -> Result<Text<'r>> {
    let mut out = String::new();
    match value {
        Value::Nil => return Ok(Text::Borrowed("")),
        Value::Text(text) => return Ok(text.clone()),
        Value::Decimal(decimal) => return Ok(decimal.digits.clone()),
        Value::Array(_) => Notation { indent: None, meter, out: &mut out }.write(value, 0)?,
        _ => write(value, &mut out, meter)?,
    }
    Ok(out.into())
}

/// Appends what `{{ value }}` prints: of an array its elements one after the other.
pub(super) fn write(value: &Value<'_>, out: &mut String, meter: &Meter) -> Result {
    match value {
        Value::Nil | Value::Loop(_) => {}
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(whole) => out.push_str(itoa::Buffer::new().format(*whole)),
        Value::Decimal(Decimal { digits: text, .. }) | Value::Text(text) => {
            meter.spend_text(text.len() / 4)?;
            out.push_str(text);
        }
        Value::Range(first, last) => {
            meter.spend(8)?;
            let _ = write!(out, "{first}..{last}");
        }
        Value::Array(elements) => {
            meter.spend(elements.len())?;
            elements.iter().try_for_each(|element| write(element, out, meter))?;
        }
        Value::Object(_) => Notation { indent: None, meter, out }.write(value, 0)?,
    }
    Ok(())
}

/// A value as JSON: compact, or with lines that are indented by so many spaces a level.
pub(super) fn json(value: &Value<'_>, indent: usize, meter: &Meter) -> Result<String> {
    let mut out = String::new();
    Notation { indent: Some(indent), meter, out: &mut out }.write(value, 0)?;
    Ok(out)
}

/// How values inside each other are written.
struct Notation<'w> {
    /// Spaces for each level of JSON; `None` is Ruby's notation.
    indent: Option<usize>,
    meter: &'w Meter,
    out: &'w mut String,
}

impl Notation<'_> {
    fn write(&mut self, value: &Value<'_>, level: usize) -> Result {
        self.meter.spend(1)?;
        match value {
            Value::Nil | Value::Loop(_) => {
                self.out.push_str(if self.indent.is_some() { "null" } else { "nil" });
            }
            Value::Text(text) => self.string(text)?,
            Value::Array(elements) => {
                self.items(['[', ']'], elements.iter().map(|element| (None, element)), level)?;
            }
            Value::Object(members) => {
                self.items(['{', '}'], members.iter().map(|(key, value)| (Some(key), value)), level)?;
            }
            Value::Range(first, last) if self.indent.is_some() => {
                self.meter.spend(range_size(*first, *last))?;
                self.write(&Value::array((*first..=*last).map(Value::Int)), level)?;
            }
            _ => write(value, self.out, self.meter)?,
        }
        Ok(())
    }

    /// Elements, or members with their keys.
    fn items<'v, 'r: 'v>(
        &mut self,
        [open, close]: [char; 2],
        items: impl ExactSizeIterator<Item = (Option<&'v Text<'r>>, &'v Value<'r>)>,
        level: usize,
    ) -> Result {
        let (comma, colon) = match self.indent {
            None => (", ", "=>"),
            Some(0) => (",", ":"),
            Some(_) => (",", ": "),
        };
        let count = items.len();
        self.out.push(open);
        for (at, (key, value)) in items.enumerate() {
            self.out.push_str(if at > 0 { comma } else { "" });
            self.line(level + 1)?;
            if let Some(key) = key {
                self.string(key)?;
                self.out.push_str(colon);
            }
            self.write(value, level + 1)?;
        }
        if count > 0 {
            self.line(level)?;
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, level: usize) -> Result {
        if let Some(indent @ 1..) = self.indent {
            self.meter.spend_bytes(indent * level)?;
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * level));
        }
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result {
        self.meter.spend_text(text.len())?;
        if self.indent.is_some() {
            let mut bytes = Vec::with_capacity(text.len() + 2);
            json::write_string(&mut bytes, text.as_bytes());
            self.out.push_str(&String::from_utf8_lossy(&bytes));
            return Ok(());
        }
        self.meter.spend(text.len() / 4)?;
        self.out.push('"');
        for (at, c) in text.char_indices() {
            let escape = match c {
                '"' | '\\' => c,
                '#' if text[at + 1..].starts_with(['{', '$', '@']) => '#',
                '\x07'..='\r' => char::from(b"abtnvfr"[c as usize - 7]),
                '\x1b' => 'e',
                c if c.is_ascii_control() => {
                    let _ = write!(self.out, "\\u{:04X}", u32::from(c));
                    continue;
                }
                c => {
                    self.out.push(c);
                    continue;
                }
            };
            self.out.extend(['\\', escape]);
        }
        self.out.push('"');
        Ok(())
    }
}
