//! Columns and values of SQL Server: a value tells its type, and the described type of its column says how it is served.

use tiberius::{ColumnData, Row, numeric::Numeric, time};

use crate::{
    domain::{
        json,
        reject::RejectReason,
        row::{CellKind, Column, ColumnKind, RowBatch},
    },
    source::cell::{self, RowWriter},
};

/// Days from 0001-01-01 to 1970-01-01.
const EPOCH_DAYS_OF_YEAR_1: i64 = 719_162;
/// Days from 1900-01-01 to 1970-01-01.
const EPOCH_DAYS_OF_1900: i64 = 25_567;
const SECONDS_PER_DAY: i64 = 86_400;
/// Digits of a fraction of a second in nanoseconds.
const NANO_DIGITS: u8 = 9;
/// Money comes as a float. From here on, in ten-thousandths, the float no longer tells its neighbours apart.
const MONEY_MAX: f64 = 2_251_799_813_685_248.0;

/// The column of a name and a type, as `sp_describe_first_result_set` gives them.
pub(super) fn column(name: String, type_name: String) -> Column {
    let (base, arguments) = type_name.split_once('(').unwrap_or((&type_name, ""));
    let kind = match base {
        "bit" => ColumnKind::Boolean,
        "tinyint" | "smallint" | "int" | "bigint" => ColumnKind::Integer,
        "decimal" | "numeric" if arguments.ends_with(",0)") => ColumnKind::Integer,
        "decimal" | "numeric" | "float" | "real" | "money" | "smallmoney" => ColumnKind::Number,
        "uniqueidentifier" => ColumnKind::Uuid,
        "json" => ColumnKind::Json,
        "sql_variant" => ColumnKind::Any,
        _ => ColumnKind::Text,
    };
    Column { name, kind, type_name }
}

/// Reads the rows of one query.
pub(super) struct ValueReader {
    forms: Vec<Form>,
    compactor: json::Compactor,
}

/// What the value alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Money,
    Json,
}

impl ValueReader {
    pub(super) fn new(columns: &[Column]) -> Self {
        let form = |column: &Column| match &*column.type_name {
            "money" | "smallmoney" => Form::Money,
            "json" => Form::Json,
            _ => Form::Plain,
        };
        Self { forms: columns.iter().map(form).collect(), compactor: json::Compactor::default() }
    }

    /// Appends `row` to `batch`. Returns false when it has another number of values.
    pub(super) fn row(&mut self, row: &Row, batch: &mut RowBatch) -> bool {
        if row.len() != self.forms.len() {
            return false;
        }
        let mut writer = RowWriter::new(batch);
        let compactor = &mut self.compactor;
        for ((_, value), form) in row.cells().zip(&self.forms) {
            writer.value(bytes_of(value), |out| {
                write(value, *form, compactor, out).or_else(|| is_null(value).then_some(CellKind::Null))
            });
        }
        true
    }
}

fn bytes_of(value: &ColumnData<'_>) -> usize {
    match value {
        ColumnData::String(Some(text)) => text.len(),
        ColumnData::Binary(Some(bytes)) => bytes.len(),
        ColumnData::Xml(Some(xml)) => AsRef::<str>::as_ref(xml.as_ref()).len(),
        _ => 0,
    }
}

/// Whether a value that became no cell is a null of the database.
fn is_null(value: &ColumnData<'_>) -> bool {
    !matches!(value, ColumnData::F32(Some(_)) | ColumnData::F64(Some(_)))
}

/// Appends a value; `None` for null, and for one that a record cannot express.
fn write(
    value: &ColumnData<'_>,
    form: Form,
    compactor: &mut json::Compactor,
    out: &mut Vec<u8>,
) -> Option<CellKind> {
    use ColumnData as V;
    match value {
        V::Bit(value) => value.map(|value| cell::boolean(value, out)),
        V::U8(value) => value.map(|value| cell::integer(value, out)),
        V::I16(value) => value.map(|value| cell::integer(value, out)),
        V::I32(value) => value.map(|value| cell::integer(value, out)),
        V::I64(value) => value.map(|value| cell::integer(value, out)),
        V::F32(value) => cell::single((*value)?, out),
        V::F64(value) if form == Form::Money => value.map(|value| money(value, out)),
        V::F64(value) => cell::double((*value)?, out),
        V::Numeric(value) => value.map(|value| numeric(value, out)),
        V::Guid(value) => value.map(|value| cell::uuid(value, out)),
        V::String(value) => value.as_ref().map(|text| match form {
            Form::Json => cell::json(text.as_bytes(), compactor, out),
            _ => self::text(text, out),
        }),
        V::Xml(value) => value.as_ref().map(|xml| text(xml.as_ref().as_ref(), out)),
        V::Binary(value) => value.as_ref().map(|bytes| cell::bytes(bytes, out)),
        V::Date(value) => cell::date(days((*value)?), out),
        V::Time(value) => {
            let (seconds, nanos) = time_of_day((*value)?);
            Some(cell::time(seconds, nanos, out))
        }
        V::DateTime2(value) => moment((*value)?, false, out),
        // The server sends it in UTC, with the offset beside it.
        V::DateTimeOffset(value) => moment((*value)?.datetime2(), true, out),
        V::DateTime(value) => {
            let value = (*value)?;
            // A fragment is a third of ten milliseconds; the server prints whole milliseconds.
            let millis = (u64::from(value.seconds_fragments()) * 10 + 1) / 3;
            let days = i64::from(value.days()) - EPOCH_DAYS_OF_1900;
            let nanos = (millis % 1000) as u32 * 1_000_000;
            cell::moment(days * SECONDS_PER_DAY + (millis / 1000).cast_signed(), nanos, false, out)
        }
        V::SmallDateTime(value) => {
            let value = (*value)?;
            let days = i64::from(value.days()) - EPOCH_DAYS_OF_1900;
            // Its fragments are minutes.
            cell::moment(days * SECONDS_PER_DAY + i64::from(value.seconds_fragments()) * 60, 0, false, out)
        }
    }
}

