//! What only a store in a local directory needs.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    client::Store,
    error::{Error, blocking},
};

/// Age from which an unfinished file is taken for one that a killed writer left: no write takes as long.
const UNFINISHED_HOURS: i64 = 24;

impl Store {
    /// Fails when the directory is gone, for instance because its file system is not mounted. A write would
    /// create it again, on the wrong disk.
    pub(crate) async fn check_directory(&self) -> Result<(), Error> {
        let Some(root) = self.directory.clone() else { return Ok(()) };
        blocking(move || match root.metadata() {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Local { action: "write", path: root.to_path_buf(), source }),
        })
        .await
    }

    /// Deletes the unfinished files (`name#1`) that killed writers left in the directory. No list shows them.
    pub(crate) async fn delete_unfinished(&self, now: DateTime<Utc>) -> Result<(), Error> {
        let Some(root) = self.directory.clone() else { return Ok(()) };
        let before: SystemTime = (now - TimeDelta::hours(UNFINISHED_HOURS)).into();
        blocking(move || {
            delete_unfinished_below(&root, before, 0);
            Ok(())
        })
        .await
    }
}

/// Best effort: a file that cannot be read or deleted now is tried again at the next call.
fn delete_unfinished_below(directory: &Path, before: SystemTime, depth: u8) {
    /// The deepest path is `collections/name/run/file`.
    const DEPTH_MAX: u8 = 4;
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => {
                delete_unfinished_below(&path, before, depth + 1);
            }
            Ok(kind) if kind.is_file() && is_unfinished(&path) => {
                let modified = entry.metadata().and_then(|found| found.modified());
                if modified.is_ok_and(|modified| {
                    before.duration_since(modified).is_ok_and(|age| age > Duration::ZERO)
                }) {
                    let _ = std::fs::remove_file(path);
                }
            }
            _ => {}
        }
    }
}

fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
