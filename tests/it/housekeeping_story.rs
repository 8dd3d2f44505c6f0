//! Housekeeping of a whole node: what goes from its store, and what a held run still needs.

use std::{
    fs::{self, File},
    time::{Duration, SystemTime},
};

use larder::{
    admin::Housekeeper,
    domain::run::RunStatus,
    support::{clock::Clock, shutdown::Shutdown},
};
use tempfile::TempDir;

use crate::support::{
    catalog::run_id,
    deployment::files_below,
    node::{Node, Warehouse, tester},
    process::until,
};

const ROWS: &str = "create table people (id integer primary key, name text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
    insert into people select i, 'name ' || i from n;";
const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";

/// Dates everything in the store two days back.
fn age_store(node: &Node) {
    let written = SystemTime::from(Clock::default().now()) - Duration::from_hours(48);
    for (path, _) in files_below(&node.directory.path().join("data/store")) {
        File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_can_be_approved_after_housekeeping() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(ROWS).await;
    let node = Node::start(directory, warehouse, SECTIONS).await;
    node.sync("person").await;
    // Rows leave, and one changes: the held run has a segment of its own.
    node.warehouse
        .execute("delete from people where id > 50; update people set name = 'Ann' where id = 1")
        .await;
    let held = node.sync("person").await.record;
    assert_eq!(held.status, RunStatus::Held);
    let store = node.directory.path().join("data/store/collections/person");
    let orphan = store.join(format!("{}/segment-00000.arrow", run_id()));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, "of a run that was killed").unwrap();
    let own = store.join(held.id.to_string());
    let objects = fs::read_dir(&own).unwrap().count();
    assert!(objects >= 2, "a manifest and segments");
    age_store(&node);

    let publisher = node.publisher().await;
    let mut housekeeper = Housekeeper::new(publisher.clone());
    // The server's own housekeeping may be under way.
    let round = until("a round", async || housekeeper.delete_objects().await.unwrap()).await;
    assert!(round.objects <= 1 && !orphan.exists(), "{round:?}");
    assert_eq!(fs::read_dir(&own).unwrap().count(), objects);
    let approved = publisher.approve(held.id, &tester(), &Shutdown::new()).await.unwrap();
    node.await_version("person", approved.record.version.unwrap().0).await;
    assert_eq!(node.record("person", "id", "1").await.unwrap()["name"], "Ann");
    assert_eq!(node.record("person", "id", "51").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_that_another_one_replaced_is_deleted() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(ROWS).await;
    let node = Node::start(directory, warehouse, SECTIONS).await;
    node.sync("person").await;
    node.warehouse.execute("delete from people where id > 50").await;
    let held = node.sync("person").await.record;
    node.sync_with("person", true).await;
    age_store(&node);
    let mut housekeeper = Housekeeper::new(node.publisher().await);
    until("a round", async || housekeeper.delete_objects().await.unwrap()).await;
    let own = node.directory.path().join("data/store/collections/person").join(held.id.to_string());
    assert!(fs::read_dir(own).map_or(0, Iterator::count) == 0);
}
