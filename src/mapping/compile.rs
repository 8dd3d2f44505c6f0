//! Compiles a mapping, or reports every fault of it.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};

use super::{
    clear::Clearing,
    fault::MappingFault,
    indexes::{self, IndexKey},
    mapper::Mapper,
    omit::Omission,
    program::{FieldSource, Program, Value},
    spec::{FieldSpec, FieldValue, FieldsSpec, MappingSpec, TemplateOutput},
    targets::{self, Member},
    warn,
};
use crate::{
    domain::{index::IndexDefinition, json, limits, row::Column},
    liquid::Template,
};

/// A mapping that is ready to run; cheap to clone.
#[derive(Debug, Clone)]
pub struct Mapping(Arc<Plan>);

#[derive(Debug)]
pub(super) struct FieldTemplate {
    pub(super) target: String,
    pub(super) template: Template,
    pub(super) output: TemplateOutput,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) columns: Vec<Column>,
    /// The first is the primary one.
    pub(super) indexes: Vec<IndexDefinition>,
    /// How each index is filled.
    pub(super) keys: Vec<IndexKey>,
    pub(super) program: Program,
    pub(super) templates: Vec<FieldTemplate>,
    fields: Vec<String>,
    clearing: Clearing,
    /// Present when null members are left out.
    pub(super) omission: Option<Omission>,
    warnings: Vec<String>,
}

/// The faults of a mapping that show without the model's columns: targets that clash, templates that do not
/// parse, indexes that break their rules.
pub fn validate(spec: &MappingSpec) -> Vec<MappingFault> {
    let mut faults = Vec::new();
    indexes::check(spec, &mut faults);
    if let FieldsSpec::Chosen(fields) = &spec.fields {
        check_count(&mut faults, "fields", "fields", fields.len(), limits::FIELDS_MAX);
        targets::of_fields(fields, &mut faults);
        for field in fields {
            check_value(field, &mut faults);
        }
    }
    faults
}

impl Mapping {
    /// Compiles `spec` for rows with these columns.
    ///
    /// # Errors
    /// Every fault.
    pub fn compile(spec: &MappingSpec, columns: &[Column]) -> Result<Self, Vec<MappingFault>> {
        let mut faults = validate(spec);
        check_columns(columns, &mut faults);
        let (indexes, keys) = indexes::compile(spec, columns, &mut faults);
        let (members, values, templates) = fields(spec, columns, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let kept = indexes::kept_columns(&indexes, &keys);
        Ok(Self(Arc::new(Plan {
            columns: columns.to_vec(),
            program: Program::of(&members, &values),
            fields: targets::names(&members),
            clearing: Clearing::of(&members, &values, &kept),
            omission: spec.omit_nulls.then(|| Omission::of(&members)),
            warnings: warn::warnings(&members, &templates),
            indexes,
            keys,
            templates,
        })))
    }

    /// The indexes of the collection; the first is the primary one.
    pub fn indexes(&self) -> &[IndexDefinition] {
        &self.0.indexes
    }

    /// Names of a record's top-level fields, in order.
    pub fn fields(&self) -> Vec<String> {
        self.0.fields.clone()
    }

    /// Warnings: keys that Liquid handles badly, templates that read the clock or an unknown column.
    pub fn warnings(&self) -> Vec<String> {
        self.0.warnings.clone()
    }

    /// A mapper for one thread. `'now'` in a template is `data_as_of`.
    pub fn mapper(&self, data_as_of: DateTime<Utc>) -> Mapper {
        Mapper::new(self.clone(), data_as_of)
    }

    /// Appends the served `body` with every field null, except those that this mapping takes from
    /// the primary key column or an index column. Nested objects keep their shape. A field of
    /// `body` that the mapping does not know (made by an earlier one) becomes null as well.
    pub fn clear_fields(&self, body: &[u8], out: &mut Vec<u8>) {
        let Some(omission) = &self.0.omission else { return self.0.clearing.write(body, out) };
        let mut cleared = Vec::new();
        self.0.clearing.write(body, &mut cleared);
        omission.write(&cleared, out);
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.0
    }
}

pub(super) fn check_count(
    faults: &mut Vec<MappingFault>,
    path: &str,
    what: &str,
    count: usize,
    count_max: usize,
) {
    if count > count_max {
        faults.push(MappingFault::new(path, format!("{count} {what} are more than {count_max}")));
    }
}

fn check_value(field: &FieldSpec, faults: &mut Vec<MappingFault>) {
    match &field.value {
        FieldValue::Column { .. } => {}
        FieldValue::Constant(value) => {
            let level = field.target.split('.').count();
            if level + json::depth(value.to_string().as_bytes()) > limits::DEPTH_MAX {
                let what = format!("a record has at most {} levels", limits::DEPTH_MAX);
                faults.push(MappingFault::new(targets::path(field), what));
            }
        }
        FieldValue::Template { text, .. } => {
            for error in Template::parse(text).err().unwrap_or_default() {
                let fault = MappingFault::new(targets::path(field), error.to_string());
                faults.push(MappingFault { hint: error.hint, ..fault });
            }
        }
    }
}

fn check_columns(columns: &[Column], faults: &mut Vec<MappingFault>) {
    let mut names = HashSet::new();
    for column in columns.iter().filter(|column| !names.insert(&column.name)) {
        let fault = MappingFault::new("model", format!("two columns are named `{}`", column.name));
        faults.push(fault.hint("give one of them another name with `as`"));
    }
    for column in columns.iter().filter(|column| targets::has_nul(&column.name)) {
        let what = format!("the name of the column `{}` has a NUL character", column.name.escape_debug());
        faults.push(MappingFault::new("model", what).hint("give it another name with `as`, or rename it"));
    }
    check_count(faults, "model", "columns", columns.len(), limits::FIELDS_MAX);
}

pub(super) fn column_named(columns: &[Column], name: &str, path: String) -> Result<usize, MappingFault> {
    columns.iter().position(|column| column.name == name).ok_or_else(|| {
        MappingFault::unknown_column(path, name, columns.iter().map(|column| column.name.as_str()))
    })
}

/// The shape of a record, the value of each field by its number, and the templates among them.
fn fields(
    spec: &MappingSpec,
    columns: &[Column],
    faults: &mut Vec<MappingFault>,
) -> (Vec<Member>, Vec<Value>, Vec<FieldTemplate>) {
    let own = if spec.numbers_as_strings { FieldSource::NumberAsString } else { FieldSource::Column };
    let FieldsSpec::Chosen(fields) = &spec.fields else {
        let values = (0..columns.len()).map(|column| Value::Source(own(column))).collect();
        return (targets::of_columns(columns), values, Vec::new());
    };
    // `validate` has reported the faults of targets and templates.
    let members = targets::of_fields(fields, &mut Vec::new());
    let mut values = Vec::with_capacity(fields.len());
    let mut templates = Vec::new();
    for field in fields {
        values.push(match &field.value {
            FieldValue::Constant(value) => Value::Constant(value.to_string().into_bytes()),
            FieldValue::Column { column, as_string } => {
                let at = column_named(columns, column, targets::path(field)).unwrap_or_else(|fault| {
                    faults.push(fault);
                    0
                });
                Value::Source(if *as_string { FieldSource::ColumnAsString(at) } else { own(at) })
            }
            FieldValue::Template { text, output } => {
                if let Ok(mut template) = Template::parse(text) {
                    template.bind(columns);
                    templates.push(FieldTemplate { target: field.target.clone(), template, output: *output });
                }
                Value::Source(FieldSource::Template(templates.len().saturating_sub(1)))
            }
        });
    }
    (members, values, templates)
}
