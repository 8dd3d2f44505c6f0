//! Connections of a listener.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Labels, Metrics, family, label};

pub(super) struct Connections {
    open: Family<Labels<1>, Gauge>,
    accepted: Family<Labels<1>, Counter>,
    shed: Family<Labels<1>, Counter>,
    timed_out: Family<Labels<1>, Counter>,
    tls_failed: Family<Labels<1>, Counter>,
}

impl Connections {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let closed = |why| format!("Connections closed {why}");
        Self {
            open: family(registry, "connections_open", "Connections open now"),
            accepted: family(registry, "connections_accepted", "Connections accepted"),
            shed: family(registry, "connections_shed", closed("at once because the listener was full")),
            timed_out: family(
                registry,
                "connections_timed_out",
                closed("because their client was idle or too slow"),
            ),
            tls_failed: family(
                registry,
                "connections_tls_failed",
                closed("because the TLS handshake failed or took too long"),
            ),
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
        ConnectionMetrics {
            open: families.open.get_or_create_owned(&labels),
            accepted: families.accepted.get_or_create_owned(&labels),
            shed: families.shed.get_or_create_owned(&labels),
            timed_out: families.timed_out.get_or_create_owned(&labels),
            tls_failed: families.tls_failed.get_or_create_owned(&labels),
        }
    }
}
