//! The pages of sources, models and syncs as entries of the configuration: lists, one entry with its versions, and the
//! form that stores one.

mod beside;
mod document;
mod edit;
mod indexes;
mod inputs;
mod list;
mod mapper;
mod page;
mod rows;
mod source;
mod toml;

pub use self::{
    beside::{Beside, CONTAINS, ROW},
    document::{add_placed, document, fields, place},
    edit::{EditPage, NewSourcePage},
    inputs::{KEPT, NAME, TYPE},
    list::EntriesPage,
    page::EntryPage,
    source::{PreviewedModel, SourceAnswer},
};
use super::{form::Fields, words::segment};
use crate::domain::{Column, StoredName, StoredSection};

/// The path of the pages of entries.
const CONFIGURATION: &str = "/console/configuration";
/// The list of the sources.
pub(super) const SOURCES: &str = "/console/configuration/sources";
/// The list of the models.
pub(super) const MODELS: &str = "/console/configuration/models";
/// The path of the forms of new entries.
const NEW: &str = "/console/new";

/// The list of a section.
pub fn section_path(section: StoredSection) -> String {
    format!("{CONFIGURATION}/{}", section.as_str())
}

/// The page of an entry.
pub fn entry_path(entry: &StoredName) -> String {
    format!("{}/{}", section_path(entry.section), segment(&entry.name))
}

/// The form of a new entry.
pub fn new_path(section: StoredSection) -> String {
    format!("{NEW}/{}", section.as_str())
}

/// The form after one of the buttons of its rows, of a model with these columns.
pub fn change(fields: &Fields, change: &str, columns: &[Column]) -> Fields {
    match change.strip_prefix(indexes::PREFIX) {
        Some(change) => indexes::change(fields, change),
        None => mapper::change(fields, change, columns),
    }
}
