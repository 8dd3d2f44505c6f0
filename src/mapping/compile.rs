//! From a mapping as configured to one that runs, with every fault found on the way.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};

use super::{
    clear::Clearing,
    fault::MappingFault,
    mapper::Mapper,
    program::{FieldSource, Program, Value},
    spec::{FieldSpec, FieldValue, FieldsSpec, IndexSpec, MappingSpec, TemplateOutput},
    targets::{self, Member},
    warn,
};
use crate::{
    domain::{
        index::IndexDefinition,
        json, limits,
        row::{Column, ColumnKind},
    },
    liquid::Template,
};

/// A mapping that is ready to run; cheap to clone.
#[derive(Debug, Clone)]
pub struct Mapping(Arc<Plan>);

/// A template field.
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
    /// The column of each index.
    pub(super) index_columns: Vec<usize>,
    pub(super) program: Program,
    pub(super) templates: Vec<FieldTemplate>,
    fields: Vec<String>,
    clearing: Clearing,
    warnings: Vec<String>,
}

/// What is wrong with a mapping as far as it shows without the model's columns: targets that clash,
/// templates that do not parse, indexes that cannot be.
pub fn validate(spec: &MappingSpec) -> Vec<MappingFault> {
    let mut faults = Vec::new();
    check_indexes(spec, &mut faults);
    targets::check_count(&spec.fields, &mut faults);
    if let FieldsSpec::Chosen(fields) = &spec.fields {
        targets::of_fields(fields, &mut faults);
        for field in fields {
            check_value(field, &mut faults);
        }
    }
    faults
}

