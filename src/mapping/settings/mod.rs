//! Reads the mapping of a sync: `[syncs.NAME.indexes]` and `[syncs.NAME.fields]`.

mod constant;
mod field;
mod index;

pub(crate) use constant::record;

use self::field::Fields;
use super::{MappingSpec, validate};
use crate::settings::{item::Item, section::Section};

/// The columns of a model, as far as the configuration names them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelColumns {
    /// The column of the primary key; `None` when it is faulty.
    pub(crate) primary_key: Option<String>,
    /// All columns, when they are listed.
    pub(crate) listed: Option<Vec<String>>,
}

impl ModelColumns {
    /// A column's name; reports one that the model is known not to have.
    pub(crate) fn read(&self, item: &Item<'_>) -> Option<String> {
        let name = item.printable().word()?;
        if let Some(columns) = &self.listed {
            item.reference("column", columns)?;
        }
        Some(name.to_owned())
    }
}

/// The mapping of a sync. Fields are checked even when the indexes are faulty.
pub(crate) fn read(sync: &Section<'_>, model: &ModelColumns) -> Option<MappingSpec> {
    let indexes = index::indexes(sync, model);
    let fields = field::fields(sync, model);
    let numbers = sync.read("numbers", |item| item.one_of(&[("number", false), ("string", true)]));
    let nulls = sync.read("nulls", |item| item.one_of(&[("null", false), ("omit", true)]));
    let knows_keys = indexes.is_some() && model.primary_key.is_some();
    let spec = MappingSpec {
        primary_key: model.primary_key.clone().unwrap_or_default(),
        indexes: indexes.unwrap_or_default(),
        fields: fields.spec(),
        numbers_as_strings: numbers?.unwrap_or_default(),
        omit_nulls: nulls?.unwrap_or_default(),
    };
    let mut is_right = knows_keys && fields.is_whole;
    for fault in validate(&spec) {
        if knows_keys || fault.path.starts_with("fields.") {
            is_right = false;
            match item_at(sync, &fields, &fault.path) {
                Some(item) => item.fail::<()>(fault.message, fault.hint),
                None => sync.fail(format!("{}: {}", fault.path, fault.message), fault.hint),
            };
        }
    }
    is_right.then_some(spec)
}

/// The value that `fields.TARGET` or `indexes.NAME` was read from.
fn item_at<'a>(sync: &Section<'a>, fields: &Fields<'a>, path: &str) -> Option<Item<'a>> {
    if let Some(target) = path.strip_prefix("fields.") {
        // Of two fields with one target the second is to blame.
        let item = fields.found.iter().rev().find(|(_, spec)| spec.target == target);
        return item.map(|(item, _)| item.clone());
    }
    let name = path.strip_prefix("indexes.")?;
    let section = sync.get("indexes")?.section()?;
    section.entries().find(|(entry, _)| entry.key == name).map(|(_, item)| item)
}
