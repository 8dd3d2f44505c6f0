//! Server-sent events.

use serde_json::{Value, json};

use super::fixture::Fixture;
use crate::support::{
    admin::bearer,
    http::{Client, soon},
};

/// A client that watches the events of a node.
struct Watching {
    client: Client,
    received: String,
}

impl Watching {
    async fn start(fixture: &Fixture) -> Self {
        let mut client = Client::connect(fixture.node.server().admin_address()).await;
        let lines = bearer(&fixture.node.admin_key());
        client.request("GET", "/admin/v1/events", &lines).await;
        let head = client.head().await;
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")), "{head:?}");
        assert_eq!(head.header("content-length"), None);
        Self { client, received: String::new() }
    }

    /// The data of the next event of this name that `is_wanted`.
    async fn next(&mut self, name: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        soon(name, async {
            loop {
                while let Some((event, rest)) = self.received.split_once("\n\n") {
                    let begin = format!("event: {name}\ndata: ");
                    let data = event.find(&begin).map(|at| event[at + begin.len()..].to_owned());
                    self.received = rest.to_owned();
                    if let Some(data) =
                        data.map(|data| serde_json::from_str(&data).unwrap()).filter(&is_wanted)
                    {
                        return data;
                    }
                }
                let bytes = self.client.chunk().await.expect("the stream goes on");
                self.received.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_see_runs_and_collections_change() {
    let fixture = Fixture::start().await;
    let mut watching = Watching::start(&fixture).await;
    let snapshot = watching.next("snapshot", |_| true).await;
    assert_eq!(snapshot, json!({ "runs": [], "collections": [] }));
    let ended = fixture.run(json!({})).await;
    let run = watching.next("run", |event| event["run"]["status"] == "announced").await;
    assert_eq!(run["run"]["id"], ended["run"]);
    let served = watching.next("collection", |event| event["served_version"] == 1).await;
    assert_eq!(served["collection"], "person");
    // Who begins later misses nothing.
    let mut late = Watching::start(&fixture).await;
    let snapshot = late.next("snapshot", |_| true).await;
    assert_eq!(snapshot["runs"][0]["run"]["id"], ended["run"]);
    assert_eq!(snapshot["collections"][0]["served_version"], 1, "{snapshot}");
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_are_bounded_and_end_with_the_node() {
    let mut fixture = Fixture::start().await;
    let mut all = Vec::new();
    for _ in 0..larder::admin::WATCHERS_MAX {
        all.push(Watching::start(&fixture).await);
    }
    let refused = fixture.refused("GET", "/admin/v1/events", None).await;
    assert_eq!(refused, (503, "too_many_watchers".to_owned()));
    // One that leaves makes room.
    let last = all.pop().unwrap();
    drop(last);
    crate::support::process::until("room", async || {
        let mut client = Client::connect(fixture.node.server().admin_address()).await;
        client.request("GET", "/admin/v1/events", &bearer(&fixture.node.admin_key())).await;
        (client.head().await.status == 200).then_some(())
    })
    .await;
    fixture.node.stop().await;
    for watching in &mut all {
        soon("end of a stream", async { while watching.client.chunk().await.is_some() {} }).await;
    }
}
