//! What holds for every row.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::domain::{Record, limits};

/// A cell with the value that it stands for.
fn any_cell() -> impl Strategy<Value = (CellKind, String, Value)> {
    let json = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    prop_oneof![
        Just((CellKind::Null, String::new(), Value::Null)),
        any::<bool>().prop_map(|value| (CellKind::Boolean, value.to_string(), Value::Bool(value))),
        any::<i64>().prop_map(|value| (CellKind::Integer, value.to_string(), Value::from(value))),
        "-?[1-9][0-9]{0,30}\\.[0-9]{1,20}".prop_map(move |text| (CellKind::Number, text.clone(), json(text))),
        any::<String>().prop_map(|text| (CellKind::Text, text.clone(), Value::from(text))),
        prop::collection::vec(any::<Option<u8>>(), 0..4).prop_map(move |values| {
            let text = serde_json::to_string(&values).unwrap();
            (CellKind::Json, text.clone(), json(text))
        }),
    ]
}

/// Distinct names of columns, odd ones among them.
fn any_names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::hash_set("[a-d. \"\\\\é\u{1}]{1,4}", 1..6).prop_map(|names| names.into_iter().collect())
}

fn rows(cells: &[(CellKind, String, Value)]) -> RowBatch {
    let mut batch = RowBatch::new(cells.len() + 1);
    batch.push(CellKind::Integer, b"1");
    for (kind, text, _) in cells {
        batch.push(*kind, text.as_bytes());
    }
    batch
}

fn all_columns(names: &[String]) -> Vec<Column> {
    let mut columns = vec![column("user_id", ColumnKind::Integer)];
    columns.extend(names.iter().map(|name| column(name, ColumnKind::Any)));
    columns
}

/// The top-level keys of a body, in order.
fn keys(body: &[u8]) -> Vec<String> {
    serde_json::from_slice::<Map<String, Value>>(body).unwrap().keys().cloned().collect()
}

proptest! {
    #[test]
    fn all_columns_equal_a_plain_construction(
        (names, cells) in any_names().prop_flat_map(|names| {
            let count = names.len();
            (Just(names), prop::collection::vec(any_cell(), count))
        })
    ) {
        let mapping = Mapping::compile(&spec(FieldsSpec::All), &all_columns(&names)).unwrap();
        let mut record = Record::default();
        let mut mapper = mapping.mapper(chrono::DateTime::UNIX_EPOCH);
        prop_assert_eq!(mapper.map(&rows(&cells), 0, &mut record), Ok(()));
        let mut expected = Map::new();
        expected.insert("user_id".to_owned(), Value::from(1));
        expected.extend(names.iter().cloned().zip(cells.iter().map(|(.., value)| value.clone())));
        prop_assert_eq!(String::from_utf8(record.body.clone()).unwrap(), Value::Object(expected).to_string());
        prop_assert_eq!(keys(&record.body), mapping.fields());
    }

    #[test]
    fn chosen_fields_make_valid_records_in_order(
        targets in prop::collection::vec("[abé](\\.[ab]){0,2}", 1..8),
        cell in any_cell(),
        ways in prop::collection::vec(0..4_usize, 8),
    ) {
        let fields: Vec<_> = targets
            .iter()
            .zip(&ways)
            .map(|(target, way)| {
                field(target, match way {
                    0 => from("c"),
                    1 => string_of("c"),
                    2 => constant(r#"[1,{"x":null}]"#),
                    _ => liquid("{{ c | json }}", TemplateOutput::Json),
                })
            })
            .collect();
        let spec = chosen(fields);
        let columns = all_columns(&["c".to_owned()]);
        let Ok(mapping) = Mapping::compile(&spec, &columns) else {
            prop_assert!(!validate(&spec).is_empty());
            return Ok(());
        };
        let mut record = Record::default();
        let mut mapper = mapping.mapper(chrono::DateTime::UNIX_EPOCH);
        prop_assert_eq!(mapper.map(&rows(std::slice::from_ref(&cell)), 0, &mut record), Ok(()));
        prop_assert_eq!(keys(&record.body), mapping.fields());
        let value: Value = serde_json::from_slice(&record.body).unwrap();
        // Compact, nothing twice, nothing lost.
        prop_assert_eq!(value.to_string().into_bytes(), record.body.clone());
        for (target, way) in targets.iter().zip(&ways) {
            let found = value.pointer(&format!("/{}", target.replace('.', "/")));
            let found = found.expect("every target is there");
            match way {
                0 | 3 => prop_assert_eq!(found, &cell.2),
                1 => prop_assert!(found.is_string() || found.is_null()),
                _ => prop_assert!(found.is_array()),
            }
        }
        let mut cleared = Vec::new();
        mapping.clear_fields(&record.body, &mut cleared);
        prop_assert_eq!(keys(&cleared), mapping.fields());
        prop_assert!(cleared.len() <= limits::RECORD_BYTES_MAX);
    }
}
