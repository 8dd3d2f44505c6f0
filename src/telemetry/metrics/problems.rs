//! What is wrong with this node now: one problem per part, one per collection.

use std::{
    collections::BTreeMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPart {
    part: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCollection {
    collection: String,
    code: &'static str,
}

/// Problems that stand, by whose they are; only the last one of each is shown.
struct Standing<L>(Mutex<BTreeMap<String, L>>, Family<L, Gauge>);

impl<L: Clone + PartialEq + Eq + Hash> Standing<L> {
    fn new() -> Self {
        Self(Mutex::default(), Family::default())
    }

    fn set(&self, whose: &str, label: Option<L>) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.get(whose) == label.as_ref() {
            return;
        }
        if let Some(before) = standing.remove(whose) {
            self.1.remove(&before);
        }
        if let Some(label) = label {
            self.1.get_or_create(&label).set(1);
            standing.insert(whose.to_owned(), label);
        }
    }
}

pub(super) struct Problems {
    parts: Standing<OfPart>,
    collections: Standing<OfCollection>,
}

impl Problems {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self { parts: Standing::new(), collections: Standing::new() };
        registry.register("problem", "1 while a part of the node has this problem", this.parts.1.clone());
        registry.register(
            "collection_problem",
            "1 while this keeps the collection from the version announced",
            this.collections.1.clone(),
        );
        this
    }
}

impl Metrics {
    /// `part` of the node has the problem `code` now, or none.
    pub fn problem_stands(&self, part: &'static str, code: Option<&'static str>) {
        self.0.problems.parts.set(part, code.map(|code| OfPart { part, code }));
    }

    /// The problem `code` keeps `collection` from the version announced now, or none does.
    pub fn collection_problem_stands(&self, collection: &str, code: Option<&'static str>) {
        let label = code.map(|code| OfCollection { collection: collection.to_owned(), code });
        self.0.problems.collections.set(collection, label);
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_problem_is_shown_while_it_stands() {
        let metrics = Metrics::new();
        let shown = || {
            let text = metrics.encode(DateTime::UNIX_EPOCH);
            let mut lines: Vec<String> =
                text.lines().filter(|line| line.contains("problem{")).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert!(shown().is_empty());
        metrics.problem_stands("publisher", Some("store_overwrites"));
        metrics.problem_stands("replica", Some("store_timeout"));
        metrics.problem_stands("replica", Some("object_missing"));
        metrics.collection_problem_stands("customer", Some("segments_full"));
        assert_eq!(
            shown(),
            [
                r#"larder_collection_problem{collection="customer",code="segments_full"} 1"#,
                r#"larder_problem{part="publisher",code="store_overwrites"} 1"#,
                r#"larder_problem{part="replica",code="object_missing"} 1"#,
            ]
        );
        metrics.problem_stands("publisher", None);
        metrics.collection_problem_stands("customer", None);
        assert_eq!(shown().len(), 1);
    }
}
