//! Sheets of Excel's workbooks (XLSX): the first row names the columns, every cell tells its own type.

use std::{collections::VecDeque, sync::Arc};

use calamine::{Data, DataRef, Reader as _, Xlsx, XlsxError};

use super::{
    RowReader,
    content::{Bytes, Content, ContentReader},
    excel_time::{self, Shown},
    no_columns, positions,
};
use crate::{
    domain::{
        reject::RejectReason,
        row::{CellKind, Column, ColumnKind, RowBatch},
    },
    source::{
        cell::{self, CELL_BYTES_MAX},
        error::{Error, cause},
    },
};

/// Most bytes of a workbook, which is read whole: Excel's own limit for one in the cloud is below.
pub(in crate::source) const WORKBOOK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most bytes of a sheet's text, which is in memory while it is read.
const SHEET_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Floats from here on do not tell whole numbers apart.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// A workbook in memory, which another source has fetched.
pub(in crate::source) struct Workbook(Arc<Content>);

impl Workbook {
    /// A workbook that messages call `name`.
    pub(in crate::source) fn new(name: String, bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        Self(Arc::new(Content::new(name, length, Bytes::Memory(bytes.into()))))
    }

    /// The names of its sheets.
    pub(in crate::source) fn sheets(&self) -> Result<Vec<String>, Error> {
        Ok(workbook(&self.0)?.sheet_names())
    }

    /// Opens a sheet. `chosen` are the columns that are read; `None` means all.
    pub(in crate::source) fn open(
        &self,
        sheet: &str,
        chosen: Option<&[String]>,
    ) -> Result<impl RowReader + use<>, Error> {
        XlsxReader::open(&self.0, Some(sheet), chosen)
    }
}

fn workbook(content: &Arc<Content>) -> Result<Xlsx<ContentReader>, Error> {
    if content.length() > WORKBOOK_BYTES_MAX {
        return Err(content.explain(&format!("it has more than {WORKBOOK_BYTES_MAX} bytes")));
    }
    Xlsx::new(ContentReader::new(content, 0)).map_err(|_| unreadable(content))
}

fn unreadable(content: &Content) -> Error {
    content.explain("it is not a workbook of Excel (XLSX)")
}

/// An open sheet.
pub(super) struct XlsxReader {
    columns: Vec<Column>,
    width: usize,
    /// Its rows; a sheet's cells borrow from its workbook, so they are taken from it at once.
    batches: VecDeque<RowBatch>,
    /// The next row of the first batch.
    row: usize,
    chosen: Vec<usize>,
}

impl XlsxReader {
    /// Opens a workbook's `sheet`; the first one without a name.
    pub(super) fn open(
        content: &Arc<Content>,
        sheet: Option<&str>,
        chosen: Option<&[String]>,
    ) -> Result<Self, Error> {
        let unreadable = |_: XlsxError| unreadable(content);
        let mut workbook = workbook(content)?;
        let names = workbook.sheet_names();
        let name = match sheet {
            None => names.first().cloned(),
            Some(sheet) => names.iter().find(|name| *name == sheet).cloned(),
        };
        let name = name.ok_or_else(|| {
            let message = format!("{} has no sheet `{}`", content.name(), sheet.unwrap_or_default());
            Error::new(cause::UNKNOWN_TABLE, message).with_hint(format!("it has {}", names.join(", ")))
        })?;
        let mut cells = workbook.worksheet_cells_reader(&name).map_err(unreadable)?;
        let (mut rows, mut has_blanks) = (Rows::default(), false);
        let format = |style: &calamine::Style| {
            style.number_format.as_ref().map_or(Shown::Unknown, |format| Shown::by(&format.format_code))
        };
        let formats: Vec<Shown> = cells.styles().iter().map(format).collect();
        while let Some((cell, style)) = cells.next_cell_with_style_id().map_err(unreadable)? {
            let (row, column) = cell.get_position();
            has_blanks |= matches!(cell.get_value(), DataRef::Empty);
            let shown = formats.get(style).copied().unwrap_or(Shown::Unknown);
            let is_good = rows.add(row, column as usize, cell.get_value(), shown);
            is_good.map_err(|reason| content.explain(&format!("row {}: {reason}", row + 1)))?;
        }
        drop(cells);
        rows.finish();
        if rows.names.is_empty() {
            return Err(no_columns(content, "the sheet is empty")
                .with_hint("write the names of the columns in the first row of the sheet"));
        }
        let names: Vec<&str> = rows.names.iter().map(String::as_str).collect();
        let chosen = positions(&names, chosen, content)?;
        if has_blanks {
            check_formulas(&mut workbook, &name, &chosen, content)?;
        }
        let column = |at: &usize| Column {
            name: rows.names[*at].clone(),
            kind: ColumnKind::Any,
            type_name: "xlsx".to_owned(),
        };
        let columns = chosen.iter().map(column).collect();
        Ok(Self { columns, width: rows.names.len(), batches: rows.batches, row: 0, chosen })
    }
}

