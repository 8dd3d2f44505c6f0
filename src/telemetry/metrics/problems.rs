//! What is wrong with this node now.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Problem {
    part: &'static str,
    code: &'static str,
}

pub(super) struct Problems {
    shown: Family<Problem, Gauge>,
    codes: Mutex<BTreeMap<&'static str, &'static str>>,
}

impl Problems {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self { shown: Family::default(), codes: Mutex::default() };
        registry.register("problem", "1 while a part of the node has this problem", this.shown.clone());
        this
    }
}

impl Metrics {
    /// `part` of the node has the problem `code` now, or none.
    pub fn problem_stands(&self, part: &'static str, code: Option<&'static str>) {
        let Problems { shown, codes } = &self.0.problems;
        let mut codes = codes.lock().unwrap_or_else(PoisonError::into_inner);
        let before = codes.get(part).copied();
        if before == code {
            return;
        }
        if let Some(before) = before {
            shown.remove(&Problem { part, code: before });
            codes.remove(part);
        }
        if let Some(code) = code {
            shown.get_or_create(&Problem { part, code }).set(1);
            codes.insert(part, code);
        }
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
            text.lines().filter(|line| line.starts_with("larder_problem{")).map(str::to_owned).collect()
        };
        let none: Vec<String> = shown();
        assert!(none.is_empty());
        metrics.problem_stands("publisher", Some("store_overwrites"));
        metrics.problem_stands("catalog", Some("store_timeout"));
        metrics.problem_stands("catalog", Some("object_missing"));
        let mut both: Vec<String> = shown();
        both.sort();
        assert_eq!(
            both,
            [
                r#"larder_problem{part="catalog",code="object_missing"} 1"#,
                r#"larder_problem{part="publisher",code="store_overwrites"} 1"#
            ]
        );
        metrics.problem_stands("publisher", None);
        assert_eq!(shown().len(), 1);
    }
}
