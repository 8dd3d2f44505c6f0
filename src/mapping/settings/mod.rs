//! Reads the mapping of a sync: `[syncs.NAME.indexes]` and `[syncs.NAME.fields]`.

mod constant;
mod field;
mod index;

pub(crate) use constant::record;
pub use field::FIELD_KEYS;
pub(crate) use index::secret;

use self::field::Fields;
use super::{MappingSpec, validate};
use crate::settings::{item::Item, section::Section};

/// The columns of a model that the configuration names.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelColumns {
    /// The column of the primary key; `None` when it is faulty.
    pub(crate) primary_key: Option<String>,
    /// All columns, when they are listed.
    pub(crate) listed: Option<Vec<String>>,
    /// Whether the primary key is the column of the first index, which a run compares with what the model's origin knows.
    pub(crate) is_key_inferred: bool,
}

impl ModelColumns {
    /// Reads the name of a column. Reports one that is not listed.
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
    let first = indexes.as_ref().and_then(|indexes| indexes.first()).filter(|_| model.is_key_inferred);
    let primary_key = model.primary_key.clone().or_else(|| first.map(|index| index.column.clone()));
    let knows_keys = indexes.is_some() && (primary_key.is_some() || model.is_key_inferred);
    let spec = MappingSpec {
        primary_key: primary_key.unwrap_or_default(),
        indexes: indexes.unwrap_or_default(),
        fields: fields.spec(),
        numbers_as_strings: numbers?.unwrap_or_default(),
        omit_nulls: nulls?.unwrap_or_default(),
    };
    let mut is_right = knows_keys && fields.is_whole;
    for fault in validate(&spec) {
        if knows_keys || fault.path.starts_with("fields") {
            is_right = false;
            match item_at(sync, &fields, &fault.path) {
                Some(item) => item.fail::<()>(fault.message, fault.hint),
                None => sync.fail(format!("{}: {}", fault.path, fault.message), fault.hint),
            };
        }
    }
    is_right.then_some(spec)
}

/// The value that `fields`, `fields.TARGET`, `indexes` or `indexes.NAME` was read from.
fn item_at<'a>(sync: &Section<'a>, fields: &Fields<'a>, path: &str) -> Option<Item<'a>> {
    if let Some(target) = path.strip_prefix("fields.") {
        // Of two fields with one target the second is at fault.
        let item = fields.found.iter().rev().find(|(_, spec)| spec.target == target);
        return item.map(|(item, _)| item.clone());
    }
    let indexes = sync.get(if path == "fields" { "fields" } else { "indexes" })?;
    let Some(name) = path.strip_prefix("indexes.") else { return Some(indexes) };
    indexes.section()?.entries().find(|(entry, _)| entry.key == name).map(|(_, item)| item)
}
