//! `[sources.NAME]` of type `csv`.

use std::sync::Arc;

use super::Csv;
use crate::{
    settings::Section,
    source::driver::{Driver, OpenOptions},
};

/// Reads `path`, the directory of the files.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let item = section.need("path", "name the directory of the files, as in path = \"exports\"")?;
    Some(Arc::new(Csv { directory: item.file_path(options.dir)? }))
}
