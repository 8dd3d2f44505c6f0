//! Admin keys: creating, listing, revoking, and the first one of a deployment.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{Admin, KeyState, Principal, Publisher, error::Error};
use crate::{
    auth::AdminKey,
    domain::{AdminKeyEntry, AdminRole},
    support::private_file,
};

/// The file in `data_dir` with an admin key of this node; on the first publisher it is the first one of the deployment.
pub const FIRST_KEY_FILE: &str = "admin.key";

/// An admin key to create.
#[derive(Debug, Clone)]
pub struct NewAdminKey {
    /// What it is for.
    pub name: String,
    /// What its holder may do.
    pub role: AdminRole,
    /// When it expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// An admin key as it is listed, without its digest.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminKeyView {
    /// Its id: the part of the key that is no secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What its holder may do.
    pub role: AdminRole,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Who created it.
    pub created_by: String,
    /// When it expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When a request last had it, to the minute; not that of a session.
    #[serde(default)]
    pub last_used_at: Option<DateTime<Utc>>,
}

impl AdminKeyView {
    /// Whether it works at `now`.
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        KeyState::of(self.revoked_at, self.expires_at, now)
    }
}

impl From<AdminKeyEntry> for AdminKeyView {
    fn from(entry: AdminKeyEntry) -> Self {
        let AdminKeyEntry {
            id,
            name,
            role,
            created_at,
            created_by,
            expires_at,
            revoked_at,
            last_used_at,
            ..
        } = entry;
        Self { id, name, role, created_at, created_by, expires_at, revoked_at, last_used_at }
    }
}

impl Admin {
    /// All admin keys, revoked ones too, oldest first.
    pub async fn admin_keys(&self) -> Result<Vec<AdminKeyView>, Error> {
        Ok(self.metadata.admin_keys().await?.into_iter().map(AdminKeyView::from).collect())
    }

    /// Creates an admin key, which works at once.
    pub async fn create_admin_key(&self, new: NewAdminKey, principal: &Principal) -> Result<AdminKey, Error> {
        let key = AdminKey::generate();
        let entry = self.entry(&key, new, principal);
        self.metadata.create_admin_key(&entry, principal, false).await?;
        Ok(key)
    }

    /// Revokes the admin key that `key` names, by its id or as a whole, and returns the id. Every publisher refuses it
    /// within two seconds.
    ///
    /// # Errors
    /// [`Error::UnknownAdminKey`].
    pub async fn revoke_admin_key(&self, key: &str, principal: &Principal) -> Result<String, Error> {
        let id = AdminKey::id_in(key);
        if self.metadata.revoke_admin_key(id, principal, self.clock.now()).await? {
            Ok(id.to_owned())
        } else {
            Err(Error::UnknownAdminKey(id.to_owned()))
        }
    }

    fn entry(&self, key: &AdminKey, new: NewAdminKey, principal: &Principal) -> AdminKeyEntry {
        AdminKeyEntry {
            id: key.id().to_owned(),
            sha256: key.digest(),
            name: new.name,
            role: new.role,
            created_at: self.clock.now(),
            created_by: principal.to_string(),
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
        }
    }
}

impl Publisher {
    /// Makes the admin key in `file` the first one of the deployment, unless there was ever one.
    ///
    /// # Errors
    /// Those of metadata. A file that cannot be read or written is logged: then there is no key.
    pub async fn provide_first_admin_key(&self, file: &Path) -> Result<(), Error> {
        if !self.metadata.admin_keys().await?.is_empty() {
            return Ok(());
        }
        let key = match provide_local_admin_key(file) {
            Ok(key) => key,
            Err(error) => {
                let file = file.display();
                warn!(%file, %error, "no admin key could be written; `larder admin keys create` makes one");
                return Ok(());
            }
        };
        let principal = Principal::internal("larder");
        let new = NewAdminKey { name: "first".to_owned(), role: AdminRole::Admin, expires_at: None };
        let entry = self.admin().entry(&key, new, &principal);
        if self.metadata.create_admin_key(&entry, &principal, true).await? {
            info!(file = %file.display(), id = key.id(), "the first admin key of this deployment is in a file");
        }
        Ok(())
    }
}

/// The admin key in `file`, which is created if there is none. What is no key is replaced.
///
/// # Errors
/// The file cannot be read or written.
pub fn provide_local_admin_key(file: &Path) -> io::Result<AdminKey> {
    match fs::read_to_string(file) {
        Ok(text) => {
            if let Some(key) = AdminKey::parse(text.trim()) {
                return Ok(key);
            }
            fs::remove_file(file)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let key = AdminKey::generate();
    let mut new = private_file::options().write(true).create_new(true).open(file)?;
    writeln!(new, "{}", key.expose())?;
    new.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_file_is_private_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FIRST_KEY_FILE);
        let first = provide_local_admin_key(&file).unwrap().digest();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(provide_local_admin_key(&file).unwrap().digest(), first);
        fs::write(&file, "cut off").unwrap();
        assert_ne!(provide_local_admin_key(&file).unwrap().digest(), first);
    }
}
