//! Makes a record of a row: the hot loop of a sync.

use chrono::{DateTime, Utc};

use super::{
    compile::{Mapping, Plan},
    program::FieldSource,
    spec::TemplateOutput,
    values::{self, Scratch, Target},
};
use crate::{
    domain::{
        index::IndexDefinition,
        json,
        limits::{DEPTH_MAX, RECORD_BYTES_MAX},
        record::Record,
        reject::{RejectReason, Rejection},
        row::{CellKind, RowBatch},
    },
    liquid::Failure,
};

/// Makes records of rows; one per thread, so that its buffers are reused.
#[derive(Debug)]
pub struct Mapper {
    mapping: Mapping,
    data_as_of: DateTime<Utc>,
    /// The output of the template that is being rendered.
    rendered: String,
    /// The body without its null members.
    thinned: Vec<u8>,
    scratch: Scratch,
}

impl Mapper {
    pub(super) fn new(mapping: Mapping, data_as_of: DateTime<Utc>) -> Self {
        Self {
            mapping,
            data_as_of,
            rendered: String::new(),
            thinned: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Makes the record of `row` (counted from 0, in range), whose cells have the order of the columns that the
    /// mapping was compiled with.
    ///
    /// `out` is emptied first. Its key is set whenever the row's key is valid, also when the row is
    /// rejected for another reason; body and values of a rejected row are undefined.
    pub fn map(&mut self, batch: &RowBatch, row: usize, out: &mut Record) -> Result<(), Rejection> {
        out.clear();
        self.write_key(batch, row, out)?;
        self.write_body(batch, row, &mut out.body)?;
        self.write_values(batch, row, out)
    }

    fn write_key(&self, batch: &RowBatch, row: usize, out: &mut Record) -> Result<(), Rejection> {
        let plan = self.mapping.plan();
        let key = &plan.keys[0];
        let (kind, text) = batch.cell(row, key.columns[0]);
        values::write_key((&plan.indexes[0], key), kind, text, &mut out.key)
            .map_err(|reason| Rejection::of(reason, &plan.indexes[0].column))
    }

    fn write_values(&mut self, batch: &RowBatch, row: usize, out: &mut Record) -> Result<(), Rejection> {
        let plan = self.mapping.plan();
        for (number, (index, key)) in plan.indexes.iter().zip(&plan.keys).enumerate().skip(1) {
            let cells = key.columns.iter().map(|&column| (column, batch.cell(row, column)));
            if let Some((column, (_, text))) = cells.clone().find(|(_, cell)| cell.0 == CellKind::Invalid) {
                return Err(Rejection::of(values::invalid(text), &plan.columns[column].name));
            }
            let mut cells = cells.map(|(_, cell)| cell);
            let target = Target { number: number as u16, index, hasher: key.hasher.as_ref() };
            // An index has at least one column.
            let Some(first) = cells.next() else { continue };
            let pushed = if index.parts.is_empty() {
                values::push_values(&target, first, &mut self.scratch, &mut out.values)
            } else {
                values::push_compound(&target, std::iter::once(first).chain(cells), &mut out.values)
            };
            pushed.map_err(|reason| Rejection::of(reason, field_of(index)))?;
        }
        Ok(())
    }

    fn write_body(&mut self, batch: &RowBatch, row: usize, body: &mut Vec<u8>) -> Result<(), Rejection> {
        let plan = self.mapping.plan();
        for (literal, step) in plan.program.steps() {
            body.extend_from_slice(literal);
            match step.source {
                FieldSource::Column(column)
                | FieldSource::ColumnAsString(column)
                | FieldSource::NumberAsString(column) => {
                    let (kind, text) = batch.cell(row, column);
                    let is_number = matches!(kind, CellKind::Integer | CellKind::Number);
                    let written = match step.source {
                        FieldSource::ColumnAsString(_) => write_cell_as_string(kind, text, body),
                        FieldSource::NumberAsString(_) if is_number => write_cell_as_string(kind, text, body),
                        _ => write_cell(kind, text, step.level, body),
                    };
                    written.map_err(|reason| Rejection::of(reason, &plan.columns[column].name))?;
                }
                FieldSource::Template(template) => {
                    let field = &plan.templates[template];
                    for column in field.template.columns() {
                        if batch.cell(row, column).0 == CellKind::Invalid {
                            return Err(invalid_column(plan, batch, row, column));
                        }
                    }
                    self.rendered.clear();
                    field.template.render(batch, row, self.data_as_of, &mut self.rendered).map_err(
                        |failure| match failure {
                            Failure::InvalidColumn(column) => invalid_column(plan, batch, row, column),
                            failure => Rejection::of(reason_of(failure), &field.target),
                        },
                    )?;
                    write_output(field.output, self.rendered.as_bytes(), step.level, body)
                        .map_err(|reason| Rejection::of(reason, &field.target))?;
                }
            }
        }
        body.extend_from_slice(plan.program.tail());
        if let Some(omission) = &plan.omission
            && memchr::memmem::find(body, b":null").is_some()
        {
            self.thinned.clear();
            omission.write(body, &mut self.thinned);
            std::mem::swap(body, &mut self.thinned);
        }
        if body.len() > RECORD_BYTES_MAX {
            return Err(RejectReason::RecordTooLarge.into());
        }
        Ok(())
    }
}

/// What a rejection names for a value of `index`: the column of an order, which nobody has named.
fn field_of(index: &IndexDefinition) -> &str {
    if index.is_order { &index.column } else { index.name.as_str() }
}

/// The rejection of a row because a template reads this column, whose cell is invalid.
fn invalid_column(plan: &Plan, batch: &RowBatch, row: usize, column: usize) -> Rejection {
    Rejection::of(values::invalid(batch.cell(row, column).1), &plan.columns[column].name)
}

fn reason_of(failure: Failure) -> RejectReason {
    match failure {
        Failure::TooLarge => RejectReason::RecordTooLarge,
        Failure::Limit => RejectReason::TemplateLimit,
        Failure::DivisionByZero => RejectReason::DivisionByZero,
        Failure::Failed | Failure::Aborted | Failure::InvalidColumn(_) => RejectReason::TemplateError,
    }
}

/// Appends a cell in its own type; `level` counts the objects around it.
fn write_cell(kind: CellKind, text: &[u8], level: usize, body: &mut Vec<u8>) -> Result<(), RejectReason> {
    match kind {
        CellKind::Null => body.extend_from_slice(b"null"),
        CellKind::Boolean | CellKind::Integer | CellKind::Number => body.extend_from_slice(text),
        CellKind::Text => json::write_string(body, text),
        CellKind::Json => {
            check_depth(text, level)?;
            body.extend_from_slice(text);
        }
        CellKind::Invalid => return Err(values::invalid(text)),
    }
    Ok(())
}

/// Appends a cell as a string; null stays null.
fn write_cell_as_string(kind: CellKind, text: &[u8], body: &mut Vec<u8>) -> Result<(), RejectReason> {
    match kind {
        CellKind::Null => body.extend_from_slice(b"null"),
        CellKind::Boolean | CellKind::Integer | CellKind::Number => {
            body.push(b'"');
            body.extend_from_slice(text);
            body.push(b'"');
        }
        CellKind::Text | CellKind::Json => json::write_string(body, text),
        CellKind::Invalid => return Err(values::invalid(text)),
    }
    Ok(())
}

/// Appends the output of a template in the type of its field.
fn write_output(
    output: TemplateOutput,
    rendered: &[u8],
    level: usize,
    body: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    if memchr::memchr(0, rendered).is_some() {
        return Err(RejectReason::TemplateOutput);
    }
    if output == TemplateOutput::String {
        json::write_string(body, rendered);
        return Ok(());
    }
    let text = rendered.trim_ascii();
    if text.is_empty() {
        body.extend_from_slice(b"null");
        return Ok(());
    }
    let start = body.len();
    let depth = json::compact(text, body).map_err(|_| RejectReason::TemplateOutput)?;
    if output == TemplateOutput::Number && !is_positional_number(&body[start..]) {
        return Err(RejectReason::TemplateOutput);
    }
    if level + depth > DEPTH_MAX { Err(RejectReason::RecordTooDeep) } else { Ok(()) }
}

/// Whether compact JSON is a number without an exponent.
fn is_positional_number(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'-' | b'0'..=b'9')) && !text.iter().any(|byte| matches!(byte, b'e' | b'E'))
}

/// Checks that compact JSON with `level` objects around it is not too deep. A level takes two bytes, so short text
/// is not scanned.
fn check_depth(text: &[u8], level: usize) -> Result<(), RejectReason> {
    let allowed = DEPTH_MAX.saturating_sub(level);
    if text.len() > 2 * allowed && json::depth(text) > allowed {
        return Err(RejectReason::RecordTooDeep);
    }
    Ok(())
}
