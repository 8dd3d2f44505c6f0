//! Stored sources, models and syncs: every version, and changes that compare.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    AuditEntry, Error, Metadata, audit,
    database::Transaction,
    row::Row,
    statement::{Statement, TEXT_BYTES_MAX, storable},
};
use crate::domain::{Principal, StoredName};

/// Most stored entries, deleted ones not included: as many syncs as one configuration has.
pub const STORED_ENTRIES_MAX: usize = 1000;
/// Most versions of an entry that are kept.
pub const STORED_VERSIONS_MAX: usize = 50;

/// Most deleted entries whose versions are kept.
const STORED_DELETED_MAX: usize = 1000;

/// A version of a stored entry.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVersion {
    /// The entry.
    pub entry: StoredName,
    /// The number; no other version of any entry has it.
    pub version: u64,
    /// The document, its secrets encrypted; `None` of a deletion.
    pub document: Option<Value>,
    /// Who made it.
    pub author: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Changes that take place together, or not at all.
#[derive(Debug)]
pub struct StoredChanges<'a> {
    /// The newest version of all entries that the changes were checked with.
    pub newest: u64,
    /// The changes, in the order of their versions.
    pub changes: &'a [StoredChange<'a>],
    /// Documents of earlier versions that say the same, their secrets encrypted with another key.
    pub reencrypted: &'a [(u64, Value)],
}

/// A change of a stored entry.
#[derive(Debug)]
pub struct StoredChange<'a> {
    /// The entry.
    pub entry: &'a StoredName,
    /// The new document, its secrets encrypted; `None` deletes the entry.
    pub document: Option<&'a Value>,
    /// The action, for the audit log.
    pub action: String,
    /// What changes, for the audit log; no secret.
    pub detail: String,
}

const CURRENT: &str = "select version, section, name, document, author, created_at from stored_configuration s \
     where version = (select max(version) from stored_configuration o where o.section = s.section and o.name = s.name) \
     and document is not null order by version";

fn version(row: &Row) -> Result<StoredVersion, Error> {
    let document = match row.text_or_null("document")? {
        Some(_) => Some(row.json("document")?),
        None => None,
    };
    Ok(StoredVersion {
        entry: StoredName { section: row.parsed("section")?, name: row.text("name")? },
        version: row.natural("version")?,
        document,
        author: row.text("author")?,
        created_at: row.time("created_at")?,
    })
}

async fn newest(transaction: &mut Transaction) -> Result<u64, Error> {
    let select = Statement::new("select coalesce(max(version), 0) as version from stored_configuration");
    let row = transaction.row(select).await?;
    row.ok_or(Error::Unreadable("version"))?.natural("version")
}

impl Metadata {
    /// The newest version of all stored entries; 0 without any.
    pub async fn stored_newest(&self) -> Result<u64, Error> {
        let select = Statement::new("select coalesce(max(version), 0) as version from stored_configuration");
        self.database.row(select).await?.ok_or(Error::Unreadable("version"))?.natural("version")
    }

    /// The stored entries, each in its newest version, in the order of their versions.
    pub async fn stored_entries(&self) -> Result<Vec<StoredVersion>, Error> {
        self.database.rows(Statement::new(CURRENT)).await?.iter().map(version).collect()
    }

    /// The versions of an entry, deletions included, newest first.
    pub async fn stored_versions(&self, entry: &StoredName) -> Result<Vec<StoredVersion>, Error> {
        let select = Statement::new(
            "select version, section, name, document, author, created_at from stored_configuration \
             where section = $1 and name = $2 order by version desc limit $3",
        );
        let select = select.bind(entry.section.as_str()).bind(entry.name.as_str()).bind(STORED_VERSIONS_MAX);
        self.database.rows(select).await?.iter().map(version).collect()
    }

