//! Rows on their way into a batch, value by value.

use std::convert::Infallible;

use super::{CELL_BYTES_MAX, ROW_BYTES_MAX, invalid};
use crate::domain::{CellKind, RejectReason, RowBatch};

/// Appends one row to a batch, within the bounds of a cell and of a row.
pub(in crate::source) struct RowWriter<'b> {
    batch: &'b mut RowBatch,
    /// Where the row begins.
    from: usize,
}

impl<'b> RowWriter<'b> {
    pub(in crate::source) fn new(batch: &'b mut RowBatch) -> Self {
        Self { from: batch.bytes(), batch }
    }

    pub(in crate::source) fn null(&mut self) {
        self.batch.push(CellKind::Null, b"");
    }

    /// Appends what `read` makes of a value of `length` bytes: `None` is a value that a record cannot express.
    pub(in crate::source) fn value(
        &mut self,
        length: usize,
        read: impl FnOnce(&mut Vec<u8>) -> Option<CellKind>,
    ) {
        let Ok(()) = self.try_value(length, |out| Ok::<_, Infallible>(read(out)));
    }

    /// As [`Self::value`], for a value that may not be what the source says it is.
    pub(in crate::source) fn try_value<E>(
        &mut self,
        length: usize,
        read: impl FnOnce(&mut Vec<u8>) -> Result<Option<CellKind>, E>,
    ) -> Result<(), E> {
        if length > CELL_BYTES_MAX || self.batch.bytes() - self.from > ROW_BYTES_MAX {
            self.batch.push_with(|out| invalid(RejectReason::RecordTooLarge, out));
            return Ok(());
        }
        let mut found = Ok(None);
        self.batch.push_with(|out| {
            found = read(out);
            if let Ok(Some(kind)) = found { kind } else { CellKind::Null }
        });
        if found?.is_none() {
            self.batch.count_nulled();
        }
        Ok(())
    }
}
