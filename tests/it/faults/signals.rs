//! Signals: graceful shutdown, immediate exit, and configuration reload.

use rustix::process::Signal;
use sqlx::{Connection as _, PgConnection};

use crate::support::{
    deployment::{Deployment, NodeDirectory},
    process::{Process, until},
};
use crate::support::{http::Client, postgres::Postgres};

const ROWS: &str = "create table people (id integer primary key, name text);
    insert into people values (1, 'Ann'), (2, 'Bob');";

fn sections(schedule: &str) -> String {
    format!(
        "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
         [models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nschedule = \"{schedule}\"\nindexes = {{ id = \"id\" }}\n"
    )
}

async fn started(schedule: &str) -> (Deployment, NodeDirectory, String, Process) {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("data", &sections(schedule));
    let key = node.key().await;
    node.output(&["sync", "person"]).await;
    let server = node.serve().await;
    (deployment, node, key, server)
}

/// A connection with an incomplete request.
async fn half(server: &Process, target: &str, key: &str) -> Client {
    let mut client = Client::connect(server.public().unwrap()).await;
    // A complete request first, so that the server has accepted the connection.
    assert_eq!(client.ask("GET", "/livez", "").await.status, 200);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n")).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_without_resetting_connections() {
    let (_deployment, _node, key, mut server) = started("manual").await;
    let mut health = half(&server, "/readyz", &key).await;
    let mut record = half(&server, "/v1/collections/person/records/id/2", &key).await;
    let mut idle = Client::connect(server.public().unwrap()).await;
    assert_eq!(idle.ask("GET", "/readyz", "").await.status, 200);
    server.signal(Signal::TERM);
    server.logged("ending: requests in flight finish first; a second signal ends at once").await;

    health.send("\r\n").await;
    let mut answer = health.answer().await;
    // The log line comes a moment before readiness goes, and that one before answers ask to go.
    let mut lowest = 200;
    while answer.header("connection").is_none() {
        assert!(answer.status >= lowest, "ready again: {answer:?}");
        lowest = answer.status;
        answer = health.ask("GET", "/readyz", "").await;
    }
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
    health.closed().await;
    // Idle connections are closed when the grace is over; a request that has begun is waited for.
    idle.closed().await;
    record.send("\r\n").await;
    let answer = record.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(answer.json()["name"], "Bob");
    record.closed().await;
    let done = server.wait().await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(!done.stderr.contains("some tasks did not end"), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_signal_ends_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
        let (_deployment, _node, key, mut server) = started("manual").await;
        // Nobody finishes this request: the first signal alone would wait for it.
        let mut waiting = half(&server, "/v1/collections/person/records/id/1", &key).await;
        server.signal(first);
        server.logged("ending: requests in flight finish first; a second signal ends at once").await;
        assert!(server.is_running());
        server.signal(second);
        let done = server.wait().await;
        assert_eq!(done.code, Some(130), "{done:?}");
        waiting.ended().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_applies_a_whole_configuration_or_nothing() {
    let (deployment, node, key, mut server) = started("manual").await;
    deployment.execute("warehouse.db", "update people set name = 'Anna' where id = 1").await;

    // One part is faulty: nothing of it is applied.
    node.configure(&format!("{}unknown = 1\n", sections("every 1s")));
    server.signal(Signal::HUP);
    server.logged("the configuration is wrong; the old one stays in force").await;
    assert_eq!(server.get(&key, "person", 1).await.json()["name"], "Ann");
    let runs = deployment.text("metadata.db", "select count(*) || '' from runs").await;
    assert_eq!(runs.as_deref(), Some("1"), "a schedule of a wrong configuration");

    // Another schedule, and one more sync.
    let more = "[syncs.human]\nmodel = \"people\"\nschedule = \"every 1s\"\nindexes = { id = \"id\" }\n";
    node.configure(&format!("{}{more}", sections("every 1s")));
    server.signal(Signal::HUP);
    server.logged("the configuration was read again").await;
    until("the new schedule's run", async || {
        (server.get(&key, "person", 1).await.json()["name"] == "Anna").then_some(())
    })
    .await;
    until("the new sync's run", async || (server.get(&key, "human", 2).await.status == 200).then_some(()))
        .await;

    // Both leave the schedule again, and another one comes: when it runs, theirs has ended.
    let another = more.replace("human", "another");
    node.configure(&format!("{}{another}", sections("manual")));
    server.signal(Signal::HUP);
    let runs_of = async |sync: &str| {
        let runs = node.runs().await;
        runs.iter().filter(|run| run["sync"] == sync).count()
    };
    until("the other sync's run", async || (runs_of("another").await > 0).then_some(())).await;
    let before = (runs_of("person").await, runs_of("human").await);
    deployment.execute("warehouse.db", "update people set name = 'Annabel' where id = 1").await;
    until("three seconds of its runs", async || (runs_of("another").await > 3).then_some(())).await;
    assert_eq!((runs_of("person").await, runs_of("human").await), before);
    assert_eq!(server.get(&key, "person", 1).await.json()["name"], "Anna");
    assert_eq!(server.get(&key, "human", 2).await.status, 200, "served on");
    server.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn signal_cancels_runs_of_a_server_and_leaves_none_open() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    // Endless rows: only a signal ends this run.
    let endless = "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
        [models.endless]\nsource = \"warehouse\"\nprimary_key = \"i\"\n\
        sql = \"with recursive n(i) as (select 1 union all select 1 from n) select i from n\"\n\
        [syncs.endless]\nmodel = \"endless\"\nschedule = \"every 1s\"\nindexes = { id = \"i\" }\n";
    let node = deployment.node("data", endless);
    let server = node.serve().await;
    let open = async || {
        let runs = node.runs().await;
        runs.into_iter().find(|run| run["status"] == "running")
    };
    let run = until("a run", open).await;
    server.signal(Signal::TERM);
    let done = server.wait().await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let runs = node.runs().await;
    let ended = runs.iter().find(|known| known["id"] == run["id"]).unwrap();
    assert_eq!(
        (ended["status"].as_str(), ended["error"]["code"].as_str()),
        (Some("cancelled"), Some("cancelled"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn second_signal_ends_a_command_that_cannot_announce() {
    let (deployment, database) = (Deployment::new(), Postgres::database().await);
    database.execute(ROWS).await;
    let warehouse = format!("type = \"postgres\"\nurl = \"{}\"", database.url());
    let text = sections("manual").replace("type = \"sqlite\"\npath = \"warehouse.db\"", &warehouse);
    let node = deployment.node("data", &text);
    node.output(&["sync", "person"]).await;

    // The catalog goes away between a run's beginning and its announcement.
    database.execute("update people set name = 'Anna' where id = 1").await;
    let mut locked = PgConnection::connect(&database.url()).await.unwrap();
    let lock = "begin; lock table people in access exclusive mode";
    sqlx::raw_sql(lock).execute(&mut locked).await.unwrap();
    let mut command = node.spawn(&["sync", "person"]);
    let status = async |wanted: &str| {
        until(wanted, async || {
            let run = node.runs().await.swap_remove(0);
            (run["status"] == wanted).then_some(())
        })
        .await;
    };
    status("running").await;
    let waiting = "select 1 from pg_locks where not granted and database = \
         (select oid from pg_database where datname = current_database())";
    until("the run's query", async || database.value(waiting).await).await;
    std::fs::rename(deployment.path("store/catalog"), deployment.path("away")).unwrap();
    std::fs::write(deployment.path("store/catalog"), "in the way").unwrap();
    drop(locked);
    status("announcing").await;
    command.signal(Signal::TERM);
    until("cancelling", async || command.log().contains("cancelling the run").then_some(())).await;
    // The outcome of the announcement is unknown, so the command keeps trying to find out.
    status("announcing").await;
    assert!(command.is_running());
    command.signal(Signal::TERM);
    let done = command.wait().await;
    assert_eq!(done.code, Some(130), "{done:?}");

    std::fs::remove_file(deployment.path("store/catalog")).unwrap();
    std::fs::rename(deployment.path("away"), deployment.path("store/catalog")).unwrap();
    node.output(&["sync", "person"]).await;
    let runs = node.runs().await;
    let statuses: Vec<_> = runs.iter().map(|run| run["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["announced", "interrupted", "announced"]);
}
