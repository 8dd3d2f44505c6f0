//! What a render may spend, so that no template takes more than 50 ms of a core for one row.

use std::cell::Cell;

use super::error::{Failure, Result};
use crate::domain::limits::RECORD_BYTES_MAX;

/// Most units of work of one render. A unit takes at most about 25 ns on a core of 2020: so 1,000,000
/// of them stay below 50 ms with room for a slower machine.
const WORK_MAX: usize = 1_000_000;
/// Bytes that a filter reads or writes for one unit.
const BYTES_PER_UNIT: usize = 8;
/// Largest text inside a template, in bytes. Twice a record, so that the parts of a value that shrinks
/// later fit.
const VALUE_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;

/// The work that is left to the present render.
#[derive(Debug)]
pub(super) struct Meter(Cell<usize>);

impl Meter {
    pub(super) fn new() -> Self {
        Self(Cell::new(WORK_MAX))
    }

    /// Spends units of work.
    pub(super) fn spend(&self, units: usize) -> Result {
        self.0.set(self.0.get().checked_sub(units).ok_or(Failure::Limit)?);
        Ok(())
    }

    /// Spends what reading or writing `bytes` costs.
    pub(super) fn spend_bytes(&self, bytes: usize) -> Result {
        self.spend(1 + bytes / BYTES_PER_UNIT)
    }

    /// Spends what comparing `key` with so many names costs: names of its length are read.
    pub(super) fn spend_search(&self, names: usize, key: &str) -> Result {
        self.spend(1 + names.saturating_mul(16 + key.len()) / 64)
    }

    /// Spends what making a text of `bytes` costs; call it before the text is made.
    pub(super) fn spend_text(&self, bytes: usize) -> Result {
        if bytes > VALUE_BYTES_MAX { Err(Failure::Limit) } else { self.spend_bytes(bytes) }
    }
}
