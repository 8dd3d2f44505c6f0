//! `[sources.NAME]` of type `databricks`.

use std::sync::Arc;

use super::{Databricks, Login};
use crate::{
    settings::{item::Item, section::Section},
    source::{
        driver::{Driver, OpenOptions},
        http::Endpoint,
    },
    support::secret::SecretString,
};

/// Reads `url`, `ca_file`, `warehouse`, the credentials, `catalog` and `schema`.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    const HINT: &str = "write token, or client_id and client_secret";
    let secret = |item: &Item<'_>| item.word().map(SecretString::from);
    let endpoint = Endpoint::read(section, |item| item.file_path(options.dir), options.connect_timeout);
    let warehouse =
        section.need("warehouse", "write the id of a SQL warehouse").and_then(|item| item.printable_word());
    let token = section.read("token", secret);
    let client = section.read("client_id", Item::printable_word);
    let client_secret = section.read("client_secret", secret);
    let catalog = section.read("catalog", Item::printable_word);
    let schema = section.read("schema", Item::printable_word);
    let login = match (token?, client?, client_secret?) {
        (Some(token), None, None) => Login::Token(token),
        (None, Some(id), Some(secret)) => Login::Client { id, secret },
        _ => return section.fail("needs one kind of credentials", HINT.to_owned()),
    };
    Some(Arc::new(Databricks {
        endpoint: endpoint?,
        warehouse: warehouse?,
        login,
        catalog: catalog?,
        schema: schema?,
    }))
}
