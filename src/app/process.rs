//! The publishing side of a command's process: commands announce by themselves, beside a server or
//! without one.

use tokio::task::JoinHandle;

use super::{
    parts::{open_registry, open_segments},
    publisher, stored,
};
use crate::{
    admin::{Error, Publisher},
    config::Config,
    support::{clock::Clock, shutdown::Shutdown},
};

/// A publisher with its announcer.
pub struct PublisherProcess {
    /// The use cases.
    pub publisher: Publisher,
    shutdown: Shutdown,
    announcing: JoinHandle<()>,
}

impl PublisherProcess {
    /// Opens store and metadata and starts the announcer.
    ///
    /// # Errors
    /// `foreign_metadata` when another metadata database publishes, unless this command `takes_over`.
    pub async fn start(config: &Config, clock: Clock, takes_over: bool) -> Result<Self, Error> {
        let registry = open_registry(config)?;
        let shutdown = Shutdown::new();
        let directory = open_segments(config, clock.clone())?;
        let (publisher, announcing) =
            publisher::start(config, registry, directory, clock, shutdown.clone(), takes_over).await?;
        let entries = publisher.metadata.stored_entries().await?;
        publisher.registry.replace(stored::layered(config, &entries).syncs);
        Ok(Self { publisher, shutdown, announcing: tokio::spawn(announcing) })
    }

    /// Lets the announcer write what it still has to, and ends.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let _ = self.announcing.await;
        self.publisher.metadata.close().await;
    }
}
