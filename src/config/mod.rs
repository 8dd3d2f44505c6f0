//! Configuration: file, environment and flags become checked settings of every part.
//!
//! The way of a value: TOML text → `tree` with places → defaults, file and `overrides` laid
//! over each other (`effective`) → `resolve`, which reads typed values and gathers every fault.
//! Defaults stand in `config/default.toml` and nowhere else.

mod document;
mod effective;
mod export;
mod import;
mod node;
mod overrides;
mod print;
mod resolve;
mod stored;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use chrono::{DateTime, Utc};

use self::effective::Effective;
pub use self::{
    effective::changes_needing_restart,
    import::ImportFile,
    node::{NodeSettings, Role},
    overrides::{Overrides, SHORTHANDS, Shorthand},
};
use crate::{
    admin::{Configuration, ConfiguredModel, Sources},
    api, auth, catalog,
    domain::{
        digest::Digest,
        hash::{HashSecret, ValueHasher},
    },
    engine, metadata,
    model::Model,
    replica,
    secrets::SecretKeys,
    settings::{fault::Report, modified_at, printable::Printable, read_bounded},
    source::{self, Query},
    store, telemetry,
};
pub use crate::{
    scheduler::SyncConfig,
    settings::{Environment, Fault, Faults, Place},
};

/// The defaults, with comments: what `larder config print` starts from.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

/// Largest configuration file, in bytes: thousands of syncs with their SQL inside fit well.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Checked settings of every part.
#[derive(Debug, Clone)]
pub struct Config {
    /// What this node is.
    pub node: NodeSettings,
    /// The two listeners.
    pub server: api::Settings,
    /// The object store.
    pub storage: store::Settings,
    /// Signing, verification and retention.
    pub catalog: catalog::Settings,
    /// The follower.
    pub replica: replica::Settings,
    /// The metadata database. `None` only on a node that does not publish, when its URL names an
    /// environment variable that this node does not have.
    pub metadata: Option<metadata::Settings>,
    /// What all sync runs share.
    pub engine: engine::Settings,
    /// Logging.
    pub telemetry: telemetry::Settings,
    /// Issuers of access tokens.
    pub tokens: Vec<auth::tokens::TokenSettings>,
    /// The identity provider that signs people in to the console; `None` also on a node that does not publish.
    pub oidc: Option<auth::oidc::OidcSettings>,
    /// Sources by name; empty on a node that does not publish.
    pub sources: BTreeMap<String, source::Source>,
    /// Models by name, with their sources; empty on a node that does not publish.
    pub models: BTreeMap<String, ConfiguredModel>,
    /// Syncs in the order of the file; empty on a node that does not publish.
    pub syncs: Vec<SyncConfig>,
    /// When the file was last changed, and its digest; `None` of text that is in no file.
    file: Option<(DateTime<Utc>, Digest)>,
    secret_keys: SecretKeys,
    env: Environment,
    effective: Effective,
    printable: Printable,
}

impl Config {
    /// The secrets of hashed index values: those of the syncs, and those for look-ups alone.
    pub fn hash_secrets(&self) -> Vec<HashSecret> {
        let indexes = self.syncs.iter().flat_map(|sync| &sync.spec.mapping.indexes);
        let own = indexes.filter_map(|index| match &index.hash {
            Some(ValueHasher::Hmac(secret)) => Some(secret.clone()),
            _ => None,
        });
        own.chain(self.server.index_secrets.iter().cloned()).collect()
    }

    /// The effective configuration as TOML: defaults, file and overrides together. Text from the
    /// environment is printed as `${NAME}`, a password inside a URL as `***`. When nothing is masked, the result can be
    /// used as a configuration file in the same directory.
    pub fn print(&self) -> String {
        print::print(&self.effective, &self.printable)
    }

    /// What the admin API shows and uses of it.
    pub fn configuration(&self) -> Configuration {
        Configuration {
            sources: Sources::new(self.sources.clone()),
            models: self.models.clone(),
            text: self.print(),
            exported: self.exported(),
            shown: print::shown(&self.effective, &self.printable),
            stored: BTreeMap::new(),
            stored_version: 0,
            file: Arc::new(self.clone()),
        }
    }
}

/// Reads the configuration file at `path` (none: the defaults alone), lays it over the defaults and
/// the environment's and the caller's overrides over both, and checks everything.
///
/// Relative paths inside the file are from the file's directory; those of overrides are from the
/// working directory. The errors are all faults found, in the order of the file.
pub fn load(path: Option<&Path>, env: &Environment, overrides: &Overrides) -> Result<Config, Faults> {
    match path {
        None => load_text("", Path::new("larder.toml"), env, overrides),
        Some(path) => {
            let text = read_text(
                path,
                "name the configuration file with --config FILE; `larder quickstart` writes one to begin with",
            )?;
            let mut config = load_text(&text, path, env, overrides)?;
            let (changed_at, own) = (modified_at(path), Digest::of(text.as_bytes()));
            config.file = Some((changed_at, own));
            for sync in &mut config.syncs {
                sync.spec.changed_at = sync.spec.changed_at.max(changed_at);
                sync.spec.files = Some(files_digest(own, &sync.spec.model));
            }
            Ok(config)
        }
    }
}

/// The text of a configuration file; `if_missing` says what to do when there is none.
fn read_text(path: &Path, if_missing: &str) -> Result<String, Faults> {
    read_bounded(path, FILE_BYTES_MAX).map_err(|error| {
        let place = Place::File { path: path.into(), line: 0, column: 0 };
        let message = format!("cannot be read: {error}");
        let hint = (error.kind() == io::ErrorKind::NotFound).then(|| if_missing.to_owned());
        Faults::one(Fault { place, message, hint, ..Fault::default() })
    })
}

/// Digest of the configuration file, whose own is `file`, and the SQL of a model, which may be in another file. Every
/// build has the same.
fn files_digest(file: Digest, model: &Model) -> Digest {
    match model.configured() {
        Some(Query::Sql(sql)) => Digest::of(&[file.as_bytes(), sql.as_bytes()].concat()),
        _ => file,
    }
}

/// Reports a file of certificate authorities that cannot be read. The TLS client would pass over it and trust none of
/// them.
fn check_authorities(env: &Environment, report: &Report) {
    const VARIABLE: &str = "SSL_CERT_FILE";
    let Some(file) = env.get(VARIABLE).filter(|file| !file.is_empty()) else { return };
    if let Err(error) = fs::File::open(file) {
        let message = format!("names the file {file}, which cannot be read: {error}");
        let (place, hint) = (Place::Variable(VARIABLE), Some("correct it, or unset it".to_owned()));
        report.push(Fault { place, message, hint, ..Fault::default() });
    }
}

/// As [`load`], with the file's text given. `path` is used for messages and for its directory.
pub fn load_text(
    text: &str,
    path: &Path,
    env: &Environment,
    overrides: &Overrides,
) -> Result<Config, Faults> {
    let report = Report::default();
    let shown: Arc<Path> = path.into();
    check_authorities(env, &report);
    let config = effective::build(text, &shown, env, overrides, &report)
        .and_then(|effective| resolve::resolve(effective, env, &report));
    report.into_result(config)
}
