//! What only a store in a local directory needs.

use std::{
    fs::{DirBuilder, Permissions},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    client::Store,
    error::{Error, blocking},
};
use crate::domain::object::{CATALOG, COLLECTIONS, KEYS};

/// Age from which an unfinished file is taken for one that a killed writer left: no write takes as long.
const UNFINISHED_HOURS: i64 = 24;

/// Rights of users who neither own a directory nor are in its group.
const OTHERS: u32 = 0o007;

/// Takes the directories of documents, records and keys below `root` from other users. `root` itself may be shared, or
/// a mount point, and is not changed.
pub(super) fn protect(root: &Path) {
    for name in [CATALOG, COLLECTIONS, KEYS] {
        let path = root.join(name);
        take_from_others(&path);
        let is_open = path.metadata().is_ok_and(|found| found.permissions().mode() & OTHERS != 0);
        if is_open {
            let path = path.display();
            tracing::warn!(%path, "every user of this machine may read this directory of the store, and this process may not change its mode; run chmod o-rwx on it");
        }
    }
}

fn take_from_others(path: &Path) {
    let Ok(found) = path.metadata() else { return };
    let mode = found.permissions().mode();
    if found.is_dir() && mode & OTHERS != 0 {
        // Only its owner may do that.
        let _ = std::fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS & 0o7777));
    }
}

impl Store {
    /// Creates the top directory of an object with the rights that the store's directory gives to owner and group, and
    /// none for others: records must not be readable for every user of the machine. A failure is that of the write
    /// that follows.
    pub(super) fn prepare_directory(&self, object: &object_store::path::Path) {
        let top = object.parts().next();
        let (Some(root), Some(top)) = (&self.directory, top) else { return };
        let path = root.join(top.as_ref());
        if path.exists() {
            return take_from_others(&path);
        }
        let Ok(found) = root.metadata() else { return };
        let mode = (found.permissions().mode() & 0o770) | 0o700;
        let _ = DirBuilder::new().mode(mode).create(path);
    }

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
