//! Reads the values of one array.

use std::fmt;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, GenericByteArray, GenericByteViewArray,
    cast::AsArray as _,
    types::{
        ArrowTemporalType, ByteArrayType, ByteViewType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
        Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType,
        DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type,
        Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType,
        IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
        Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};

use super::{field::Content, nested, span::span};
use crate::{
    domain::{json::Compactor, reject::RejectReason, row::CellKind},
    source::cell::{self, CELL_BYTES_MAX},
};

/// What readers share.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) compactor: Compactor,
    /// Text on its way to a JSON string.
    pub(super) scratch: Vec<u8>,
    /// Values that a record cannot express, turned into null.
    pub(super) nulled: u64,
    /// Whether the highest and lowest counts of nanoseconds are moments, and not the infinities of DuckDB.
    pub(super) is_finite: bool,
}

/// Appends the text of the value in a row that is not null.
type Read = Box<dyn Fn(usize, &mut State, &mut Vec<u8>) -> CellKind + Send>;

/// Reads one array.
pub(super) struct Reader {
    nulls: Option<NullBuffer>,
    read: Read,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Reads a column: nested values are whole JSON values.
    ///
    /// # Errors
    /// The array is not what its type says.
    pub(super) fn of_column(field: &Field, array: &ArrayRef) -> Result<Self, &'static str> {
        let reader = Self::of(field, array)?;
        Ok(if nested::needs_check(field) { nested::checked(reader) } else { reader })
    }

    /// Reads values within a column.
    pub(super) fn of(field: &Field, array: &ArrayRef) -> Result<Self, &'static str> {
        Self::new(array, Content::of(field))
    }

    pub(super) fn new(array: &ArrayRef, content: Content) -> Result<Self, &'static str> {
        Ok(Self { nulls: array.nulls().cloned(), read: read(array, content)? })
    }

    /// A reader of rows that are never null by themselves.
    pub(super) fn from_read(
        read: impl Fn(usize, &mut State, &mut Vec<u8>) -> CellKind + Send + 'static,
    ) -> Self {
        Self { nulls: None, read: Box::new(read) }
    }

    /// Whether a row is null by the array's own mask.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends the text of the value in `row`.
    pub(super) fn read(&self, row: usize, state: &mut State, out: &mut Vec<u8>) -> CellKind {
        if self.is_null(row) { CellKind::Null } else { (self.read)(row, state, out) }
    }
}

fn read(array: &ArrayRef, content: Content) -> Result<Read, &'static str> {
    use DataType as T;
    if content == Content::Opaque {
        return Ok(Box::new(|_, _, out| cell::invalid(RejectReason::InvalidValue, out)));
    }
    Ok(match array.data_type() {
        T::Null => Box::new(|_, _, _| CellKind::Null),
        T::Boolean => {
            let array = array.as_boolean().clone();
            Box::new(move |row, _, out| cell::boolean(array.value(row), out))
        }
        T::Int8 if content == Content::Boolean => {
            primitive::<Int8Type>(array, |value, _, out| cell::boolean(value != 0, out))
        }
        T::Int8 => primitive::<Int8Type>(array, |value, _, out| cell::integer(value, out)),
        T::Int16 => primitive::<Int16Type>(array, |value, _, out| cell::integer(value, out)),
        T::Int32 => primitive::<Int32Type>(array, |value, _, out| cell::integer(value, out)),
        T::Int64 => primitive::<Int64Type>(array, |value, _, out| cell::integer(value, out)),
        T::UInt8 => primitive::<UInt8Type>(array, |value, _, out| cell::integer(value, out)),
        T::UInt16 => primitive::<UInt16Type>(array, |value, _, out| cell::integer(value, out)),
        T::UInt32 => primitive::<UInt32Type>(array, |value, _, out| cell::integer(value, out)),
        T::UInt64 => primitive::<UInt64Type>(array, |value, _, out| cell::integer(value, out)),
        T::Float16 => primitive::<Float16Type>(array, |value, state, out| {
            state.or_null(cell::single(value.to_f32(), out))
        }),
        T::Float32 => {
            primitive::<Float32Type>(array, |value, state, out| state.or_null(cell::single(value, out)))
        }
        T::Float64 => {
            primitive::<Float64Type>(array, |value, state, out| state.or_null(cell::double(value, out)))
        }
        T::Decimal32(_, scale) => decimal::<Decimal32Type>(array, *scale, integer),
        T::Decimal64(_, scale) => decimal::<Decimal64Type>(array, *scale, integer),
        T::Decimal128(_, scale) => decimal::<Decimal128Type>(array, *scale, integer),
        T::Decimal256(_, scale) => decimal::<Decimal256Type>(array, *scale, |value, out| {
            out.extend_from_slice(value.to_string().as_bytes());
        }),
        T::Date32
        | T::Date64
        | T::Time32(_)
        | T::Time64(_)
        | T::Timestamp(..)
        | T::Duration(_)
        | T::Interval(_) => temporal(array)?,
        T::Utf8 => variable(array.as_string::<i32>(), of_text(content))?,
        T::LargeUtf8 => variable(array.as_string::<i64>(), of_text(content))?,
        T::Utf8View => view(array.as_string_view(), of_text(content)),
        T::Binary => variable(array.as_binary::<i32>(), of_binary(content))?,
        T::LargeBinary => variable(array.as_binary::<i64>(), of_binary(content))?,
        T::BinaryView => view(array.as_binary_view(), of_binary(content)),
        T::FixedSizeBinary(_) => {
            let (array, read) = (array.as_fixed_size_binary().clone(), of_binary(content));
            Box::new(move |row, state, out| read(array.value(row), state, out))
        }
        _ => nested::read(array, content)?,
    })
}

