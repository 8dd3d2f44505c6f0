//! Outages of databases while a node runs: reads continue, runs fail with a code and recover.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::support::postgres::{Database, Postgres};
use crate::support::reader::Reader;
use crate::support::{
    deployment::{Deployment, NodeDirectory},
    process::{Process, until},
};

const ROWS: &str = "create table people (id integer primary key, name text);
    insert into people values (1, 'Ann'), (2, 'Bob');";

fn sections(warehouse: &str, schedule: &str) -> String {
    format!(
        "[sources.warehouse]\n{warehouse}\n\
         [models.people]\nsource = \"warehouse\"\nsql = \"select * from people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nschedule = \"{schedule}\"\nindexes = {{ id = \"id\" }}\n"
    )
}

const SQLITE: &str = "type = \"sqlite\"\npath = \"warehouse.db\"";

/// A proxy to a database that can be cut: connections break, and new ones are closed at once.
struct Link {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    cuts: tokio::sync::watch::Sender<()>,
}

impl Link {
    async fn to(database: &Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, port) = (listener.local_addr().unwrap(), database.port());
        let is_cut = Arc::new(AtomicBool::new(false));
        let (cuts, mut cut) = tokio::sync::watch::channel(());
        let refuse = is_cut.clone();
        tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (mut near, _) = accepted.unwrap();
                        if refuse.load(Ordering::SeqCst) {
                            continue;
                        }
                        open.spawn(async move {
                            let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                            // The outcome does not matter.
                            let _ = copy_bidirectional(&mut near, &mut far).await;
                        });
                    }
                    changed = cut.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        open.shutdown().await;
                    }
                }
            }
        });
        Self { address, is_cut, cuts }
    }

    fn url(&self, database: &Database) -> String {
        let url = database.url();
        url.replace(&format!("127.0.0.1:{}", database.port()), &self.address.to_string())
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.cuts.send(()).unwrap();
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

/// A node that serves the result of one sync. No sync is scheduled.
async fn serving() -> (Deployment, NodeDirectory, String, Process) {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("data", &sections(SQLITE, "manual"));
    let key = node.key().await;
    node.output(&["sync", "person"]).await;
    let server = node.serve().await;
    (deployment, node, key, server)
}

async fn await_name(server: &Process, key: &str, name: &str) {
    until(name, async || {
        let answer = server.get(key, "person", 1).await;
        (answer.status == 200 && answer.json()["name"] == name).then_some(())
    })
    .await;
}

async fn check(server: &Process, key: &str, name: &str) {
    let answer = server.get(key, "person", 1).await;
    assert_eq!((answer.status, answer.json()["name"].as_str()), (200, Some(name)));
    assert_eq!(server.ask("/readyz").await.status, 200);
}

/// Asserts that every command that needs metadata fails with `exit` and `code`.
async fn commands_fail(node: &NodeDirectory, exit: i32, code: &str) {
    for arguments in [
        &["sync", "person"][..],
        &["runs"],
        &["keys", "list"],
        &["keys", "create", "--name", "late", "--all-collections"],
    ] {
        let done = node.spawn(arguments).wait().await;
        assert_eq!(done.code, Some(exit), "{arguments:?}: {done:?}");
        assert!(done.stderr.contains(&format!("code: {code}")), "{arguments:?}: {done:?}");
    }
    // The announced state is in the store.
    let done = node.spawn(&["status"]).wait().await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stderr.contains("runs and held runs are not shown"), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_outage_in_postgres_keeps_reads_and_delays_syncs() {
    let (deployment, books) = (Deployment::new(), Postgres::database().await);
    deployment.execute("warehouse.db", ROWS).await;
    let link = Link::to(&books).await;
    let node = deployment.node_with_metadata("data", &link.url(&books), &sections(SQLITE, "every 1s"));
    node.output(&["migrate"]).await;
    let key = node.key().await;
    let server = node.serve().await;
    await_name(&server, &key, "Ann").await;
    let announced = deployment.announced("person");
    let reader = Reader::start(&server, &key);
    // The second version may have either of the later names.
    let names = BTreeMap::from([(1, "Ann"), (2, "Anna"), (3, "Annabel")]);

    link.cut();
    deployment.execute("warehouse.db", "update people set name = 'Anna' where id = 1").await;
    commands_fail(&node, 1, "metadata_unavailable").await;
    // A run that was announcing during the cut may have read the new name. No run starts now.
    if deployment.announced("person") == announced {
        check(&server, &key, "Ann").await;
    }
    // A restart needs no metadata either.
    reader.end(&names).await;
    server.kill();
    let server = node.serve().await;
    let reader = Reader::start(&server, &key);
    let name = if deployment.announced("person") == announced { "Ann" } else { "Anna" };
    check(&server, &key, name).await;

    link.mend();
    deployment.execute("warehouse.db", "update people set name = 'Annabel' where id = 1").await;
    await_name(&server, &key, "Annabel").await;
    reader.end(&names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_metadata_file_keeps_reads_and_fails_commands() {
    let (deployment, node, key, server) = serving().await;
    let reader = Reader::start(&server, &key);
    let path = deployment.path("metadata.db");
    let kept = fs::read(&path).unwrap();

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    commands_fail(&node, 2, "metadata_refused").await;
    check(&server, &key, "Ann").await;
    fs::remove_dir(&path).unwrap();

    for beside in ["metadata.db-wal", "metadata.db-shm"] {
        let _ = fs::remove_file(deployment.path(beside));
    }
    fs::write(&path, "no database at all, and long enough to be read as one. ".repeat(100)).unwrap();
    commands_fail(&node, 1, "metadata_corrupt").await;
    check(&server, &key, "Ann").await;
    reader.end(&BTreeMap::from([(1, "Ann")])).await;
    server.kill();
    let server = node.serve().await;
    check(&server, &key, "Ann").await;
    let reader = Reader::start(&server, &key);

    // The publishing side of the running server starts by itself once the file is back.
    fs::write(&path, kept).unwrap();
    deployment.execute("warehouse.db", "update people set name = 'Anna' where id = 1").await;
    node.output(&["sync", "person"]).await;
    await_name(&server, &key, "Anna").await;
    reader.end(&BTreeMap::from([(1, "Ann"), (2, "Anna")])).await;
}

/// Asserts that a scheduled run fails with one of `codes` and a hint, that readers are not affected, and that the
/// retry succeeds after `mend`.
async fn fails_and_is_retried(
    node: &NodeDirectory,
    server: &Process,
    key: &str,
    codes: &[&str],
    mend: impl AsyncFnOnce(),
) {
    let reader = Reader::start(server, key);
    let failed = until("a failed run", async || {
        let runs = node.runs().await;
        runs.into_iter().find(|run| run["status"] == "failed")
    })
    .await;
    assert!(codes.contains(&failed["error"]["code"].as_str().unwrap()), "{failed}");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(["check", "tried again"].iter().any(|hint| message.contains(hint)), "{failed}");
    check(server, key, "Ann").await;
    let done = node.spawn(&["sync", "person"]).wait().await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(codes.iter().any(|code| done.stderr.contains(code)), "{done:?}");
    mend().await;
    await_name(server, key, "Anna").await;
    reader.end(&BTreeMap::from([(1, "Ann"), (2, "Anna")])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_warehouse_file_fails_runs_which_are_retried() {
    let deployment = Deployment::new();
    deployment.execute("warehouse.db", ROWS).await;
    let node = deployment.node("data", &sections(SQLITE, "every 1s"));
    let key = node.key().await;
    let server = node.serve().await;
    await_name(&server, &key, "Ann").await;
    fs::rename(deployment.path("warehouse.db"), deployment.path("away.db")).unwrap();
    fails_and_is_retried(&node, &server, &key, &["source_file_missing"], async || {
        deployment.execute("away.db", "update people set name = 'Anna' where id = 1").await;
        fs::rename(deployment.path("away.db"), deployment.path("warehouse.db")).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn warehouse_server_outage_fails_runs_which_are_retried() {
    let (deployment, database) = (Deployment::new(), Postgres::database().await);
    database.execute(ROWS).await;
    let link = Link::to(&database).await;
    let warehouse = format!("type = \"postgres\"\nurl = \"{}\"", link.url(&database));
    let node = deployment.node("data", &sections(&warehouse, "every 1s"));
    let key = node.key().await;
    let server = node.serve().await;
    await_name(&server, &key, "Ann").await;
    link.cut();
    // A run may be in the middle of its query.
    let codes = ["source_unreachable", "source_connection_lost"];
    fails_and_is_retried(&node, &server, &key, &codes, async || {
        database.execute("update people set name = 'Anna' where id = 1").await;
        link.mend();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_warehouse_does_not_affect_readers() {
    let (deployment, database) = (Deployment::new(), Postgres::database().await);
    database.execute(ROWS).await;
    let warehouse = |url: &str| format!("type = \"postgres\"\nurl = \"{url}\"");
    let right = sections(&warehouse(&database.url()), "manual");
    let node = deployment.node("data", &right);
    let key = node.key().await;
    node.output(&["sync", "person"]).await;
    let server = node.serve().await;
    await_name(&server, &key, "Ann").await;
    let reader = Reader::start(&server, &key);
    database.execute("update people set name = 'Anna' where id = 1").await;
    let query = |sql: &str| right.replace("select * from people", sql);
    let slow = query("select *, pg_sleep(3600)::text as nap from people");
    for (faulty, code) in [
        (sections(&warehouse(&database.url_of("locked:wrong")), "manual"), "source_wrong_password"),
        (slow.replacen("[models", "statement_timeout = \"1s\"\n[models", 1), "source_statement_timeout"),
        (query("select id, nmae as name from people"), "source_unknown_column"),
        (query("select id, 1 / (id - 2) as name from people"), "source_query_failed"),
    ] {
        node.configure(&faulty);
        let done = node.spawn(&["sync", "person"]).wait().await;
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(done.stderr.contains(code), "{done:?}");
        check(&server, &key, "Ann").await;
    }
    // The table's columns change.
    node.configure(&right);
    database.execute("alter table people rename name to first_name").await;
    let done = node.spawn(&["sync", "person"]).wait().await;
    assert_eq!(node.runs().await[0]["status"], "held", "{done:?}");
    check(&server, &key, "Ann").await;
    database.execute("alter table people rename first_name to name").await;
    node.output(&["sync", "person"]).await;
    await_name(&server, &key, "Anna").await;
    reader.end(&BTreeMap::from([(1, "Ann"), (2, "Anna")])).await;
}

/// The store had announcements and is now empty, as with a missing mount or a wrong prefix.
#[tokio::test(flavor = "multi_thread")]
async fn emptied_store_starts_no_new_catalog() {
    let (deployment, node, key, server) = serving().await;
    check(&server, &key, "Ann").await;
    deployment.execute("warehouse.db", "update people set name = 'Anna' where id = 1").await;
    fs::rename(deployment.path("store"), deployment.path("elsewhere")).unwrap();
    for (arguments, exit, code) in [
        (&["sync", "person"][..], 2, "catalog_lost"),
        (&["keys", "create", "--name", "late", "--all-collections"], 1, "keys_not_announced"),
    ] {
        let done = node.spawn(arguments).wait().await;
        assert_eq!(done.code, Some(exit), "{arguments:?}: {done:?}");
        assert!(done.stderr.contains(&format!("code: {code}")), "{arguments:?}: {done:?}");
    }
    assert!(deployment.catalog().is_empty(), "nothing was begun");
    check(&server, &key, "Ann").await;

    fs::remove_dir_all(deployment.path("store")).unwrap();
    fs::rename(deployment.path("elsewhere"), deployment.path("store")).unwrap();
    node.output(&["sync", "person"]).await;
    await_name(&server, &key, "Anna").await;
}

/// An announced segment is missing locally and in the store, so a run cannot compare with it.
#[tokio::test(flavor = "multi_thread")]
async fn lost_segment_is_written_again_by_an_accepted_run() {
    let (deployment, _node, key, server) = serving().await;
    check(&server, &key, "Ann").await;
    let object = deployment.manifest("person")["segments"][0]["object"].as_str().unwrap().to_owned();
    fs::remove_file(deployment.path("store").join(object)).unwrap();
    let other = deployment.node("other", &sections(SQLITE, "manual"));
    deployment.execute("warehouse.db", "update people set name = 'Anna' where id = 1").await;
    let done = other.spawn(&["sync", "person"]).wait().await;
    assert!(done.code == Some(1) && done.stderr.contains("object_missing"), "{done:?}");
    check(&server, &key, "Ann").await;
    other.output(&["sync", "person", "--accept"]).await;
    await_name(&server, &key, "Anna").await;
    assert_eq!(server.get(&key, "person", 2).await.json()["name"], "Bob");
}
