//! Values as text: what `{{ value }}` prints, and JSON.

use std::fmt::Write as _;

use super::{
    error::Result,
    meter::Meter,
    value::{Text, Value, range_size},
};
use crate::domain::json;

/// A value as text: that of an array is the text of its elements, that of an object is JSON.
pub(super) fn text<'r>(value: &Value<'r>, meter: &Meter) -> Result<Text<'r>> {
    Ok(match value {
        Value::Nil => Text::Borrowed(""),
        Value::Text(text) => text.clone(),
        Value::Decimal(decimal) => decimal.digits.clone(),
        _ => {
            let mut out = String::new();
            write(value, &mut out, meter)?;
            out.into()
        }
    })
}

/// Appends what `{{ value }}` prints.
pub(super) fn write(value: &Value<'_>, out: &mut String, meter: &Meter) -> Result {
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

/// A value as JSON: compact, or with lines that are indented by so many spaces a level.
pub(super) fn json(value: &Value<'_>, indent: usize, meter: &Meter) -> Result<String> {
    let mut out = String::new();
    Json { indent, meter }.write(value, 0, &mut out)?;
    Ok(out)
}

#[derive(Clone, Copy)]
struct Json<'m> {
    indent: usize,
    meter: &'m Meter,
}

impl Json<'_> {
    fn write(self, value: &Value<'_>, level: usize, out: &mut String) -> Result {
        self.meter.spend(1)?;
        match value {
            Value::Nil | Value::Loop(_) => out.push_str("null"),
            Value::Text(text) => self.string(text, out)?,
            Value::Array(elements) => {
                self.items(['[', ']'], elements.iter().map(|element| (None, element)), level, out)?;
            }
            Value::Object(members) => {
                self.items(['{', '}'], members.iter().map(|(key, value)| (Some(key), value)), level, out)?;
            }
            Value::Range(first, last) => {
                self.meter.spend(range_size(*first, *last))?;
                self.write(&Value::array((*first..=*last).map(Value::Int)), level, out)?;
            }
            Value::Bool(_) | Value::Int(_) | Value::Decimal(_) => write(value, out, self.meter)?,
        }
        Ok(())
    }

    /// Elements, or members with their keys.
    fn items<'v, 'r: 'v>(
        self,
        [open, close]: [char; 2],
        items: impl ExactSizeIterator<Item = (Option<&'v Text<'r>>, &'v Value<'r>)>,
        level: usize,
        out: &mut String,
    ) -> Result {
        let count = items.len();
        out.push(open);
        for (at, (key, value)) in items.enumerate() {
            out.push_str(if at > 0 { "," } else { "" });
            self.line(level + 1, out)?;
            if let Some(key) = key {
                self.string(key, out)?;
                out.push_str(if self.indent > 0 { ": " } else { ":" });
            }
            self.write(value, level + 1, out)?;
        }
        if count > 0 {
            self.line(level, out)?;
        }
        out.push(close);
        Ok(())
    }

    fn line(self, level: usize, out: &mut String) -> Result {
        if self.indent > 0 {
            self.meter.spend_bytes(self.indent * level)?;
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', self.indent * level));
        }
        Ok(())
    }

    fn string(self, text: &str, out: &mut String) -> Result {
        self.meter.spend_text(text.len())?;
        let mut bytes = Vec::with_capacity(text.len() + 2);
        json::write_string(&mut bytes, text.as_bytes());
        out.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }
}
