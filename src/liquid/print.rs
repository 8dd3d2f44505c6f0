//! Values as text: what `{{ value }}` prints, and JSON.

use std::fmt::Write as _;

use super::{
    Failure,
    meter::Meter,
    value::{Text, Value, range_size},
};
use crate::domain::json;

/// A value as text: that of an array is the text of its elements, that of an object is JSON.
pub(super) fn text<'r>(value: &Value<'r>, meter: &Meter) -> Result<Text<'r>, Failure> {
    Ok(match value {
        Value::Text(text) => text.clone(),
        Value::Decimal(decimal) => decimal.digits.clone(),
        Value::Nil => Text::Borrowed(""),
        Value::Bool(value) => Text::Borrowed(if *value { "true" } else { "false" }),
        _ => {
            let mut out = String::new();
            write(value, &mut out, meter)?;
            out.into()
        }
    })
}

/// Appends what `{{ value }}` prints.
pub(super) fn write(value: &Value<'_>, out: &mut String, meter: &Meter) -> Result<(), Failure> {
    match value {
        Value::Nil | Value::Loop(_) => {}
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(whole) => out.push_str(itoa::Buffer::new().format(*whole)),
        Value::Decimal(decimal) => out.push_str(&decimal.digits),
        Value::Text(text) => {
            meter.spend_text(text.len() / 4)?;
            out.push_str(text);
        }
        Value::Range(first, last) => {
            let _ = write!(out, "{first}..{last}");
        }
        Value::Array(elements) => {
            meter.spend(elements.len())?;
            for element in elements.iter() {
                write(element, out, meter)?;
            }
        }
        Value::Object(_) => return Json { indent: 0, meter }.write(value, 0, out),
    }
    Ok(())
}

/// A writer of JSON: compact, or with lines that are indented by so many spaces a level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<'m> {
    pub(super) indent: usize,
    pub(super) meter: &'m Meter,
}

impl Json<'_> {
    pub(super) fn write(self, value: &Value<'_>, level: usize, out: &mut String) -> Result<(), Failure> {
        self.meter.spend(1)?;
        match value {
            Value::Nil | Value::Loop(_) => out.push_str("null"),
            Value::Text(text) => {
                self.meter.spend_text(text.len())?;
                write_string(text, out);
            }
            Value::Array(elements) => self
                .items('[', ']', elements, level, out, |element, out| self.write(element, level + 1, out))?,
            Value::Object(members) => self.items('{', '}', members, level, out, |(key, value), out| {
                self.meter.spend_bytes(key.len())?;
                write_string(key, out);
                out.push_str(if self.indent > 0 { ": " } else { ":" });
                self.write(value, level + 1, out)
            })?,
            Value::Range(first, last) => {
                self.meter.spend(range_size(*first, *last))?;
                self.write(&Value::array((*first..=*last).map(Value::Int)), level, out)?;
            }
            Value::Bool(_) | Value::Int(_) | Value::Decimal(_) => write(value, out, self.meter)?,
        }
        Ok(())
    }

    fn items<T>(
        self,
        open: char,
        close: char,
        items: &[T],
        level: usize,
        out: &mut String,
        mut write: impl FnMut(&T, &mut String) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        out.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            self.line(level + 1, out)?;
            write(item, out)?;
        }
        if !items.is_empty() {
            self.line(level, out)?;
        }
        out.push(close);
        Ok(())
    }

    fn line(self, level: usize, out: &mut String) -> Result<(), Failure> {
        if self.indent > 0 {
            self.meter.spend_bytes(self.indent * level)?;
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', self.indent * level));
        }
        Ok(())
    }
}

fn write_string(text: &str, out: &mut String) {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    json::write_string(&mut bytes, text.as_bytes());
    out.push_str(&String::from_utf8_lossy(&bytes));
}
