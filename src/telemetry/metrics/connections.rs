//! Connections of a listener.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Listener {
    listener: &'static str,
}

pub(super) struct Connections {
    open: Family<Listener, Gauge>,
    accepted: Family<Listener, Counter>,
    shed: Family<Listener, Counter>,
    timed_out: Family<Listener, Counter>,
    tls_failed: Family<Listener, Counter>,
}

impl Connections {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            open: Family::default(),
            accepted: Family::default(),
            shed: Family::default(),
            timed_out: Family::default(),
            tls_failed: Family::default(),
        };
        registry.register("connections_open", "Connections open now", this.open.clone());
        registry.register("connections_accepted", "Connections accepted", this.accepted.clone());
        registry.register(
            "connections_shed",
            "Connections closed at once because the listener was full",
            this.shed.clone(),
        );
        registry.register(
            "connections_timed_out",
            "Connections closed because their client was idle or too slow",
            this.timed_out.clone(),
        );
        registry.register(
            "connections_tls_failed",
            "Connections closed because the TLS handshake failed or took too long",
            this.tls_failed.clone(),
        );
        this
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
        let (families, label) = (&self.0.connections, Listener { listener });
        ConnectionMetrics {
            open: families.open.get_or_create_owned(&label),
            accepted: families.accepted.get_or_create_owned(&label),
            shed: families.shed.get_or_create_owned(&label),
            timed_out: families.timed_out.get_or_create_owned(&label),
            tls_failed: families.tls_failed.get_or_create_owned(&label),
        }
    }
}
