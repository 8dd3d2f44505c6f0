//! How well this node follows the catalog: polls that failed, and how old what it knows is.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{Metrics, age};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Default)]
pub(super) struct Following {
    poll_errors: Family<Code, Counter>,
    catalog: Gauge,
    catalog_age: Seconds,
    keys: Gauge,
    keys_refused: Gauge,
    keys_revision: Gauge,
    keys_age: Seconds,
    confirmed: Mutex<Confirmed>,
}

/// When the store last said that what this node has is the newest.
#[derive(Default, Clone, Copy)]
struct Confirmed {
    catalog: Option<DateTime<Utc>>,
    keys: Option<DateTime<Utc>>,
}

impl Following {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self::default();
        registry.register("poll_errors", "Polls of the catalog that failed", this.poll_errors.clone());
        registry.register("catalog_number", "Number of the catalog document applied", this.catalog.clone());
        registry.register_with_unit(
            "catalog_age",
            "Time since the store confirmed that the catalog applied is the newest; NaN before",
            Unit::Seconds,
            this.catalog_age.clone(),
        );
        registry.register("keys", "API keys in force", this.keys.clone());
        registry.register(
            "keys_refused",
            "Key entries that this build does not understand",
            this.keys_refused.clone(),
        );
        registry.register("keys_revision", "Revision of the key set in force", this.keys_revision.clone());
        registry.register_with_unit(
            "keys_age",
            "Time since the store confirmed that the key set in force is the newest; NaN before",
            Unit::Seconds,
            this.keys_age.clone(),
        );
        this
    }

    pub(super) fn set_ages(&self, now: DateTime<Utc>) {
        let confirmed = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        for (gauge, then) in [(&self.catalog_age, confirmed.catalog), (&self.keys_age, confirmed.keys)] {
            let seconds = then.map_or(f64::NAN, |then| age(then, now));
            gauge.inner().store(seconds.to_bits(), Ordering::Relaxed);
        }
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

impl Metrics {
    /// A poll failed, for the reason `code`.
    pub fn poll_failed(&self, code: &'static str) {
        self.0.following.poll_errors.get_or_create(&Code { code }).inc();
    }

    /// At `at` the store confirmed document `number`, which is applied, as the newest.
    pub fn catalog_confirmed(&self, number: u64, at: DateTime<Utc>) {
        let following = &self.0.following;
        set(&following.catalog, number);
        following.confirmed.lock().unwrap_or_else(PoisonError::into_inner).catalog = Some(at);
    }

    /// The key set of `revision` is in force, with `keys` entries, and `refused` others that this
    /// build does not understand.
    pub fn keys_shown(&self, revision: u64, keys: usize, refused: usize) {
        let following = &self.0.following;
        set(&following.keys_revision, revision);
        set(&following.keys, keys as u64);
        set(&following.keys_refused, refused as u64);
    }

    /// At `at` the store confirmed the key set in force as the newest.
    pub fn keys_confirmed(&self, at: DateTime<Utc>) {
        self.0.following.confirmed.lock().unwrap_or_else(PoisonError::into_inner).keys = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn ages_grow_from_the_last_confirmation() {
        let (metrics, now) = (Metrics::new(), DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        assert!(metrics.encode(now).contains("larder_keys_age_seconds NaN"));
        metrics.poll_failed("store_unavailable");
        metrics.catalog_confirmed(41, now);
        metrics.keys_shown(3, 2, 1);
        metrics.keys_confirmed(now - TimeDelta::seconds(5));
        let text = metrics.encode(now + TimeDelta::seconds(10));
        for line in [
            r#"larder_poll_errors_total{code="store_unavailable"} 1"#,
            "larder_catalog_number 41",
            "larder_catalog_age_seconds 10.0",
            "larder_keys 2",
            "larder_keys_refused 1",
            "larder_keys_revision 3",
            "larder_keys_age_seconds 15.0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        // A clock that stands behind the other machine's makes no negative age.
        assert!(metrics.encode(now - TimeDelta::days(1)).contains("larder_catalog_age_seconds 0.0"));
    }
}
