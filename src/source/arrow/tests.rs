//! Tables over every Arrow type, and properties against Arrow's own JSON writer.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Date64Array, Decimal32Array,
    Decimal64Array, Decimal128Array, Decimal256Array, DictionaryArray, DurationMillisecondArray,
    DurationSecondArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, IntervalDayTimeArray, IntervalMonthDayNanoArray,
    IntervalYearMonthArray, LargeBinaryArray, LargeListArray, LargeStringArray, ListArray, ListViewArray,
    MapArray, NullArray, RecordBatch, RunArray, StringArray, StringViewArray, StructArray,
    Time32MillisecondArray, Time32SecondArray, Time64MicrosecondArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array, UnionArray,
    types::{Float16Type, Int8Type, Int32Type, IntervalDayTime, IntervalMonthDayNano},
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_schema::{DataType, Field, Fields, Schema, UnionFields, UnionMode};
use proptest::prelude::*;

use super::{ArrowDecoder, columns};
use crate::domain::row::{CellKind, ColumnKind, RowBatch};

/// Decodes one column: its kind, its cells, and how many values became null.
fn decode(field: Field, array: ArrayRef) -> (ColumnKind, Vec<(CellKind, String)>, u64) {
    let schema = Arc::new(Schema::new(vec![field]));
    let kind = columns(&schema)[0].kind;
    let batch = RecordBatch::try_new(schema, vec![array]).unwrap();
    let mut rows = RowBatch::new(1);
    let mut decoder = ArrowDecoder::default();
    for row in 0..decoder.begin(&batch).unwrap() {
        decoder.read_row(row, &mut rows);
    }
    let cell = |row| {
        let (kind, text) = rows.cell(row, 0);
        (kind, String::from_utf8(text.to_vec()).unwrap())
    };
    (kind, (0..rows.rows()).map(cell).collect(), rows.nulled())
}

fn field(array: &dyn Array) -> Field {
    Field::new("c", array.data_type().clone(), true)
}

/// Checks the cells of an array; `null` is null. The same of a slice, as a dictionary's values and as runs.
#[track_caller]
fn check(array: impl Array + 'static, kind: ColumnKind, cell_kind: CellKind, expected: &[&str]) {
    let cells: Vec<_> = expected
        .iter()
        .map(|text| match *text {
            "null" => (CellKind::Null, String::new()),
            text => (cell_kind, text.to_owned()),
        })
        .collect();
    let array: ArrayRef = Arc::new(array);
    let read = |array: ArrayRef| {
        let (found, cells, _) = decode(field(&array), array);
        assert_eq!(found, kind);
        cells
    };
    assert_eq!(read(Arc::clone(&array)), cells);
    assert_eq!(read(array.slice(1, array.len() - 1)), cells[1..], "a slice");
    let length = i32::try_from(array.len()).unwrap();
    let keys: Int32Array = (0..length).rev().map(Some).chain([None]).collect();
    let dictionary = DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(&array)).unwrap();
    let mut reversed: Vec<_> = cells.iter().rev().cloned().collect();
    reversed.push((CellKind::Null, String::new()));
    assert_eq!(read(Arc::new(dictionary)), reversed, "a dictionary");
    let ends: Int32Array = (1..=length).map(|end| end * 2).collect();
    let runs = RunArray::<Int32Type>::try_new(&ends, &array).unwrap();
    let doubled: Vec<_> = cells.iter().flat_map(|cell| [cell.clone(), cell.clone()]).collect();
    assert_eq!(read(Arc::new(runs.slice(1, doubled.len() - 1))), doubled[1..], "runs");
}

#[test]
fn integers_keep_every_digit() {
    let check = |array: ArrayRef, expected: &[&str]| {
        check(array, ColumnKind::Integer, CellKind::Integer, expected);
    };
    check(Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)])), &["-128", "null", "127"]);
    check(Arc::new(Int16Array::from(vec![i16::MIN, 0, i16::MAX])), &["-32768", "0", "32767"]);
    check(Arc::new(Int32Array::from(vec![i32::MIN, i32::MAX])), &["-2147483648", "2147483647"]);
    check(
        Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])),
        &["-9223372036854775808", "9223372036854775807", "null"],
    );
    check(Arc::new(UInt8Array::from(vec![0, u8::MAX])), &["0", "255"]);
    check(Arc::new(UInt16Array::from(vec![0, u16::MAX])), &["0", "65535"]);
    check(Arc::new(UInt32Array::from(vec![0, u32::MAX])), &["0", "4294967295"]);
    check(Arc::new(UInt64Array::from(vec![0, u64::MAX])), &["0", "18446744073709551615"]);
}

