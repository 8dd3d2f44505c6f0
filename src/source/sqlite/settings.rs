//! `[sources.NAME]` of type `sqlite`.

use std::sync::Arc;

use super::{Sqlite, access::DatabaseFile};
use crate::{
    settings::Section,
    source::driver::{Driver, OpenOptions},
};

/// Reads `path`, the file.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let item = section.need("path", "write path = \"warehouse.db\"")?;
    let path = item.printable().word()?;
    if path.starts_with("sqlite:") || path.starts_with("file:") {
        return item.fail("is a URL", "write the path alone, as in \"warehouse.db\"".to_owned());
    }
    Some(Arc::new(Sqlite {
        file: Arc::new(DatabaseFile::new(item.path(options.dir, path))),
        lock_timeout: options.connect_timeout,
        statement_timeout: options.statement_timeout,
    }))
}
