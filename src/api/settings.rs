//! What the listeners are told.

use std::{net::SocketAddr, time::Duration};

/// The two listeners and their bounds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Records and health.
    pub listen: SocketAddr,
    /// Metrics and status.
    pub admin_listen: SocketAddr,
    /// What printed snippets use instead of the listener's address.
    pub public_url: Option<String>,
    /// Most connections of the public listener at once.
    pub connections_max: usize,
    /// Longest time for a request's head to arrive.
    pub header_timeout: Duration,
    /// Longest time for requests in flight to finish at shutdown.
    pub drain_timeout: Duration,
}