#[test]
fn decimals_keep_every_digit() {
    let decimal = |digits: Vec<Option<i128>>, scale| {
        Decimal128Array::from(digits).with_precision_and_scale(38, scale).unwrap()
    };
    let number = (ColumnKind::Number, CellKind::Number);
    check(
        decimal(vec![Some(0), Some(-5), None, Some(1250), Some(i128::from(i64::MAX) * 1000)], 2),
        number.0,
        number.1,
        &["0.00", "-0.05", "null", "12.50", "92233720368547758070.00"],
    );
    check(decimal(vec![Some(1), Some(-123_456)], 6), number.0, number.1, &["0.000001", "-0.123456"]);
    let whole = (ColumnKind::Integer, CellKind::Integer);
    let large = 10_i128.pow(38) - 1;
    let nines = "9".repeat(38);
    check(
        decimal(vec![Some(large), Some(-large), Some(0)], 0),
        whole.0,
        whole.1,
        &[&nines, &format!("-{nines}"), "0"],
    );
    check(decimal(vec![Some(12), Some(0), Some(-7)], -3), whole.0, whole.1, &["12000", "0", "-7000"]);
    let small = Decimal32Array::from(vec![999_999_999, -1]).with_precision_and_scale(9, 4).unwrap();
    check(small, number.0, number.1, &["99999.9999", "-0.0001"]);
    let middle =
        Decimal64Array::from(vec![999_999_999_999_999_999]).with_precision_and_scale(18, 18).unwrap();
    check(middle, number.0, number.1, &["0.999999999999999999"]);
    let huge = i256::from_string(&"9".repeat(76)).unwrap();
    let huge = Decimal256Array::from(vec![huge, -huge]).with_precision_and_scale(76, 10).unwrap();
    let digits = format!("{}.{}", "9".repeat(66), "9".repeat(10));
    check(huge, number.0, number.1, &[&digits, &format!("-{digits}")]);
}

#[test]
fn floats_are_short_and_what_is_not_finite_is_null() {
    let half = |value: f32| <Float16Type as arrow_array::ArrowPrimitiveType>::Native::from_f32(value);
    let floats = Float64Array::from(vec![Some(0.1), Some(-0.0), Some(1e300), None, Some(f64::MIN_POSITIVE)]);
    let expected = ["0.1", "0", "1e+300", "null", "2.2250738585072014e-308"];
    check(floats, ColumnKind::Number, CellKind::Number, &expected);
    let floats = Float32Array::from(vec![0.1, 16_777_216.0, f32::MAX]);
    check(floats, ColumnKind::Number, CellKind::Number, &["0.1", "16777216", "3.4028235e+38"]);
    let floats = Float16Array::from(vec![half(1.5), half(65504.0)]);
    check(floats, ColumnKind::Number, CellKind::Number, &["1.5", "65504"]);
    let floats: ArrayRef =
        Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0]));
    let (_, cells, nulled) = decode(field(&floats), floats);
    assert_eq!(cells.iter().filter(|(kind, _)| *kind == CellKind::Null).count(), 3);
    assert_eq!(nulled, 3);
}

