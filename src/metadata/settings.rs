//! The settings of the metadata database.

use std::path::PathBuf;

use crate::support::secret::SecretString;

/// Where metadata lives.
#[derive(Debug, Clone)]
pub enum Settings {
    /// A SQLite file, created 0600 and migrated when opened.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A Postgres database, migrated by `larder migrate`.
    Postgres {
        /// Its URL.
        url: SecretString,
    },
}
