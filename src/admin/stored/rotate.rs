//! Encrypting stored secrets under the newest key, so that older keys can be removed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ConfigurationFile, document::reencrypt_document};
use crate::{
    admin::{ATTEMPTS_MAX, Admin, Error},
    domain::{Principal, StoredName},
    metadata::{StoredChange, StoredChanges},
    secrets::SecretKeys,
    settings::Fault,
};

/// Stored secrets that were encrypted again.
#[derive(utoipa::ToSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedSecrets {
    /// Secrets that were under another key, those of earlier versions included.
    pub secrets: u64,
    /// The entries that have them.
    pub entries: Vec<String>,
    /// Secrets of entries that cannot be read with any of the keys.
    pub unreadable: Vec<Fault>,
    /// Earlier versions that have secrets which cannot be read.
    pub versions_unreadable: u64,
    /// The newest version of the stored configuration afterwards.
    pub newest: u64,
}

impl Admin {
    /// Encrypts every stored secret under the newest key, also those of earlier versions. Each entry is one transaction.
    /// An entry whose newest version changes gets another one, which publishers apply.
    ///
    /// # Errors
    /// [`Error::SecretKeysUnusable`], [`Error::StoredContended`], [`Error::Metadata`].
    pub async fn rotate_secrets(
        &self,
        file: &dyn ConfigurationFile,
        principal: &Principal,
    ) -> Result<RotatedSecrets, Error> {
        if let Some(problem) = file.secret_keys().problem() {
            return Err(Error::SecretKeysUnusable(problem.to_owned()));
        }
        let mut rotated = RotatedSecrets::default();
        for entry in self.metadata.stored_names().await? {
            self.rotate_entry(file.secret_keys(), &entry, &mut rotated, principal).await?;
        }
        rotated.newest = self.metadata.stored_newest().await?;
        Ok(rotated)
    }

    async fn rotate_entry(
        &self,
        keys: &SecretKeys,
        entry: &StoredName,
        rotated: &mut RotatedSecrets,
        principal: &Principal,
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let newest = self.metadata.stored_newest().await?;
            let versions = self.metadata.stored_versions(entry).await?;
            let (mut reencrypted, mut secrets) = (Vec::new(), 0);
            let (mut unreadable, mut versions_unreadable) = (Vec::new(), 0);
            for (age, stored) in versions.iter().enumerate() {
                let Some(document) = &stored.document else { continue };
                match reencrypt_document(keys, entry, document.clone()) {
                    Ok((_, 0)) => {}
                    Ok((document, count)) => {
                        reencrypted.push((stored.version, document));
                        secrets += count;
                    }
                    Err(fault) if age == 0 => unreadable.push(fault),
                    Err(_) => versions_unreadable += 1,
                }
            }
            let current = versions.first().map(|stored| stored.version);
            let document = reencrypted.iter().find(|(version, _)| Some(*version) == current);
            let change = document.map(|(version, document)| change(entry, *version, document));
            let changes = StoredChanges { newest, changes: change.as_slice(), reencrypted: &reencrypted };
            if reencrypted.is_empty() || self.metadata.change_stored(changes, principal).await?.is_some() {
                rotated.secrets += secrets;
                rotated.entries.extend((secrets > 0).then(|| entry.to_string()));
                rotated.unreadable.extend(unreadable);
                rotated.versions_unreadable += versions_unreadable;
                return Ok(());
            }
        }
        Err(Error::StoredContended(ATTEMPTS_MAX))
    }
}

fn change<'a>(entry: &'a StoredName, version: u64, document: &'a Value) -> StoredChange<'a> {
    StoredChange {
        entry,
        document: Some(document),
        action: format!("{}.rotate_secrets", entry.section.singular()),
        detail: format!("after version {version}; the same secrets under another key"),
    }
}
