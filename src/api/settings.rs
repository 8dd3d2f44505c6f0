//! The `[server]` section: both listeners and their limits.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use super::tls;

/// The two listeners and their limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Records and health.
    pub listen: SocketAddr,
    /// Metrics and status.
    pub admin_listen: SocketAddr,
    /// The URL that printed snippets use instead of the listener's address.
    pub public_url: Option<String>,
    /// The certificate; the public listener speaks TLS if there is one.
    pub tls: Option<tls::Settings>,
    /// Most connections of the public listener at once.
    pub connections_max: usize,
    /// Longest time for a request's head to arrive.
    pub header_timeout: Duration,
    /// Longest time for the body of a look-up by POST to arrive.
    pub body_timeout: Duration,
    /// Smaller bodies are never compressed.
    pub compress_min_bytes: usize,
    /// Requests for records that each key may make on this node in a second.
    pub key_requests_per_second_max: Option<NonZeroU32>,
    /// Longest time for requests in flight to finish at shutdown.
    pub drain_timeout: Duration,
}
