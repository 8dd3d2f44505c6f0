//! How many requests a second this node answers for each collection, over about a minute.
//!
//! A request only increments its counter, as it does for `/metrics`. A task keeps copies of the counters of the last minute.
//! A rate compares the present counters with the oldest copy, so that no request waits for the task or for a page.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hashbrown::HashMap;

use super::ReadState;
use crate::{
    domain::{name::CollectionName, rates::RequestRates},
    support::shutdown::Shutdown,
};

/// How often the counters are remembered.
const INTERVAL: Duration = Duration::from_secs(10);
/// Counters that are remembered: those of a minute.
const SAMPLES_MAX: usize = 6;
/// A rate is over at least this time, also when the node has just started.
const SPAN_MIN: Duration = Duration::from_secs(1);

/// Requests that were answered, by collection.
type Answered = HashMap<CollectionName, u64>;

/// Counters of the last minute, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<VecDeque<(Instant, Answered)>>);

impl Samples {
    fn add(&self, at: Instant, answered: Answered) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back((at, answered));
    }

    fn rates(&self, at: Instant, answered: Answered) -> RequestRates {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((since, before)) = samples.front() else { return RequestRates::default() };
        let over = at.saturating_duration_since(*since).max(SPAN_MIN);
        let rate = |(collection, answered): (CollectionName, u64)| {
            let before = before.get(&collection).copied().unwrap_or_default();
            // The counters of an index that has left the collection are counted no more.
            (collection, answered.saturating_sub(before) as f64 / over.as_secs_f64())
        };
        RequestRates { over, by_collection: answered.into_iter().map(rate).collect() }
    }
}

impl ReadState {
    /// The requests a second of about the last minute.
    pub fn request_rates(&self) -> RequestRates {
        self.inner().samples.rates(Instant::now(), self.inner().views.answered())
    }

    /// Remembers the counters until `stop`.
    pub async fn remember_counters(self, stop: Shutdown) {
        let mut turns = tokio::time::interval(INTERVAL);
        loop {
            tokio::select! {
                _ = turns.tick() => self.inner().samples.add(Instant::now(), self.inner().views.answered()),
                () = stop.cancelled() => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_over_the_counters_of_a_minute() {
        let (a, b) = (CollectionName::new("a").unwrap(), CollectionName::new("b").unwrap());
        let counted = |of_a: u64, of_b: u64| Answered::from_iter([(a.clone(), of_a), (b.clone(), of_b)]);
        let (samples, start) = (Samples::default(), Instant::now());
        assert_eq!(samples.rates(start, counted(5, 5)), RequestRates::default(), "nothing to compare with");
        samples.add(start, Answered::new());
        let first = samples.rates(start, counted(5, 0));
        assert_eq!((first.over, first.of(&a)), (SPAN_MIN, 5.0));
        for turn in 1..=7 {
            samples.add(start + INTERVAL * turn, counted(100 * u64::from(turn), 7));
        }
        // The oldest counters are those of the turn 2, a minute before the turn 8.
        let rates = samples.rates(start + INTERVAL * 8, counted(800, 1));
        assert_eq!((rates.over, rates.of(&a), rates.of(&b), rates.total()), (INTERVAL * 6, 10.0, 0.0, 10.0));
    }
}
