//! Caches the fleet's statuses for a server, so that many callers share one read of the store.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{FleetStatus, StoreProblem, announcement};
use crate::{
    admin::error::Error,
    catalog::{Ages, Catalog, StatusStore},
    support::clock::Clock,
};

/// How long a read is reused: the store is read at most twelve times a minute.
const FRESH: Duration = Duration::from_secs(5);
/// Longest time that the store may take. Callers then get the local part.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads the fleet for many callers.
#[derive(Debug)]
pub struct FleetReader {
    catalog: Catalog,
    statuses: StatusStore,
    clock: Clock,
    ages: Ages,
    /// The caller that holds the lock reads; the others wait and find a fresh result.
    last: Mutex<Option<(Instant, Arc<FleetStatus>)>>,
}

impl FleetReader {
    /// A reader without a cached result.
    pub fn new(catalog: Catalog, statuses: StatusStore, clock: Clock, ages: Ages) -> Self {
        Self { catalog, statuses, clock, ages, last: Mutex::new(None) }
    }

    /// Returns the fleet, at most `FRESH` old. When the store fails or does not answer within `READ_TIMEOUT`, returns
    /// the last result with the problem.
    pub async fn read(&self) -> Arc<FleetStatus> {
        let mut last = self.last.lock().await;
        if let Some((at, fleet)) = &*last
            && at.elapsed() < FRESH
        {
            return Arc::clone(fleet);
        }
        let read = match timeout(READ_TIMEOUT, self.read_now()).await {
            Ok(Ok(fleet)) => fleet,
            Ok(Err(error)) => last_known(last.take(), error.code(), error.to_string()),
            Err(_) => {
                let message = format!("the store did not answer within {} s", READ_TIMEOUT.as_secs());
                last_known(last.take(), "store_timeout", message)
            }
        };
        let fleet = Arc::new(read);
        *last = Some((Instant::now(), Arc::clone(&fleet)));
        fleet
    }

    async fn read_now(&self) -> Result<FleetStatus, Error> {
        let announced = announcement(&self.catalog).await?;
        FleetStatus::read(&self.statuses, &announced, self.clock.now(), self.ages).await
    }
}

/// The last result, with the problem that keeps the store from being read.
fn last_known(last: Option<(Instant, Arc<FleetStatus>)>, code: &'static str, message: String) -> FleetStatus {
    let empty = FleetStatus { read_at: None, problem: None, left_off: 0, nodes: Vec::new() };
    let last = last.map_or(empty, |(_, fleet)| FleetStatus::clone(&fleet));
    FleetStatus { problem: Some(StoreProblem { code: code.to_owned(), message }), ..last }
}
