//! Leases: who may run a sync or clean up, by the database's clock, with a fencing token that rises.
//!
//! With SQLite the holder also keeps an OS lock on a file. That lock ends with the process, so the lease of a
//! killed holder is free at once: a process that gets the file lock may take the row.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    Error, Metadata,
    database::Connections,
    statement::{Statement, storable},
};
use crate::support::file_lock::FileLock;

/// Longest lease name in bytes: `sync:` and the longest collection name fit.
pub const LEASE_NAME_BYTES_MAX: usize = 128;
/// Longest holder text that is stored, in bytes: host name, process and a random part fit.
const HOLDER_BYTES_MAX: usize = 256;

/// A lease that is held. Dropping it without release frees it at once with SQLite, and at its expiry with
/// Postgres.
#[derive(Debug)]
pub struct Lease {
    /// `sync:customer`, `housekeeping`.
    pub name: String,
    /// Its holder.
    pub holder: String,
    /// Higher than that of any earlier holding of this name.
    pub fencing: u64,
    lock: Option<FileLock>,
}

/// The outcome of a request for a lease.
#[derive(Debug)]
pub enum LeaseOutcome {
    /// The caller holds it until it expires or renews it.
    Held(Lease),
    /// Another holder has it, perhaps another handle of this process.
    HeldElsewhere {
        /// The holder; empty when it has not written its name yet.
        holder: String,
        /// When it would expire unless renewed; zero when that moment has passed.
        expires_in: Duration,
    },
}

/// Takes the row when it is free, expired, or (`$4` = 1) known to belong to a dead process.
const ACQUIRE: &str = "insert into leases (name, holder, fencing, expires_at) values ($1, $2, 1, {now} + $3)
    on conflict (name) do update
    set holder = excluded.holder, fencing = leases.fencing + 1, expires_at = {now} + $3
    where leases.expires_at <= {now} or $4 = 1
    returning fencing";
const RENEW: &str = "update leases set expires_at = {now} + $4
    where name = $1 and holder = $2 and fencing = $3 and expires_at > {now}";
const RELEASE: &str = "update leases set expires_at = 0 where name = $1 and holder = $2 and fencing = $3";
const HOLDER: &str = "select holder, expires_at - {now} as remaining_us from leases where name = $1";

fn micros(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX / 4)
}

fn is_valid_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-');
    (1..=LEASE_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(legal)
}

/// Tries the lock file of a lease; `:` is no character for file names everywhere, and no name
/// has a dot of its own.
async fn try_lock(directory: Arc<PathBuf>, name: &str) -> Result<Option<FileLock>, Error> {
    let path = directory.join(format!("{}.lock", name.replace(':', ".")));
    let attempt = tokio::task::spawn_blocking(move || {
        FileLock::try_acquire(&path).map_err(|source| Error::File { path, source })
    });
    attempt.await.unwrap_or(Err(Error::Closed))
}

impl Metadata {
    /// Requests the lease `name` for `holder`, to expire after `ttl` by the database's clock. Never waits for
    /// another holder. A name has the characters `[A-Za-z0-9:_-]`.
    pub async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<LeaseOutcome, Error> {
        if !is_valid_name(name) {
            return Err(Error::InvalidLeaseName);
        }
        let lock = match &self.locks {
            Some(directory) => match try_lock(Arc::clone(directory), name).await? {
                Some(lock) => Some(lock),
                None => return self.held_elsewhere(name).await,
            },
            None => None,
        };
        let holder = storable(holder, HOLDER_BYTES_MAX);
        // While this process has the file lock, no living process holds the lease.
        let acquire = Statement::new(ACQUIRE)
            .bind(name)
            .bind(holder.as_str())
            .bind(micros(ttl))
            .bind(i64::from(lock.is_some()));
        match self.database.row(acquire).await? {
            Some(row) => {
                let fencing = row.natural("fencing")?;
                Ok(LeaseOutcome::Held(Lease { name: name.to_owned(), holder, fencing, lock }))
            }
            None => self.held_elsewhere(name).await,
        }
    }

    async fn held_elsewhere(&self, name: &str) -> Result<LeaseOutcome, Error> {
        let row = self.database.row(Statement::new(HOLDER).bind(name)).await?;
        let (holder, expires_in) = match row {
            Some(row) => {
                let remaining = u64::try_from(row.number("remaining_us")?).unwrap_or(0);
                (row.text("holder")?, Duration::from_micros(remaining))
            }
            None => (String::new(), Duration::ZERO),
        };
        Ok(LeaseOutcome::HeldElsewhere { holder, expires_in })
    }

    /// Lets a lease expire `ttl` from now. Returns `false` when it is lost: expired, released, or taken by
    /// another holder. A lost lease never comes back; drop it.
    pub async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<bool, Error> {
        let renew = Statement::new(RENEW)
            .bind(lease.name.as_str())
            .bind(lease.holder.as_str())
            .bind(lease.fencing)
            .bind(micros(ttl));
        Ok(self.database.execute(renew).await? == 1)
    }

    /// Releases a lease, so that the next holder need not wait for its expiry. The file lock is freed even when
    /// the database does not answer. Releasing twice is harmless.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        let release =
            Statement::new(RELEASE).bind(lease.name.as_str()).bind(lease.holder.as_str()).bind(lease.fencing);
        // The row first: no other process can take it while this one has the file lock.
        let released = self.database.execute(release).await;
        if let Some(lock) = &lease.lock {
            let unlocked = lock.release();
            unlocked.map_err(|error| Error::Connection(format!("lock file: {error}")))?;
        }
        debug_assert!(lease.lock.is_some() == matches!(self.database.connections, Connections::Sqlite(_)));
        released.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_names_are_fit_for_file_names() {
        for good in ["housekeeping", "sync:customer", "sync:A-1_b", &"x".repeat(128)] {
            assert!(is_valid_name(good), "{good}");
        }
        for bad in ["", "a/b", "..", "a b", "a.b", "é", &"x".repeat(129)] {
            assert!(!is_valid_name(bad), "{bad}");
        }
    }
}
