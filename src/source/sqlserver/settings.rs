//! `[sources.NAME]` of type `sqlserver`.

use std::{fs, sync::Arc};

use tiberius::{AuthMethod, Config, EncryptionLevel};

use super::{Isolation, SqlServer};
use crate::{
    settings::{certificates, item::Item, section::Section},
    source::driver::{Driver, OpenOptions},
};

/// The port of a server that names none.
const PORT: u64 = 1433;
/// Bytes of a packet: the largest that a server takes when TLS splits packets anyway.
const PACKET_BYTES: u32 = 16_383;

const ENCRYPTIONS: [(&str, EncryptionLevel); 3] = [
    ("required", EncryptionLevel::Required),
    ("strict", EncryptionLevel::Strict),
    ("off", EncryptionLevel::NotSupported),
];
const ISOLATIONS: [(&str, Isolation); 2] =
    [("snapshot", Isolation::Snapshot), ("read_committed", Isolation::ReadCommitted)];

/// Reads `host`, `port`, `database`, the credentials, TLS and `isolation`; connects to nothing.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let host =
        section.need("host", "write host = \"server.database.windows.net\"").and_then(|item| item.host());
    let port = section.read("port", |item| item.count(1..=u64::from(u16::MAX)));
    let database = section.read("database", Item::printable_word);
    let login = credentials(section);
    let encryption = section.read("encryption", |item| item.one_of(&ENCRYPTIONS));
    let name = section.read("certificate_name", Item::printable_word);
    let authorities = section.read("ca_file", |item| {
        let content = fs::read(item.file_path(options.dir)?);
        match certificates(&content) {
            Ok(_) => content.ok(),
            Err(fault) => item.fail(fault, None),
        }
    });
    if matches!(encryption, Some(Some(EncryptionLevel::NotSupported))) {
        let hint = "leave it out, or write encryption = \"required\"".to_owned();
        for key in ["certificate_name", "ca_file"] {
            section.refuse(key, "has no meaning with encryption = \"off\"", hint.clone());
        }
    }
    let isolation = section.read("isolation", |item| item.one_of(&ISOLATIONS));

    let (host, port) = (host?, port?.unwrap_or(PORT));
    let mut config = Config::new();
    config.host(&host);
    config.port(port as u16);
    config.application_name("larder");
    config.packet_size(PACKET_BYTES);
    config.readonly(true);
    config.authentication(login?);
    config.encryption(encryption?.unwrap_or(EncryptionLevel::Required));
    // Larder's own timeouts bound connecting and reading.
    config.handshake_timeout(None);
    config.command_timeout(None);
    // A lone surrogate rejects its row instead of failing the run: see `values`.
    config.lossy_utf16_decoding(true);
    if let Some(database) = database? {
        config.database(database);
    }
    if let Some(name) = name? {
        config.hostname_in_certificate(name);
    }
    if let Some(pem) = authorities? {
        config.trust_cert_ca_bundle(pem);
    }
    Some(Arc::new(SqlServer {
        host,
        port: port as u16,
        config,
        isolation: isolation?.unwrap_or(Isolation::Snapshot),
        connect_timeout: options.connect_timeout,
    }))
}

/// `user` and `password`, or `token`, an access token of Microsoft Entra.
fn credentials(section: &Section<'_>) -> Option<AuthMethod> {
    const HINT: &str = "write user and password, or token";
    let user = section.read("user", Item::printable_word);
    let password = section.read("password", |item| item.string().map(str::to_owned));
    let token = section.read("token", |item| item.word().map(str::to_owned));
    match (user?, password?, token?) {
        (Some(user), Some(password), None) => Some(AuthMethod::sql_server(user, password)),
        (None, None, Some(token)) => Some(AuthMethod::aad_token(token)),
        _ => section.fail("needs one kind of credentials", HINT.to_owned()),
    }
}
