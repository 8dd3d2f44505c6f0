//! `[syncs.*.fields]`: the fields of a record, in the order of the file.

use super::{ModelColumns, constant};
use crate::{
    mapping::{FieldSpec, FieldValue, FieldsSpec, TemplateOutput},
    settings::{Item, Section, Table, Value},
};

/// A table with one of these keys is a field, any other a nested object. A nested field of such a name needs a
/// quoted key: `"address.value" = "..."`.
pub const FIELD_KEYS: [&str; 4] = ["column", "liquid", "value", "as"];

const HINT: &str = "write \"column\", { column = \"...\" }, { liquid = \"...\" } or { value = ... }";

/// The fields without a fault, each with the value that it was read from.
pub(super) struct Fields<'a> {
    pub(super) found: Vec<(Item<'a>, FieldSpec)>,
    /// Whether no field had a fault.
    pub(super) is_whole: bool,
}

impl Fields<'_> {
    /// The mapping's fields; none at all stands for every column.
    pub(super) fn spec(&self) -> FieldsSpec {
        if self.found.is_empty() {
            return FieldsSpec::All;
        }
        FieldsSpec::Chosen(self.found.iter().map(|(_, spec)| spec.clone()).collect())
    }
}

pub(super) fn fields<'a>(sync: &Section<'a>, model: &ModelColumns) -> Fields<'a> {
    let mut fields = Fields { found: Vec::new(), is_whole: true };
    if let Some(item) = sync.get("fields") {
        fields.is_whole = read(&item, model, &mut fields.found).is_some();
    }
    fields
}

fn read<'a>(item: &Item<'a>, model: &ModelColumns, found: &mut Vec<(Item<'a>, FieldSpec)>) -> Option<()> {
    collect(&item.section()?, "", model, found)?;
    if found.is_empty() {
        return item.fail("has no field", "leave it out for every column of the model".to_owned());
    }
    Some(())
}

/// Appends the fields of a table whose targets begin with `prefix`; `None` when one is faulty.
fn collect<'a>(
    section: &Section<'a>,
    prefix: &str,
    model: &ModelColumns,
    found: &mut Vec<(Item<'a>, FieldSpec)>,
) -> Option<()> {
    let mut whole = Some(());
    for (entry, item) in section.entries() {
        let target = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
        if is_nested(&item) {
            whole = whole.and(collect(&item.section()?, &target, model, found));
        } else {
            match field(&item, &target, model) {
                Some(value) => found.push((item, FieldSpec { target, value })),
                None => whole = None,
            }
        }
    }
    whole
}

/// Whether a table is an object of fields.
fn is_nested(item: &Item<'_>) -> bool {
    let is_field = |table: &Table| FIELD_KEYS.iter().any(|member| table.get(member).is_some());
    matches!(&item.node.value, Value::Table(table) if !table.0.is_empty() && !is_field(table))
}

fn field(item: &Item<'_>, target: &str, model: &ModelColumns) -> Option<FieldValue> {
    match &item.node.value {
        Value::String(_) => Some(FieldValue::Column { column: model.read(item)?, as_string: false }),
        Value::Table(table) if !table.0.is_empty() => described(item, target, model),
        _ => item.fail("is not a field", HINT.to_owned()),
    }
}

/// A field written as a table.
fn described(item: &Item<'_>, target: &str, model: &ModelColumns) -> Option<FieldValue> {
    let section = item.section()?;
    for (entry, _) in section.entries().filter(|(entry, _)| !FIELD_KEYS.contains(&entry.key.as_str())) {
        let hint =
            format!("for an object with such fields write quoted keys: \"{target}.{}\" = ...", entry.key);
        section.fault_at(entry, "unknown key beside `column`, `liquid`, `value` or `as`", hint);
    }
    let kinds = ["column", "liquid", "value"];
    if kinds.iter().filter(|kind| section.has(kind)).count() != 1 {
        return item.fail("needs exactly one of `column`, `liquid`, `value`", HINT.to_owned());
    }
    if let Some(item) = section.get("column") {
        let as_string = section.read("as", |item| item.one_of(&[("string", true)]));
        let column = model.read(&item)?;
        return Some(FieldValue::Column { column, as_string: as_string?.unwrap_or_default() });
    }
    if let Some(item) = section.get("liquid") {
        let outputs = [
            ("string", TemplateOutput::String),
            ("number", TemplateOutput::Number),
            ("json", TemplateOutput::Json),
        ];
        let output = section.read("as", |item| item.one_of(&outputs));
        let text = item.printable().string()?.to_owned();
        return Some(FieldValue::Template { text, output: output?.unwrap_or_default() });
    }
    section.refuse("as", "goes with `column` or `liquid`", "a constant has its own type".to_owned());
    let value = constant::constant(&section.get("value")?)?;
    (!section.has("as")).then_some(FieldValue::Constant(value))
}