/// Text. The driver puts U+FFFD in the place of what is no character.
fn text(value: &str, out: &mut Vec<u8>) -> CellKind {
    if value.contains('\u{fffd}') {
        return cell::invalid(RejectReason::InvalidText, out);
    }
    cell::text(value.as_bytes(), out)
}

fn money(value: f64, out: &mut Vec<u8>) -> CellKind {
    let scaled = (value * 1e4).round();
    if scaled.abs() > MONEY_MAX {
        return cell::invalid(RejectReason::InvalidValue, out);
    }
    numeric(Numeric::new_with_scale(scaled as i128, 4), out)
}

/// A decimal with all the digits of its scale.
fn numeric(value: Numeric, out: &mut Vec<u8>) -> CellKind {
    let scale = usize::from(value.scale());
    if value.value() < 0 {
        out.push(b'-');
    }
    let digits = format!("{:0>width$}", value.value().unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if scale == 0 {
        return CellKind::Integer;
    }
    out.push(b'.');
    out.extend_from_slice(fraction.as_bytes());
    CellKind::Number
}

fn days(date: time::Date) -> i64 {
    i64::from(date.days()) - EPOCH_DAYS_OF_YEAR_1
}

/// Seconds and nanoseconds since midnight.
fn time_of_day(time: time::Time) -> (u32, u32) {
    let digits = u32::from(NANO_DIGITS.saturating_sub(time.scale()));
    let nanos = time.increments().saturating_mul(10_u64.pow(digits));
    let seconds = (nanos / 1_000_000_000).min(SECONDS_PER_DAY.unsigned_abs() - 1);
    (seconds as u32, (nanos % 1_000_000_000) as u32)
}

fn moment(value: time::DateTime2, is_utc: bool, out: &mut Vec<u8>) -> Option<CellKind> {
    let (seconds, nanos) = time_of_day(value.time());
    cell::moment(days(value.date()) * SECONDS_PER_DAY + i64::from(seconds), nanos, is_utc, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(value: &ColumnData<'_>, form: Form) -> Option<(CellKind, String)> {
        let mut out = Vec::new();
        let kind = write(value, form, &mut json::Compactor::default(), &mut out)?;
        Some((kind, String::from_utf8(out).unwrap()))
    }

    #[test]
    fn money_is_exact_or_rejected() {
        for (scaled, expected) in [
            (0_i64, "0.0000"),
            (1, "0.0001"),
            (-1, "-0.0001"),
            (12_345_678_901_234, "1234567890.1234"),
            (-2_251_799_813_685_247, "-225179981368.5247"),
            (2_251_799_813_685_248, "225179981368.5248"),
        ] {
            let found = served(&ColumnData::F64(Some(scaled as f64 / 1e4)), Form::Money);
            assert_eq!(found, Some((CellKind::Number, expected.to_owned())));
        }
        let found = served(&ColumnData::F64(Some(922_337_203_685_477.6)), Form::Money);
        assert_eq!(found, Some((CellKind::Invalid, "invalid_value".to_owned())));
    }

    #[test]
    fn every_value_of_money_that_is_served_is_exact() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let scaled = random.i64(-2_251_799_813_685_248..=2_251_799_813_685_248);
            let mut expected = Vec::new();
            numeric(Numeric::new_with_scale(scaled.into(), 4), &mut expected);
            let mut found = Vec::new();
            money(scaled as f64 / 1e4, &mut found);
            assert_eq!(found, expected, "{scaled}");
        }
    }

    #[test]
    fn decimals_keep_their_digits() {
        for (value, scale, expected) in [
            (0, 0, "0"),
            (-12, 0, "-12"),
            (0, 2, "0.00"),
            (-5, 3, "-0.005"),
            (12_500, 3, "12.500"),
            (i128::from(u64::MAX) * 1_000_000_000, 20, "184467440.73709551615000000000"),
            (-(10_i128.pow(38) - 1), 38, "-0.99999999999999999999999999999999999999"),
        ] {
            let mut out = Vec::new();
            numeric(Numeric::new_with_scale(value, scale), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
