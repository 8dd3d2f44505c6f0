//! Records, keys and rejections of single rows.

use super::*;
use crate::domain::{
    NormalForm, RejectReason,
    limits::{DEPTH_MAX, RECORD_BYTES_MAX},
};

#[track_caller]
fn assert_rejected(mapping: &Mapping, cells: &[Cell<'_>], reason: RejectReason, field: Option<&str>) {
    let (record, result) = map(mapping, cells);
    assert_eq!(result, Err(Rejection { reason, field: field.map(str::to_owned) }));
    assert_eq!(record.key, "7", "a rejected row's key is known");
}

#[test]
fn all_columns_stand_in_order_under_their_names() {
    assert_eq!(
        body(&compiled(&spec(FieldsSpec::All)), &ROW),
        r#"{"user_id":7,"email":" Jane@Example.com ","ltv":12.50,"active":true,"profile":{"city":"Oslo"},"tags":["a","b","a"]}"#
    );
    let columns = [column("user_id", ColumnKind::Integer), column("a.\"b", ColumnKind::Text)];
    let mapping = Mapping::compile(&spec(FieldsSpec::All), &columns).unwrap();
    assert_eq!(body(&mapping, &[ROW[0], (CellKind::Null, "")]), r#"{"user_id":7,"a.\"b":null}"#);
}

#[test]
fn chosen_fields_nest_and_convert() {
    let mapping = compiled(&chosen(vec![
        field("contact.mail", from("email")),
        field("id", string_of("user_id")),
        field("contact.more.tags", string_of("tags")),
        field("ltv", string_of("ltv")),
        field("on", string_of("active")),
        field("brand", constant(r#"{"name": "Ac\"me", "since": 1.50}"#)),
        field("contact.none", constant("null")),
    ]));
    assert_eq!(
        body(&mapping, &ROW),
        r#"{"contact":{"mail":" Jane@Example.com ","more":{"tags":"[\"a\",\"b\",\"a\"]"},"none":null},"id":"7","ltv":"12.50","on":"true","brand":{"name":"Ac\"me","since":1.50}}"#
    );
    let nulls: Vec<Cell<'_>> =
        std::iter::once(ROW[0]).chain(std::iter::repeat_n((CellKind::Null, ""), 5)).collect();
    assert_eq!(
        body(&mapping, &nulls),
        r#"{"contact":{"mail":null,"more":{"tags":null},"none":null},"id":"7","ltv":null,"on":null,"brand":{"name":"Ac\"me","since":1.50}}"#
    );
}

#[test]
fn all_numbers_of_a_sync_are_strings_when_it_says_so() {
    let all = MappingSpec { numbers_as_strings: true, ..spec(FieldsSpec::All) };
    assert_eq!(
        body(&compiled(&all), &ROW),
        r#"{"user_id":"7","email":" Jane@Example.com ","ltv":"12.50","active":true,"profile":{"city":"Oslo"},"tags":["a","b","a"]}"#
    );
    let fields = vec![
        field("a.ltv", from("ltv")),
        field("on", from("active")),
        field("n", liquid("{{ ltv }}", TemplateOutput::Number)),
    ];
    let some = MappingSpec { numbers_as_strings: true, ..chosen(fields) };
    assert_eq!(body(&compiled(&some), &ROW), r#"{"a":{"ltv":"12.50"},"on":true,"n":12.50}"#);
}

#[test]
fn fields_without_a_value_are_left_out_when_the_sync_says_so() {
    let fields = vec![
        field("mail", from("email")),
        field("a.b.ltv", from("ltv")),
        field("a.id", from("user_id")),
        field("empty.tags", from("tags")),
        field("profile", from("profile")),
        field("n", liquid("{{ nothing }}", TemplateOutput::Number)),
        field("last", from("active")),
    ];
    let mapping = compiled(&MappingSpec { omit_nulls: true, ..chosen(fields) });
    let null = (CellKind::Null, "");
    let profile = (CellKind::Json, r#"{"x":null,"s":":null"}"#);
    assert_eq!(
        body(&mapping, &[ROW[0], null, null, null, profile, null]),
        r#"{"a":{"b":{},"id":7},"empty":{},"profile":{"x":null,"s":":null"}}"#
    );
    let mut cleared = Vec::new();
    mapping.clear_fields(br#"{"mail":"x","a":{"b":{"ltv":1},"id":7},"last":true}"#, &mut cleared);
    assert_eq!(String::from_utf8(cleared).unwrap(), r#"{"a":{"b":{},"id":7}}"#);
    let whole = MappingSpec { omit_nulls: true, ..spec(FieldsSpec::All) };
    assert_eq!(body(&compiled(&whole), &ROW), body(&compiled(&spec(FieldsSpec::All)), &ROW));
}

#[test]
fn templates_become_what_their_field_says() {
    use TemplateOutput::{Json, Number, String};
    for (output, text, expected) in [
        (String, "{% if ltv > 12 %}gold{% endif %}", Ok("\"gold\"")),
        (String, " \"{{ nothing }}\n", Ok(r#"" \"\n""#)),
        (Number, " {{ ltv }} ", Ok("12.50")),
        (Number, "{{ nothing }} ", Ok("null")),
        (Number, "-0.5", Ok("-0.5")),
        (Number, "12a", Err(RejectReason::TemplateOutput)),
        (Number, "1 2", Err(RejectReason::TemplateOutput)),
        (Number, "\"1\"", Err(RejectReason::TemplateOutput)),
        (Number, "true", Err(RejectReason::TemplateOutput)),
        (Number, "NaN", Err(RejectReason::TemplateOutput)),
        (Json, "{ \"a\" : {{ profile | json }}, \"b\": [1, 2] }", Ok(r#"{"a":{"city":"Oslo"},"b":[1,2]}"#)),
        (Json, "", Ok("null")),
        (Json, "{\"a\":1,}", Err(RejectReason::TemplateOutput)),
        (Json, "{{ email }}", Err(RejectReason::TemplateOutput)),
        (String, "{{ 1 | divided_by: 0 }}", Err(RejectReason::DivisionByZero)),
        (String, "{{ '!' | base64_decode }}", Err(RejectReason::TemplateError)),
        (String, "{% for i in (1..99999999999) %}{% endfor %}", Err(RejectReason::TemplateLimit)),
        (String, "{% for i in (1..120000) %}0123456789{% endfor %}", Err(RejectReason::RecordTooLarge)),
    ] {
        let mapping = compiled(&chosen(vec![field("o.t", liquid(text, output))]));
        match expected {
            Ok(value) => assert_eq!(body(&mapping, &ROW), format!(r#"{{"o":{{"t":{value}}}}}"#), "{text}"),
            Err(reason) => assert_rejected(&mapping, &ROW, reason, Some("o.t")),
        }
    }
    let clock = compiled(&chosen(vec![field("t", liquid("{{ 'now' | date: '%F' }}", String))]));
    assert_eq!(body(&clock, &ROW), r#"{"t":"2026-11-05"}"#);
}

#[test]
fn keys_and_index_values() {
    let mut spec = spec(FieldsSpec::All);
    spec.indexes.push(IndexSpec {
        normalize: vec![NormalForm::Trim, NormalForm::Lowercase],
        ..index("email", "email")
    });
    spec.indexes.push(IndexSpec { each: true, ..index("tag", "tags") });
    spec.indexes.push(index("ltv", "ltv"));
    let mapping = compiled(&spec);
    let (record, result) = map(&mapping, &ROW);
    assert_eq!((record.key.as_str(), result), ("7", Ok(())));
    let values: Vec<_> = record.values.iter().collect();
    assert_eq!(values, [(1, "jane@example.com"), (2, "a"), (2, "b"), (3, "12.50")]);

    let (record, _) = map(&mapping, &with(1, (CellKind::Null, "")));
    assert_eq!(record.values.iter().filter(|(index, _)| *index == 1).count(), 0);
}

#[test]
fn a_mapper_keeps_nothing_from_row_to_row() {
    let mut spec = spec(FieldsSpec::Chosen(vec![
        field("t", liquid("{{ email }}{% assign email = 1 %}", TemplateOutput::String)),
        field("l", from("ltv")),
    ]));
    spec.indexes.push(IndexSpec { each: true, ..index("tag", "tags") });
    let mapping = compiled(&spec);
    let mut rows = RowBatch::new(6);
    for row in [ROW, with(5, (CellKind::Invalid, "invalid_json")), with(1, (CellKind::Text, "b"))] {
        for (kind, text) in row {
            rows.push(kind, text.as_bytes());
        }
    }
    let mut mapper = mapping.mapper(Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap());
    let mut record = Record::default();
    assert!(mapper.map(&rows, 0, &mut record).is_ok());
    assert!(mapper.map(&rows, 1, &mut record).is_err());
    assert!(mapper.map(&rows, 2, &mut record).is_ok());
    assert_eq!(record.body, br#"{"t":"b","l":12.50}"#);
    assert_eq!(record.values.iter().count(), 2);
}

#[test]
fn bad_primary_keys_leave_no_key() {
    let mapping = compiled(&spec(FieldsSpec::All));
    let long = "x".repeat(1025);
    for (cell, reason) in [
        ((CellKind::Null, ""), RejectReason::MissingPrimaryKey),
        ((CellKind::Text, ""), RejectReason::MissingPrimaryKey),
        ((CellKind::Json, "{}"), RejectReason::InvalidPrimaryKey),
        ((CellKind::Invalid, "invalid_text"), RejectReason::InvalidText),
        ((CellKind::Text, long.as_str()), RejectReason::PrimaryKeyTooLong),
    ] {
        let mut row = ROW;
        row[0] = (cell.0, Box::leak(cell.1.to_owned().into_boxed_str()));
        let (record, result) = map(&mapping, &row);
        assert_eq!(result, Err(Rejection::of(reason, "user_id")));
        assert_eq!(record.key, "");
    }
}

#[test]
fn an_invalid_cell_rejects_only_when_it_is_used() {
    let bad = with(5, (CellKind::Invalid, "invalid_json"));
    let unused = compiled(&chosen(vec![field("a", from("email"))]));
    assert!(map(&unused, &bad).1.is_ok());

    let template = liquid("{% if false %}{{ tags }}{% endif %}", TemplateOutput::String);
    let mut by_index = chosen(vec![field("a", from("email"))]);
    by_index.indexes.push(index("tag", "tags"));
    for spec in [
        chosen(vec![field("a", from("tags"))]),
        chosen(vec![field("a", string_of("tags"))]),
        chosen(vec![field("a", template)]),
        by_index,
    ] {
        assert_rejected(&compiled(&spec), &bad, RejectReason::InvalidJson, Some("tags"));
    }
}

#[test]
fn a_record_has_a_largest_size_and_depth() {
    let mapping = compiled(&chosen(vec![field("a", from("email"))]));
    let mut row = ROW;
    let fits = "x".repeat(RECORD_BYTES_MAX - r#"{"a":""}"#.len());
    row[1].1 = Box::leak(fits.clone().into_boxed_str());
    assert_eq!(body(&mapping, &row).len(), RECORD_BYTES_MAX);
    row[1].1 = Box::leak((fits + "x").into_boxed_str());
    assert_rejected(&mapping, &row, RejectReason::RecordTooLarge, None);

    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (target, levels, fits) in [
        ("a", DEPTH_MAX - 1, true),
        ("a", DEPTH_MAX, false),
        ("a.b.c", DEPTH_MAX - 3, true),
        ("a.b.c", DEPTH_MAX - 2, false),
    ] {
        let json = Box::leak(nested(levels).into_boxed_str());
        let row = with(4, (CellKind::Json, json));
        let template = liquid("{{ profile | json }}", TemplateOutput::Json);
        for (value, blamed) in [(from("profile"), "profile"), (template, target)] {
            let mapping = compiled(&chosen(vec![field(target, value)]));
            if fits {
                assert!(map(&mapping, &row).1.is_ok(), "{target} {levels}");
            } else {
                assert_rejected(&mapping, &row, RejectReason::RecordTooDeep, Some(blamed));
            }
        }
    }
}

#[test]
fn index_values_have_bounds() {
    let mut spec = chosen(vec![field("a", constant("1"))]);
    spec.indexes.push(index("mail", "email"));
    let long = Box::leak("x".repeat(1025).into_boxed_str());
    let row = with(1, (CellKind::Text, long));
    assert_rejected(&compiled(&spec), &row, RejectReason::IndexValueTooLong, Some("mail"));
}

#[test]
fn clearing_keeps_keys_and_shape() {
    let mut spec = chosen(vec![
        field("id", from("user_id")),
        field("address.mail", string_of("email")),
        field("address.profile", from("profile")),
        field("address.geo.lat", from("ltv")),
        field("brand", constant("\"Acme\"")),
        field("tier", liquid("x", TemplateOutput::String)),
        field("k\"ey", from("email")),
    ]);
    spec.indexes.push(index("email", "email"));
    let mapping = compiled(&spec);
    let cleared = |body: &str| {
        let mut out = Vec::new();
        mapping.clear_fields(body.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    };
    let expected = r#"{"id":7,"address":{"mail":" Jane@Example.com ","profile":null,"geo":{"lat":null}},"brand":null,"tier":null,"k\"ey":" Jane@Example.com "}"#;
    assert_eq!(cleared(&body(&mapping, &ROW)), expected);
    assert_eq!(cleared(expected), expected, "clearing twice changes nothing");
    // A body of an earlier mapping: other fields, another shape.
    assert_eq!(
        cleared(r#"{"old":{"x":[1]},"address":"Oslo","id":8}"#),
        r#"{"old":null,"address":null,"id":8}"#
    );
    assert_eq!(cleared("{}"), "{}");
}
