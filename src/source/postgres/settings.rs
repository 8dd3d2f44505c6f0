//! `[sources.NAME]` of type `postgres`.

use std::sync::Arc;

use super::{Postgres, connect::Connector};
use crate::{
    settings::section::Section,
    source::driver::{Driver, OpenOptions},
    support::secret::{ExposeSecret as _, SecretString},
};

/// Reads `url`, a secret: a password may be in it.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let item = section.need("url", "write url = \"${WAREHOUSE_URL}\"")?;
    let url = SecretString::from(item.url()?);
    match Connector::open(url.expose_secret(), options.connect_timeout) {
        Ok(connector) => Some(Arc::new(Postgres { connector, statement_timeout: options.statement_timeout })),
        Err(reason) => item.fail(
            format!("cannot be used: {reason}"),
            "write \"postgres://user:password@host:5432/database\"".to_owned(),
        ),
    }
}
