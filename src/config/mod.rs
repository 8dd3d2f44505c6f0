//! Configuration: file, environment and flags become checked settings of every part.
//!
//! The way of a value: TOML text → `tree` with places → defaults, file and `overrides` laid
//! over each other (`effective`) → `resolve`, which reads typed values and gathers every fault.
//! Defaults stand in `config/default.toml` and nowhere else.

mod changes;
mod document;
mod effective;
mod overrides;
mod print;
mod resolve;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    api, catalog,
    domain::{
        label::Label,
        name::{CollectionName, RegionName},
    },
    engine, metadata, replica, scheduler, source, store, telemetry,
};

use self::effective::Effective;
pub use self::{
    changes::changes_needing_restart,
    overrides::{Overrides, SHORTHANDS, Shorthand},
};
pub use crate::settings::{Environment, Fault, Faults, Place};
use crate::settings::{fault::Report, units};

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
    /// The catalog.
    pub catalog: catalog::Settings,
    /// Where nodes leave their statuses; `None` means below the object store.
    pub status: Option<store::Location>,
    /// The follower.
    pub replica: replica::Settings,
    /// The metadata database. `None` only on a node that does not publish, when its URL names an
    /// environment variable that this node does not have.
    pub metadata: Option<metadata::Settings>,
    /// What all sync runs share.
    pub engine: engine::Settings,
    /// Logging.
    pub telemetry: telemetry::Settings,
    /// Sources by name; empty on a node that does not publish.
    pub sources: BTreeMap<String, source::Source>,
    /// Syncs in the order of the file; empty on a node that does not publish.
    pub syncs: Vec<SyncConfig>,
    effective: Effective,
}

/// `[node]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// The region this node serves.
    pub region: RegionName,
    /// What people call it; the machine's name unless the file has another.
    pub name: Label,
    /// What this node does; at least one role, none twice.
    pub roles: Vec<Role>,
    /// Local segments, and the state as last served.
    pub data_dir: PathBuf,
    /// Most bytes of local segments.
    pub segments_bytes_max: u64,
}

impl NodeSettings {
    /// Whether the node has `role`.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs syncs and announces.
    Publisher,
    /// Follows the catalog and serves.
    Replica,
}

impl Role {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Replica => "replica",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A sync and when it runs.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// What the engine does.
    pub spec: engine::SyncSpec,
    /// When it does so by itself.
    pub schedule: scheduler::Schedule,
}

impl Config {
    /// The sync of a collection.
    pub fn sync(&self, collection: &CollectionName) -> Option<&SyncConfig> {
        self.syncs.iter().find(|sync| sync.spec.collection == *collection)
    }

    /// The effective configuration as TOML: defaults, file and overrides together. Text from the
    /// environment stands as `${NAME}`, a password inside a URL as `***`; usable as a file in the
    /// same directory where nothing is masked.
    pub fn print(&self) -> String {
        print::print(&self.effective)
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
            let text = read_bounded(path, FILE_BYTES_MAX).map_err(|error| {
                let place = Place::File { path: path.into(), line: 0, column: 0 };
                let message = format!("cannot be read: {error}");
                let hint = (error.kind() == io::ErrorKind::NotFound).then(|| {
                    "name the configuration file with --config FILE; `larder quickstart` writes one to begin with"
                        .to_owned()
                });
                Faults::one(Fault { place, message, hint, ..Fault::default() })
            })?;
            load_text(&text, path, env, overrides)
        }
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
    let config = effective::build(text, &shown, env, overrides, &report)
        .and_then(|effective| resolve::resolve(effective, env, &report));
    report.into_result(config)
}

/// The text of a regular file of at most `max` bytes.
fn read_bounded(path: &Path, max: u64) -> io::Result<String> {
    // Asked before opening: opening a named pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("it is larger than {}", units::show_size(max))));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}
