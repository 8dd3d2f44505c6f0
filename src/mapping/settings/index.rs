//! `[syncs.*.indexes]`: look-up paths; the first is the primary one.

use super::ModelColumns;
use crate::{
    domain::{index::NormalForm, limits::INDEXES_MAX, name::IndexName},
    mapping::IndexSpec,
    settings::{
        item::Item,
        section::Section,
        tree::{Entry, Value},
    },
};

const HINT: &str = "add [syncs.NAME.indexes] with the primary key first, as in id = \"user_id\"";

/// The indexes of a sync.
pub(super) fn indexes(sync: &Section<'_>, model: &ModelColumns) -> Option<Vec<IndexSpec>> {
    let item = sync.need("indexes", HINT)?;
    let section = item.section()?;
    let read: Vec<_> = section.entries().map(|(entry, item)| index(&section, entry, &item, model)).collect();
    if read.is_empty() {
        return item.fail("has no index", HINT.to_owned());
    }
    if read.len() > INDEXES_MAX + 1 {
        return item.fail(format!("has more than {} indexes", INDEXES_MAX + 1), None);
    }
    let indexes = read.into_iter().collect::<Option<Vec<_>>>()?;
    check_primary(&section, &indexes, model)?;
    Some(indexes)
}

fn index(section: &Section<'_>, entry: &Entry, item: &Item<'_>, model: &ModelColumns) -> Option<IndexSpec> {
    let name = IndexName::new(&entry.key);
    if let Err(error) = &name {
        section.fault_at(entry, &error.to_string(), None);
    }
    let (column, each, normalize) = match &item.node.value {
        Value::Table(_) => {
            let section = item.section()?;
            let column = section.need("column", "name the model's column").and_then(|item| model.read(&item));
            let each = section.read("each", Item::boolean);
            let normalize = section.read("normalize", normal_forms);
            section.finish();
            (column, each?.unwrap_or_default(), normalize?.unwrap_or_default())
        }
        Value::String(_) => (model.read(item), false, Vec::new()),
        other => {
            return item.fail(
                format!("must be a column's name or a table, not {}", other.type_name()),
                "write id = \"user_id\" or email = { column = \"email\", normalize = [\"trim\"] }".to_owned(),
            );
        }
    };
    Some(IndexSpec { name: name.ok()?, column: column?, each, normalize })
}

fn normal_forms(item: &Item<'_>) -> Option<Vec<NormalForm>> {
    let words = [
        ("trim", NormalForm::Trim),
        ("lowercase", NormalForm::Lowercase),
        ("nfc", NormalForm::Nfc),
        ("casefold", NormalForm::Casefold),
        ("integer", NormalForm::Integer),
    ];
    item.list(|item| item.one_of(&words))
}

fn check_primary(section: &Section<'_>, indexes: &[IndexSpec], model: &ModelColumns) -> Option<()> {
    let (first, primary_key) = (indexes.first()?, model.primary_key.as_ref()?);
    let (_, item) = section.entries().next()?;
    if first.column != *primary_key {
        let other = indexes.iter().find(|index| index.column == *primary_key && !index.each);
        let hint = match other {
            Some(index) => format!("move \"{}\" to the first place", index.name),
            None => format!("begin with an index on it, as in id = \"{primary_key}\""),
        };
        let message = format!("the first index must be on the model's primary key, column \"{primary_key}\"");
        return item.fail(message, hint);
    }
    if first.each {
        return item.fail("the primary index cannot have `each`: a record has one primary key", None);
    }
    Some(())
}
