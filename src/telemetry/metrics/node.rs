//! Metrics of a node's status. They are computed from the status at each scrape.

use std::sync::atomic::AtomicU64;

use chrono::{DateTime, Utc};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{Labels, PREFIX, age, family, label};
use crate::status::{NodeCollectionStatus, NodeStatus};

type Seconds = Gauge<f64, AtomicU64>;

/// The metrics of `status`. Ages are relative to `now`.
pub(super) fn registry(status: &NodeStatus, now: DateTime<Utc>) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    register_node(&mut registry, status, now);
    register_collections(&mut registry, status, now);
    register_problems(&mut registry, status);
    registry
}

fn register_node(registry: &mut Registry, status: &NodeStatus, now: DateTime<Utc>) {
    let poll_errors: Family<_, Counter> = family(registry, "poll_errors", "Polls of the catalog that failed");
    for (code, count) in &status.failed_polls {
        poll_errors.get_or_create(&[label("code", code)]).inc_by(*count);
    }
    for (name, help, value) in [
        ("catalog_number", "Number of the catalog document applied", status.catalog),
        ("keys", "API keys in force", status.keys as u64),
        ("keys_refused", "Key entries that this build does not understand", status.keys_refused as u64),
        ("keys_revision", "Revision of the key set in force", status.keys_revision),
    ] {
        registry.register(name, help, gauge(value));
    }
    let (bytes, max) = (gauge(status.disk.bytes), gauge(status.disk.bytes_max));
    registry.register_with_unit("segments", "Segments in data_dir", Unit::Bytes, bytes);
    registry.register_with_unit("segments_max", "Most bytes of segments in data_dir", Unit::Bytes, max);
    for (name, what, confirmed_at) in [
        ("catalog_age", "the catalog applied", status.polled_at),
        ("keys_age", "the key set in force", status.keys_at),
    ] {
        let (help, gauge) =
            (format!("Time since the store confirmed {what}; NaN before"), Seconds::default());
        gauge.set(confirmed_at.map_or(f64::NAN, |then| age(then, now)));
        registry.register_with_unit(name, help, Unit::Seconds, gauge);
    }
}

/// Name, help and unit of a gauge, and its value for a collection, if it has one.
type OfCollection = (&'static str, &'static str, Option<Unit>, fn(&NodeCollectionStatus) -> Option<u64>);

fn register_collections(registry: &mut Registry, status: &NodeStatus, now: DateTime<Utc>) {
    let gauges: [OfCollection; 7] = [
        ("loaded", "1 when the collection is served, 0 when this node has not loaded it", None, |one| {
            Some(u64::from(one.loaded.is_some()))
        }),
        ("version", "Version served", None, |one| one.served.map(|served| served.0)),
        ("versions_behind", "Versions that are announced beyond the one served", None, |one| {
            Some(one.versions_behind())
        }),
        (
            "versions_above_pin",
            "Versions by which the one served is above the pin of this region",
            None,
            |one| Some(one.versions_above_pin()),
        ),
        ("records", "Records served", None, |one| Some(one.loaded?.records)),
        ("conflicts", "Records that share an index value and do not hold it", None, |one| {
            Some(one.loaded?.conflicts)
        }),
        ("memory", "Memory that the collection holds", Some(Unit::Bytes), |one| Some(one.loaded?.bytes)),
    ];
    for (name, help, unit, value) in gauges {
        let (name, family) = (format!("collection_{name}"), Family::<Labels<1>, Gauge>::default());
        for (collection, one) in status.collections_here() {
            if let Some(value) = value(one) {
                family.get_or_create(&[label("collection", collection)]).set(bounded(value));
            }
        }
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, family),
            None => registry.register(name, help, family),
        }
    }
    let ages = Family::<Labels<1>, Seconds>::default();
    for (collection, one) in status.collections_here() {
        if let Some(then) = one.data_as_of {
            ages.get_or_create(&[label("collection", collection)]).set(age(then, now));
        }
    }
    let help = "Time since the warehouse was read for what is served";
    registry.register_with_unit("collection_data_age", help, Unit::Seconds, ages);
}

fn register_problems(registry: &mut Registry, status: &NodeStatus) {
    let of_publisher = status.publisher.as_ref().and_then(|publisher| publisher.problem.as_ref());
    let of_parts = [("replica", status.problem.as_ref()), ("publisher", of_publisher)];
    let of_tasks = status.tasks.iter().map(|(task, problem)| (task.as_str(), Some(problem)));
    let parts: Family<_, Gauge> = family(registry, "problem", "1 while a part of the node has this problem");
    for (part, problem) in of_parts.into_iter().chain(of_tasks) {
        if let Some(problem) = problem {
            parts.get_or_create(&[label("part", part), label("code", &problem.code)]).set(1);
        }
    }
    let help = "1 while this keeps the collection from the version announced";
    let collections: Family<_, Gauge> = family(registry, "collection_problem", help);
    for (name, one) in status.collections_here() {
        if let Some(problem) = &one.problem {
            collections.get_or_create(&[label("collection", name), label("code", &problem.code)]).set(1);
        }
    }
}

fn gauge(value: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(bounded(value));
    gauge
}

