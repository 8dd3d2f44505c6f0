//! A reader that never stops, and remembers what it saw.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::task::JoinHandle;

use crate::support::{http::Client, process::Process, process::version};
use larder::support::shutdown::Shutdown;

/// Reads one record over and over.
pub(super) struct Reader {
    stop: Shutdown,
    reading: JoinHandle<Vec<(u64, u64)>>,
}

impl Reader {
    /// Begins to read person 1 from `node`.
    pub(super) fn start(node: &Process, key: &str) -> Self {
        let stop = Shutdown::new();
        let reading = read(node.public().unwrap(), key.to_owned(), stop.clone());
        Self { stop, reading: tokio::spawn(reading) }
    }

    /// Ends it. `announced` has the note of every version. Every answer was a record of the version
    /// that it names, or of a later one on its way; versions never fell.
    pub(super) async fn end(self, announced: &BTreeMap<u64, u64>) {
        self.stop.cancel();
        let seen = self.reading.await.unwrap();
        assert!(!seen.is_empty());
        for pair in seen.windows(2) {
            assert!(pair[0].0 <= pair[1].0, "a version fell: {pair:?}");
        }
        for (version, note) in seen {
            let allowed: Vec<_> = announced.range(version..).map(|(_, note)| *note).collect();
            assert!(allowed.contains(&note), "version {version} with note {note} of {announced:?}");
        }
    }
}

/// Version and note of each answer; one after the other is kept only when it differs.
async fn read(address: SocketAddr, key: String, stop: Shutdown) -> Vec<(u64, u64)> {
    let mut client = Client::connect(address).await;
    let bearer = format!("Authorization: Bearer {key}\r\n");
    let mut seen = Vec::new();
    while !stop.is_cancelled() {
        let answer = client.ask("GET", "/v1/collections/person/records/id/1", &bearer).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let found = (version(&answer), answer.json()["note"].as_u64().unwrap());
        if seen.last() != Some(&found) {
            seen.push(found);
        }
    }
    seen
}
