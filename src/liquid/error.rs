//! What is wrong with the text of a template, and where.

use std::fmt;

/// What stops a piece of markup from being Liquid.
#[derive(Debug)]
pub(super) struct Flaw {
    /// Byte offset in the template.
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Flaw {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Message, hint and place in one line.
    pub(super) fn with_place(&self, template: &str) -> String {
        let (line, column) = place(template, self.at);
        let hint = self.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}{hint} (line {line}, column {column})", self.message)
    }
}

/// A fault of a template with its place. It displays as the message, the line and a marker below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// What to write instead, when that is known.
    pub hint: Option<String>,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1 in characters.
    pub column: usize,
    excerpt: String,
}

impl SyntaxError {
    pub(super) fn of(flaw: Flaw, template: &str) -> Self {
        /// Most characters of a line that are shown on one side of the fault.
        const SHOWN_MAX: usize = 40;
        let (line, column) = place(template, flaw.at);
        let text = template.lines().nth(line - 1).unwrap_or_default();
        let skipped = (column - 1).saturating_sub(SHOWN_MAX);
        let shown: String = text
            .chars()
            .skip(skipped)
            .take(2 * SHOWN_MAX)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let excerpt = format!("{shown}\n{}^", " ".repeat(column - 1 - skipped));
        Self { message: flaw.message, hint: flaw.hint, line, column, excerpt }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {})\n{}", self.message, self.line, self.column, self.excerpt)
    }
}

impl std::error::Error for SyntaxError {}

/// Line and column of a byte offset, both from 1; the column counts characters.
fn place(template: &str, at: usize) -> (usize, usize) {
    let before = &template[..template.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
