//! API keys: entries, their revocation, and the revision that rises with every change.

use chrono::{DateTime, Utc};

use super::{AuditEntry, Error, Metadata, audit, database::Transaction, row::Row, statement::Statement};
use crate::domain::{
    Principal,
    keyset::{KeyEntry, KeySet},
};

/// A key and whether it was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// The entry.
    pub entry: KeyEntry,
    /// When it was revoked; `None` while it is valid.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// All keys, revoked ones too, at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyList {
    /// Their revision.
    pub revision: u64,
    /// The keys, oldest first.
    pub keys: Vec<StoredKey>,
}

/// One statement reads one snapshot, so the keys are exactly those of the revision.
const KEYS: &str = "select s.revision, k.entry, k.revoked_at from key_set s left join api_keys k on true
    where s.only_row = 1 order by k.created_at, k.id";
const ACTIVE_KEYS: &str = "select s.revision, k.entry, k.revoked_at from key_set s
    left join api_keys k on k.revoked_at is null
    where s.only_row = 1 order by k.created_at, k.id";

fn key_list(rows: &[Row]) -> Result<KeyList, Error> {
    let mut list = KeyList::default();
    for row in rows {
        list.revision = row.natural("revision")?;
        if row.text_or_null("entry")?.is_some() {
            list.keys
                .push(StoredKey { entry: row.json("entry")?, revoked_at: row.time_or_null("revoked_at")? });
        }
    }
    Ok(list)
}

/// Raises the revision. Its row lock makes concurrent changes wait until this one commits.
async fn next_revision(transaction: &mut Transaction) -> Result<u64, Error> {
    let update = "update key_set set revision = revision + 1 where only_row = 1 returning revision";
    let row = transaction.row(Statement::new(update)).await?;
    row.ok_or(Error::Unreadable("revision"))?.natural("revision")
}

fn described(entry: &KeyEntry) -> String {
    format!("{}: opens {}", entry.name, entry.opens())
}

/// An entry as it is stored.
fn stored(entry: &KeyEntry) -> String {
    serde_json::to_string(entry).expect("a key entry is plain JSON")
}

const INSERT_KEY: &str = "insert into api_keys (id, entry, created_at, revision) values ($1, $2, $3, $4)";
/// A key that is there already takes over the announced entry, unless it has a change of its own that is still to be
/// announced.
const ADOPT_KEY: &str = "insert into api_keys (id, entry, created_at, revision) values ($1, $2, $3, $4)
    on conflict (id) do update set entry = excluded.entry, revision = excluded.revision
    where api_keys.revision <= $5 and api_keys.entry <> excluded.entry";

fn put_key(sql: &'static str, entry: &KeyEntry, revision: u64) -> Statement {
    Statement::new(sql).bind(entry.id.as_str()).bind(stored(entry)).bind(entry.created_at).bind(revision)
}

impl Metadata {
    /// Stores a new key and returns the new revision. A key id that exists already is an error of kind
    /// `Conflict`.
    pub async fn create_key(&self, entry: &KeyEntry, principal: &Principal) -> Result<u64, Error> {
        let mut transaction = self.database.begin().await?;
        let revision = next_revision(&mut transaction).await?;
        transaction.execute(put_key(INSERT_KEY, entry, revision)).await?;
        let detail = Some(described(entry));
        let action = AuditEntry::new(self.clock.now(), principal, "key.create", &entry.id, detail);
        audit::add(&mut transaction, &action).await?;
        transaction.commit().await?;
        Ok(revision)
    }

    /// Replaces the entry of a key that is not revoked by what `change` makes of it, and returns the new entry; `None`
    /// when no such key exists.
    pub async fn change_key(
        &self,
        id: &str,
        principal: &Principal,
        action: &str,
        change: impl FnOnce(&mut KeyEntry) -> String,
    ) -> Result<Option<KeyEntry>, Error> {
        let mut transaction = self.database.begin().await?;
        // Its lock keeps the entry as it is until the end.
        let revision = next_revision(&mut transaction).await?;
        let select = Statement::new("select entry from api_keys where id = $1 and revoked_at is null");
        let Some(row) = transaction.row(select.bind(id)).await? else { return Ok(None) };
        let mut entry: KeyEntry = row.json("entry")?;
        let detail = Some(change(&mut entry));
        let update = Statement::new("update api_keys set entry = $2, revision = $3 where id = $1");
        transaction.execute(update.bind(id).bind(stored(&entry)).bind(revision)).await?;
        audit::add(&mut transaction, &AuditEntry::new(self.clock.now(), principal, action, id, detail))
            .await?;
        transaction.commit().await?;
        Ok(Some(entry))
    }

