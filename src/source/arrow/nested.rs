//! Arrays of arrays: lists, structs and maps become JSON; dictionaries, runs and unions are their value.

use std::collections::HashSet;

use arrow_array::{
    Array as _, ArrayRef, GenericListArray, GenericListViewArray, OffsetSizeTrait, RunArray,
    cast::AsArray as _,
    types::{Int16Type, Int32Type, Int64Type, RunEndIndexType},
};
use arrow_buffer::ArrowNativeType as _;
use arrow_schema::{DataType, Field, Fields};

use super::{
    field::Content,
    reader::{Reader, State},
};
use crate::{
    domain::{json, limits::DEPTH_MAX, reject::RejectReason, row::CellKind},
    source::cell::{self, CELL_BYTES_MAX},
};

type Read = Box<dyn Fn(usize, &mut State, &mut Vec<u8>) -> CellKind + Send>;

/// Reads an array of a type that holds other arrays.
pub(super) fn read(array: &ArrayRef, content: Content) -> Result<Read, &'static str> {
    Ok(match array.data_type() {
        DataType::List(field) => list(array.as_list::<i32>(), field)?,
        DataType::LargeList(field) => list(array.as_list::<i64>(), field)?,
        DataType::ListView(field) => list_view(array.as_list_view::<i32>(), field)?,
        DataType::LargeListView(field) => list_view(array.as_list_view::<i64>(), field)?,
        DataType::FixedSizeList(field, _) => {
            let array = array.as_fixed_size_list().clone();
            let length = array.value_length().as_usize();
            elements(Reader::of(field, array.values())?, move |row| {
                let from = array.value_offset_at(row);
                (from, from + length)
            })
        }
        DataType::Struct(fields) => object(array, fields)?,
        DataType::Map(..) => map(array)?,
        DataType::Union(fields, _) => union(array, fields.iter().map(|(id, field)| (id, &**field)))?,
        DataType::Dictionary(..) => dictionary(array, content)?,
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => runs::<Int16Type>(array, content)?,
            DataType::Int32 => runs::<Int32Type>(array, content)?,
            DataType::Int64 => runs::<Int64Type>(array, content)?,
            _ => return Err("runs end at other numbers than integers"),
        },
        _ => return Err("it has a type that this version does not know"),
    })
}

/// Whether what is written for a field has to be read again: JSON in it may be deep, and names may be duplicates.
pub(super) fn needs_check(field: &Field) -> bool {
    is_unsure(field, 0)
}

fn is_unsure(field: &Field, depth: usize) -> bool {
    match field.data_type() {
        DataType::List(inner)
        | DataType::LargeList(inner)
        | DataType::ListView(inner)
        | DataType::LargeListView(inner)
        | DataType::FixedSizeList(inner, _) => depth >= DEPTH_MAX || is_unsure(inner, depth + 1),
        DataType::Struct(fields) => {
            let mut names = HashSet::new();
            depth >= DEPTH_MAX
                || fields.iter().any(|inner| !names.insert(inner.name()) || is_unsure(inner, depth + 1))
        }
        DataType::Map(..) => true,
        DataType::Union(fields, _) => fields.iter().any(|(_, inner)| is_unsure(inner, depth)),
        DataType::Dictionary(_, values) => {
            is_unsure(&field.clone().with_data_type((**values).clone()), depth)
        }
        DataType::RunEndEncoded(_, values) => is_unsure(values, depth),
        _ => depth > 0 && Content::of(field) == Content::Json,
    }
}

/// The same values, in canonical form.
pub(super) fn checked(reader: Reader) -> Reader {
    Reader::from_read(move |row, state, out| {
        let from = out.len();
        match reader.read(row, state, out) {
            CellKind::Json => {
                let raw = out.split_off(from);
                cell::json(&raw, &mut state.compactor, out)
            }
            other => other,
        }
    })
}

/// Appends a value as a part of JSON; an error is the reason why it cannot be one, and then what was written
/// has no meaning.
fn append(reader: &Reader, row: usize, state: &mut State, out: &mut Vec<u8>) -> Result<(), Vec<u8>> {
    let from = out.len();
    match reader.read(row, state, out) {
        CellKind::Null => out.extend_from_slice(b"null"),
        CellKind::Boolean | CellKind::Integer | CellKind::Number | CellKind::Json => {}
        CellKind::Text => {
            state.scratch.clear();
            state.scratch.extend_from_slice(&out[from..]);
            out.truncate(from);
            json::write_string(out, &state.scratch);
        }
        CellKind::Invalid => return Err(out.split_off(from)),
    }
    Ok(())
}

/// Appends what `write` writes, or the reason why it cannot be.
fn json_cell(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>, usize) -> Result<(), Vec<u8>>) -> CellKind {
    let from = out.len();
    match write(out, from) {
        Ok(()) => CellKind::Json,
        Err(reason) => {
            out.truncate(from);
            out.extend_from_slice(&reason);
            CellKind::Invalid
        }
    }
}

