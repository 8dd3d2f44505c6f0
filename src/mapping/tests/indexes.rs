//! Hashed and compound index values, and the order of records.

use super::*;
use crate::domain::{
    hash::{HashSecret, ValueHasher},
    index::{NormalForm, SharedValues},
};

fn hasher() -> ValueHasher {
    ValueHasher::Hmac(HashSecret::new("a secret of some length"))
}

fn values(mapping: &Mapping, cells: &[Cell<'_>]) -> Vec<(u16, String)> {
    let (record, result) = map(mapping, cells);
    assert_eq!(result, Ok(()));
    record.values.iter().map(|(index, value)| (index, value.to_owned())).collect()
}

#[test]
fn normalised_values_are_hashed() {
    let mut spec = spec(FieldsSpec::All);
    let normalize = vec![NormalForm::Trim, NormalForm::Lowercase];
    spec.indexes.push(IndexSpec { normalize, hash: Some(ValueHasher::Sha256), ..index("email", "email") });
    spec.indexes.push(IndexSpec { each: true, hash: Some(hasher()), ..index("tag", "tags") });
    let mapping = compiled(&spec);
    let sha256 = ValueHasher::Sha256.hash("jane@example.com");
    let expected = [(1, sha256), (2, hasher().hash("a")), (2, hasher().hash("b"))];
    assert_eq!(values(&mapping, &ROW), expected);
    assert_eq!(mapping.indexes()[2].hash, Some(hasher().definition()));

    spec.indexes[0].hash = Some(hasher());
    let (record, _) = map(&compiled(&spec), &ROW);
    assert_eq!(record.key, hasher().hash("7"));
    let written = serde_json::to_string(&spec).unwrap();
    assert!(!written.contains("some length"), "{written}");
}

#[test]
fn compound_values_have_a_part_for_each_column() {
    let mut spec = spec(FieldsSpec::All);
    let columns = ["email", "ltv", "active"].map(str::to_owned).to_vec();
    let compound =
        IndexSpec { columns, normalize: vec![NormalForm::Trim], ..index("all", "email,ltv,active") };
    spec.indexes.push(compound.clone());
    spec.indexes.push(IndexSpec { hash: Some(ValueHasher::Sha256), ..compound.clone() });
    spec.indexes[2].name = IndexName::new("hashed").unwrap();
    let mapping = compiled(&spec);
    let row = with(1, (CellKind::Text, " a,b~ "));
    let text = "a~1b~0,12.50,true";
    assert_eq!(values(&mapping, &row), [(1, text.to_owned()), (2, ValueHasher::Sha256.hash(text))]);
    assert_eq!(values(&mapping, &with(2, (CellKind::Null, ""))), []);
    let long = "x".repeat(1020);
    let (_, result) = map(&mapping, &with(1, (CellKind::Text, Box::leak(long.into_boxed_str()))));
    assert_eq!(result.unwrap_err().reason.code(), "index_value_too_long");

    let mut faults = Vec::new();
    for columns in [vec!["email"], vec!["email"; 9]] {
        spec.indexes[1] =
            IndexSpec { columns: columns.into_iter().map(str::to_owned).collect(), ..compound.clone() };
        faults.extend(validate(&spec));
    }
    spec.indexes[1] = IndexSpec { each: true, ..compound };
    faults.extend(validate(&spec));
    let messages: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let expected = [
        "`columns` has one column",
        "9 columns are more than 8",
        "an index with `columns` cannot have `each`",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn newest_adds_the_order_of_its_column() {
    let mut spec = spec(FieldsSpec::All);
    let newest = |column: &str| SharedSpec::Newest(column.to_owned());
    spec.indexes.push(IndexSpec { shared: newest("ltv"), ..index("email", "email") });
    spec.indexes.push(IndexSpec { shared: newest("ltv"), ..index("order-1", "active") });
    spec.indexes.push(IndexSpec { shared: SharedSpec::Reject, ..index("other", "active") });
    let mapping = compiled(&spec);
    let order = IndexName::new("order-2").unwrap();
    let shared: Vec<_> = mapping.indexes().iter().map(|index| index.shared.clone()).collect();
    let newest_of = SharedValues::Newest(order.clone());
    let plain = SharedValues::LowestKey;
    assert_eq!(shared, [plain.clone(), newest_of.clone(), newest_of, SharedValues::Reject, plain]);
    let added = &mapping.indexes()[4];
    assert_eq!((&added.name, added.column.as_str(), added.is_order), (&order, "ltv", true));
    assert_eq!(values(&mapping, &ROW).last(), Some(&(4, "p500002125".to_owned())));
    assert_eq!(values(&mapping, &with(2, (CellKind::Null, ""))).last().unwrap().0, 3);

    spec.indexes[1].shared = newest("lvt");
    let faults = Mapping::compile(&spec, &columns()).unwrap_err();
    assert_eq!((faults[0].path.as_str(), faults.len()), ("indexes.email", 1));
    spec.indexes[1].shared = SharedSpec::LowestKey;
    spec.indexes[0].shared = SharedSpec::Reject;
    assert_eq!(validate(&spec)[0].path, "indexes.id");
}
