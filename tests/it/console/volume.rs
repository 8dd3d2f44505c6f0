//! Pages of a deployment with 1,000 syncs and 10,000 runs: a number of statements that does not depend on them.

use std::fmt::Write as _;

use larder::admin::AdminRole;

use super::{
    forms::world_of,
    sessions::{change_metadata, signed_in},
    syncs,
};
use crate::{admin::fixture::Fixture, support::node::encoded};

const SYNCS: usize = 1000;
/// Most statements of one page. A page is loaded a few times, because the node has work of its own meanwhile.
const STATEMENTS_MAX: u64 = 12;
const LOADS: usize = 5;

/// A copy of the newest run, 10,000 times: half of them of the first sync.
const RUNS: &str = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000) \
    insert into runs (id, sync, status, started_by, started_at, finished_at, counts, error_code, error_message) \
    select 'run_' || lower(hex(randomblob(16))), \
        case i % 2 when 0 then 'sync_0000' else 'sync_' || printf('%04d', i / 2 % 1000) end, \
        'failed', 'schedule', started_at - i * 1000000, finished_at - i * 1000000, counts, \
        'source_unavailable', 'no route' from n, (select * from runs limit 1)";

async fn statements(fixture: &Fixture) -> u64 {
    fixture.node.publisher().await.metadata.statements()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_many_syncs_and_runs_make_few_statements() {
    let mut sections =
        "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n".to_owned();
    for number in 0..SYNCS {
        let sync = format!("[syncs.sync_{number:04}]\nmodel = \"people\"\nschedule = \"manual\"\n");
        writeln!(sections, "{sync}indexes = {{ id = \"id\" }}").unwrap();
    }
    let fixture = world_of("create table people (id integer primary key)", &sections).await;
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let run = syncs::run(&mut operator, "sync_0000", &[("accept", "yes")]).await;
    fixture.node.await_version("sync_0000", 1).await;
    change_metadata(&fixture, RUNS).await;

    let cursor = fixture.get("/admin/v1/runs?sync=sync_0000&limit=500").await["next"].clone();
    let cursor = encoded(cursor.as_str().unwrap());
    for (page, shown, absent) in [
        ("/console", "sync_0099</a></th>", "sync_0100</a></th>"),
        ("/console?cursor=sync_0499", "sync_0500</a></th>", "sync_0499</a></th>"),
        ("/console/syncs", "sync_0049</a></th>", "sync_0050</a></th>"),
        ("/console/syncs?cursor=sync_0949", "sync_0999</a></th>", "sync_0949</a></th>"),
        ("/console/syncs/sync_0000", "30 runs", "First page"),
        (&format!("/console/syncs/sync_0000?cursor={cursor}"), "First page", "no runs"),
        ("/console/collections/sync_0000", "Versions", "This did not work"),
        ("/console/collections/sync_0001", "sync_0001", "This did not work"),
        (&run, "announced", "This did not work"),
        ("/console/nodes", "Nodes", "This did not work"),
        ("/console/keys", "Keys", "This did not work"),
        ("/console/admin-keys", "first", "This did not work"),
        ("/console/audit", "sync.accept", "This did not work"),
        ("/console/audit?subject=sync_0000", "sync.", "session.begin"),
        ("/admin/v1/collections?limit=500", "sync_0499", "sync_0500"),
        ("/admin/v1/runs?limit=500", "sync_0000", "This did not work"),
        ("/admin/v1/status", "sync_0999", "This did not work"),
    ] {
        let mut fewest = u64::MAX;
        for _ in 0..LOADS {
            let before = statements(&fixture).await;
            let answer = operator.get(page).await;
            fewest = fewest.min(statements(&fixture).await - before);
            assert_eq!(answer.status, 200, "{page}: {answer:?}");
            assert!(answer.text().contains(shown) && !answer.text().contains(absent), "{page}: {answer:?}");
        }
        assert!(fewest <= STATEMENTS_MAX, "{page} makes {fewest} statements");
    }
    let problems = operator.get("/console").await.text().to_owned();
    assert!(problems.contains("and 949 more problems"), "{problems}");
    assert_eq!(
        fixture.get("/admin/v1/runs?sync=sync_0007&limit=500").await["items"].as_array().unwrap().len(),
        5
    );
}
