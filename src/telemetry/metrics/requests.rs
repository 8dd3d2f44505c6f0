//! Counts requests by collection, index, status and code, and measures their duration.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{Labels, Metrics, durations, family, label};

/// Label of every name that is not in the loaded catalog.
pub const OTHER: &str = "other";

/// Upper bounds in seconds: fine around the time of a look-up, and up to Braze's timeout of 2 s.
const SECONDS: [f64; 13] = [
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0,
];

/// The labels of one kind of response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// A code from a closed set.
    pub code: &'static str,
}

pub(super) struct Requests {
    answers: Family<Labels<4>, Counter>,
    durations: Family<Labels<2>, Histogram>,
    throttled_misses: Counter,
}

impl Requests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let answered = "Requests answered, by collection, index, status and code";
        let took = "Time from a request's head to its answer, without the socket";
        let throttled = "Requests over the rate of a key with never_throttle_status, answered like a miss";
        let throttled_misses = Counter::default();
        registry.register("throttled_misses", throttled, throttled_misses.clone());
        Self {
            throttled_misses,
            answers: family(registry, "requests", answered),
            durations: durations(registry, "request_duration", took, || Histogram::new(SECONDS)),
        }
    }
}

/// The counters of one collection and index. A loaded collection holds them, so that counting takes a few
/// nanoseconds and no look-up.
#[derive(Debug)]
pub struct RequestMetrics {
    answers: Box<[Counter]>,
    durations: Histogram,
}

impl RequestMetrics {
    /// Counts one response. `outcome` is an index into the outcomes given to [`Metrics::requests`].
    pub fn record(&self, outcome: usize, took: Duration) {
        if let Some(answers) = self.answers.get(outcome) {
            answers.inc();
        }
        self.durations.observe(took.as_secs_f64());
    }
}

impl RequestMetrics {
    /// The responses that were counted.
    pub fn answered(&self) -> u64 {
        self.answers.iter().map(Counter::get).sum()
    }
}

impl Metrics {
    /// Counts a request over the rate of its key that is answered like a miss.
    pub fn throttled_request_answered_as_miss(&self) {
        self.0.requests.throttled_misses.inc();
    }

    /// The counters of `index` of `collection`, one per outcome. Call it once per loaded collection and keep the
    /// result.
    pub fn requests(&self, collection: &str, index: &str, outcomes: &[Outcome]) -> RequestMetrics {
        let requests = &self.0.requests;
        let of = [label("collection", collection), label("index", index)];
        let answers = outcomes.iter().map(|Outcome { status, code }| {
            let [collection, index] = of.clone();
            let labels = [collection, index, label("status", status), label("code", code)];
            requests.answers.get_or_create_owned(&labels)
        });
        RequestMetrics { answers: answers.collect(), durations: requests.durations.get_or_create_owned(&of) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_index_and_outcome_per_node() {
        let outcomes =
            [Outcome { status: 200, code: "hit" }, Outcome { status: 404, code: "record_not_found" }];
        let (metrics, other) = (Metrics::new(), Metrics::new());
        let held = metrics.requests("customer", "id", &outcomes);
        held.record(0, Duration::from_micros(7));
        held.record(0, Duration::from_micros(7));
        held.record(1, Duration::from_secs(1));
        assert_eq!(held.answered(), 3);
        let text = metrics.counters();
        for line in [
            r#"larder_requests_total{collection="customer",index="id",status="200",code="hit"} 2"#,
            r#"larder_requests_total{collection="customer",index="id",status="404",code="record_not_found"} 1"#,
            r#"larder_request_duration_seconds_bucket{le="0.00001",collection="customer",index="id"} 2"#,
            r#"larder_request_duration_seconds_count{collection="customer",index="id"} 3"#,
            "# EOF",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!other.counters().contains("customer"));
    }
}