#[test]
fn moments_are_utc_up_to_nanoseconds() {
    let check = |array: ArrayRef, expected: &[&str]| check(array, ColumnKind::Text, CellKind::Text, expected);
    check(
        Arc::new(Date32Array::from(vec![Some(0), Some(-719_162), None])),
        &["1970-01-01", "0001-01-01", "null"],
    );
    check(Arc::new(Date64Array::from(vec![253_402_214_400_000, -1])), &["9999-12-31", "1969-12-31"]);
    check(Arc::new(TimestampSecondArray::from(vec![0, -1])), &["1970-01-01T00:00:00", "1969-12-31T23:59:59"]);
    check(
        Arc::new(TimestampMillisecondArray::from(vec![1500, -1]).with_timezone("Europe/Berlin")),
        &["1970-01-01T00:00:01.5Z", "1969-12-31T23:59:59.999Z"],
    );
    check(
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("+05:30")),
        &["1970-01-01T00:00:00.000001Z", "null"],
    );
    check(
        Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, -1, 1_000_000_001])),
        &["1677-09-21T00:12:43.145224192", "1969-12-31T23:59:59.999999999", "1970-01-01T00:00:01.000000001"],
    );
    check(Arc::new(Time32SecondArray::from(vec![0, 86_399])), &["00:00:00", "23:59:59"]);
    check(Arc::new(Time32MillisecondArray::from(vec![1, 86_400_000])), &["00:00:00.001", "24:00:00"]);
    check(Arc::new(Time64MicrosecondArray::from(vec![1, 3_600_000_000])), &["00:00:00.000001", "01:00:00"]);
    check(
        Arc::new(Time64NanosecondArray::from(vec![1, 60_000_000_000])),
        &["00:00:00.000000001", "00:01:00"],
    );
    for array in [
        Arc::new(TimestampSecondArray::from(vec![i64::MAX, i64::MIN])) as ArrayRef,
        Arc::new(Date32Array::from(vec![i32::MAX, i32::MIN])),
        Arc::new(Time64MicrosecondArray::from(vec![-1, i64::MAX])),
    ] {
        let (_, cells, nulled) = decode(field(&array), array);
        assert_eq!((cells, nulled), (vec![(CellKind::Null, String::new()); 2], 2));
    }
}

#[test]
fn spans_are_iso_8601() {
    let check = |array: ArrayRef, expected: &[&str]| check(array, ColumnKind::Text, CellKind::Text, expected);
    check(Arc::new(DurationSecondArray::from(vec![90_061, 0])), &["PT25H1M1S", "PT0S"]);
    check(Arc::new(DurationMillisecondArray::from(vec![Some(-1500), None])), &["PT-1.5S", "null"]);
    check(Arc::new(IntervalYearMonthArray::from(vec![14, -1])), &["P1Y2M", "P-1M"]);
    check(
        Arc::new(IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, -500), IntervalDayTime::new(0, 0)])),
        &["P1DT-0.5S", "PT0S"],
    );
    let value = IntervalMonthDayNano::new(1, 2, 3_000_000_004);
    check(Arc::new(IntervalMonthDayNanoArray::from(vec![value, value])), &["P1M2DT3.000000004S"; 2]);
}

#[test]
fn texts_and_bytes() {
    let texts =
        [Some(""), Some("Ærøskøbing \u{1f34b}"), None, Some("a \"quote\"\nand more than twelve bytes")];
    let expected = ["", "Ærøskøbing \u{1f34b}", "null", "a \"quote\"\nand more than twelve bytes"];
    let check = |array: ArrayRef, expected: &[&str]| check(array, ColumnKind::Text, CellKind::Text, expected);
    check(Arc::new(StringArray::from(texts.to_vec())), &expected);
    check(Arc::new(LargeStringArray::from(texts.to_vec())), &expected);
    check(Arc::new(StringViewArray::from(texts.to_vec())), &expected);
    let bytes: Vec<Option<&[u8]>> = vec![Some(b""), Some(b"\xfb\xff\xfe"), None, Some(b"1234567890123")];
    let expected = ["", "+//+", "null", "MTIzNDU2Nzg5MDEyMw=="];
    check(Arc::new(BinaryArray::from(bytes.clone())), &expected);
    check(Arc::new(LargeBinaryArray::from(bytes.clone())), &expected);
    check(Arc::new(BinaryViewArray::from(bytes)), &expected);
    let fixed = FixedSizeBinaryArray::try_from_iter([b"\xfb\xff\xfe", b"\0\0\0"].into_iter()).unwrap();
    check(Arc::new(fixed), &["+//+", "AAAA"]);
    self::check(
        BooleanArray::from(vec![Some(true), None, Some(false)]),
        ColumnKind::Boolean,
        CellKind::Boolean,
        &["true", "null", "false"],
    );
    let (kind, cells, _) = decode(field(&NullArray::new(2)), Arc::new(NullArray::new(2)));
    assert_eq!((kind, cells), (ColumnKind::Any, vec![(CellKind::Null, String::new()); 2]));
    let nul: ArrayRef = Arc::new(StringArray::from(vec!["a\0b"]));
    assert_eq!(decode(field(&nul), nul).1[0].0, CellKind::Invalid);
}

