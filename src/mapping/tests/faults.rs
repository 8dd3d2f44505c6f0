//! What compiling refuses, and what it warns of.

use super::*;
use crate::domain::limits;

/// Paths and hints of the faults of `spec`.
fn faults(spec: &MappingSpec, columns: &[Column]) -> Vec<(String, String)> {
    let faults = Mapping::compile(spec, columns).err().unwrap_or_default();
    faults.into_iter().map(|fault| (fault.path.clone(), fault.to_string())).collect()
}

#[track_caller]
fn assert_fault(spec: &MappingSpec, path: &str, part: &str) {
    let found = faults(spec, &columns());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, path);
    assert!(found[0].1.contains(part), "{}", found[0].1);
}

#[test]
fn columns_must_exist() {
    let spec = chosen(vec![field("a", from("emial"))]);
    assert_fault(&spec, "fields.a", "the model has no column `emial` (did you mean `email`?)");
    let mut spec = super::spec(FieldsSpec::All);
    spec.indexes.push(index("mail", "mail_address"));
    assert_fault(&spec, "indexes.mail", "its columns are `user_id`, `email`");
    let mut spec = super::spec(FieldsSpec::All);
    spec.primary_key = "userid".to_owned();
    spec.indexes[0].column = "userid".to_owned();
    assert_fault(&spec, "primary_key", "did you mean `user_id`?");
}

/// Members of JSON lines and columns of Parquet may have any name.
#[test]
fn names_of_columns_have_no_nul_character() {
    let mut columns = columns();
    columns[1].name = "a\0b".to_owned();
    let found = faults(&super::spec(FieldsSpec::All), &columns);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains("`a\\0b` has a NUL character"), "{found:?}");
}

#[test]
fn indexes_follow_their_rules() {
    let mut spec = super::spec(FieldsSpec::All);
    spec.indexes[0].column = "email".to_owned();
    assert_fault(&spec, "indexes.id", "must be on the primary key column `user_id`");
    let mut spec = super::spec(FieldsSpec::All);
    spec.indexes.push(IndexSpec { each: true, ..index("mail", "email") });
    assert_fault(&spec, "indexes.mail", "`each` needs a JSON array, and `email` is of type text");
    let mut spec = super::spec(FieldsSpec::All);
    spec.indexes.push(index("id", "email"));
    assert_fault(&spec, "indexes.id", "two indexes have this name");
    let mut spec = super::spec(FieldsSpec::All);
    spec.indexes.clear();
    assert_fault(&spec, "indexes", "there is no index");
    let mut spec = super::spec(FieldsSpec::All);
    spec.primary_key = "profile".to_owned();
    spec.indexes[0].column = "profile".to_owned();
    assert_fault(&spec, "primary_key", "the column `profile` of type json cannot be a key");
    let mut spec = super::spec(FieldsSpec::All);
    spec.indexes.extend((0..=limits::INDEXES_MAX).map(|number| index(&format!("i{number}"), "email")));
    assert_fault(&spec, "indexes", "17 secondary indexes are more than 16");
    spec.indexes.pop();
    assert!(faults(&spec, &columns()).is_empty());
}

#[test]
fn each_is_fine_on_json_and_on_columns_of_any_type() {
    let mut spec = super::spec(FieldsSpec::All);
    spec.indexes.push(IndexSpec { each: true, ..index("tag", "tags") });
    spec.indexes.push(IndexSpec { each: true, ..index("any", "any") });
    let mut columns = columns();
    columns.push(column("any", ColumnKind::Any));
    let mapping = Mapping::compile(&spec, &columns).unwrap();
    let kinds: Vec<_> = mapping.indexes().iter().map(|index| index.kind).collect();
    assert_eq!(kinds, [ColumnKind::Integer, ColumnKind::Any, ColumnKind::Any]);
    spec.indexes[0].each = true;
    assert_eq!(validate(&spec).len(), 1);
}

#[test]
fn fields_follow_their_rules() {
    let many = (0..=limits::FIELDS_MAX).map(|number| field(&format!("f{number}"), from("email"))).collect();
    assert_fault(&chosen(many), "fields", "1601 fields are more than 1600");
    let clash = vec![field("a", from("email")), field("a.b", from("email"))];
    assert_fault(&chosen(clash), "fields.a.b", "cannot be an object too");
    let broken = vec![field("a", liquid("x\n{{ ltv | nope }}", TemplateOutput::String))];
    assert_fault(&chosen(broken), "fields.a", "the filter `nope` is not supported (line 2, column 10)");
    let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
    assert_fault(&chosen(vec![field("a", constant(&deep))]), "fields.a", "at most 64 levels");
    assert!(faults(&chosen(vec![field("a", constant(&deep[1..127]))]), &columns()).is_empty());
}

#[test]
fn every_fault_is_reported_at_once() {
    let mut spec = chosen(vec![
        field("a", from("x")),
        field("a", from("email")),
        field("t", liquid("{{", TemplateOutput::String)),
    ]);
    spec.indexes.push(index("mail", "y"));
    let found: Vec<_> = faults(&spec, &columns()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(found, ["fields.a", "fields.t", "indexes.mail", "fields.a"]);
    // Without columns, what needs none.
    assert_eq!(validate(&spec).len(), 2);
}

#[test]
fn two_columns_of_one_name_are_a_fault() {
    let mut columns = columns();
    columns.push(column("email", ColumnKind::Text));
    let found = faults(&spec(FieldsSpec::All), &columns);
    assert_eq!(found.len(), 1);
    assert!(found[0].1.contains("two columns are named `email`"), "{}", found[0].1);
}

#[test]
fn fields_and_columns_are_reported() {
    let mapping = compiled(&chosen(vec![
        field("a.x", from("email")),
        field("b", from("ltv")),
        field("a.y", from("ltv")),
    ]));
    assert_eq!(mapping.fields(), ["a", "b"]);
    assert_eq!(compiled(&spec(FieldsSpec::All)).fields().len(), 6);
    assert!(compiled(&spec(FieldsSpec::All)).warnings().is_empty());
}

#[test]
fn warnings_name_keys_and_templates() {
    for (target, part) in [
        ("é", "is not ASCII"),
        ("a b", "has a space, dot or quote"),
        ("a\"b", "has a space, dot or quote"),
        ("x.a'b", "has a space, dot or quote"),
        ("__http_status_code__", "is one that Braze Connected Content sets itself"),
    ] {
        let warnings = compiled(&chosen(vec![field(target, from("email"))])).warnings();
        assert_eq!(warnings.len(), 1, "{target}");
        assert!(warnings[0].contains(part), "{}", warnings[0]);
    }
    let dotted = [column("user_id", ColumnKind::Integer), column("a.b", ColumnKind::Text)];
    let mapping = Mapping::compile(&spec(FieldsSpec::All), &dotted).unwrap();
    assert_eq!((mapping.fields(), mapping.warnings().len()), (vec!["user_id".into(), "a.b".into()], 1));
    for (template, part) in [
        ("{{ 'now' | date: '%Y' }}", "may change with every run"),
        ("{{ emial }}", "reads `emial`, which is no column and always empty; did you mean `email`?"),
    ] {
        let mapping = compiled(&chosen(vec![field("t", liquid(template, TemplateOutput::String))]));
        assert_eq!(mapping.warnings().len(), 1, "{template}");
        assert!(mapping.warnings()[0].contains(part), "{}", mapping.warnings()[0]);
    }
}
