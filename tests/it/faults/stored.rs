//! Stored configuration and killed publishers: what was answered is kept, and another publisher applies it.

use std::net::SocketAddr;

use larder::support::random;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::{
    admin,
    deployment::Deployment,
    http::Answer,
    process::{Process, until},
};

/// Kills of a publisher.
const KILLS: u64 = 4;
/// Most answered changes before a kill.
const CHANGES_MAX: u64 = 12;
const SOURCE: &str = "/admin/v1/sources/crm";

/// A publisher, and how to change its configuration.
struct Publisher {
    process: Process,
    address: SocketAddr,
    key: String,
}

impl Publisher {
    async fn start(deployment: &Deployment, name: &str) -> Self {
        let mut process = deployment.node(name, "").serve().await;
        let address = process.admin().await;
        let key = admin::key(address, &deployment.path("")).await;
        let publisher = Self { process, address, key };
        until("the publishing side", async || {
            let answer = publisher.ask("GET", "/admin/v1/sources/none/versions", None).await;
            (answer.code() == "unknown_stored").then_some(())
        })
        .await;
        publisher
    }

    async fn ask(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        admin::ask(self.address, &self.key, method, target, body.as_deref()).await
    }
}

fn source(seconds: u64) -> Value {
    json!({ "type": "sqlite", "path": "warehouse.db", "statement_timeout": format!("{seconds}s") })
}

/// The state of the source on a publisher that applies what is stored: the number in its settings.
async fn applied(publisher: &Publisher) -> Option<u64> {
    let answer = publisher.ask("GET", SOURCE, None).await;
    let text = answer.json()["settings"]["statement_timeout"].as_str()?.to_owned();
    text.trim_end_matches('s').parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn answered_changes_outlive_kills_and_reach_the_other_publisher() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", "create table people (id integer primary key)").await;
    let mut first = Publisher::start(&deployment, "first").await;
    let other = Publisher::start(&deployment, "other").await;
    let mut next = 1;
    for _ in 0..KILLS {
        let (address, key) = (first.address, first.key.clone());
        let (answered, mut known) = watch::channel(next - 1);
        let writer = tokio::spawn(async move {
            for number in next.. {
                let body = source(number).to_string();
                let answer = admin::ask(address, &key, "PUT", SOURCE, Some(&body)).await;
                assert!([200, 201].contains(&answer.status), "{answer:?}");
                answered.send_replace(number);
            }
        });
        let until_killed = next + random::seed() % CHANGES_MAX;
        known.wait_for(|number| *number >= until_killed).await.unwrap();
        first.process.kill();
        // It ends with the connection that it cannot make any more.
        writer.await.unwrap_err();
        let answered = *known.borrow();
        // A change without an answer has taken place, or has not.
        let found = until("the last change on the other publisher", async || {
            applied(&other).await.filter(|found| *found >= answered)
        })
        .await;
        assert!(found <= answered + 1, "{found} after {answered}");
        first = Publisher::start(&deployment, "first").await;
        until("the same on the restarted one", async || (applied(&first).await == Some(found)).then_some(()))
            .await;
        let versions = first.ask("GET", &format!("{SOURCE}/versions"), None).await.json();
        let numbers: Vec<Value> = versions
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["settings"]["statement_timeout"].clone())
            .collect();
        let expected: Vec<Value> =
            (1..=found).rev().take(50).map(|number| json!(format!("{number}s"))).collect();
        assert_eq!(numbers, expected, "every version once, in order");
        next = found + 1;
    }
}
