//! Templates in Liquid, over the cells of a row.
//!
//! A template is parsed once (`parse`, `expression`) into a tree whose names are numbers (`tree`),
//! bound to the columns of a model, and then rendered for each row (`render`). Values borrow the row's
//! text (`value`), numbers keep their digits (`number`), and the work of a render is metered
//! (`meter`). Text and rules are those of Shopify's Liquid 5; `docs/mapping.md` lists where liquidjs is
//! followed instead.

mod compare;
mod error;
mod expression;
mod filters;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod message;
mod meter;
mod number;
mod parse;
mod print;
mod render;
mod scan;
mod tree;
mod value;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt};

use chrono::{DateTime, Utc};

pub use self::{
    error::{Failure, SyntaxError},
    message::{Content, ContentAnswer, ContentRequest, Message},
};
// What the modules of the engine share.
use self::{
    error::{Parsed, Result},
    meter::Meter,
    number::Number,
    parse::{LOOPS, Name, Parser},
    value::{Made, Text, Value},
};
use crate::domain::row::{CellKind, Column, RowBatch};

/// Largest template, in bytes: far above any that a person writes. It bounds the time to parse.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Most unknown names of a template that are reported.
const UNKNOWN_MAX: usize = 20;
/// Most pairs of bytes of unknown names and columns that are compared for suggestions: about 20 ms.
const COMPARED_MAX: usize = 8_000_000;

/// The names of all filters.
pub fn filters() -> impl Iterator<Item = &'static str> {
    filters::names()
}

/// The names of all tags.
pub fn tags() -> impl Iterator<Item = &'static str> {
    parse::TAGS.into_iter().chain(parse::BLOCKS.map(|(block, _)| block))
}

/// A parsed template.
pub struct Template {
    source: String,
    body: tree::Body,
    /// Whether it can print nothing.
    is_silent: bool,
    names: Vec<Name>,
    reads_clock: bool,
    tolerated: Vec<SyntaxError>,
    columns: Vec<String>,
    /// The columns that are read by their names.
    read_columns: Vec<usize>,
}

impl Template {
    /// Parses `text`; all faults come at once, at most twenty and a note that there are more.
    pub fn parse(text: &str) -> Result<Self, Vec<SyntaxError>> {
        Self::read(text, Parser::new(text))
    }

    fn read<'t>(text: &'t str, mut parser: Parser<'t>) -> Result<Self, Vec<SyntaxError>> {
        if text.len() > TEMPLATE_BYTES_MAX {
            let message = format!("a template has at most {TEMPLATE_BYTES_MAX} bytes");
            return Err(vec![SyntaxError::new(0, message).placed(text)]);
        }
        let mut body = parser.body().0;
        let Parser { names, reads_clock, tolerated, mut faults, .. } = parser;
        if !faults.is_empty() {
            faults.sort_by_key(|fault| fault.at);
            return Err(faults.into_iter().map(|fault| fault.placed(text)).collect());
        }
        let has_text = body.iter().any(|node| matches!(node, tree::Node::Text(_)));
        let is_silent = !has_text && body.iter_mut().all(tree::Node::is_made_blank);
        let (source, columns, read_columns) = (text.to_owned(), Vec::new(), Vec::new());
        Ok(Self { source, body, is_silent, names, reads_clock, tolerated, columns, read_columns })
    }

    /// Ties the names that the template reads to the model's columns.
    pub fn bind(&mut self, columns: &[Column]) {
        self.columns = columns.iter().map(|column| column.name.clone()).collect();
        let numbers: HashMap<_, _> = self.columns.iter().zip(0..).collect();
        for name in &mut self.names {
            name.column = numbers.get(&name.text).copied();
        }
        let read = self.names.iter().filter(|name| name.read_at.is_some());
        self.read_columns = read.filter_map(|name| name.column).collect();
    }

    /// The columns that the template reads by their names.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        self.read_columns.iter().copied()
    }

    /// What is probably not meant, each as a sentence without its subject, the template.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.reads_clock {
            let clock = "reads 'now', which is the start of each run: the record may change with every run";
            warnings.push(clock.to_owned());
        }
        if self.is_silent {
            warnings.push("prints nothing: its output is always empty".to_owned());
        }
        if self.fails_on_nulls() {
            let fails = "fails for a row in which all columns are null: a filter gets a value that it cannot work with";
            warnings.push(fails.to_owned());
        }
        let in_one_line = |fault: SyntaxError| fault.placed(&self.source).in_one_line();
        let tolerated = self.tolerated.iter().cloned().map(in_one_line);
        warnings.extend(tolerated.map(|fault| format!("is read as Shopify's Liquid reads it: {fault}")));
        let is_own = |name: &Name| name.is_assigned || LOOPS.contains(&name.text.as_str());
        let unknown = self.names.iter().filter(|name| name.column.is_none() && !is_own(name));
        let read = unknown.filter_map(|name| name.read_at.map(|at| (name, at))).take(UNKNOWN_MAX);
        let bytes: usize = self.columns.iter().map(String::len).sum();
        let mut left = COMPARED_MAX;
        warnings.extend(read.map(|(name, at)| {
            let message = format!("reads `{}`, which is no column and always empty", name.text);
            left = left.saturating_sub(bytes.saturating_mul(name.text.len()));
            let columns = self.columns.iter().map(String::as_str).filter(|_| left > 0);
            in_one_line(expression::suggest(SyntaxError::new(at, message), &name.text, columns))
        }));
        warnings
    }

    fn fails_on_nulls(&self) -> bool {
        let mut row = RowBatch::new(self.columns.len());
        self.columns.iter().for_each(|_| row.push(CellKind::Null, b""));
        matches!(self.render(&row, 0, DateTime::UNIX_EPOCH, &mut String::new()), Err(Failure::Failed))
    }

    /// Appends what the template makes of a row; `now` is what `'now'` means.
    pub fn render(
        &self,
        batch: &RowBatch,
        row: usize,
        now: DateTime<Utc>,
        out: &mut String,
    ) -> Result<(), Failure> {
        render::Render::new(self, batch, row, now).run(out)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("names", &self.names).finish_non_exhaustive()
    }
}