fn bounded(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use chrono::TimeDelta;

    use super::*;
    use crate::{
        domain::{CollectionName, Label, NodeId, RegionName, Version},
        status::{Identity, MemoryUsage, Problem, PublisherStatus},
        support::random,
        telemetry::Metrics,
    };

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn status() -> NodeStatus {
        let identity = Identity {
            node: NodeId::from_uuid(random::uuid()),
            name: Label::fitted("host"),
            region: RegionName::new("local").unwrap(),
            roles: vec![Label::fitted("replica")],
        };
        NodeStatus::new(identity, now())
    }

    fn problem(code: &str) -> Problem {
        Problem::lasting(None, code, "jane@example.com".to_owned(), now())
    }

    fn customer(served: Option<u64>) -> NodeCollectionStatus {
        NodeCollectionStatus {
            wanted: Version(9),
            served: served.map(Version),
            behind_since: None,
            data_as_of: served.map(|_| now()),
            records: 12,
            bytes: 1,
            problem: None,
            other_regions: None,
            loaded: served.map(|_| MemoryUsage { records: 12, bytes: 900, conflicts: 1 }),
        }
    }

    fn with_customer(customer: NodeCollectionStatus) -> NodeStatus {
        let collections = [(CollectionName::new("customer").unwrap(), customer)];
        NodeStatus { collections: Arc::new(BTreeMap::from(collections)), ..status() }
    }

    fn assert_lines(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line}\n{text}");
        }
    }

    #[test]
    fn collection_metrics_last_until_collection_is_removed() {
        let metrics = Metrics::new();
        let text = metrics.encode(&with_customer(customer(None)), now());
        assert_lines(&text, &[r#"larder_collection_loaded{collection="customer"} 0"#]);
        let served = with_customer(customer(Some(7)));
        assert_lines(
            &metrics.encode(&served, now() + TimeDelta::milliseconds(90_500)),
            &[
                r#"larder_collection_loaded{collection="customer"} 1"#,
                r#"larder_collection_version{collection="customer"} 7"#,
                r#"larder_collection_versions_behind{collection="customer"} 2"#,
                r#"larder_collection_versions_above_pin{collection="customer"} 0"#,
                r#"larder_collection_records{collection="customer"} 12"#,
                r#"larder_collection_conflicts{collection="customer"} 1"#,
                r#"larder_collection_memory_bytes{collection="customer"} 900"#,
                r#"larder_collection_data_age_seconds{collection="customer"} 90.5"#,
            ],
        );
        let above = metrics.encode(&with_customer(customer(Some(10))), now());
        assert_lines(&above, &[r#"larder_collection_versions_above_pin{collection="customer"} 1"#]);
        assert!(!metrics.encode(&status(), now()).contains("customer"));
    }

    #[test]
    fn collection_of_other_regions_has_no_metrics() {
        let abroad = Some([RegionName::new("eu").unwrap()].into());
        let status = with_customer(NodeCollectionStatus { other_regions: abroad, ..customer(None) });
        assert!(!Metrics::new().encode(&status, now()).contains("customer"));
    }

    #[test]
    fn ages_count_from_last_confirmation() {
        let metrics = Metrics::new();
        assert_lines(&metrics.encode(&status(), now()), &["larder_keys_age_seconds NaN"]);
        let status = NodeStatus {
            failed_polls: [(Label::fitted("store_unavailable"), 1)].into(),
            catalog: 41,
            polled_at: Some(now()),
            keys_revision: 3,
            keys: 2,
            keys_refused: 1,
            keys_at: Some(now() - TimeDelta::seconds(5)),
            ..status()
        };
        assert_lines(
            &metrics.encode(&status, now() + TimeDelta::seconds(10)),
            &[
                r#"larder_poll_errors_total{code="store_unavailable"} 1"#,
                "larder_catalog_number 41",
                "larder_catalog_age_seconds 10.0",
                "larder_keys 2",
                "larder_keys_refused 1",
                "larder_keys_revision 3",
                "larder_keys_age_seconds 15.0",
            ],
        );
        // A clock that is behind the other machine's gives no negative age.
        let text = metrics.encode(&status, now() - TimeDelta::days(1));
        assert_lines(&text, &["larder_catalog_age_seconds 0.0"]);
    }

    #[test]
    fn problem_has_metric_with_its_code_while_it_lasts() {
        let status = NodeStatus {
            problem: Some(problem("object_missing")),
            publisher: Some(PublisherStatus {
                problem: Some(problem("store_overwrites")),
                ..Default::default()
            }),
            tasks: [(Label::fitted("reporter"), problem("task_failed"))].into(),
            ..with_customer(NodeCollectionStatus {
                problem: Some(problem("segments_full")),
                ..customer(None)
            })
        };
        let text = Metrics::new().encode(&status, now());
        assert!(!text.contains("jane@example.com"), "{text}");
        assert_lines(
            &text,
            &[
                r#"larder_problem{part="replica",code="object_missing"} 1"#,
                r#"larder_problem{part="publisher",code="store_overwrites"} 1"#,
                r#"larder_problem{part="reporter",code="task_failed"} 1"#,
                r#"larder_collection_problem{collection="customer",code="segments_full"} 1"#,
            ],
        );
    }
}