#[test]
fn metadata_says_what_texts_hold() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![
        Some("{\"a\": 1.50, \"a\": 2}"),
        None,
        Some("{"),
        Some("-0.10"),
        Some("x"),
    ]));
    let with = |key: &str, value: &str| {
        field(&texts).with_metadata(HashMap::from([(key.to_owned(), value.to_owned())]))
    };
    for (key, value) in [
        ("ARROW:extension:name", "arrow.json"),
        ("logicalType", "VARIANT"),
        ("SNOWFLAKE_TYPE", "object"),
        ("POSTGRESQL:type", "jsonb"),
        ("sql.database_type_name", "JSON"),
    ] {
        let (kind, cells, _) = decode(with(key, value), Arc::clone(&texts));
        assert_eq!(kind, ColumnKind::Json, "{key}");
        assert_eq!(cells[0], (CellKind::Json, "{\"a\":2}".to_owned()));
        assert_eq!(cells[2], (CellKind::Invalid, "invalid_json".to_owned()));
    }
    let (kind, cells, _) = decode(with("POSTGRESQL:type", "numeric"), Arc::clone(&texts));
    assert_eq!(kind, ColumnKind::Number);
    assert_eq!(cells[3], (CellKind::Number, "-0.10".to_owned()));
    assert_eq!(cells[4], (CellKind::Text, "x".to_owned()));
    let uuid: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([[0xab_u8; 16]].into_iter()).unwrap());
    let with_uuid = field(&uuid)
        .with_metadata(HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]));
    let (kind, cells, _) = decode(with_uuid, uuid);
    assert_eq!(kind, ColumnKind::Uuid);
    assert_eq!(cells[0].1, "abababab-abab-abab-abab-abababababab");
}

fn offsets(ends: &[i32]) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(ends.to_vec()))
}

#[test]
fn lists_are_arrays() {
    let item = || Arc::new(Field::new("item", DataType::Int32, true));
    let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4)]));
    let nulls = Some(NullBuffer::from(vec![true, true, false, true]));
    let expected = ["[1,null]", "[]", "null", "[3,4]"];
    let check = |array: ArrayRef, expected: &[&str]| check(array, ColumnKind::Json, CellKind::Json, expected);
    let list = ListArray::new(item(), offsets(&[0, 2, 2, 2, 4]), Arc::clone(&values), nulls.clone());
    check(Arc::new(list.clone()), &expected);
    let large = OffsetBuffer::new(ScalarBuffer::from(vec![0_i64, 2, 2, 2, 4]));
    check(Arc::new(LargeListArray::new(item(), large, Arc::clone(&values), nulls.clone())), &expected);
    let view = ListViewArray::new(
        item(),
        vec![0, 4, 0, 2].into(),
        vec![2, 0, 4, 2].into(),
        Arc::clone(&values),
        nulls,
    );
    check(Arc::new(view), &expected);
    check(Arc::new(FixedSizeListArray::new(item(), 2, values, None)), &["[1,null]", "[3,4]"]);
    let outer = Arc::new(Field::new("item", list.data_type().clone(), true));
    let nested = ListArray::new(outer, offsets(&[0, 2, 4]), Arc::new(list), None);
    check(Arc::new(nested), &["[[1,null],[]]", "[null,[3,4]]"]);
}

