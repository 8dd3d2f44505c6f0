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

/// Half of the rows have no key: a guard holds the first run.
const ROWS: &str = "create table people (id integer, name text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
    insert into people select case when i <= 50 then i end, 'name ' || i from n;";
const SECTIONS: &str = "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
    [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n";

/// Dates everything in the store two days back.
fn age_store(node: &Node) {
    let written = SystemTime::from(Clock::default().now()) - Duration::from_hours(48);
    for (path, _) in files_below(&node.directory.path().join("data/store")) {
        File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    }
}

/// No document refers to the collection yet: metadata alone knows the run.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_first_run_can_be_approved_after_housekeeping() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(ROWS).await;
    let node = Node::start(directory, warehouse, SECTIONS).await;
    let held = node.sync("person").await.record;
    assert_eq!(held.status, RunStatus::Held);
    let store = node.directory.path().join("data/store/collections/person");
    let orphan = store.join(format!("{}/segment-00000.arrow", run_id()));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, "of a run that was killed").unwrap();
    let own = store.join(held.id.to_string());
    assert_eq!(fs::read_dir(&own).unwrap().count(), 2, "a manifest and a segment");
    age_store(&node);

    let publisher = node.publisher().await;
    let mut housekeeper = Housekeeper::new(publisher.clone());
    // The server's own housekeeping may be under way.
    until("a round", async || housekeeper.delete_objects().await.unwrap()).await;
    assert!(!orphan.exists());
    assert_eq!(fs::read_dir(&own).unwrap().count(), 2);
    let approved = publisher.approve(held.id, &tester(), &Shutdown::new()).await.unwrap();
    node.await_version("person", approved.record.version.unwrap().0).await;
    assert_eq!(node.record("person", "id", "50").await.unwrap()["name"], "name 50");
    assert_eq!(node.record("person", "id", "51").await, None);
}
