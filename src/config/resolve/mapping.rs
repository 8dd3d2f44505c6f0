//! Indexes and fields together: the mapping of a sync.

use super::{
    field::{self, Fields},
    index,
    model::Model,
};
use crate::mapping::{self, MappingSpec};
use crate::settings::{item::Item, section::Section};

/// The mapping of a sync. Fields are checked even when the indexes are faulty.
pub(super) fn mapping(sync: &Section<'_>, model: &Model) -> Option<MappingSpec> {
    let indexes = index::indexes(sync, model);
    let fields = field::fields(sync, model);
    let knows_keys = indexes.is_some() && model.primary_key.is_some();
    let spec = MappingSpec {
        primary_key: model.primary_key.clone().unwrap_or_default(),
        indexes: indexes.unwrap_or_default(),
        fields: fields.spec(),
    };
    let mut is_right = knows_keys && fields.is_whole;
    for fault in mapping::validate(&spec) {
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
