//! Compiles the indexes of a mapping: their definitions, and how each is filled from a row.

use std::collections::HashSet;

use super::{
    compile::{check_count, column_named},
    fault::MappingFault,
    spec::{IndexSpec, MappingSpec, SharedSpec},
};
use crate::domain::{
    hash::ValueHasher,
    index::{IndexDefinition, SharedValues},
    limits,
    name::IndexName,
    row::{Column, ColumnKind},
};

/// How an index is filled from a row.
#[derive(Debug)]
pub(super) struct IndexKey {
    /// The columns of its value: one, or those of a compound index.
    pub(super) columns: Vec<usize>,
    /// Hashes its values.
    pub(super) hasher: Option<ValueHasher>,
}

fn index_path(index: &IndexSpec) -> String {
    format!("indexes.{}", index.name)
}

/// Reports the faults that show without the model's columns.
pub(super) fn check(spec: &MappingSpec, faults: &mut Vec<MappingFault>) {
    let MappingSpec { primary_key, indexes, .. } = spec;
    let Some(primary) = indexes.first() else {
        let fault = MappingFault::new("indexes", "there is no index");
        faults.push(fault.hint(format!("the first one is on the primary key: id = \"{primary_key}\"")));
        return;
    };
    check_primary(spec, primary, faults);
    let secondary = indexes.len() - 1 + newest_columns(spec).len();
    check_count(faults, "indexes", "secondary indexes", secondary, limits::INDEXES_MAX);
    for index in indexes {
        check_compound(index, faults);
    }
    let mut names = HashSet::new();
    for index in indexes.iter().filter(|index| !names.insert(&index.name)) {
        faults.push(MappingFault::new(index_path(index), "two indexes have this name"));
    }
}

fn check_primary(spec: &MappingSpec, primary: &IndexSpec, faults: &mut Vec<MappingFault>) {
    let MappingSpec { primary_key, indexes, .. } = spec;
    if primary.column != *primary_key {
        let what = format!("the first index must be on the primary key column `{primary_key}`");
        let other = indexes.iter().find(|index| index.column == *primary_key && !index.each);
        faults.push(MappingFault::new(index_path(primary), what).hint(match other {
            Some(index) => format!("move `{}` to the first place", index.name),
            None => format!("begin with an index on it, as in id = \"{primary_key}\""),
        }));
    }
    if primary.each {
        let what = "the primary index cannot have `each`: a record has one primary key";
        faults.push(MappingFault::new(index_path(primary), what));
    }
    if primary.shared != SharedSpec::LowestKey {
        let what = "the primary index cannot have `shared`: rows that share a primary key are all rejected";
        faults.push(MappingFault::new(index_path(primary), what));
    }
}

fn check_compound(index: &IndexSpec, faults: &mut Vec<MappingFault>) {
    let path = || index_path(index);
    match index.columns.len() {
        0 => return,
        1 => faults.push(MappingFault::new(path(), "`columns` has one column").hint("write it as `column`")),
        count => check_count(faults, &path(), "columns", count, limits::INDEX_COLUMNS_MAX),
    }
    if index.each {
        faults.push(MappingFault::new(path(), "an index with `columns` cannot have `each`"));
    }
}

/// The columns of `newest`, each once, in the order of the indexes.
fn newest_columns(spec: &MappingSpec) -> Vec<&str> {
    let mut columns = Vec::new();
    for index in &spec.indexes {
        if let SharedSpec::Newest(column) = &index.shared
            && !columns.contains(&column.as_str())
        {
            columns.push(column.as_str());
        }
    }
    columns
}

/// The definition of every index with its key, in the order of the manifest: those of the mapping, then one for
/// each column of `newest`.
pub(super) fn compile(
    spec: &MappingSpec,
    columns: &[Column],
    faults: &mut Vec<MappingFault>,
) -> (Vec<IndexDefinition>, Vec<IndexKey>) {
    check_primary_column(spec, columns, faults);
    let orders = order_indexes(spec, columns, faults);
    let mut found = Vec::new();
    for index in &spec.indexes {
        match index_columns(index, columns) {
            // Reported once, as a fault of the primary key.
            Err(_) if index.column == spec.primary_key => {}
            Err(fault) => faults.push(fault),
            Ok(at) => {
                check_each(index, &columns[at[0]], faults);
                let definition = definition(index, &at, columns, &orders);
                found.push((definition, IndexKey { columns: at, hasher: index.hash.clone() }));
            }
        }
    }
    found.extend(
        orders
            .into_iter()
            .map(|(definition, column)| (definition, IndexKey { columns: vec![column], hasher: None })),
    );
    found.into_iter().unzip()
}

