//! What this node serves: per collection its version, size and age.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

use chrono::{DateTime, Utc};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{Metrics, age};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Collection {
    collection: String,
}

type Family64 = Family<Collection, Gauge>;

pub(super) struct Content {
    loaded: Family64,
    version: Family64,
    behind: Family64,
    above_pin: Family64,
    records: Family64,
    conflicts: Family64,
    bytes: Family64,
    segments: Gauge,
    segments_max: Gauge,
    age: Family<Collection, Gauge<f64, AtomicU64>>,
    as_of: Mutex<BTreeMap<String, DateTime<Utc>>>,
}

/// How one collection stands on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The version served.
    pub version: u64,
    /// Records served.
    pub records: u64,
    /// Records that share an index value with one of a lower primary key.
    pub conflicts: u64,
    /// Memory held, in bytes.
    pub bytes: u64,
    /// How fresh it is.
    pub data_as_of: DateTime<Utc>,
}

impl Content {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            loaded: Family::default(),
            version: Family::default(),
            behind: Family::default(),
            above_pin: Family::default(),
            records: Family::default(),
            conflicts: Family::default(),
            bytes: Family::default(),
            segments: Gauge::default(),
            segments_max: Gauge::default(),
            age: Family::default(),
            as_of: Mutex::default(),
        };
        registry.register(
            "collection_loaded",
            "1 when the collection is served, 0 when this node has not loaded it",
            this.loaded.clone(),
        );
        registry.register("collection_version", "Version served", this.version.clone());
        registry.register(
            "collection_versions_behind",
            "Versions that are announced beyond the one served",
            this.behind.clone(),
        );
        registry.register(
            "collection_versions_above_pin",
            "Versions by which the one served is above the one that this region is pinned to",
            this.above_pin.clone(),
        );
        registry.register("collection_records", "Records served", this.records.clone());
        registry.register(
            "collection_conflicts",
            "Records that share an index value with one of a lower primary key",
            this.conflicts.clone(),
        );
        registry.register_with_unit(
            "collection_memory",
            "Memory that the collection holds",
            Unit::Bytes,
            this.bytes.clone(),
        );
        registry.register_with_unit("segments", "Segments in data_dir", Unit::Bytes, this.segments.clone());
        registry.register_with_unit(
            "segments_max",
            "Most bytes of segments in data_dir",
            Unit::Bytes,
            this.segments_max.clone(),
        );
        registry.register_with_unit(
            "collection_data_age",
            "Time since the warehouse was read for what is served",
            Unit::Seconds,
            this.age.clone(),
        );
        this
    }

    pub(super) fn set_ages(&self, now: DateTime<Utc>) {
        let as_of = self.as_of.lock().unwrap_or_else(PoisonError::into_inner);
        for (collection, &then) in as_of.iter() {
            self.age.get_or_create(&label(collection)).set(age(then, now));
        }
    }
}

fn label(collection: &str) -> Collection {
    Collection { collection: collection.to_owned() }
}

impl Metrics {
    /// The catalog names `collection`, and this node cannot serve it yet.
    pub fn collection_missing(&self, collection: &str) {
        self.0.content.loaded.get_or_create(&label(collection)).set(0);
    }

    /// So many `versions` of `collection` are announced beyond the one that this node serves; all of
    /// them when it serves none.
    pub fn collection_behind(&self, collection: &str, versions: u64) {
        let behind = self.0.content.behind.get_or_create(&label(collection));
        behind.set(i64::try_from(versions).unwrap_or(i64::MAX));
    }

    /// `bytes` of segments are in `data_dir`, of at most `bytes_max`.
    pub fn segments_shown(&self, bytes: u64, bytes_max: u64) {
        for (gauge, value) in [(&self.0.content.segments, bytes), (&self.0.content.segments_max, bytes_max)] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// This node serves so many `versions` of `collection` above the one that its region is pinned to.
    pub fn collection_above_pin(&self, collection: &str, versions: u64) {
        let above = self.0.content.above_pin.get_or_create(&label(collection));
        above.set(i64::try_from(versions).unwrap_or(i64::MAX));
    }

    /// This node serves `collection`, as `shown` says.
    pub fn collection_shown(&self, collection: &str, shown: Shown) {
        let (content, label) = (&self.0.content, label(collection));
        let gauge = |family: &Family64, value: u64| {
            family.get_or_create(&label).set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        gauge(&content.loaded, 1);
        gauge(&content.version, shown.version);
        gauge(&content.records, shown.records);
        gauge(&content.conflicts, shown.conflicts);
        gauge(&content.bytes, shown.bytes);
        let mut as_of = content.as_of.lock().unwrap_or_else(PoisonError::into_inner);
        as_of.insert(collection.to_owned(), shown.data_as_of);
    }

    /// `collection` has left the catalog, or this region.
    pub fn collection_gone(&self, collection: &str) {
        let (content, label) = (&self.0.content, label(collection));
        for family in [
            &content.loaded,
            &content.version,
            &content.behind,
            &content.above_pin,
            &content.records,
            &content.conflicts,
            &content.bytes,
        ] {
            family.remove(&label);
        }
        // The lock is held over both, so that an encoding under way does not bring the age back.
        let mut as_of = content.as_of.lock().unwrap_or_else(PoisonError::into_inner);
        as_of.remove(collection);
        content.age.remove(&label);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_collection_shows_its_size_and_age_until_it_goes() {
        let (metrics, now) = (Metrics::new(), DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        metrics.collection_missing("customer");
        assert!(metrics.encode(now).contains(r#"larder_collection_loaded{collection="customer"} 0"#));
        metrics.collection_shown(
            "customer",
            Shown { version: 7, records: 12, conflicts: 1, bytes: 900, data_as_of: now },
        );
        metrics.collection_behind("customer", 2);
        metrics.collection_above_pin("customer", 1);
        let text = metrics.encode(now + TimeDelta::milliseconds(90_500));
        for line in [
            r#"larder_collection_loaded{collection="customer"} 1"#,
            r#"larder_collection_version{collection="customer"} 7"#,
            r#"larder_collection_versions_behind{collection="customer"} 2"#,
            r#"larder_collection_versions_above_pin{collection="customer"} 1"#,
            r#"larder_collection_records{collection="customer"} 12"#,
            r#"larder_collection_conflicts{collection="customer"} 1"#,
            r#"larder_collection_memory_bytes{collection="customer"} 900"#,
            r#"larder_collection_data_age_seconds{collection="customer"} 90.5"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        metrics.collection_gone("customer");
        assert!(!metrics.encode(now).contains("customer"));
    }
}
