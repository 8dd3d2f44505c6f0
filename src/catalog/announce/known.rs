//! What an announcer knows about the catalog.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    catalog::{Authority, Catalog, Error, paths},
    domain::{CatalogDocument, DeploymentId},
    store,
    support::clock::Clock,
};

/// What an announcer knows about the catalog.
#[derive(Debug)]
pub(super) struct KnownCatalog {
    pub(super) deployment: Option<DeploymentId>,
    /// The metadata database of this process; without it, any document may be followed.
    pub(super) authority: Option<Authority>,
    pub(super) newest: Option<Newest>,
    /// The highest document number that this process has seen: a store without it has lost documents.
    pub(super) highest_seen: u64,
}

/// The newest document known.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) document: CatalogDocument,
    /// A time at which no higher number was taken: one from before the request to the store. The machine may
    /// have slept between the request and the answer.
    pub(super) read_at: DateTime<Utc>,
}

impl KnownCatalog {
    /// Reads the newest document. Returns the time of the reading.
    ///
    /// # Errors
    /// [`Error::CatalogLost`] when the store has lost documents; others when it cannot be read.
    pub(super) async fn read(&mut self, catalog: &Catalog, clock: &Clock) -> Result<DateTime<Utc>, Error> {
        let read_at = clock.now();
        let newest = catalog.newest(self.deployment).await?;
        self.highest_seen = not_below(self.highest_seen, newest.as_ref().map(|newest| newest.n))?;
        self.newest = newest.map(|document| Newest { document, read_at });
        if let Some(newest) = &self.newest {
            self.deployment = Some(newest.document.deployment);
        }
        Ok(read_at)
    }

    /// Checks that this process may follow the newest known document.
    pub(super) fn check_authority(&self) -> Result<(), Error> {
        match (&self.authority, &self.newest) {
            (Some(authority), Some(newest)) => authority.check(&newest.document),
            _ => Ok(()),
        }
    }

    /// The error for a reading that took longer than `bound`.
    pub(super) fn timeout(bound: Duration) -> Error {
        let (path, seconds) = (paths::catalog().to_string(), bound.as_secs());
        store::Error::Timeout { operation: "read", path, seconds }.into()
    }
}

/// The number of the newest document, which is not below the highest one `seen`.
fn not_below(seen: u64, found: Option<u64>) -> Result<u64, Error> {
    let found = match found {
        Some(n) if n >= seen => return Ok(n),
        None if seen == 0 => return Ok(0),
        Some(n) => format!("its newest document is {n}"),
        None => "it is empty".to_owned(),
    };
    Err(Error::CatalogLost { found, known: format!("this process has read document {seen}") })
}
