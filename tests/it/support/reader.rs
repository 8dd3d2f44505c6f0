//! A reader that never stops, and remembers what it saw: the load beside a fault.

use std::{collections::BTreeMap, net::SocketAddr};

use larder::support::shutdown::Shutdown;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    http::Client,
    process::{Process, version},
};

/// Reads person 1 over and over. Every answer is a record: nothing else is ever seen.
pub(crate) struct Reader {
    stop: Shutdown,
    reading: JoinHandle<Vec<(u64, String)>>,
}

impl Reader {
    /// Begins to read from `node`, on one connection.
    pub(crate) fn start(node: &Process, key: &str) -> Self {
        let stop = Shutdown::new();
        let reading = read(node.public().unwrap(), key.to_owned(), stop.clone());
        Self { stop, reading: tokio::spawn(reading) }
    }

    /// Ends it. `announced` says what person 1 is called in each version. Every answer was a record of
    /// the version that it names, or of a later one on its way; versions never fell.
    pub(crate) async fn end<T: ToString>(self, announced: &BTreeMap<u64, T>) {
        self.stop.cancel();
        let seen = self.reading.await.unwrap();
        assert!(!seen.is_empty());
        for pair in seen.windows(2) {
            assert!(pair[0].0 <= pair[1].0, "a version fell: {pair:?}");
        }
        for (version, word) in seen {
            let allowed: Vec<_> = announced.range(version..).map(|(_, word)| word.to_string()).collect();
            assert!(allowed.contains(&word), "version {version} with {word}, allowed are {allowed:?}");
        }
    }
}

/// Version and word of each answer; one after the other is kept only when it differs.
async fn read(address: SocketAddr, key: String, stop: Shutdown) -> Vec<(u64, String)> {
    let mut client = Client::connect(address).await;
    let bearer = format!("Authorization: Bearer {key}\r\n");
    let mut seen = Vec::new();
    while !stop.is_cancelled() {
        let answer = client.ask("GET", "/v1/collections/person/records/id/1", &bearer).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let found = (version(&answer), word(&answer.json()));
        if seen.last() != Some(&found) {
            seen.push(found);
        }
    }
    seen
}

/// What the record says beside its key: its last member.
fn word(record: &Value) -> String {
    match record.as_object().unwrap().values().next_back().unwrap() {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
