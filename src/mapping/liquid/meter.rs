//! What a render may spend, so that every render ends soon and in little memory.

use chrono::{DateTime, Utc};
use liquid_core::{Error, Result, Runtime};

use crate::domain::limits::RECORD_BYTES_MAX;

/// Most steps of one render. A turn of a loop, a filter and the reading of a variable are a step
/// each, and one more for every [`BYTES_PER_STEP`] bytes that they go through. No honest template
/// comes near it; one that spends it all takes tens of milliseconds.
const STEPS_MAX: usize = 200_000;
/// How many bytes cost as much as one step.
const BYTES_PER_STEP: usize = 256;
/// Largest value inside a template, in bytes: what is larger could not be served anyway. Twice a
/// record, so that the parts of a value that shrinks later fit.
const VALUE_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;

/// What the present render has spent, and the time that it calls `'now'`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meter {
    steps: usize,
    /// What `'now'` means: the run's `data_as_of`.
    pub(super) now: DateTime<Utc>,
}

/// Spends one step, and what `bytes` cost.
pub(super) fn charge(runtime: &dyn Runtime, bytes: usize) -> Result<()> {
    let mut meter = runtime.registers().get_mut::<Meter>();
    meter.steps = meter.steps.saturating_add(1 + bytes / BYTES_PER_STEP);
    if meter.steps > STEPS_MAX {
        return Err(Error::with_msg("the template takes too many steps"));
    }
    Ok(())
}

/// Refuses a value of more than so many bytes, before it is made.
pub(super) fn check_size(bytes: usize) -> Result<()> {
    if bytes > VALUE_BYTES_MAX {
        return Err(Error::with_msg("a value in the template is too large"));
    }
    Ok(())
}
