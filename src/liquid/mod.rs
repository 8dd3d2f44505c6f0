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

/// A name that is no column and no variable of the template.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownName<'t> {
    /// The name.
    pub name: &'t str,
    /// Line and column where it is read first, both from 1.
    pub place: (usize, usize),
    /// The column that was probably meant.
    pub near: Option<&'t str>,
}

/// A parsed template.
pub struct Template {
    source: String,
    body: tree::Body,
    names: Vec<Name>,
    forloop: Option<Slot>,
    tablerowloop: Option<Slot>,
    reads_clock: bool,
    tolerated: Vec<SyntaxError>,
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
        let shown = |flaws: Vec<Flaw>| flaws.into_iter().map(|flaw| SyntaxError::of(flaw, text)).collect();
        if !parser.faults.is_empty() {
            parser.faults.sort_by_key(|flaw| flaw.at);
            return Err(shown(parser.faults));
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
            tolerated: shown(tolerated),
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

    /// Whether the template has `'now'` or `'today'` in it.
    pub fn reads_clock(&self) -> bool {
        self.reads_clock
    }

    /// What is not Liquid, and is read as Shopify's engine reads it in its lax mode.
    pub fn tolerated(&self) -> &[SyntaxError] {
        &self.tolerated
    }

    /// Whether the output is empty for every row.
    pub fn prints_nothing(&self) -> bool {
        tree::is_blank(&self.body) && !self.body.iter().any(|node| matches!(node, tree::Node::Text(_)))
    }

    /// Names that the template reads and that are neither columns nor its own, at most twenty.
    pub fn unknown_names(&self) -> impl Iterator<Item = UnknownName<'_>> {
        let is_own =
            |name: &Name| name.is_assigned || name.column.is_some() || WORDS.contains(&name.text.as_str());
        let unknown = self
            .names
            .iter()
            .filter_map(move |name| name.read_at.filter(|_| !is_own(name)).map(|at| (name, at)));
        unknown.take(UNKNOWN_MAX).map(|(name, at)| UnknownName {
            name: &name.text,
            place: error::place(&self.source, at),
            near: expression::suggest(&name.text, self.columns.iter().map(String::as_str)),
        })
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
