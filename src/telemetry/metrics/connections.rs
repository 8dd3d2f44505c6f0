//! Connections of a listener.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Labels, Metrics, family, label};

/// Name and help of the counters, in the order of [`ConnectionMetrics`].
const COUNTERS: [(&str, &str); 4] = [
    ("connections_accepted", "Connections accepted"),
    ("connections_shed", "Connections closed at once because the listener was full"),
    ("connections_timed_out", "Connections closed because their client was idle or too slow"),
    ("connections_tls_failed", "Connections closed because the TLS handshake failed or took too long"),
];

pub(super) struct Connections {
    open: Family<Labels<1>, Gauge>,
    counters: [Family<Labels<1>, Counter>; 4],
}

impl Connections {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            open: family(registry, "connections_open", "Connections open now"),
            counters: COUNTERS.map(|(name, help)| family(registry, name, help)),
        }
    }
}

/// The counters of one listener, held by it.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    /// Open now.
    pub open: Gauge,
    /// Accepted since the start.
    pub accepted: Counter,
    /// Closed at once because the listener was full.
    pub shed: Counter,
    /// Closed because the client was idle or too slow.
    pub timed_out: Counter,
    /// Closed because the TLS handshake failed or took too long.
    pub tls_failed: Counter,
}

impl Metrics {
    /// The counters of `listener`, `public` or `admin`.
    pub fn connections(&self, listener: &'static str) -> ConnectionMetrics {
        let (families, labels) = (&self.0.connections, [label("listener", listener)]);
        let open = families.open.get_or_create_owned(&labels);
        let counters = families.counters.each_ref().map(|family| family.get_or_create_owned(&labels));
        let [accepted, shed, timed_out, tls_failed] = counters;
        ConnectionMetrics { open, accepted, shed, timed_out, tls_failed }
    }
}