/// Fails when the value that begins at `from` is too large already.
fn check_size(out: &[u8], from: usize) -> Result<(), Vec<u8>> {
    if out.len() - from > CELL_BYTES_MAX {
        return Err(RejectReason::RecordTooLarge.code().as_bytes().to_vec());
    }
    Ok(())
}

/// Reads lists whose elements are the rows of `reader` in the range that `range` gives.
fn elements(reader: Reader, range: impl Fn(usize) -> (usize, usize) + Send + 'static) -> Read {
    Box::new(move |row, state, out| {
        let (first, end) = range(row);
        json_cell(out, |out, from| {
            out.push(b'[');
            for at in first..end {
                if at > first {
                    out.push(b',');
                }
                append(&reader, at, state, out)?;
                check_size(out, from)?;
            }
            out.push(b']');
            Ok(())
        })
    })
}

fn list<O: OffsetSizeTrait>(array: &GenericListArray<O>, field: &Field) -> Result<Read, &'static str> {
    let (reader, array) = (Reader::of(field, array.values())?, array.clone());
    Ok(elements(reader, move |row| {
        let offsets = array.value_offsets();
        (offsets[row].as_usize(), offsets[row + 1].as_usize())
    }))
}

fn list_view<O: OffsetSizeTrait>(
    array: &GenericListViewArray<O>,
    field: &Field,
) -> Result<Read, &'static str> {
    let (reader, array) = (Reader::of(field, array.values())?, array.clone());
    Ok(elements(reader, move |row| {
        let from = array.value_offset(row).as_usize();
        (from, from + array.value_size(row).as_usize())
    }))
}

fn object(array: &ArrayRef, fields: &Fields) -> Result<Read, &'static str> {
    let members = fields.iter().zip(array.as_struct().columns()).map(|(field, column)| {
        let mut name = Vec::new();
        json::write_string(&mut name, field.name().as_bytes());
        name.push(b':');
        Ok((name, Reader::of(field, column)?))
    });
    let members = members.collect::<Result<Vec<_>, &'static str>>()?;
    Ok(Box::new(move |row, state, out| {
        json_cell(out, |out, from| {
            out.push(b'{');
            for (at, (name, reader)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name);
                append(reader, row, state, out)?;
                check_size(out, from)?;
            }
            out.push(b'}');
            Ok(())
        })
    }))
}

/// Reads maps: a key that is not text becomes the text of its value.
fn map(array: &ArrayRef) -> Result<Read, &'static str> {
    let array = array.as_map().clone();
    let DataType::Map(entries, _) = array.data_type() else { return Err("a map has no entries") };
    let DataType::Struct(fields) = entries.data_type() else { return Err("a map has no entries") };
    let [key, value] = fields.as_ref() else { return Err("an entry of a map has no key or no value") };
    let keys = Reader::of(key, array.keys())?;
    let values = Reader::of(value, array.values())?;
    Ok(Box::new(move |row, state, out| {
        let offsets = array.value_offsets();
        let (first, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        json_cell(out, |out, from| {
            out.push(b'{');
            for at in first..end {
                if at > first {
                    out.push(b',');
                }
                let (key_from, nulled) = (out.len(), state.nulled);
                match keys.read(at, state, out) {
                    CellKind::Invalid => return Err(out.split_off(key_from)),
                    // NaN and infinities, which would be one key, have no text in JSON.
                    CellKind::Null => {
                        state.nulled = nulled;
                        return Err(RejectReason::InvalidValue.code().as_bytes().to_vec());
                    }
                    _ => {}
                }
                let key = out.split_off(key_from);
                json::write_string(out, &key);
                out.push(b':');
                append(&values, at, state, out)?;
                check_size(out, from)?;
            }
            out.push(b'}');
            Ok(())
        })
    }))
}

fn union<'a>(array: &ArrayRef, fields: impl Iterator<Item = (i8, &'a Field)>) -> Result<Read, &'static str> {
    let array = array.as_union().clone();
    let readers = fields.map(|(id, field)| Ok((id, Reader::of(field, array.child(id))?)));
    let readers = readers.collect::<Result<Vec<_>, &'static str>>()?;
    Ok(Box::new(move |row, state, out| {
        let id = array.type_id(row);
        match readers.iter().find(|(known, _)| *known == id) {
            Some((_, reader)) => reader.read(array.value_offset(row), state, out),
            None => CellKind::Null,
        }
    }))
}

fn dictionary(array: &ArrayRef, content: Content) -> Result<Read, &'static str> {
    let array = array.as_any_dictionary();
    if array.values().is_empty() {
        return Ok(Box::new(|_, _, _| CellKind::Null));
    }
    let (values, keys) = (Reader::new(array.values(), content)?, array.normalized_keys());
    Ok(Box::new(move |row, state, out| values.read(keys[row], state, out)))
}

fn runs<E: RunEndIndexType>(array: &ArrayRef, content: Content) -> Result<Read, &'static str> {
    let array = array.as_any().downcast_ref::<RunArray<E>>().ok_or("runs are none")?.clone();
    let values = Reader::new(array.values(), content)?;
    Ok(Box::new(move |row, state, out| values.read(array.get_physical_index(row), state, out)))
}
