//! Admin keys: entries and their revocation.

use chrono::{DateTime, Utc};

use super::{
    AuditEntry, Error, Metadata, audit,
    database::Transaction,
    row::Row,
    statement::{Statement, TEXT_BYTES_MAX, storable},
};
use crate::domain::{AdminKeyEntry, Principal};

/// Most admin keys that are read, revoked ones included: the oldest revoked ones are left off.
pub const ADMIN_KEYS_MAX: usize = 1000;

fn entry(row: &Row) -> Result<AdminKeyEntry, Error> {
    Ok(AdminKeyEntry {
        id: row.text("id")?,
        sha256: row.parsed("sha256")?,
        name: row.text("name")?,
        role: row.parsed("role")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        expires_at: row.time_or_null("expires_at")?,
        revoked_at: row.time_or_null("revoked_at")?,
        last_used_at: row.time_or_null("last_used_at")?,
    })
}

async fn insert(transaction: &mut Transaction, entry: &AdminKeyEntry) -> Result<(), Error> {
    let text = |text: &str| storable(text, TEXT_BYTES_MAX);
    let insert = Statement::new(
        "insert into admin_keys (id, sha256, name, role, created_at, created_by, expires_at) \
         values ($1, $2, $3, $4, $5, $6, $7)",
    );
    let insert = insert
        .bind(entry.id.as_str())
        .bind(entry.sha256.to_string())
        .bind(text(&entry.name))
        .bind(entry.role.as_str())
        .bind(entry.created_at)
        .bind(text(&entry.created_by))
        .bind(entry.expires_at);
    transaction.execute(insert).await.map(drop)
}

impl Metadata {
    /// The admin keys, revoked ones too, oldest first; at most [`ADMIN_KEYS_MAX`].
    pub async fn admin_keys(&self) -> Result<Vec<AdminKeyEntry>, Error> {
        let select = Statement::new(
            "select id, sha256, name, role, created_at, created_by, expires_at, revoked_at, last_used_at from admin_keys \
             order by case when revoked_at is null then 0 else 1 end, revoked_at desc, created_at limit $1",
        );
        let rows = self.database.rows(select.bind(ADMIN_KEYS_MAX)).await?;
        let mut keys = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(keys)
    }

    /// Stores a new admin key. With `only_first`, stores it only if there was never one, and returns whether it did.
    pub async fn create_admin_key(
        &self,
        entry: &AdminKeyEntry,
        principal: &Principal,
        only_first: bool,
    ) -> Result<bool, Error> {
        let mut transaction = self.database.begin().await?;
        // The row lock makes two publishers that start together take turns.
        let lock = Statement::new("update key_set set announced = announced where only_row = 1");
        transaction.execute(lock).await?;
        let any = Statement::new("select id from admin_keys limit 1");
        if only_first && transaction.row(any).await?.is_some() {
            return Ok(false);
        }
        insert(&mut transaction, entry).await?;
        let detail = Some(format!("{}: {}", entry.name, entry.role));
        let action = AuditEntry::new(self.clock.now(), principal, "admin_key.create", &entry.id, detail);
        audit::add(&mut transaction, &action).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes that an admin key was used at `now`.
    pub async fn touch_admin_key(&self, id: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let update = Statement::new(
            "update admin_keys set last_used_at = $2 where id = $1 and coalesce(last_used_at, 0) < $2",
        );
        self.database.execute(update.bind(id).bind(now)).await.map(drop)
    }

    /// Revokes an admin key at `now`; `false` when no key has this id. Revoking it again changes nothing.
    pub async fn revoke_admin_key(
        &self,
        id: &str,
        principal: &Principal,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut transaction = self.database.begin().await?;
        let update =
            Statement::new("update admin_keys set revoked_at = $2 where id = $1 and revoked_at is null");
        if transaction.execute(update.bind(id).bind(now)).await? == 0 {
            let select = Statement::new("select id from admin_keys where id = $1");
            return Ok(transaction.row(select.bind(id)).await?.is_some());
        }
        audit::add(&mut transaction, &AuditEntry::new(now, principal, "admin_key.revoke", id, None)).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
