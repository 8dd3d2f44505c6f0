//! Clocks that are wrong: runs dated in the future, and data dated in the future.

use chrono::TimeDelta;
use larder::{
    domain::{
        id::RunId,
        run::{RunCounts, RunRecord, RunStatus},
    },
    support::{clock::Clock, random},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    catalog::name,
    node::{Node, Warehouse},
    process::until,
};

const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nschedule = \"every 1s\"\nindexes = { id = \"id\" }\n";

async fn status(node: &Node) -> Value {
    node.admin("GET", "/status", None).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_dated_in_the_future_do_not_stop_a_schedule() {
    for (status_of_run, ahead) in [
        (RunStatus::Announced, TimeDelta::hours(1)),
        (RunStatus::Failed, TimeDelta::days(400)),
        (RunStatus::StillHeld, TimeDelta::minutes(2)),
    ] {
        let directory = TempDir::new().unwrap();
        let warehouse = Warehouse::sqlite(directory.path());
        warehouse.execute("create table people (id integer primary key, name text)").await;
        warehouse.execute("insert into people values (1, 'Ann')").await;
        let node = Node::start(directory, warehouse, SECTIONS).await;
        node.await_version("person", 1).await;
        let metadata = node.publisher().await.metadata;
        // As a publisher leaves them whose clock is ahead: more than the schedule looks back.
        let now = Clock::default().now();
        for minute in 0..30 {
            let started_at = now + ahead + TimeDelta::minutes(minute);
            let run = RunRecord {
                id: RunId::from_uuid(random::uuid()),
                sync: name("person"),
                status: status_of_run,
                trigger: "schedule".to_owned(),
                started_at,
                finished_at: Some(started_at),
                data_as_of: None,
                version: None,
                counts: RunCounts::default(),
                error: None,
            };
            metadata.insert_run(&run).await.unwrap();
        }
        for round in 0..3 {
            node.warehouse.execute(&format!("update people set name = 'Name {round}'")).await;
            node.await_version("person", round + 2).await;
        }
        until("a problem", async || {
            (status(&node).await["tasks"]["schedule.person"]["code"] == "clock_ahead").then_some(())
        })
        .await;
        // The schedule is kept: runs neither stop nor follow one another at once.
        let runs = metadata.runs_until(&name("person"), Clock::default().now(), 3).await.unwrap();
        for pair in runs.windows(2) {
            assert!(pair[0].started_at - pair[1].started_at >= TimeDelta::seconds(1), "{runs:?}");
        }
    }
}
