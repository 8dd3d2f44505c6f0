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
mod looping;
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

pub use self::error::SyntaxError;
use self::{
    error::Flaw,
    parse::{Name, Parser},
    tree::Slot,
};
use crate::domain::row::{Column, RowBatch};

/// Largest template, in bytes: far above any that a person writes. It bounds the time to parse.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Most unknown names of a template that are reported.
const UNKNOWN_MAX: usize = 20;
/// Names that are no columns.
const WORDS: [&str; 2] = ["forloop", "tablerowloop"];

/// The names of all filters, in no order.
pub fn filters() -> impl Iterator<Item = &'static str> {
    filters::names()
}

/// The names of all tags.
pub fn tags() -> impl Iterator<Item = &'static str> {
    parse::TAGS.into_iter().chain(parse::BLOCKS.map(|(block, _)| block))
}

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
    /// The cell of this column is invalid.
    InvalidColumn(usize),
}

/// A parsed template.
pub struct Template {
    source: String,
    body: tree::Body,
    names: Vec<Name>,
    forloop: Option<Slot>,
    tablerowloop: Option<Slot>,
    reads_clock: bool,
    tolerated: Vec<Flaw>,
    columns: Vec<String>,
}

impl Template {
    /// Parses `text`; all faults come at once, at most twenty.
    pub fn parse(text: &str) -> Result<Self, Vec<SyntaxError>> {
        if text.len() > TEMPLATE_BYTES_MAX {
            let flaw = Flaw::new(0, format!("a template has at most {TEMPLATE_BYTES_MAX} bytes"));
            return Err(vec![SyntaxError::of(flaw, text)]);
        }
        let mut parser = Parser::new(text);
        let body = parser.body().0;
        if !parser.faults.is_empty() {
            parser.faults.sort_by_key(|flaw| flaw.at);
            return Err(parser.faults.into_iter().map(|flaw| SyntaxError::of(flaw, text)).collect());
        }
        let Parser { names, reads_clock, tolerated, .. } = parser;
        let slot = |word: &str| names.iter().position(|name| name.text == word);
        let (forloop, tablerowloop) = (slot(WORDS[0]), slot(WORDS[1]));
        Ok(Self {
            source: text.to_owned(),
            body,
            names,
            forloop,
            tablerowloop,
            reads_clock,
            tolerated,
            columns: Vec::new(),
        })
    }

    /// Ties the names that the template reads to the model's columns.
    pub fn bind(&mut self, columns: &[Column]) {
        let numbers: HashMap<_, _> =
            columns.iter().enumerate().map(|(at, column)| (&*column.name, at)).collect();
        for name in &mut self.names {
            name.column = numbers.get(&*name.text).copied();
        }
        self.columns = columns.iter().map(|column| column.name.clone()).collect();
    }

    /// The columns that the template reads by their names.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        self.names.iter().filter(|name| name.read_at.is_some()).filter_map(|name| name.column)
    }

    /// What is probably not meant, each as a sentence without its subject, the template.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.reads_clock {
            let clock = "reads 'now', which is the start of each run: the record may change with every run";
            warnings.push(clock.to_owned());
        }
        let has_text = self.body.iter().any(|node| matches!(node, tree::Node::Text(_)));
        if tree::is_blank(&self.body) && !has_text {
            warnings.push("prints nothing: its output is always empty".to_owned());
        }
        warnings.extend(
            self.tolerated.iter().map(|flaw| {
                format!("is read as Shopify's Liquid reads it: {}", flaw.with_place(&self.source))
            }),
        );
        let is_own = |name: &Name| name.is_assigned || WORDS.contains(&name.text.as_str());
        let unknown = self.names.iter().filter(|name| name.column.is_none() && !is_own(name));
        let read = unknown.filter_map(|name| name.read_at.map(|at| (name, at))).take(UNKNOWN_MAX);
        warnings.extend(read.map(|(name, at)| {
            let flaw = Flaw::new(at, format!("reads `{}`, which is no column and always empty", name.text));
            let near = expression::suggest(&name.text, self.columns.iter().map(String::as_str));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            Flaw { hint, ..flaw }.with_place(&self.source)
        }));
        warnings
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