    /// The entries whose newest version is a deletion, in the order of their names, each with that version and the number of
    /// the newest version that is none; at most `STORED_DELETED_MAX`.
    pub async fn deleted_entries(&self) -> Result<Vec<(StoredVersion, Option<u64>)>, Error> {
        let select = Statement::new(
            "select version, section, name, document, author, created_at, \
                (select max(version) from stored_configuration o \
                    where o.section = s.section and o.name = s.name and o.document is not null) as restorable \
             from stored_configuration s where document is null and version = \
                (select max(version) from stored_configuration o where o.section = s.section and o.name = s.name) \
             order by section, name limit $1",
        );
        let rows = self.database.rows(select.bind(STORED_DELETED_MAX)).await?;
        let deleted = |row: &Row| {
            let restorable =
                row.number_or_null("restorable")?.map(|_| row.natural("restorable")).transpose()?;
            Ok((version(row)?, restorable))
        };
        rows.iter().map(deleted).collect()
    }

    /// The names of all entries that have a version, deleted ones included.
    pub async fn stored_names(&self) -> Result<Vec<StoredName>, Error> {
        let select =
            Statement::new("select distinct section, name from stored_configuration order by section, name");
        let name = |row: &Row| Ok(StoredName { section: row.parsed("section")?, name: row.text("name")? });
        self.database.rows(select).await?.iter().map(name).collect()
    }

    /// Appends a version for each change, and returns the newest number. `None`, and nothing is changed, when another
    /// change came first.
    pub async fn change_stored(
        &self,
        StoredChanges { newest: expected, changes, reencrypted }: StoredChanges<'_>,
        principal: &Principal,
    ) -> Result<Option<u64>, Error> {
        let mut transaction = self.database.begin().await?;
        // The row lock makes writers take turns.
        let lock = Statement::new("update key_set set announced = announced where only_row = 1");
        transaction.execute(lock).await?;
        if newest(&mut transaction).await? != expected {
            return Ok(None);
        }
        let now = self.clock.now();
        for (number, change) in (expected + 1..).zip(changes) {
            append(&mut transaction, number, change, principal, now).await?;
        }
        for (version, document) in reencrypted {
            let update = Statement::new("update stored_configuration set document = $2 where version = $1");
            transaction.execute(update.bind(*version).bind(document.to_string())).await?;
        }
        // The versions of entries that were deleted long ago.
        let forget = Statement::new(
            "delete from stored_configuration where (section, name) in \
             (select d.section, d.name from stored_configuration d where d.document is null and d.version = \
             (select max(version) from stored_configuration o where o.section = d.section and o.name = d.name) \
             order by d.version desc limit 1000 offset $1)",
        );
        transaction.execute(forget.bind(STORED_DELETED_MAX)).await?;
        transaction.commit().await?;
        Ok(Some(expected + changes.len() as u64))
    }
}

/// Appends a version with its entry in the audit log, and deletes versions of the entry that are too old.
async fn append(
    transaction: &mut Transaction,
    number: u64,
    change: &StoredChange<'_>,
    principal: &Principal,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (section, name) = (change.entry.section.as_str(), change.entry.name.as_str());
    let insert = Statement::new(
        "insert into stored_configuration (version, section, name, document, author, created_at) \
         values ($1, $2, $3, $4, $5, $6)",
    );
    let insert = insert
        .bind(number)
        .bind(section)
        .bind(name)
        .bind(change.document.map(Value::to_string))
        .bind(storable(principal.as_str(), TEXT_BYTES_MAX))
        .bind(now);
    transaction.execute(insert).await?;
    let prune = Statement::new(
        "delete from stored_configuration where section = $1 and name = $2 and version not in \
         (select version from stored_configuration where section = $1 and name = $2 \
          order by version desc limit $3)",
    );
    transaction.execute(prune.bind(section).bind(name).bind(STORED_VERSIONS_MAX)).await?;
    let entry = AuditEntry::new(now, principal, &change.action, change.entry, Some(change.detail.clone()));
    audit::add(transaction, &entry).await
}
