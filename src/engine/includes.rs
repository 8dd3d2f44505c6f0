//! `[syncs.*.includes.*]`: collections that a look-up may join.

use super::SyncSpec;
use crate::{
    domain::{
        fields::FieldPath,
        limits::{INCLUDED_RECORDS_MAX, INCLUDES_MAX},
        manifest::Include,
        name::{CollectionName, IndexName},
    },
    mapping::{FieldsSpec, MappingSpec, settings::ModelColumns},
    settings::{item::Item, nearest, section::Section, tree::Entry},
};

/// Values of an array that are looked up unless the include says how many.
const LIMIT_DEFAULT: usize = 20;

/// The top-level fields of a record, as far as the configuration tells.
pub(super) struct RecordFields(Option<Vec<String>>);

impl RecordFields {
    /// The fields of a mapping, or the listed columns of its model.
    pub(super) fn of(mapping: Option<&MappingSpec>, model: &ModelColumns) -> Self {
        let top = |target: &str| target.split('.').next().unwrap_or_default().to_owned();
        Self(match mapping.map(|mapping| &mapping.fields) {
            Some(FieldsSpec::Chosen(fields)) => Some(fields.iter().map(|field| top(&field.target)).collect()),
            Some(FieldsSpec::All) => model.listed.clone(),
            None => None,
        })
    }

    /// Whether the record has the field `name`; `None` if the configuration does not tell.
    fn has(&self, name: &str) -> Option<bool> {
        self.0.as_ref().map(|fields| fields.iter().any(|field| field == name))
    }
}

/// Reads the includes of a sync; none if it has none.
pub(super) fn read(sync: &Section<'_>, fields: &RecordFields) -> Option<Vec<Include>> {
    let Some(item) = sync.get("includes") else { return Some(Vec::new()) };
    let section = item.section()?;
    let read: Vec<_> =
        section.entries().map(|(entry, item)| include(&section, entry, &item, fields)).collect();
    if read.len() > INCLUDES_MAX {
        return item.fail(format!("has more than {INCLUDES_MAX} includes"), None);
    }
    read.into_iter().collect()
}

fn include(parent: &Section<'_>, entry: &Entry, item: &Item<'_>, fields: &RecordFields) -> Option<Include> {
    let name = IndexName::new(&entry.key);
    if name.is_err() {
        let what = "the name of an include has 1 to 64 characters: letters, digits, `_` and `-`, the first a letter or a digit";
        parent.fault_at(entry, what, None);
    } else if fields.has(&entry.key) == Some(true) {
        parent.fault_at(
            entry,
            "is the name of a field of the record",
            "give the include another name".to_owned(),
        );
    }
    let section = item.section()?;
    let from = section.need("from", "name the field with the value, or the array of values, to look up");
    let from = from.and_then(|item| field_path(&item, fields));
    let collection =
        section.need("collection", "name the collection").and_then(|item| item.name(CollectionName::new));
    let index =
        section.need("index", "name an index of the collection").and_then(|item| item.name(IndexName::new));
    let limit = section.read("limit", |item| item.count(1..=INCLUDED_RECORDS_MAX as u64));
    let missing = section.read("missing", |item| item.one_of(&[("omit", false), ("null", true)]));
    let always = section.read("always", Item::boolean);
    section.finish();
    if fields.has(&entry.key) == Some(true) {
        return None;
    }
    Some(Include {
        name: name.ok()?,
        from: from?,
        collection: collection?,
        index: index?,
        limit: limit?.map_or(LIMIT_DEFAULT, |limit| limit as usize),
        nulls: missing?.unwrap_or_default(),
        always: always?.unwrap_or_default(),
    })
}

fn field_path(item: &Item<'_>, fields: &RecordFields) -> Option<FieldPath> {
    let path =
        item.parsed("a field's path", |text| FieldPath::new(text).map_err(|error| error.to_string()))?;
    let top = path.names().next().unwrap_or_default();
    if fields.has(top) == Some(false) {
        let known = fields.0.iter().flatten().map(String::as_str);
        let hint = nearest::hint(top, "fields of the record", known);
        return item.fail(format!("the record has no field {top:?}"), hint);
    }
    Some(path)
}

/// Checks that collections and indexes of includes exist, if the same file has them. Gives `None` after a fault.
pub(crate) fn check_references(syncs: &Section<'_>, specs: &[&SyncSpec]) -> Option<()> {
    let mut is_right = true;
    for spec in specs {
        for include in &spec.serving.includes {
            let Some(target) = specs.iter().find(|other| other.collection == include.collection) else {
                continue;
            };
            let names = target.mapping.indexes.iter().map(|index| index.name.as_str());
            if names.clone().any(|name| name == include.index.as_str()) {
                continue;
            }
            is_right = false;
            let what = format!("the collection `{}` has no index `{}`", include.collection, include.index);
            let hint = nearest::hint(include.index.as_str(), "its indexes", names);
            match index_item(syncs, spec, include) {
                Some(item) => item.fail::<()>(what, hint),
                None => syncs.fail(what, hint),
            };
        }
    }
    is_right.then_some(())
}

/// The value that an include's index was read from.
fn index_item<'a>(syncs: &Section<'a>, spec: &SyncSpec, include: &Include) -> Option<Item<'a>> {
    let entry_of = |section: &Section<'a>, name: &str| {
        section.entries().find(|(entry, _)| entry.key == name).map(|(_, item)| item)
    };
    let sync = entry_of(syncs, spec.collection.as_str())?.section()?;
    let includes = sync.get("includes")?.section()?;
    entry_of(&includes, include.name.as_str())?.section()?.get("index")
}