fn primitive<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    read: impl Fn(T::Native, &mut State, &mut Vec<u8>) -> CellKind + Send + 'static,
) -> Read {
    let array = array.as_primitive::<T>().clone();
    Box::new(move |row, state, out| read(array.value(row), state, out))
}

impl State {
    /// The cell, or a counted null for a value that a record cannot express.
    fn or_null(&mut self, cell: Option<CellKind>) -> CellKind {
        cell.unwrap_or_else(|| {
            self.nulled += 1;
            CellKind::Null
        })
    }
}

/// Reads a decimal whose unscaled value `write` writes.
fn decimal<T: ArrowPrimitiveType>(array: &ArrayRef, scale: i8, write: fn(T::Native, &mut Vec<u8>)) -> Read {
    primitive::<T>(array, move |value, _, out| {
        let from = out.len();
        write(value, out);
        place_point(from, scale, out);
        if scale > 0 { CellKind::Number } else { CellKind::Integer }
    })
}

fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    cell::integer(value, out);
}

/// Places the point of a decimal whose digits, with an optional sign, are those of `out` from `from` on.
fn place_point(from: usize, scale: i8, out: &mut Vec<u8>) {
    let from = from + usize::from(out[from] == b'-');
    let is_zero = &out[from..] == b"0";
    match usize::try_from(scale) {
        Ok(0) => {}
        Ok(scale) => {
            let digits = out.len() - from;
            if digits <= scale {
                out.splice(from..from, std::iter::repeat_n(b'0', scale + 1 - digits));
            }
            out.insert(out.len() - scale, b'.');
        }
        Err(_) if is_zero => {}
        Err(_) => out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0'),
    }
}

fn temporal(array: &ArrayRef) -> Result<Read, &'static str> {
    use DataType as T;
    use TimeUnit as U;
    const DAY: i64 = 86_400;
    Ok(match array.data_type() {
        T::Date32 => {
            primitive::<Date32Type>(array, |days, state, out| state.or_null(cell::date(days.into(), out)))
        }
        T::Date64 => primitive::<Date64Type>(array, |millis, state, out| {
            state.or_null(cell::date(millis.div_euclid(DAY * 1000), out))
        }),
        T::Time32(U::Second) => time::<Time32SecondType>(array, 1),
        T::Time32(U::Millisecond) => time::<Time32MillisecondType>(array, 1000),
        T::Time64(U::Microsecond) => time::<Time64MicrosecondType>(array, 1_000_000),
        T::Time64(U::Nanosecond) => time::<Time64NanosecondType>(array, 1_000_000_000),
        T::Timestamp(U::Second, zone) => timestamp::<TimestampSecondType>(array, 1, zone.is_some()),
        T::Timestamp(U::Millisecond, zone) => {
            timestamp::<TimestampMillisecondType>(array, 1000, zone.is_some())
        }
        T::Timestamp(U::Microsecond, zone) => {
            timestamp::<TimestampMicrosecondType>(array, 1_000_000, zone.is_some())
        }
        T::Timestamp(U::Nanosecond, zone) => {
            timestamp::<TimestampNanosecondType>(array, 1_000_000_000, zone.is_some())
        }
        T::Duration(U::Second) => duration::<DurationSecondType>(array, 1_000_000_000),
        T::Duration(U::Millisecond) => duration::<DurationMillisecondType>(array, 1_000_000),
        T::Duration(U::Microsecond) => duration::<DurationMicrosecondType>(array, 1000),
        T::Duration(U::Nanosecond) => duration::<DurationNanosecondType>(array, 1),
        T::Interval(IntervalUnit::YearMonth) => {
            primitive::<IntervalYearMonthType>(array, |months, _, out| span(months.into(), 0, 0, out))
        }
        T::Interval(IntervalUnit::DayTime) => primitive::<IntervalDayTimeType>(array, |value, _, out| {
            span(0, value.days.into(), i128::from(value.milliseconds) * 1_000_000, out)
        }),
        T::Interval(IntervalUnit::MonthDayNano) => {
            primitive::<IntervalMonthDayNanoType>(array, |value, _, out| {
                span(value.months.into(), value.days.into(), value.nanoseconds.into(), out)
            })
        }
        _ => return Err("a time is in a unit that its type does not have"),
    })
}

