//! `[sources.NAME]` of type `trino`.

use std::sync::Arc;

use super::{Login, Trino};
use crate::{
    settings::{item::Item, section::Section},
    source::{
        driver::{Driver, OpenOptions},
        http::Endpoint,
    },
    support::secret::SecretString,
};

/// Reads `url`, `ca_file`, `user`, `password` or `token`, `catalog` and `schema`.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    const HINT: &str = "keep `password` or `token`";
    let secret = |item: &Item<'_>| item.word().map(SecretString::from);
    let endpoint = Endpoint::read(section, |item| item.file_path(options.dir), options.connect_timeout);
    let user = section.need("user", "write user = \"larder\"").and_then(|item| item.printable_word());
    let password = section.read("password", secret);
    let token = section.read("token", secret);
    let catalog = section.read("catalog", Item::printable_word);
    let schema = section.read("schema", Item::printable_word);
    let login = match (password?, token?) {
        (None, None) => Login::None,
        (Some(password), None) => Login::Password(password),
        (None, Some(token)) => Login::Token(token),
        (Some(_), Some(_)) => return section.fail("has both `password` and `token`", HINT.to_owned()),
    };
    Some(Arc::new(Trino {
        endpoint: endpoint?,
        user: user?,
        login,
        catalog: catalog?,
        schema: schema?,
        statement_timeout: options.statement_timeout,
    }))
}
