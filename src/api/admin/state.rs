//! The state of the admin listener, and how a handler reaches the use cases.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use tokio::sync::watch;

use super::codes;
use crate::{
    admin::{
        Access, Admin, Configured, EventFeed, Grant, Operations, Overview, Publisher, Records, Samples,
        fleet::FleetReader,
    },
    api::{ReadState, http::error::Error, ops::Readiness},
    status::Board,
    support::clock::Clock,
    telemetry::Metrics,
};

/// The state of the admin listener. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    /// Checks admin keys.
    pub access: Arc<Access>,
    /// What is configured.
    pub configured: Configured,
    /// The events that watchers receive.
    pub events: EventFeed,
    /// Requested operations.
    pub operations: Operations,
    /// Looks up records that this node serves.
    pub records: Records,
    /// The first rows of models.
    pub samples: Samples,
    /// Answers requests for records, on a node that serves them.
    pub reads: Option<ReadState>,
    /// Reads what is announced.
    pub overview: Arc<Overview>,
    /// The setting `[server] public_url`, for snippets.
    pub public_url: Option<Arc<str>>,
    /// Whether the metrics need no admin key.
    pub metrics_open: bool,
    /// Whether the node is ready.
    pub readiness: Readiness,
    /// The node's counters.
    pub metrics: Metrics,
    /// For ages.
    pub clock: Clock,
    /// The node's status.
    pub board: Board,
    /// The status of all nodes, as the store has it.
    pub fleet: Arc<FleetReader>,
    /// The publishing side while it is up; never, on a node without that role.
    pub publisher: watch::Receiver<Option<Publisher>>,
}

impl AdminState {
    /// The use cases of the metadata database, while the publishing side is up.
    pub(in crate::api) fn admin(&self) -> Option<Admin> {
        self.publisher.borrow().as_ref().map(Publisher::admin)
    }

    /// Writes to the audit log that rows of `subject` are about to be shown. A node without the publishing side has no
    /// log.
    pub(in crate::api) async fn audit_read(
        &self,
        grant: &Grant,
        action: &str,
        subject: &impl ToString,
    ) -> Result<(), Error> {
        match self.admin() {
            Some(admin) => Ok(admin.audit_read(&grant.principal, action, subject).await?),
            None => Ok(()),
        }
    }

    /// The publishing side.
    ///
    /// # Errors
    /// The node does not publish, or the publishing side is not up.
    pub(in crate::api) fn publisher(&self) -> Result<Publisher, Error> {
        let publisher = self.publisher.borrow().clone();
        publisher.ok_or_else(|| {
            let publishes = self.board.read().publisher.is_some();
            if publishes { codes::PUBLISHER_NOT_UP } else { codes::NO_METADATA }.into()
        })
    }
}

impl FromRef<AdminState> for Readiness {
    fn from_ref(state: &AdminState) -> Self {
        state.readiness.clone()
    }
}

/// The use cases of a publisher, as an argument of a handler. On a node that does not publish, the request is
/// answered with 404, and while the publishing side is not up with 503.
pub(in crate::api) struct Publishing(pub(in crate::api) Publisher);

impl FromRequestParts<AdminState> for Publishing {
    type Rejection = Error;

    async fn from_request_parts(_: &mut Parts, state: &AdminState) -> Result<Self, Error> {
        state.publisher().map(Self)
    }
}
