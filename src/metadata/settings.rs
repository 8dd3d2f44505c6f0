//! The settings of the metadata database.

use std::path::{Path, PathBuf};

use super::Error;
use crate::{
    postgres::Parameters,
    settings::{Declaration, Section},
};

/// Where metadata lives.
#[derive(Debug, Clone)]
pub enum Settings {
    /// A SQLite file, created 0600 and migrated when opened.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A Postgres database, migrated by `larder migrate`.
    Postgres(Box<Parameters>),
}

impl Settings {
    /// The section of these settings.
    pub(crate) const SECTION: Declaration = Declaration::read_at_start("metadata");

    /// Reads the files of certificates that a connection would read; connects to nothing. Blocks.
    pub(crate) fn check_files(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite { .. } => Ok(()),
            Self::Postgres(parameters) => Ok(parameters.check_files()?),
        }
    }

    /// Reads `[metadata]`; relative paths are from `dir`.
    pub(crate) fn read(section: &Section<'_>, dir: &Path) -> Option<Self> {
        const HINT: &str = "write \"sqlite:./data/metadata.db\" or \"postgres://user@host/database\"";
        let item = section.set("url")?;
        let url = item.url()?;
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path == ":memory:" {
                return item.fail("must be a file: metadata has to survive a restart", HINT.to_owned());
            }
            return item.local_path(dir, path, HINT).map(|path| Self::Sqlite { path });
        }
        if url.starts_with("postgres") {
            return match Parameters::parse(url, &|path| item.path(dir, path)) {
                Ok(parameters) => Some(Self::Postgres(Box::new(parameters))),
                Err(fault) => item.fail(fault.message, fault.hint),
            };
        }
        item.fail("is not the URL of a metadata database", HINT.to_owned())
    }
}
