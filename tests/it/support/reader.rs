//! A reader that reads all the time and records what it saw, as load during a fault.

use std::{collections::BTreeMap, net::SocketAddr};

use larder::support::shutdown::Shutdown;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    http::Client,
    process::{Process, version},
};

/// Reads person 1 until it is stopped. Every answer must be a record.
pub(crate) struct Reader {
    stop: Shutdown,
    reading: JoinHandle<Vec<(u64, String)>>,
}

impl Reader {
    /// Starts to read from `node` on one connection.
    pub(crate) fn start(node: &Process, key: &str) -> Self {
        let stop = Shutdown::new();
        let reading = read(node.public().unwrap(), key.to_owned(), stop.clone());
        Self { stop, reading: tokio::spawn(reading) }
    }

    /// Stops it and checks what it saw. `announced` has the last member of person 1 in each version. Every
    /// record must be of its answer's version or of a later one, and versions must not fall.
    pub(crate) async fn end<T: ToString>(self, announced: &BTreeMap<u64, T>) {
        self.stop.cancel();
        let seen = self.reading.await.unwrap();
        for pair in seen.windows(2) {
            assert!(pair[0].0 <= pair[1].0, "a version fell: {pair:?}");
        }
        for (version, last_member) in seen {
            let allowed: Vec<_> =
                announced.range(version..).map(|(_, last_member)| last_member.to_string()).collect();
            assert!(
                allowed.contains(&last_member),
                "version {version} with {last_member}, allowed are {allowed:?}"
            );
        }
    }
}

/// Version and last member of each answer. Equal answers in a row are kept once.
async fn read(address: SocketAddr, key: String, stop: Shutdown) -> Vec<(u64, String)> {
    let mut client = Client::connect(address).await;
    let bearer = format!("Authorization: Bearer {key}\r\n");
    let mut seen = Vec::new();
    // At least once, however soon it is stopped.
    loop {
        let answer = client.ask("GET", "/v1/collections/person/records/id/1", &bearer).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let found = (version(&answer), last_member(&answer.json()));
        if seen.last() != Some(&found) {
            seen.push(found);
        }
        if stop.is_cancelled() {
            return seen;
        }
    }
}

/// The record's last member.
fn last_member(record: &Value) -> String {
    match record.as_object().unwrap().values().next_back().unwrap() {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