#[test]
fn structs_and_maps_are_objects() {
    let amounts = Decimal128Array::from(vec![Some(150), None]).with_precision_and_scale(10, 2).unwrap();
    let floats = Float64Array::from(vec![f64::NAN, 0.5]);
    let members: Vec<(Arc<Field>, ArrayRef)> = vec![
        (
            Arc::new(Field::new("a \"b\"", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["x\n", "é"])),
        ),
        (Arc::new(Field::new("amount", amounts.data_type().clone(), true)), Arc::new(amounts)),
        (Arc::new(Field::new("f", DataType::Float64, true)), Arc::new(floats)),
    ];
    let object: ArrayRef = Arc::new(StructArray::from(members));
    let (kind, cells, nulled) = decode(field(&object), Arc::clone(&object));
    assert_eq!((kind, nulled), (ColumnKind::Json, 1));
    assert_eq!(cells[0].1, r#"{"a \"b\"":"x\n","amount":1.50,"f":null}"#);
    assert_eq!(cells[1].1, r#"{"a \"b\"":"é","amount":null,"f":0.5}"#);

    let entries = StructArray::from(vec![
        (
            Arc::new(Field::new("keys", DataType::Int32, false)),
            Arc::new(Int32Array::from(vec![1, 2, 1])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("values", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("a"), None, Some("b")])),
        ),
    ]);
    let entry = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let map = MapArray::new(entry, offsets(&[0, 3, 3]), entries, None, false);
    check(map, ColumnKind::Json, CellKind::Json, &[r#"{"2":null,"1":"b"}"#, "{}"]);
}

/// NaN and the infinities would be one key of JSON.
#[test]
fn a_map_with_a_key_that_json_cannot_have_is_rejected() {
    let entries = StructArray::from(vec![
        (
            Arc::new(Field::new("keys", DataType::Float64, false)),
            Arc::new(Float64Array::from(vec![1.5, f64::NAN, f64::INFINITY])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("values", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![Some(1), Some(2), None])),
        ),
    ]);
    let entry = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let map: ArrayRef = Arc::new(MapArray::new(entry, offsets(&[0, 1, 2, 3]), entries, None, false));
    let (_, cells, nulled) = decode(field(&map), map);
    let invalid = (CellKind::Invalid, "invalid_value");
    let expected = [(CellKind::Json, r#"{"1.5":1}"#), invalid, invalid];
    assert_eq!(cells, expected.map(|(kind, text)| (kind, text.to_owned())));
    assert_eq!(nulled, 0);
}

#[test]
fn unions_are_their_value() {
    let fields = UnionFields::try_new(
        [0, 5],
        [Field::new("n", DataType::Int32, true), Field::new("t", DataType::Utf8, true)],
    )
    .unwrap();
    let children: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![Some(7), None])), Arc::new(StringArray::from(vec!["x"]))];
    let ids = ScalarBuffer::from(vec![0_i8, 5, 0]);
    let dense: ArrayRef = Arc::new(
        UnionArray::try_new(fields, ids, Some(ScalarBuffer::from(vec![0, 0, 1])), children).unwrap(),
    );
    assert!(matches!(dense.data_type(), DataType::Union(_, UnionMode::Dense)));
    let (kind, cells, _) = decode(field(&dense), dense);
    assert_eq!(kind, ColumnKind::Any);
    let expected = [(CellKind::Integer, "7"), (CellKind::Text, "x"), (CellKind::Null, "")];
    assert_eq!(cells, expected.map(|(kind, text)| (kind, text.to_owned())));
}

#[test]
fn a_bad_part_rejects_the_whole_value() {
    let inner = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let json = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())]);
    let of_json = Field::new("item", DataType::Utf8, true).with_metadata(json);
    let deep = "[".repeat(64) + &"]".repeat(64);
    let list = ListArray::new(
        Arc::new(of_json),
        offsets(&[0, 1, 2, 3]),
        inner(vec!["{ \"a\" : 1 }", "{", &deep]),
        None,
    );
    let list: ArrayRef = Arc::new(list);
    let cells = decode(field(&list), list).1;
    assert_eq!(cells[0], (CellKind::Json, "[{\"a\":1}]".to_owned()));
    assert_eq!(cells[1], (CellKind::Invalid, "invalid_json".to_owned()));
    assert_eq!(cells[2], (CellKind::Invalid, "record_too_deep".to_owned()));
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let large = "x".repeat(1_100_000);
    let list = ListArray::new(item, offsets(&[0, 2, 3]), inner(vec![&large, &large, "a\0"]), None);
    let list: ArrayRef = Arc::new(list);
    let cells = decode(field(&list), list).1;
    assert_eq!(cells[0], (CellKind::Invalid, "record_too_large".to_owned()));
    assert_eq!(cells[1], (CellKind::Invalid, "invalid_text".to_owned()));
}