fn check_primary_column(spec: &MappingSpec, columns: &[Column], faults: &mut Vec<MappingFault>) {
    match column_named(columns, &spec.primary_key, "primary_key".to_owned()) {
        Err(fault) => faults.push(fault),
        Ok(at) if columns[at].kind == ColumnKind::Json => {
            let Column { name, type_name, .. } = &columns[at];
            let what = format!("the column `{name}` of type {type_name} cannot be a key");
            faults.push(MappingFault::new("primary_key", what).hint("cast it to text in the model's query"));
        }
        Ok(_) => {}
    }
}

fn index_columns(index: &IndexSpec, columns: &[Column]) -> Result<Vec<usize>, MappingFault> {
    let names = if index.columns.is_empty() { std::slice::from_ref(&index.column) } else { &index.columns };
    names.iter().map(|name| column_named(columns, name, index_path(index))).collect()
}

fn check_each(index: &IndexSpec, column: &Column, faults: &mut Vec<MappingFault>) {
    if index.each && !matches!(column.kind, ColumnKind::Json | ColumnKind::Any) {
        let Column { name, type_name, .. } = column;
        let what = format!("`each` needs a JSON array, and `{name}` is of type {type_name}");
        let hint = "leave `each` out, or make the column JSON or an array in the model's query";
        faults.push(MappingFault::new(index_path(index), what).hint(hint));
    }
}

fn definition(
    index: &IndexSpec,
    at: &[usize],
    columns: &[Column],
    orders: &[(IndexDefinition, usize)],
) -> IndexDefinition {
    let is_compound = !index.columns.is_empty();
    let kind = match columns[at[0]].kind {
        _ if index.each => ColumnKind::Any,
        _ if is_compound => ColumnKind::Text,
        kind => kind,
    };
    let order_of = |column: &String| orders.iter().find(|(order, _)| order.column == *column);
    IndexDefinition {
        each: index.each,
        normalize: index.normalize.clone(),
        parts: if is_compound { at.iter().map(|&at| columns[at].kind).collect() } else { Vec::new() },
        hash: index.hash.as_ref().map(ValueHasher::definition),
        shared: match &index.shared {
            SharedSpec::LowestKey => SharedValues::LowestKey,
            SharedSpec::Reject => SharedValues::Reject,
            // An unknown column is a fault, so that no definition is used.
            SharedSpec::Newest(column) => order_of(column)
                .map_or(SharedValues::Reject, |(order, _)| SharedValues::Newest(order.name.clone())),
        },
        ..IndexDefinition::plain(index.name.clone(), &index.column, kind)
    }
}

/// An index with the order of the records for each column of `newest`, under a name that no index has.
fn order_indexes(
    spec: &MappingSpec,
    columns: &[Column],
    faults: &mut Vec<MappingFault>,
) -> Vec<(IndexDefinition, usize)> {
    let is_free = |name: &IndexName| spec.indexes.iter().all(|index| index.name != *name);
    let mut names = (1_usize..).filter_map(|at| IndexName::new(&format!("order-{at}")).ok()).filter(is_free);
    let mut orders = Vec::new();
    for column in newest_columns(spec) {
        let users = spec.indexes.iter().filter(|index| index.shared == SharedSpec::Newest(column.to_owned()));
        let path = users.map(index_path).next().unwrap_or_default();
        match (column_named(columns, column, path), names.next()) {
            (Ok(at), Some(name)) => {
                let plain = IndexDefinition::plain(name, column, ColumnKind::Text);
                orders.push((IndexDefinition { is_order: true, ..plain }, at));
            }
            (Err(fault), _) => faults.push(fault),
            (Ok(_), None) => {}
        }
    }
    orders
}

/// The columns whose fields a cleared record keeps.
pub(super) fn kept_columns(indexes: &[IndexDefinition], keys: &[IndexKey]) -> Vec<usize> {
    let looked_up = indexes.iter().zip(keys).filter(|(index, _)| !index.is_order);
    looked_up.flat_map(|(_, key)| key.columns.iter().copied()).collect()
}
