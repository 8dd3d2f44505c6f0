//! Faults of a template's text, and failures of a render.

use std::fmt;

/// Why a template has no output for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The output is larger than a record may be.
    TooLarge,
    /// The render takes more work than it may, or a value in it is too large.
    Limit,
    /// A division by zero.
    DivisionByZero,
    /// A filter cannot work with a value.
    Failed,
    /// The message does not want to be sent.
    Aborted,
    /// The cell of this column is invalid.
    InvalidColumn(usize),
}

/// The result of a step of a render.
pub(super) type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// A fault of a template. It displays as the message, the line and a marker below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// Byte offset in the template.
    pub(super) at: usize,
}

/// What parsing a piece of markup gives.
pub(super) type Parsed<T = ()> = Result<T, SyntaxError>;

impl SyntaxError {
    /// A fault at a byte of a template.
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), ..Self::default() }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The fault with its line and column.
    pub(super) fn placed(self, template: &str) -> Self {
        /// Most characters of a line that are shown on one side of the fault.
        const SHOWN_MAX: usize = 40;
        let before = &template[..template.floor_char_boundary(self.at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let offset = before[line_start..].chars().count();
        let line = template[line_start..].lines().next().unwrap_or_default();
        let skipped = offset.saturating_sub(SHOWN_MAX);
        let shown = line.chars().skip(skipped).take(2 * SHOWN_MAX);
        let shown: String = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
        let excerpt = format!("{shown}\n{}^", " ".repeat(offset - skipped));
        Self { line: before.matches('\n').count() + 1, column: offset + 1, excerpt, ..self }
    }

    /// Message, hint and place in one line.
    pub(super) fn in_one_line(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}{hint} (line {}, column {})", self.message, self.line, self.column)
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {})\n{}", self.message, self.line, self.column, self.excerpt)
    }
}

impl std::error::Error for SyntaxError {}