#[test]
fn a_dictionary_without_values_is_null() {
    let empty: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
    let dictionary = DictionaryArray::<Int8Type>::try_new(Int8Array::from(vec![None, None]), empty).unwrap();
    let dictionary: ArrayRef = Arc::new(dictionary);
    assert_eq!(decode(field(&dictionary), dictionary).1, vec![(CellKind::Null, String::new()); 2]);
}

/// What Arrow's own writer makes of a batch, one object a row, nulls included.
fn arrow_json(batch: &RecordBatch) -> Vec<serde_json::Value> {
    let mut writer = arrow_json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow_json::writer::LineDelimited>(Vec::new());
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    let text = String::from_utf8(writer.into_inner()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

type Row =
    (Option<i64>, Option<String>, Option<Vec<Option<u32>>>, Option<bool>, Option<(i32, Option<String>)>);

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,12}"
}

fn batch_of(rows: &[Row]) -> RecordBatch {
    let numbers: Int64Array = rows.iter().map(|row| row.0).collect();
    let texts: StringViewArray = rows.iter().map(|row| row.1.clone()).collect();
    let lists = ListArray::from_iter_primitive::<arrow_array::types::UInt32Type, _, _>(
        rows.iter().map(|row| row.2.clone()),
    );
    let flags: BooleanArray = rows.iter().map(|row| row.3).collect();
    let fields: Fields =
        vec![Field::new("n", DataType::Int32, false), Field::new("é\"", DataType::Utf8, true)].into();
    let inner: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.4.as_ref().map_or(0, |pair| pair.0)).collect::<Int32Array>()),
        Arc::new(
            rows.iter().map(|row| row.4.as_ref().and_then(|pair| pair.1.clone())).collect::<StringArray>(),
        ),
    ];
    let nulls = rows.iter().map(|row| row.4.is_some()).collect::<Vec<_>>();
    let structs = StructArray::new(fields, inner, Some(nulls.into()));
    let moments: TimestampMicrosecondArray = rows.iter().map(|row| row.0.map(|n| n % (1 << 52))).collect();
    let columns: [(&str, ArrayRef); 6] = [
        ("n", Arc::new(numbers)),
        ("t", Arc::new(texts)),
        ("l", Arc::new(lists)),
        ("b", Arc::new(flags)),
        ("s", Arc::new(structs)),
        ("m", Arc::new(moments)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

proptest! {
    #[test]
    fn rows_are_what_arrow_writes(
        rows in prop::collection::vec((
            any::<Option<i64>>(),
            prop::option::of(text()),
            prop::option::of(prop::collection::vec(any::<Option<u32>>(), 0..4)),
            any::<Option<bool>>(),
            prop::option::of((any::<i32>(), prop::option::of(text()))),
        ), 1..8),
        skipped in 0_usize..8,
    ) {
        let batch = batch_of(&rows);
        let skipped = skipped.min(batch.num_rows() - 1);
        let batch = batch.slice(skipped, batch.num_rows() - skipped);
        let mut decoded = RowBatch::new(batch.num_columns());
        let mut decoder = ArrowDecoder::default();
        for row in 0..decoder.begin(&batch).unwrap() {
            decoder.read_row(row, &mut decoded);
        }
        for (row, expected) in arrow_json(&batch).iter().enumerate() {
            for (column, field) in batch.schema().fields().iter().enumerate() {
                let (kind, text) = decoded.cell(row, column);
                let text = std::str::from_utf8(text).unwrap();
                let served = match kind {
                    CellKind::Null => serde_json::Value::Null,
                    CellKind::Text => text.into(),
                    _ => serde_json::from_str(text).unwrap(),
                };
                let mut expected = expected[field.name()].clone();
                if field.name() == "m" && let Some(moment) = expected.as_str() {
                    // Arrow writes fractions of three, six or nine digits.
                    let short = if moment.contains('.') { moment.trim_end_matches('0').trim_end_matches('.') } else { moment };
                    expected = short.into();
                }
                prop_assert_eq!(served, expected, "{}", field.name());
            }
        }
    }
}
