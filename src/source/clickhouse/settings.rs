//! `[sources.NAME]` of type `clickhouse`.

use std::sync::Arc;

use super::{ClickHouse, pinned::Lacking};
use crate::{
    settings::{item::Item, section::Section},
    source::{
        driver::{Driver, OpenOptions},
        http::Endpoint,
    },
    support::secret::SecretString,
};

/// Reads `url`, `ca_file`, `user`, `password` and `database`.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let endpoint = Endpoint::read(section, |item| item.file_path(options.dir), options.connect_timeout);
    let user = section.read("user", Item::printable_word);
    let password = section.read("password", |item| item.string().map(SecretString::from));
    let database = section.read("database", Item::printable_word);
    Some(Arc::new(ClickHouse {
        endpoint: endpoint?,
        user: user?,
        password: password?,
        database: database?,
        statement_timeout: options.statement_timeout,
        lacking: Lacking::default(),
    }))
}
