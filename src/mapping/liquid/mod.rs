//! Liquid templates over the cells of a row.
//!
//! The crate `liquid-core` parses and drives; what a mapping needs to behave as users of Shopify's
//! Liquid expect is here: missing names are nil at every level ([`runtime`]), numbers print with the
//! digits of the source ([`node`]), conditions and filters follow the Ruby engine ([`blocks`],
//! [`filters`]), errors have a place ([`source`]), and every render ends ([`meter`]).

mod blocks;
mod content;
mod facts;
mod filters;
mod meter;
mod node;
mod runtime;
mod source;
mod syntax;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, io, panic, sync::LazyLock};

use chrono::{DateTime, Utc};
use liquid_core::{Language, Renderable};

use self::runtime::RowRuntime;
pub(super) use self::syntax::SyntaxError;
use super::fault::nearest;
use crate::domain::{
    limits::RECORD_BYTES_MAX,
    row::{Column, RowBatch},
};

/// Largest template, in bytes: far above any that a person writes, and it bounds the parser's work.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// Tags, blocks and filters; the same for every template.
static LANGUAGE: LazyLock<Language> = LazyLock::new(|| {
    let mut language = Language::default();
    blocks::register(&mut language);
    filters::register(&mut language);
    language
});

/// Why a template has no output for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The output is larger than a record may be.
    TooLarge,
    /// An expression failed, or the render took more steps than it may.
    Failed,
}

/// A parsed template.
pub(super) struct Template {
    body: liquid_core::Template,
    /// Names that it reads as variables; some may be its own.
    names: BTreeSet<String>,
    /// Names that it gives values itself.
    assigned: BTreeSet<String>,
    reads_clock: bool,
    /// The columns among the names.
    bound: Vec<(String, usize)>,
    unknown: Vec<(String, Option<String>)>,
}

impl Template {
    /// Parses `text`.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(SyntaxError::new(format!("a template has at most {TEMPLATE_BYTES_MAX} bytes")));
        }
        let source = source::read(text).map_err(|flaw| SyntaxError::of_flaw(flaw, text))?;
        // The crate's parser has a few `expect`s; the reader above refuses what is known to reach
        // them, and this is the net below it.
        let parsed = panic::catch_unwind(|| liquid_core::parser::parse(&source.text, &LANGUAGE))
            .map_err(|_| SyntaxError::new("the template is not valid Liquid".to_owned()))?;
        let elements = parsed.map_err(|error| SyntaxError::of_parser(&error, &source, text))?;
        Ok(Self {
            body: liquid_core::Template::new(elements),
            names: source.names,
            assigned: source.assigned,
            reads_clock: source.reads_clock,
            bound: Vec::new(),
            unknown: Vec::new(),
        })
    }

    /// Ties the names that the template reads to the model's columns.
    pub(super) fn bind(&mut self, columns: &[Column]) {
        let names = || columns.iter().map(|column| column.name.as_str());
        for name in &self.names {
            if let Some(at) = names().position(|column| column == name) {
                self.bound.push((name.clone(), at));
            } else if !self.assigned.contains(name) && !content::is_word(name) {
                self.unknown.push((name.clone(), nearest(name, names()).map(str::to_owned)));
            }
        }
    }

    /// The columns that the template reads.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        self.bound.iter().map(|(_, column)| *column)
    }

    /// Whether the template has `'now'` or `'today'` in it.
    pub(super) fn reads_clock(&self) -> bool {
        self.reads_clock
    }

    /// Names that the template reads and that are neither columns nor its own, each with the column
    /// that was probably meant.
    pub(super) fn unknown_names(&self) -> &[(String, Option<String>)] {
        &self.unknown
    }

    /// Appends what the template makes of a row.
    pub(super) fn render(
        &self,
        batch: &RowBatch,
        row: usize,
        now: DateTime<Utc>,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let runtime = RowRuntime::new(&self.bound, batch, row, now);
        let mut writer = Bounded { out, overflown: false };
        match self.body.render_to(&mut writer, &runtime) {
            Ok(()) => Ok(()),
            Err(_) if writer.overflown => Err(Failure::TooLarge),
            // The crate's error quotes values of the row: it goes nowhere.
            Err(_) => Err(Failure::Failed),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Takes output up to the size of a record.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    overflown: bool,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() + bytes.len() > RECORD_BYTES_MAX {
            self.overflown = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
