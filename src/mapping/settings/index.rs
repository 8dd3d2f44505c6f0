//! `[syncs.*.indexes]`: look-up paths; the first is the primary one.

use super::ModelColumns;
use crate::{
    domain::{index::NormalForm, name::IndexName},
    mapping::IndexSpec,
    settings::{
        item::Item,
        section::Section,
        tree::{Entry, Value},
    },
};

const HINT: &str = "add [syncs.NAME.indexes] with the primary key first, as in id = \"user_id\"";

pub(super) fn indexes(sync: &Section<'_>, model: &ModelColumns) -> Option<Vec<IndexSpec>> {
    let item = sync.need("indexes", HINT)?;
    let section = item.section()?;
    let read: Vec<_> = section.entries().map(|(entry, item)| index(&section, entry, &item, model)).collect();
    read.into_iter().collect()
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
