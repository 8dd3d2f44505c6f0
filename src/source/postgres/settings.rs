//! `[sources.NAME]` of type `postgres`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8},
};

use super::Postgres;
use crate::{
    postgres::Parameters,
    settings::Section,
    source::driver::{Driver, OpenOptions},
};

/// Reads `url`, a secret: a password may be in it.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let item = section.need("url", "write url = \"${WAREHOUSE_URL}\"")?;
    match Parameters::parse(item.url()?, &|path| item.path(options.dir, path)) {
        Ok(parameters) => Some(Arc::new(Postgres {
            address: parameters.address(),
            parameters,
            connect_timeout: options.connect_timeout,
            statement_timeout: options.statement_timeout,
            way: AtomicU8::default(),
            is_plain: AtomicBool::default(),
        })),
        Err(fault) => item.fail(fault.message, fault.hint),
    }
}