/// Splits a count of parts of a second into seconds and nanoseconds.
fn split(count: i64, per_second: i64) -> (i64, u32) {
    let nanos = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
    (count.div_euclid(per_second), u32::try_from(nanos).unwrap_or_default())
}

fn timestamp<T: ArrowTemporalType<Native = i64>>(array: &ArrayRef, per_second: i64, is_utc: bool) -> Read {
    primitive::<T>(array, move |count, state, out| {
        // DuckDB's infinities of nanoseconds; those of other units are beyond all years.
        if !state.is_finite && (count == i64::MAX || count == -i64::MAX) {
            return state.or_null(None);
        }
        let (seconds, nanos) = split(count, per_second);
        state.or_null(cell::moment(seconds, nanos, is_utc, out))
    })
}

fn time<T: ArrowTemporalType>(array: &ArrayRef, per_second: i64) -> Read
where
    T::Native: Into<i64>,
{
    primitive::<T>(array, move |count, state, out| {
        let (seconds, nanos) = split(count.into(), per_second);
        // 24:00:00 is the end of a day.
        let seconds = u32::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds < 86_400 || (*seconds, nanos) == (86_400, 0));
        state.or_null(seconds.map(|seconds| cell::time(seconds, nanos, out)))
    })
}

fn duration<T: ArrowTemporalType<Native = i64>>(array: &ArrayRef, nanos: i128) -> Read {
    primitive::<T>(array, move |count, _, out| span(0, 0, i128::from(count) * nanos, out))
}

/// Reads the bytes of one value.
type ReadBytes = fn(&[u8], &mut State, &mut Vec<u8>) -> CellKind;

/// Arrow takes the offsets of a driver as they are.
fn variable<T: ByteArrayType>(array: &GenericByteArray<T>, read: ReadBytes) -> Result<Read, &'static str> {
    let offsets = array.value_offsets();
    if !offsets.is_sorted() || offsets.first().is_some_and(|first| *first < T::Offset::default()) {
        return Err("the offsets of a column of texts or bytes are not in order");
    }
    let array = array.clone();
    Ok(Box::new(move |row, state, out| read(array.value(row).as_ref(), state, out)))
}

fn view<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>, read: ReadBytes) -> Read {
    let array = array.clone();
    Box::new(move |row, state, out| read(array.value(row).as_ref(), state, out))
}

fn of_text(content: Content) -> ReadBytes {
    match content {
        Content::Json => json,
        Content::Number => |value, _, out| match cell::number(value, out) {
            Some(kind) => kind,
            None => cell::text(value, out),
        },
        _ => |value, _, out| fitting(value, out, cell::text),
    }
}

fn of_binary(content: Content) -> ReadBytes {
    match content {
        Content::Json => json,
        Content::Uuid => |value, _, out| match value.try_into() {
            Ok(value) => cell::uuid(uuid::Uuid::from_bytes(value), out),
            Err(_) => fitting(value, out, cell::bytes),
        },
        Content::Int128 => |value, _, out| match value.try_into() {
            Ok(bytes) => cell::integer(i128::from_le_bytes(bytes), out),
            Err(_) => cell::invalid(RejectReason::InvalidValue, out),
        },
        Content::Uint128 => |value, _, out| match value.try_into() {
            Ok(bytes) => cell::integer(u128::from_le_bytes(bytes), out),
            Err(_) => cell::invalid(RejectReason::InvalidValue, out),
        },
        _ => |value, _, out| fitting(value, out, cell::bytes),
    }
}

fn json(value: &[u8], state: &mut State, out: &mut Vec<u8>) -> CellKind {
    let State { compactor, .. } = state;
    fitting(value, out, |value, out| cell::json(value, compactor, out))
}

fn fitting(value: &[u8], out: &mut Vec<u8>, write: impl FnOnce(&[u8], &mut Vec<u8>) -> CellKind) -> CellKind {
    if value.len() > CELL_BYTES_MAX {
        return cell::invalid(RejectReason::RecordTooLarge, out);
    }
    write(value, out)
}
