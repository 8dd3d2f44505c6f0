//! What is wrong with a template's text, and where.

use std::fmt;

use super::source::{Flaw, Source};

/// A template that does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mapping) struct SyntaxError {
    message: String,
    /// Line and column, both from 1, in characters.
    place: Option<(usize, usize)>,
    /// What to write instead.
    pub(in crate::mapping) hint: Option<String>,
}

impl SyntaxError {
    pub(super) fn new(message: String) -> Self {
        Self { message, place: None, hint: None }
    }

    pub(super) fn of_flaw(flaw: Flaw, template: &str) -> Self {
        Self { message: flaw.message, place: Some(place_of(template, flaw.at)), hint: flaw.hint }
    }

    /// An error of the crate's parser, which saw the rewritten text.
    pub(super) fn of_parser(error: &liquid_core::Error, source: &Source, template: &str) -> Self {
        let text = error.to_string();
        let place = reported_place(&text).map(|place| {
            let at = source.original_offset(offset_of(&source.text, place));
            place_of(template, at)
        });
        Self { message: reported_message(&text), place, hint: None }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.place {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

/// Line and column of a byte offset.
fn place_of(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The byte offset of a line and column; the end of the text when it has no such place.
fn offset_of(text: &str, (line, column): (usize, usize)) -> usize {
    let line_start = match line {
        0 | 1 => 0,
        _ => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    text[line_start..]
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(text.len(), |(at, _)| line_start + at)
}

/// The `3:7` of the parser's ` --> 3:7`.
fn reported_place(text: &str) -> Option<(usize, usize)> {
    let (_, rest) = text.split_once("--> ")?;
    let (line, column) = rest.lines().next()?.split_once(':')?;
    Some((line.trim().parse().ok()?, column.trim().parse().ok()?))
}

/// The parser's words, without its picture of the text.
fn reported_message(text: &str) -> String {
    let said = text.lines().find_map(|line| line.trim_start().strip_prefix("= "));
    let first = || text.lines().next().unwrap_or_default();
    let said = said.unwrap_or_else(|| first().strip_prefix("liquid: ").unwrap_or_else(first));
    format!("the template is not valid Liquid: {}", said.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_offsets_agree() {
        let text = "ab\né {{ x\n}}";
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert_eq!(offset_of(text, place_of(text, at)), at);
        }
        assert_eq!(place_of(text, 5), (2, 2));
        assert_eq!(offset_of(text, (9, 1)), text.len());
    }
}