    /// Revokes a key at `now` and returns the revision without it; `None` when no key has this id. Revoking it
    /// again changes nothing and returns the present revision.
    pub async fn revoke_key(
        &self,
        id: &str,
        principal: &Principal,
        now: DateTime<Utc>,
    ) -> Result<Option<u64>, Error> {
        let mut transaction = self.database.begin().await?;
        let update =
            Statement::new("update api_keys set revoked_at = $2 where id = $1 and revoked_at is null");
        if transaction.execute(update.bind(id).bind(now)).await? == 0 {
            let select = "select s.revision from key_set s, api_keys k where s.only_row = 1 and k.id = $1";
            let row = transaction.row(Statement::new(select).bind(id)).await?;
            return row.map(|row| row.natural("revision")).transpose();
        }
        let revision = next_revision(&mut transaction).await?;
        audit::add(&mut transaction, &AuditEntry::new(now, principal, "key.revoke", id, None)).await?;
        transaction.commit().await?;
        Ok(Some(revision))
    }

    /// All keys, revoked ones too.
    pub async fn keys(&self) -> Result<KeyList, Error> {
        key_list(&self.database.rows(Statement::new(KEYS)).await?)
    }

    /// The revision and its keys that are not revoked, for a key set document. An entry that this build cannot
    /// read is an error: without it the document would revoke the key.
    pub async fn active_keys(&self) -> Result<(u64, Vec<KeyEntry>), Error> {
        let list = key_list(&self.database.rows(Statement::new(ACTIVE_KEYS)).await?)?;
        Ok((list.revision, list.keys.into_iter().map(|key| key.entry).collect()))
    }

    /// The newest revision that this database has announced or adopted; 0 when there is none.
    pub async fn announced_keys_revision(&self) -> Result<u64, Error> {
        let select = Statement::new("select announced from key_set where only_row = 1");
        let row = self.database.row(select).await?;
        row.ok_or(Error::Unreadable("announced"))?.natural("announced")
    }

    /// Records that `revision` is announced.
    pub async fn keys_announced(&self, revision: u64) -> Result<(), Error> {
        let update = "update key_set set announced = $1 where only_row = 1 and announced < $1";
        self.database.execute(Statement::new(update).bind(revision)).await.map(drop)
    }

    /// Adopts an announced key set that this database does not know: it was restored from a backup, or another
    /// database published meanwhile. Keys that the set lacks become revoked, unless they are still to be
    /// announced. Keys that only the set has are added, those of both are taken over as they are in the set unless they
    /// have a change that is still to be announced, and keys that are revoked here stay revoked. When the result differs from the
    /// set it gets a revision of its own. A set that is known changes nothing.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a set with entries that this build refused: they would be lost.
    pub async fn adopt_key_set(&self, set: &KeySet, principal: &Principal) -> Result<(), Error> {
        if set.refused > 0 {
            return Err(Error::Unreadable("entry"));
        }
        let now = self.clock.now();
        let mut transaction = self.database.begin().await?;
        // The update locks the row until the end.
        let lock = "update key_set set announced = announced where only_row = 1 returning announced";
        let row = transaction.row(Statement::new(lock)).await?;
        let announced = row.ok_or(Error::Unreadable("announced"))?.natural("announced")?;
        if set.revision <= announced {
            return Ok(());
        }
        let mut changed = 0;
        for entry in &set.keys {
            changed += transaction.execute(put_key(ADOPT_KEY, entry, set.revision).bind(announced)).await?;
        }
        let (mut active, mut pending) = (0, 0);
        let select = "select id, revision, entry from api_keys where revoked_at is null";
        for row in transaction.rows(Statement::new(select)).await? {
            let (id, created) = (row.text("id")?, row.natural("revision")?);
            active += 1;
            match set.keys.iter().find(|key| key.id == id) {
                Some(key) if stored(key) == row.text("entry")? => continue,
                None if created <= announced => {}
                _ => {
                    pending += 1;
                    continue;
                }
            }
            let revoke = Statement::new("update api_keys set revoked_at = $2 where id = $1");
            changed += transaction.execute(revoke.bind(id).bind(now)).await?;
            active -= 1;
        }
        // A key of the set that is revoked here must be revoked there too.
        let differs = pending > 0 || active < set.keys.len();
        let raise =
            "update key_set set announced = $1, revision = case when revision < $1 then $1 else revision end
            where only_row = 1";
        transaction.execute(Statement::new(raise).bind(set.revision)).await?;
        if differs {
            next_revision(&mut transaction).await?;
        }
        if differs || changed > 0 {
            let subject = format!("revision {}", set.revision);
            let detail = Some("the announced key set was ahead of this database".to_owned());
            let action = AuditEntry::new(now, principal, "keys.adopt", &subject, detail);
            audit::add(&mut transaction, &action).await?;
        }
        transaction.commit().await
    }
}
