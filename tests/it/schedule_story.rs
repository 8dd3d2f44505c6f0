//! What the schedule does after a run that failed.

use std::sync::Arc;

use larder::{
    domain::run::{RunRecord, RunStatus},
    scheduler::{Schedule, ScheduledSync, Scheduler},
    support::{clock::Clock, shutdown::Shutdown},
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::support::{
    board::board,
    catalog::name,
    node::{Node, Warehouse},
    process::until,
};

/// One sync asks for a column that its model does not have. The other one's source is down: port 1 is closed.
const SECTIONS: &str = "[sources.down]\ntype = \"postgres\"\nurl = \"postgres://u:p@127.0.0.1:1/d\"\n\
    [models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [models.others]\nsource = \"down\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\", email = \"email\" }\n\
    [syncs.other]\nmodel = \"others\"\nindexes = { id = \"id\" }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_retry_cannot_help_is_not_retried() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute("create table people (id integer primary key); insert into people values (1)").await;
    let node = Node::start(directory, warehouse, SECTIONS).await;
    let publisher = node.publisher().await;
    let metadata = publisher.metadata.clone();
    let scheduler = Scheduler {
        engine: publisher.engine,
        metadata: publisher.metadata,
        clock: Clock::default(),
        // One run at a time, in the order in which they are due.
        permits: Arc::new(Semaphore::new(1)),
        on_ended: Arc::new(|_| ()),
        board: board("local", Clock::default().now()),
    };
    let shutdown = Shutdown::new();
    let start = |sync: &str| {
        let config = node.config();
        let spec = config.sync(&name(sync)).unwrap().spec.clone();
        let source = config.sources[&spec.source].clone();
        // The next tick is far away.
        let schedule = Schedule::Cron { expression: "0 0 29 2 *".to_owned(), timezone: chrono_tz::UTC };
        let sync = ScheduledSync { spec, source, schedule };
        tokio::spawn(scheduler.clone().sync_loop(sync, shutdown.clone(), shutdown.clone()).run())
    };
    let ended = async |sync: &str, runs: usize| -> Vec<RunRecord> {
        until("failed runs", async || {
            let found = metadata.runs(Some(&name(sync)), 9).await.unwrap();
            (found.len() >= runs && found.iter().all(|run| run.status == RunStatus::Failed)).then_some(found)
        })
        .await
    };
    let hopeless = start("person");
    ended("person", 1).await;
    let other = start("other");
    ended("other", 2).await;
    assert_eq!(ended("person", 1).await.len(), 1);
    shutdown.cancel();
    hopeless.await.unwrap();
    other.await.unwrap();
}