impl RowReader for XlsxReader {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn read_row(&mut self, batch: &mut RowBatch) -> Result<bool, Error> {
        while let Some(rows) = self.batches.front() {
            if self.row == rows.rows() {
                self.batches.pop_front();
                self.row = 0;
                continue;
            }
            for column in &self.chosen {
                let (kind, text) = rows.cell(self.row, *column);
                batch.push(kind, text);
            }
            self.row += 1;
            return Ok(true);
        }
        Ok(false)
    }
}

/// Refuses a formula in the columns `chosen` that has no stored value: it would be read as an empty cell. Some
/// programs write formulas and do not compute them. The library tells formulas and formats in two readings only.
fn check_formulas(
    workbook: &mut Xlsx<ContentReader>,
    sheet: &str,
    chosen: &[usize],
    content: &Content,
) -> Result<(), Error> {
    let unreadable = |_: XlsxError| unreadable(content);
    let mut cells = workbook.worksheet_cells_reader(sheet).map_err(unreadable)?;
    while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(unreadable)? {
        let (row, column) = (cell.pos.0, cell.pos.1 as usize);
        if cell.formula.is_some() && matches!(cell.value, DataRef::Empty) && chosen.contains(&column) {
            let reason = format!("row {}, column {}: a formula has no stored value", row + 1, column + 1);
            return Err(content.explain(&reason).with_hint(
                "open the workbook in Excel or LibreOffice and save it there, or write values instead of formulas",
            ));
        }
    }
    Ok(())
}

/// The rows of a sheet, made of its cells, which come in order; empty ones do not come.
#[derive(Default)]
struct Rows {
    names: Vec<String>,
    /// The number of the row with the names.
    header: Option<u32>,
    batches: VecDeque<RowBatch>,
    /// The number of the row that is being made, and its cells so far.
    row: u32,
    cells: usize,
    bytes: usize,
}

impl Rows {
    fn add(&mut self, row: u32, column: usize, value: &DataRef<'_>, shown: Shown) -> Result<(), String> {
        if matches!(value, DataRef::Empty) {
            return Ok(());
        }
        let header = *self.header.get_or_insert(row);
        if row == header {
            if column != self.names.len() {
                return Err("a column before the last one has no name".to_owned());
            }
            self.names.push(Data::from(value.clone()).to_string());
            return Ok(());
        }
        if column >= self.names.len() {
            return Err("a column without a name has a value".to_owned());
        }
        if row != self.row {
            self.finish();
            self.row = row;
        }
        let is_full = self.cells == 0 && self.batches.back().is_none_or(RowBatch::is_full);
        if is_full {
            self.bytes += self.batches.back().map_or(0, RowBatch::bytes);
            if self.bytes > SHEET_BYTES_MAX {
                return Err(format!("the sheet has more than {SHEET_BYTES_MAX} bytes of text"));
            }
            self.batches.push_back(RowBatch::new(self.names.len()));
        }
        if let Some(batch) = self.batches.back_mut() {
            while self.cells < column {
                batch.push(CellKind::Null, b"");
                self.cells += 1;
            }
            batch.push_with(|out| write(value, shown, out));
            self.cells += 1;
        }
        Ok(())
    }

    /// Fills the row that is being made with nulls.
    fn finish(&mut self) {
        if self.cells > 0
            && let Some(batch) = self.batches.back_mut()
        {
            for _ in self.cells..self.names.len() {
                batch.push(CellKind::Null, b"");
            }
        }
        self.cells = 0;
    }
}

fn write(value: &DataRef<'_>, shown: Shown, out: &mut Vec<u8>) -> CellKind {
    let text = |text: &str, out: &mut Vec<u8>| {
        if text.len() > CELL_BYTES_MAX {
            return cell::invalid(RejectReason::RecordTooLarge, out);
        }
        cell::text(text.as_bytes(), out)
    };
    match value {
        DataRef::Int(value) => cell::integer(*value, out),
        // Excel has floats only.
        DataRef::Float(value) if value.fract() == 0.0 && value.abs() < INTEGER_MAX => {
            cell::integer(*value as i64, out)
        }
        DataRef::Float(value) => cell::double(*value, out).unwrap_or(CellKind::Null),
        DataRef::SharedString(value) => text(value, out),
        DataRef::Bool(value) => cell::boolean(*value, out),
        DataRef::DateTime(value) => excel_time::write(*value, shown, out),
        DataRef::String(value) | DataRef::DateTimeIso(value) | DataRef::DurationIso(value) => {
            text(value, out)
        }
        // `#N/A` and the like: what a formula could not give.
        DataRef::Error(_) => cell::invalid(RejectReason::InvalidValue, out),
        DataRef::Empty => CellKind::Null,
    }
}