impl Mapping {
    /// Compiles `spec` for rows with these columns, or tells every fault.
    pub fn compile(spec: &MappingSpec, columns: &[Column]) -> Result<Self, Vec<MappingFault>> {
        let mut faults = validate(spec);
        check_columns(columns, &mut faults);
        let indexes = indexes(spec, columns, &mut faults);
        let (members, values, templates) = fields(spec, columns, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let (indexes, index_columns): (Vec<_>, Vec<_>) = indexes.into_iter().unzip();
        Ok(Self(Arc::new(Plan {
            columns: columns.to_vec(),
            program: Program::of(&members, &values),
            fields: targets::names(&members),
            clearing: Clearing::of(&members, &values, &index_columns),
            warnings: warn::warnings(&members, &templates),
            indexes,
            index_columns,
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

    /// The columns that rows must have, in order.
    pub fn columns(&self) -> &[Column] {
        &self.0.columns
    }

    /// What works, but probably not as meant: keys that Liquid handles badly, templates that read
    /// the clock or no known column.
    pub fn warnings(&self) -> Vec<String> {
        self.0.warnings.clone()
    }

    /// A mapper for one thread. `data_as_of` is what `'now'` means in a template.
    pub fn mapper(&self, data_as_of: DateTime<Utc>) -> Mapper {
        Mapper::new(self.clone(), data_as_of)
    }

    /// Appends the served `body` with every field null, except those that this mapping takes from
    /// the primary key column or an index column. Nested objects keep their shape. A field of
    /// `body` that the mapping does not know (made by an earlier one) becomes null as well.
    pub fn clear_fields(&self, body: &[u8], out: &mut Vec<u8>) {
        self.0.clearing.write(body, out);
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.0
    }
}

fn index_path(index: &IndexSpec) -> String {
    format!("indexes.{}", index.name)
}

fn check_indexes(spec: &MappingSpec, faults: &mut Vec<MappingFault>) {
    let Some(primary) = spec.indexes.first() else {
        faults.push(
            MappingFault::new("indexes", "there is no index")
                .hint(format!("the first one is on the primary key: id = \"{}\"", spec.primary_key)),
        );
        return;
    };
    if primary.column != spec.primary_key {
        faults.push(MappingFault::new(
            index_path(primary),
            format!(
                "the first index is the primary one and stands on the primary key column `{}`, not on `{}`",
                spec.primary_key, primary.column
            ),
        ));
    }
    if primary.each {
        faults.push(MappingFault::new(
            index_path(primary),
            "the primary index has one value, so that `each` is not for it",
        ));
    }
    if spec.indexes.len() > limits::INDEXES_MAX + 1 {
        faults.push(MappingFault::new(
            "indexes",
            format!("{} secondary indexes are more than {}", spec.indexes.len() - 1, limits::INDEXES_MAX),
        ));
    }
    let mut names = HashSet::new();
    for index in &spec.indexes {
        if !names.insert(&index.name) {
            faults.push(MappingFault::new(index_path(index), "two indexes have this name"));
        }
    }
}

fn check_value(field: &FieldSpec, faults: &mut Vec<MappingFault>) {
    match &field.value {
        FieldValue::Column { .. } => {}
        FieldValue::Constant(value) => {
            let level = field.target.split('.').count();
            if level + json::depth(value.to_string().as_bytes()) > limits::DEPTH_MAX {
                faults.push(MappingFault::new(
                    targets::path(field),
                    format!("a record has at most {} levels", limits::DEPTH_MAX),
                ));
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
    for column in columns {
        if !names.insert(&column.name) {
            faults.push(
                MappingFault::new("model", format!("two columns are named `{}`", column.name))
                    .hint("give one of them another name with `as`"),
            );
        }
    }
    if columns.len() > limits::FIELDS_MAX {
        faults.push(MappingFault::new(
            "model",
            format!("{} columns are more than {}", columns.len(), limits::FIELDS_MAX),
        ));
    }
}

fn column_named(columns: &[Column], name: &str, path: String) -> Result<usize, MappingFault> {
    columns.iter().position(|column| column.name == name).ok_or_else(|| {
        MappingFault::unknown_column(path, name, columns.iter().map(|column| column.name.as_str()))
    })
}

/// The definition of every index, with its column.
fn indexes(
    spec: &MappingSpec,
    columns: &[Column],
    faults: &mut Vec<MappingFault>,
) -> Vec<(IndexDefinition, usize)> {
    match column_named(columns, &spec.primary_key, "primary_key".to_owned()) {
        Err(fault) => faults.push(fault),
        Ok(at) if columns[at].kind == ColumnKind::Json => faults.push(
            MappingFault::new(
                "primary_key",
                format!(
                    "the column `{}` of type {} cannot be a key",
                    spec.primary_key, columns[at].type_name
                ),
            )
            .hint("cast it to text in the model's query"),
        ),
        Ok(_) => {}
    }
    let mut found = Vec::new();
    for index in &spec.indexes {
        match column_named(columns, &index.column, index_path(index)) {
            // Told once, as a fault of the primary key.
            Err(_) if index.column == spec.primary_key => {}
            Err(fault) => faults.push(fault),
            Ok(at) => {
                let column = &columns[at];
                if index.each && !matches!(column.kind, ColumnKind::Json | ColumnKind::Any) {
                    faults.push(
                        MappingFault::new(
                            index_path(index),
                            format!(
                                "`each` needs a JSON array, and `{}` is of type {}",
                                column.name, column.type_name
                            ),
                        )
                        .hint("leave `each` out, or make the column JSON or an array in the model's query"),
                    );
                }
                let definition = IndexDefinition {
                    name: index.name.clone(),
                    column: index.column.clone(),
                    each: index.each,
                    normalize: index.normalize.clone(),
                    kind: if index.each { ColumnKind::Any } else { column.kind },
                };
                found.push((definition, at));
            }
        }
    }
    found
}

/// The shape of a record, the value of each field by its number, and the templates among them.
fn fields(
    spec: &MappingSpec,
    columns: &[Column],
    faults: &mut Vec<MappingFault>,
) -> (Vec<Member>, Vec<Value>, Vec<FieldTemplate>) {
    let FieldsSpec::Chosen(fields) = &spec.fields else {
        let values = (0..columns.len()).map(|column| Value::Source(FieldSource::Column(column))).collect();
        return (targets::of_columns(columns), values, Vec::new());
    };
    // Faults of targets and templates were told by `validate`.
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
                Value::Source(if *as_string {
                    FieldSource::ColumnAsString(at)
                } else {
                    FieldSource::Column(at)
                })
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
